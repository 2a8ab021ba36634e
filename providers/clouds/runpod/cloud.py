"""The cloud `runpod` in the words of every other cloud."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from providers.base import Machine, MachineState, NodeSpec, Offer
from providers.clouds.runpod.client import RunpodClient
from providers.clouds.runpod.config import ANY, COUNTS, GPUS, PODS_PAGE, SKUS, RunpodSettings, parse
from providers.clouds.runpod.interruptible import RETIREMENT, Interruptible
from providers.clouds.runpod.pods import listed, machine, order, usd_per_hour
from providers.errors import (
    CloudError,
    Gone,
    InvalidRequest,
    NoCapacity,
    Unauthorized,
    Unavailable,
)
from providers.renting.answers.price import check_quote, said
from providers.renting.answers.rows import whole
from providers.renting.naming import nearest
from providers.renting.presence.ending import Ending

TERMINATE_POLL_S = 5.0

STOCK = {"HIGH": 0, "MEDIUM": 1, "LOW": 2}
"""RunPod's level of availability → in which order data centres are tried."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Quote:
    """What the catalogue says of one GPU type for pods of one size."""

    usd_per_gpu_hour: Decimal | None
    """None where the catalogue tells none."""
    level: str
    """NONE, LOW, MEDIUM or HIGH, over all data centres."""
    levels: Mapping[str, str]
    """Data centre → level; a data centre that never has it is absent."""
    cuda_versions: tuple[str, ...]
    """Those that a free host has."""

    @classmethod
    def of(cls, gpu: Mapping[str, Any]) -> Quote:
        """From the schema GpuType. Raises Unavailable where it lacks what it must have."""
        try:
            return cls(
                usd_per_hour(gpu["price"]["secure"]),
                gpu.get("availability", "NONE"),
                {center["id"]: center["availability"] for center in gpu.get("dataCenters") or []},
                tuple(cuda["version"] for cuda in gpu.get("cudaVersions") or [] if cuda["available"]),
            )
        except (LookupError, TypeError, ValueError, AttributeError) as e:
            raise Unavailable(f"runpod's catalogue entry cannot be read: {e!r}") from e

    def free(self, region: str) -> bool:
        """Whether a pod may be had there now; a catalogue promises nothing."""
        return (self.level if region == ANY else self.levels.get(region, "NONE")) != "NONE"


