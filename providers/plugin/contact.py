"""gpucloud:index:FirstContact — the proof that a machine which the program's own resources made is there.

`Node` does the same for machines that this plugin rents.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from images.remote.errors import DeadlineExceeded, RemoteError, Unreachable
from images.remote.waiting import NotYet, Waiting, until
from providers.base import Clouds, Machine, Tunnelled
from providers.errors import NotFound, Unauthorized
from providers.plugin.handler import Handler, InitFailed
from providers.plugin.machine import machine_of
from providers.plugin.values import UNKNOWN, Plain, contains_unknown
from providers.renting.contact import NotSettled, WayIn, first_contact, tunnel_to

CONTACT_POLL_S = 1.0


class FirstContactHandler(Handler):
    """Inputs: reported (the machine as its cloud reports it, in the words of a node's `machine`; an empty hostKey and
    supervision are found out), name (`providers.renting.naming`, from which its host keys are derived), sshPrivateKey,
    deadlineS. Outputs: the inputs, and `machine`: what was reported, with the durable host key and the supervision.

    A contact that was interrupted is made again: the machine shows one of two keys, and both are known from the name.
    """

    inputs = ("reported", "name", "sshPrivateKey", "deadlineS")
    replacing = frozenset({"reported.id"})
    silent: ClassVar[frozenset[str]] = frozenset({"deadlineS"})
    secret = frozenset({"sshPrivateKey"})

    def __init__(self, clouds: Clouds) -> None:
        self.clouds = clouds

    def preview(self, olds: Plain, news: Plain) -> Plain:
        if not olds or contains_unknown(news["reported"]):
            return {**news, "machine": UNKNOWN}
        return {**news, "machine": _with_contact(news["reported"], olds)}

    def create(self, urn: str, news: Plain, waiting: Waiting) -> tuple[str, Plain]:
        machine = self._contacted(news["reported"], news, waiting)
        return f"contact/{machine['id']}", {**news, "machine": machine}

    def read(self, resource_id: str, olds: Plain, waiting: Waiting) -> tuple[Plain, Plain] | None:
        if not olds:
            raise NotFound("a FirstContact cannot be imported: `up` makes it")
        return {key: olds[key] for key in self.inputs}, olds

    def update(self, resource_id: str, olds: Plain, news: Plain, waiting: Waiting) -> Plain:
        """The machine keeps its host key, also where the stack's SSH key is another one by now."""
        machine = _with_contact(news["reported"], olds)
        if news["reported"] != olds["reported"]:
            try:
                machine = self._contacted(machine, news, waiting)
            except RemoteError as e:
                # What is not proved must not count as reported: the next `up` sees the change again.
                kept = {**news, "reported": olds["reported"], "machine": machine}
                raise InitFailed(resource_id, kept, news, [str(e)]) from e
        return {**news, "machine": machine}

    def delete(self, resource_id: str, olds: Plain, waiting: Waiting) -> None:
        """Nothing was made but a host key, which the machine keeps."""

    def _contacted(self, known: Plain, news: Plain, waiting: Waiting) -> Plain:
        """`known` with what the contact told, as soon as it succeeds. Raises DeadlineExceeded, Cancelled,
        HostKeyChanged, InvalidRequest, and Unauthorized where waiting does not help."""
        machine, deadline_s = machine_of(known, news["name"]), float(news["deadlineS"])

        def late(last: str) -> RemoteError:
            return DeadlineExceeded(
                f"machine {known['id']} was not reached in {deadline_s:g} s: {last}. It is kept and billed; the next "
                "`up` tries again"
            )

        meet = partial(self._meet, machine, news["sshPrivateKey"], waiting)
        met = until(meet, waiting.within(deadline_s), known["id"], late)
        waiting.say(f"in contact with {known['id']} at {known['address']}")
        return {**known, "hostKey": met.host_key, "supervision": met.supervision}

    def _meet(self, machine: Machine, ssh_private_key: str, waiting: Waiting) -> Machine:
        """One try. Raises NotYet."""
        way = WayIn(tunnel_to(machine, self.clouds), waiting.cancelled)
        try:
            return first_contact(machine, ssh_private_key, way)
        except Unreachable as e:
            if way.tunnel and self._refused(machine.cloud, str(e)):
                raise Unauthorized(str(e)) from e
            raise NotYet(str(e), CONTACT_POLL_S) from e
        except NotSettled as e:
            raise NotYet(str(e), CONTACT_POLL_S) from e

    def _refused(self, name: str, said: str) -> bool:
        cloud = self.clouds(name)
        return isinstance(cloud, Tunnelled) and cloud.refused(said)


def _with_contact(reported: Plain, olds: Plain) -> Plain:
    """What is reported, with what the contact before told."""
    return {**reported, **{key: olds["machine"][key] for key in ("hostKey", "supervision")}}
