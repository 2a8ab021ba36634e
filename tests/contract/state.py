"""One Node of a stack as the engine keeps it."""

from __future__ import annotations

import threading
import time

import providers.renting.rent
from images.remote.errors import RemoteError
from providers.base import Cloud
from providers.errors import InvalidRequest
from providers.plugin.handler import InitFailed
from providers.plugin.machine import is_vacant
from providers.plugin.node import NodeHandler
from providers.plugin.node_inputs import owner
from providers.plugin.values import Plain
from providers.renting.blocklist import Blocklist
from providers.renting.memory.duds import Duds
from providers.renting.naming import machine_name
from providers.renting.presence.looking import shown
from tests.contract.conftest import KEY, PRIVATE, Killed, Trial
from tests.contract.test_faults import DEADLINE_S


class State:
    """One Node of a stack as the engine keeps it, driven by calls of the resource plugin's handler."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.id: str | None = None
        self.outputs: Plain = {}
        self.last_error = ""
        self.duds = Duds(now=trial.clock or time.time)
        rungs = [
            {"cloud": trial.cloud.name, "region": region, "sku": trial.sku, "maxUsdPerHour": 30}
            for region in (trial.region, *trial.regions)
        ]
        self.inputs: Plain = {
            "key": "a", "role": "inference", "project": "p", "stack": "s", "stackId": "1a2b", "generation": 1,
            "candidates": rungs,
            "ports": {"ssh": 22, "vllm": 8000, "endpoint": 8443}, "sshPublicKey": KEY, "sshPrivateKey": PRIVATE,
            "maxPerFailureDomain": 1, "deadlineS": DEADLINE_S, "onNoCapacity": "fail",
            "settings": trial.sections,
        }  # fmt: skip

    @property
    def machines(self) -> list[str]:
        """Ids that the state knows, without those that the cloud has ended by itself."""
        return [machine for machine in self.known if machine in self.trial.billed()]

    @property
    def known(self) -> list[str]:
        """Ids that the state knows."""
        return [] if self.id is None else [str(self.outputs["machine"]["id"]).partition("/")[2]]

    def run(self, what: str, stop: threading.Event | None = None) -> None:
        """One run of the plugin, a process of its own."""
        providers.renting.rent.BLOCKLIST = Blocklist()
        assert self.trial.journal is not None
        journal = self.trial.journal
        handler = NodeHandler(self._cloud, duds=lambda *_: self.duds, journals=lambda project, stack: journal)
        assert self.trial.clock is not None
        waiting = self.trial.clock.waiting(cancelled=(stop or threading.Event()).is_set)
        self.last_error = ""
        try:
            if what == "accept":
                self._accept()
            elif what == "delete":
                if self.id is not None:
                    handler.delete(self.id, self.outputs, waiting)
                self.id, self.outputs = None, {}
            elif what == "read":
                if self.id is not None:
                    read = handler.read(self.id, self.outputs, waiting)
                    self.id, self.outputs = (self.id, read[1]) if read else (None, {})
            elif self.id is None:
                self.id, self.outputs = handler.create("urn", self.inputs, waiting)
            elif self.outputs["generation"] != self.inputs["generation"]:
                handler.delete(self.id, self.outputs, waiting)
                self.id, self.outputs = None, {}
                self.id, self.outputs = handler.create("urn", self.inputs, waiting)
            else:
                self.outputs = handler.update(self.id, self.outputs, self.inputs, waiting)
        except InitFailed as e:
            self.id, self.outputs, self.last_error = e.resource_id, e.outputs, str(e)
        except RemoteError as e:
            self.last_error = str(e)
        except Killed:
            self.last_error = "killed"

    def _cloud(self, name: str) -> Cloud:
        if name != self.trial.cloud.name:
            raise InvalidRequest(f"unknown cloud {name!r}")
        return self.trial.cloud

    def _accept(self) -> None:
        """What `crossover accept-gone` does: the state forgets the machine, unless its cloud shows it; the journal does
        not."""
        if self.known and not is_vacant(self.outputs["machine"]) and shown(self.trial.cloud, self.known[0]) is None:
            assert self.trial.journal is not None
            name = machine_name(owner(self.outputs))
            self.trial.journal.given_up(name, self.trial.cloud.name, self.known[0])
            self.id, self.outputs = None, {}
