"""The cloud `vastai` in the words of every other cloud."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from providers.base import ALIVE, Machine, MachineState, NodeSpec, Offer
from providers.clouds.vastai import instances, market
from providers.clouds.vastai.client import FailedContract, VastaiClient
from providers.clouds.vastai.config import INSTANCES_PAGE, VastaiSettings, parse
from providers.clouds.vastai.instances import Label
from providers.clouds.vastai.market import ANY, SKUS, Sku
from providers.errors import CloudError, InvalidRequest, NoCapacity, Unavailable
from providers.renting.answers.rows import whole
from providers.renting.firstboot import ENTRY, environment
from providers.renting.presence.ending import Ending

ATTEMPTS = 25
"""Offers tried in one launch."""
TERMINATE_POLL_S = 5.0


class VastaiCloud:
    """Machines of verified data-centre hosts. They belong to third parties: nothing is sent to them but a public key
    and a host key that is good for one contact."""

    name = "vastai"
    visibility_s = 300.0
    """Chosen: Vast.ai publishes none. As long as AWS advises to wait for its own API (docs.aws.amazon.com/ec2/latest/
    devguide/eventual-consistency.html)."""

    def __init__(self, client: VastaiClient) -> None:
        self.client = client

    @classmethod
    def from_environment(cls) -> VastaiCloud:
        """Configured by the environment: see VastaiConfig."""
        return cls(VastaiClient.from_environment())

    @property
    def api_url(self) -> str:
        """Where its API is: `crossover doctor` tries the way there."""
        return self.client.config.base_url

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Raises InvalidRequest."""
        parse(settings)

    def offers(self) -> list[Offer]:
        """The cheapest machine of each SKU in each country that has one, and in "any". What nobody offers now has no
        price, and is not listed."""
        found = []
        for sku in SKUS.values():
            fitting = self._search(sku, ANY, VastaiSettings(), ports=2, ceiling=None)
            for region in dict.fromkeys([ANY, *map(market.country, fitting)]):
                prices = [market.usd_per_hour(o, sku) for o in fitting if region in (ANY, market.country(o))]
                what = f"{sku.gpus}×{market.GPU_NAME} {sku.memory_gib} GB, verified data centre, {len(prices)} offered"
                if prices:
                    found.append(Offer(self.name, region, sku.name, min(prices), True, sku.gpus, sku.memory_gib, what))
        return found

    def launch(self, spec: NodeSpec) -> Machine:
        """Accepts the best fitting offer on a machine and a host that the fleet does not use yet. Raises
        NoCapacity, InvalidRequest (a ceiling is mandatory), TerminateFailed where a failed bid could not be ended."""
        market.check_region(spec.region)
        sku = market.sku_of(spec.sku)
        settings = parse(spec.settings)
        ceiling = spec.max_usd_per_hour
        if ceiling is None:
            raise InvalidRequest("vastai: maxUsdPerHour is missing; prices there jump, so nothing is rented without")
        if spec.host_key is None:
            raise InvalidRequest(f"vastai: {spec.name} has no one-use host key to boot with")
        fitting = self._search(sku, spec.region, settings, len(spec.ports), ceiling)
        if not fitting:
            raise NoCapacity(self._why_none(sku, spec, settings, ceiling))
        machines, hosts = self._used(spec)
        apart = [o for o in fitting if str(o["machine_id"]) not in machines and str(o["host_id"]) not in hosts]
        all_taken = f"the fleet, or a dud of the last day, is on each of the {len(fitting)} machines or hosts that fit"
        refusals = [] if apart else [all_taken]
        for offer in apart[:ATTEMPTS]:
            try:
                return self._accept(offer, spec, sku, settings, ceiling)
            except FailedContract as e:
                self.terminate(str(e.contract))
                raise NoCapacity(f"{e}; the contract {e.contract} that it left was ended and is confirmed gone") from e
            except NoCapacity as e:
                refusals.append(str(e))
        raise NoCapacity(f"vastai has no {sku.name} in {spec.region}: {refusals[-1]} ({len(refusals)} refusals)")

    def get(self, machine_id: str) -> Machine:
        """Raises NotFound where Vast answers that there is none. From the listing that all waiting threads share; what
        is not in it, or where there is none, is asked for by its id."""
        number = _number(machine_id)
        listed = None
        with contextlib.suppress(Unavailable):
            listed = next((row for row in self.client.look().read if row["id"] == number), None)
        return instances.machine(listed or self.client.instance(number))

    def inventory(self) -> list[Machine]:
        """Every instance of the account."""
        rows = self.client.instances()
        return whole(self.name, [instances.machine(row) for row in rows.read], rows.unread)

    def list(self, owner_project: str | None = None) -> list[Machine]:
        """Every instance that carries our mark. All are read and chosen here: Vast has no filter by prefix, and its
        order of texts, which a range would rest on, is not documented."""
        rows = self.client.instances()
        found = [(row, instances.machine(row)) for row in rows.read]
        ours = [m for row, m in found if instances.listed(row, m, owner_project)]
        return whole(self.name, ours, rows.unread)

    def start(self, machine_id: str) -> Machine:
        """Asks Vast once to run what was stopped. Raises NoCapacity for an instance that was outbid: whoever waits for
        first contact then ends it at once, and whoever has had contact keeps it (it runs again by itself when its bid
        is the highest)."""
        row = self.client.instance(_number(machine_id))
        if instances.outbid(row):
            raise NoCapacity(f"vastai: instance {machine_id} was outbid at {row.get('dph_total')} USD/h")
        if instances.state(row) is MachineState.STOPPED and row.get("intended_status") != "running":
            self.client.start(_number(machine_id))
            return self.get(machine_id)
        return instances.machine(row)

    def terminate(self, machine_id: str, age_s: float = 0.0) -> None:
        """Destroys it, its disk included. See `Cloud` and `Ending`."""
        number = _number(machine_id)
        Ending(
            self.name, machine_id, lambda: self.client.destroy(number), lambda: self.get(machine_id), self.inventory,
            f"end it by hand: `vastai destroy instance {machine_id}`, or {INSTANCES_PAGE}", self.visibility_s, age_s,
            TERMINATE_POLL_S, self.client.clock, self.client.sleep,
        ).confirm()  # fmt: skip

    def _search(
        self, sku: Sku, region: str, settings: VastaiSettings, ports: int, ceiling: Decimal | None
    ) -> Sequence[market.Offer]:
        """What fits, the best first."""
        asked = market.query(sku, region, settings, ports, ceiling)
        fitting = market.best_first((o for o in self.client.search(asked) if not market.unmet(o, asked)), sku)
        return [o for o in fitting if ceiling is None or market.usd_per_hour(o, sku) <= ceiling]

    def _why_none(self, sku: Sku, spec: NodeSpec, settings: VastaiSettings, ceiling: Decimal) -> str:
        """The same search without ceiling and place."""
        what = f"vastai has no {sku.name} in {spec.region} for at most {ceiling} USD/h"
        elsewhere = self._search(sku, ANY, settings, len(spec.ports), None)
        if not elsewhere:
            return f"{what}, and none at any price anywhere"
        dearest_first = sorted(((market.usd_per_hour(o, sku), market.country(o)) for o in elsewhere), reverse=True)
        prices = {where: usd_per_hour for usd_per_hour, where in dearest_first}
        return f"{what}; live prices: " + ", ".join(f"{where} {prices[where]:.2f} USD/h" for where in sorted(prices))

    def _used(self, spec: NodeSpec) -> tuple[set[str], set[str]]:
        """The machines and the hosts of the fleet's living nodes, and those of duds."""
        living = [m for m in map(instances.machine, self.client.instances().read) if m.state in ALIVE]
        domains = [m.failure_domain.split("/", 2) for m in living if m.owner and m.owner.same_fleet(spec.owner)]
        domains += [dud.split("/", 2) for dud in spec.left_out if dud.startswith(f"{self.name}/")]
        return {machine for _, machine, _ in domains}, {host for _, _, host in domains}

    def _accept(
        self, offer: market.Offer, spec: NodeSpec, sku: Sku, settings: VastaiSettings, ceiling: Decimal
    ) -> Machine:
        price = market.bid(offer, ceiling, settings.bid_usd_per_hour) if sku.interruptible else None
        if sku.interruptible and price is None:
            raise NoCapacity(f"offer {offer['id']} takes no bid below {offer['min_bid']} USD/h")
        label = str(Label.of(spec))
        contract = self.client.create(offer["id"], order(spec, settings, label, price))
        # Built from what is known, because an instance may not be visible yet.
        known = {**offer, "id": contract, "label": label, "actual_status": None, "public_ipaddr": None, "ports": None}
        machine = instances.machine({**known, "start_date": None, "status_msg": None})
        if price is not None:
            machine = replace(machine, usd_per_hour=price + market.beside_gpus(offer))
        with contextlib.suppress(CloudError):  # a create takes no ceiling: the price may have jumped since the search
            machine = replace(machine, usd_per_hour=self.get(machine.id).usd_per_hour or machine.usd_per_hour)
        return machine


def order(spec: NodeSpec, settings: VastaiSettings, label: str, price: Decimal | None) -> dict[str, Any]:
    """The body of a create. With runtype `args`, `onstart` replaces the image's entry point and `args` are given to
    it: the vendor's own command line sends its `--entrypoint` so, and documents `--onstart-cmd 'bash' --args -c '…'`
    (docs.vast.ai/cli/reference/create-instance)."""
    assert spec.host_key is not None
    return {
        "client_id": "me",
        "image": settings.image,
        "disk": settings.disk_gb,
        "label": label,
        "runtype": "args",
        "onstart": "sh",
        "args": ["-c", ENTRY],
        "env": {
            **environment(spec.ssh_public_key, spec.host_key.private),
            **{f"-p {port}:{port}": "1" for port in spec.ports.values()},
        },
        "cancel_unavail": True,
        **({} if price is None else {"price": float(price)}),
    }


def _number(machine_id: str) -> int:
    if not machine_id.isdigit():
        raise InvalidRequest(f"{machine_id!r} is no id of a Vast.ai instance (they are numbers)")
    return int(machine_id)