class RunpodCloud:
    """Pods on RunPod's secure cloud. A region is a data centre ("US-KS-2") or "any"."""

    name = "runpod"
    visibility_s = 300.0
    """Chosen: RunPod publishes none. As long as AWS advises to wait for its own API (docs.aws.amazon.com/ec2/latest/
    devguide/eventual-consistency.html)."""

    def __init__(self, client: RunpodClient) -> None:
        self.client = client
        self.interruptible = Interruptible(client.config)

    @classmethod
    def from_environment(cls) -> RunpodCloud:
        """Configured by the environment: see RunpodConfig. Never fails; a missing key shows at the first call."""
        return cls(RunpodClient.from_environment())

    @property
    def api_url(self) -> str:
        """Where its API is: `crossover doctor` tries the way there."""
        return self.client.config.base_url

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Raises InvalidRequest, which names the key."""
        parse(settings)

    def offers(self) -> list[Offer]:
        """Every SKU in every data centre that has its GPU, and in "any". Interruptible ones are missing, with a
        logged line, where the GraphQL API that prices them does not answer."""
        found = []
        for gpu_id, memory_gib in GPUS.values():
            quotes = {count: Quote.of(self.client.gpu(gpu_id, count)) for count in COUNTS}
            prices = {False: quotes[1].usd_per_gpu_hour, True: self._interruptible_price(gpu_id)}
            for name, sku in SKUS.items():
                price = prices[sku.interruptible]
                if sku.gpu_id != gpu_id or price is None:
                    continue
                quote = quotes[sku.count]
                for region in (*sorted(quote.levels), ANY):
                    what = f"{sku.count}×{gpu_id}" + (", interruptible" if sku.interruptible else "")
                    usd_per_hour = price * sku.count
                    found.append(
                        Offer("runpod", region, name, usd_per_hour, quote.free(region), sku.count, memory_gib, what)
                    )
        return found

    def launch(self, spec: NodeSpec) -> Machine:
        """Rents one pod: on demand through REST v2, interruptible through GraphQL at the price of now."""
        sku = SKUS.get(spec.sku)
        if sku is None:
            raise InvalidRequest(f"runpod has no SKU {spec.sku!r}: {nearest(spec.sku, SKUS)}")
        settings = parse(spec.settings)
        quote = Quote.of(self.client.gpu(sku.gpu_id, sku.count, settings.min_cuda_version))
        data_centers = self._data_centers(spec, settings, quote)
        orders = [order(spec, sku, settings, data_center) for data_center in data_centers]
        per_gpu = self.interruptible.usd_per_gpu_hour(sku.gpu_id) if sku.interruptible else quote.usd_per_gpu_hour
        asked = check_quote(self.name, spec.sku, per_gpu and per_gpu * sku.count, spec.max_usd_per_hour)
        _refuse_sold_out(spec, asked, quote, data_centers)
        if sku.interruptible:
            log.warning(RETIREMENT)
        for body in orders:
            try:
                if sku.interruptible:
                    pod = self._rent_interruptible(body, asked / sku.count, quote)
                else:
                    pod = self.client.create_pod(body)
                break
            except NoCapacity:
                if body is orders[-1]:
                    raise
        return machine(pod)

    def get(self, machine_id: str) -> Machine:
        """Raises NotFound on RunPod's 404, and Gone for a pod that it calls TERMINATED ("permanently deleted"). From
        the listing that all waiting threads share; what is not in it, or all without one, is asked for by its id."""
        row = None
        with contextlib.suppress(Unavailable):
            row = next((pod for pod in self.client.look().read if pod["id"] == machine_id), None)
        found = machine(row or self.client.pod(machine_id))
        if found.state is MachineState.TERMINATED:
            raise Gone(f"runpod lists pod {machine_id} as TERMINATED")
        return found

    def inventory(self) -> list[Machine]:
        """Every pod of the account."""
        rows = self.client.pods()
        return whole(self.name, [machine(pod) for pod in rows.read], rows.unread)

    def list(self, owner_project: str | None = None) -> list[Machine]:
        """The pods whose environment carries our mark, or cannot be read."""
        rows = self.client.pods()
        found = [(pod, machine(pod)) for pod in rows.read]
        return whole(self.name, [m for pod, m in found if listed(pod, m, owner_project)], rows.unread)

    def start(self, machine_id: str) -> Machine:
        """Starts a stopped pod on its old host. Raises NoCapacity where that has no GPUs left. RunPod wiped its
        container disk: it comes back with the one-use host key and without what was installed."""
        found = self.get(machine_id)
        if found.state is not MachineState.STOPPED:
            return found
        try:
            return machine(self.client.start_pod(machine_id))
        except InvalidRequest:  # 409: its state changed in between
            return self.get(machine_id)

    def terminate(self, machine_id: str, age_s: float = 0.0) -> None:
        """See `Cloud` and `Ending`."""
        Ending(
            self.name, machine_id, lambda: self.client.delete_pod(machine_id), lambda: self.get(machine_id),
            self.inventory, f"end it with `runpodctl remove pod {machine_id}` or at {PODS_PAGE}", self.visibility_s,
            age_s, TERMINATE_POLL_S, self.client.clock, self.client.sleep,
        ).confirm()  # fmt: skip

    def _data_centers(self, spec: NodeSpec, settings: RunpodSettings, quote: Quote) -> tuple[str, ...]:
        """Where to try to place the pod, in order: with "any", where the GPU is free and no sibling is in the way, most
        stock first. RunPod is not left to choose, since where it puts a pod is known only afterwards. Raises
        InvalidRequest for what is no data centre, and where the network volume is elsewhere."""
        region = spec.region
        if region != ANY and region not in quote.levels:
            known = self.client.data_centers()
            if region not in known:
                raise InvalidRequest(f"runpod has no data centre {region!r}: {nearest(region, [*known, ANY])}")
        if settings.volume_id is None and region == ANY:
            stocked = sorted(quote.levels, key=lambda center: (STOCK.get(quote.levels[center], len(STOCK)), center))
            taken = spec.full | spec.left_out
            return tuple(center for center in stocked if quote.free(center) and f"runpod/{center}" not in taken)
        if settings.volume_id is None:
            return (region,)
        at = str(self.client.network_volume(settings.volume_id).get("dataCenter"))
        if region not in (ANY, at):
            raise InvalidRequest(
                f"network volume {settings.volume_id} is in {at}, not in {region}: choose one of {at}, {ANY}"
            )
        if f"runpod/{at}" in spec.left_out:
            raise NoCapacity(
                f"network volume {settings.volume_id} is in {at}, which is left out for a day as it had a dud"
            )
        if f"runpod/{at}" in spec.full:
            raise NoCapacity(
                f"network volume {settings.volume_id} is in {at}, where the fleet has no room: another node is there"
            )
        return (at,)

    def _interruptible_price(self, gpu_id: str) -> Decimal | None:
        try:
            return self.interruptible.usd_per_gpu_hour(gpu_id)
        except Unauthorized:
            raise
        except CloudError as e:
            log.warning("no interruptible offers: %s (%s)", e, RETIREMENT)
            return None

    def _rent_interruptible(self, body: dict[str, Any], usd_per_gpu_hour: Decimal, quote: Quote) -> dict[str, Any]:
        """The new pod, in as much as is known: GraphQL answers with its id."""
        gpu = dict(body["gpu"])
        floor = _version(gpu.pop("minCudaVersion"))  # GraphQL knows no floor, only a set
        gpu["allowedCudaVersions"] = [version for version in quote.cuda_versions if _version(version) >= floor]
        if not gpu["allowedCudaVersions"]:
            raise NoCapacity("runpod has no free host of that CUDA version: see minCudaVersion in clouds.runpod")
        made = {**body, "gpu": gpu}
        pod_id = self.interruptible.create_pod(made, usd_per_gpu_hour)
        return {**made, "id": pod_id, "status": "PROVISIONING", "cost": float(usd_per_gpu_hour * gpu["count"])}


def _refuse_sold_out(spec: NodeSpec, usd_per_hour: Decimal, quote: Quote, data_centers: Sequence[str]) -> None:
    """Raises NoCapacity where nothing is free."""
    if not any(quote.free(center) for center in data_centers):
        elsewhere = ", ".join(center for center in sorted(quote.levels) if quote.free(center)) or "nowhere"
        taken = f" where the fleet has room (it is in {', '.join(sorted(spec.full))})" if spec.full else ""
        raise NoCapacity(
            f"runpod has no {spec.sku} free in {spec.region}{taken} at {said(usd_per_hour)}; free in: {elsewhere}"
        )


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))  # 12.11 is above 12.2
