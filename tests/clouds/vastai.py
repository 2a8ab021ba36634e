"""An emulator of Vast.ai's market: as strict as its documentation, and stricter where that is silent.

Sources, read 2026-11-22 (Vast publishes no OpenAPI document in the specs folder, so nothing is validated against one):
- search: docs.vast.ai/api-reference/search/search-offers (fields, operators, the example offer); 64 offers at most, and
  an offer's `hosting_type` 1 is a data centre: public clients of it;
- create: docs.vast.ai/api-reference/instances/create-instance (fields, limits, 400 invalid_args and invalid_price, 404
  and 410 with no_such_ask in code or text), docs.vast.ai/api-reference/creating-instances-with-api (runtypes, `env`
  with "-p 8000:8000"), docs.vast.ai/cli/reference/create-instance with the source of `vastai create instance`
  (`onstart` replaces the entry point under runtype `args`), docs.vast.ai/api-reference/openapi.yaml (`onstart` has
  4,048 characters at most);
- listing: docs.vast.ai/api-reference/instances/show-instances-v1; one: …/show-instance; `state`: …/manage-instance;
- states: docs.vast.ai/sdk/python/reference/show-instance; errors and 429 as text without Retry-After:
  docs.vast.ai/api-reference/rate-limits-and-errors;
- a failed bid that leaves a stopped, billed contract: ../shared/facts/providers.md.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tests.clouds.foreign import VASTAI
from tests.clouds.server import Boot, Booted, Emulator, Fault, Refusal, Request, Route, only
from tests.clouds.veil import Way

EPOCH_S = 1_795_000_000
"""What the clock's zero is in `start_date`."""
FILTERS = {
    "gpu_name", "num_gpus", "gpu_ram", "verified", "datacenter", "rentable", "rented", "external", "reliability",
    "direct_port_count", "cuda_max_good", "disk_space", "duration", "dph_total", "min_bid", "geolocation",
    "machine_id", "host_id",
}  # fmt: skip
OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a == b,
    "neq": lambda a, b: a != b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "in": lambda a, b: a in b,
    "notin": lambda a, b: a not in b,
}
CREATE_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "client_id": str, "image": str, "disk": (int, float), "label": str, "runtype": str, "target_state": str,
    "price": (int, float), "env": dict, "cancel_unavail": bool, "onstart": str, "args": list,
}  # fmt: skip
ENTRYPOINT = ("vllm", "serve")
"""What the image runs where nothing replaces it."""


def refused(status: int, error: str, msg: str, **more: Any) -> Refusal:
    return Refusal(status, {"success": False, "error": error, "msg": msg, **more})


def invalid(msg: str) -> Refusal:
    return refused(400, "invalid_args", f"error 400/3467: Invalid args: {msg}")


@dataclass
class Contract:
    """An instance: what was ordered, on which offer, and what became of it."""

    id: int
    offer: dict[str, Any]
    order: dict[str, Any]
    created_s: float
    boot_s: float
    booted: Booted | None
    wanted: str = "running"
    outbid: bool = False
    stuck: bool = False


@dataclass
class VastaiEmulator(Emulator):
    """`stock` says what is on the market. By default four hosts with one 8×A100 80 GB each, and
    cheaper machines that lack something.

    A machine is off the market while an instance is on it. `sloppy`: the server overlooks all filters. `snatched`: asks
    that somebody else takes between the search and the create. `failing_bids`: so many next bids leave a stopped
    contract and a refusal.
    """

    offers: dict[int, dict[str, Any]] = field(default_factory=dict)
    contracts: dict[int, Contract] = field(default_factory=dict)
    snatched: set[int] = field(default_factory=set)
    sloppy: bool = False
    failing_bids: int = 0
    price_jump: float = 0.0
    """USD/h by which the next contract costs more than its offer did; used up."""
    page: int = 25
    """The most that the listing answers at once; the vendor's own limit, and smaller for a test of pages."""

    creates: ClassVar[re.Pattern[str]] = re.compile(r"/api/v0/asks/\d+/")
    shapes: ClassVar[Mapping[str, Any]] = VASTAI
    _ids: ClassVar[itertools.count[int]] = itertools.count(20_000_001)

    def __post_init__(self) -> None:
        for place, usd in (("Kansas, US", 9.6), ("Texas, US", 10.4), ("Oslo, NO", 11.2), ("Paris, FR", 12.8)):
            self.offer(geolocation=place, dph_base=usd)
        self.offer(dph_base=1.0, hosting_type=0)
        self.offer(dph_base=1.1, verification="unverified")
        self.offer(dph_base=1.2, gpu_ram=40_960)
        self.offer(dph_base=1.3, cuda_max_good=12.4)

    def offer(self, **changes: Any) -> int:
        """Puts a machine of a host of its own on the market; returns the ask's id. `dph_base` is the price of the GPUs
        an hour; the disk's comes on top at 0.15 USD/GB a month."""
        number = next(self._ids)
        self.offers[number] = {
            "id": number, "ask_contract_id": number, "bundle_id": number, "machine_id": number + 1_000_000,
            "host_id": number + 2_000_000, "gpu_name": "A100 SXM4", "num_gpus": 8, "gpu_ram": 81_920, "dph_base": 10.0,
            "min_bid": 5.0, "storage_cost": 0.15, "geolocation": "Kansas, US", "verification": "verified",
            "hosting_type": 1, "rentable": True, "rented": False, "external": None, "reliability2": 0.998,
            "direct_port_count": 100, "cuda_max_good": 13.0, "disk_space": 8000.0, "duration": 90 * 86_400.0,
            "public_ipaddr": "192.0.2.1", "is_bid": False, **changes,
        }  # fmt: skip
        return number

    def stock(self, *machines: Mapping[str, Any]) -> list[int]:
        """Replaces the market by these machines (fields of an offer); returns their asks."""
        self.offers.clear()
        return [self.offer(**machine) for machine in machines]

    @property
    def machines(self) -> list[str]:
        """What bills now: also a stopped instance, for its disk."""
        return [str(number) for number in self.contracts]

    def vanish(self, machine_id: str) -> None:
        """It is gone behind everybody's back."""
        self.contracts.pop(int(machine_id), None)
        self.host.end(machine_id)

    def outbid(self, machine_id: str) -> None:
        """A higher bid has taken its GPUs."""
        self.contracts[int(machine_id)].outbid = True
        self.host.end(machine_id)

    def routes(self) -> list[Route]:
        return [
            ("POST", r"/api/v0/bundles/", self._search),
            ("PUT", r"/api/v0/asks/(?P<id>\d+)/", self._create),
            ("GET", r"/api/v1/instances/", self._list),
            ("GET", r"/api/v0/instances/(?P<id>\d+)/", self._get),
            ("PUT", r"/api/v0/instances/(?P<id>\d+)/", self._manage),
            ("DELETE", r"/api/v0/instances/(?P<id>\d+)/", self._destroy),
        ]

    def authorize(self, authorization: str) -> None:
        if authorization != f"Bearer {self.key}":
            raise self.unauthorized()

    def unauthorized(self) -> Refusal:
        return refused(401, "auth_error", "Invalid user key")

    def failure(self, status: int) -> Refusal:
        if status == 429:
            return Refusal(429, "API requests too frequent: endpoint threshold=4.5")
        return refused(status, "invalid_args" if status == 400 else "error", f"error {status}")

    def _search(self, request: Request) -> tuple[int, Any]:
        asked = only(request.body, set(), FILTERS | {"type", "order", "limit", "allocated_storage"}, invalid)
        if asked.get("type", "on-demand") not in ("on-demand", "ondemand", "bid", "reserved"):
            raise invalid("type")
        conditions = {name: value for name, value in asked.items() if name in FILTERS}
        for name, value in conditions.items():
            if not isinstance(value, dict) or set(value) - set(OPERATORS):
                raise invalid(f"{name} must be an object of operators")
        if self.take(Fault.NO_CAPACITY):
            return 200, {"offers": []}
        rented = {contract.offer["machine_id"] for contract in self.contracts.values()}
        free = [offer for offer in self.offers.values() if offer["machine_id"] not in rented]
        shown = [self._shown(offer, asked.get("type") == "bid", asked.get("allocated_storage", 5)) for offer in free]
        fitting = [offer for offer in shown if self.sloppy or _fits(offer, conditions)]
        for column, way in reversed(asked.get("order", [])):
            fitting.sort(key=lambda offer: offer[column], reverse=way == "desc")
        return 200, {"offers": fitting[: min(int(asked.get("limit", 64)), 64)]}

    def _shown(self, offer: dict[str, Any], bid: bool, disk_gb: float) -> dict[str, Any]:
        base = offer["min_bid"] if bid else offer["dph_base"]
        total = round(base + offer["storage_cost"] * disk_gb / 720, 6)
        return {**offer, "dph_base": base, "dph_total": total, "is_bid": bid}

    def _create(self, request: Request) -> tuple[int, Any]:
        order = self._order(request.body)
        ask = int(request.found["id"])
        rented = {contract.offer["machine_id"] for contract in self.contracts.values()}
        offer = self.offers.get(ask)
        if offer is None:
            raise refused(404, "invalid_args", f"error 404/3603: no_such_ask Instance type {ask} is not available.")
        if ask in self.snatched or offer["machine_id"] in rented:
            raise refused(410, "no_such_ask", f"error 410/3907: no_such_ask {ask} is no longer available.", ask_id=ask)
        if order["disk"] > offer["disk_space"]:
            raise invalid("disk")
        bid = order.get("price")
        fails = bid is not None and self.failing_bids > 0
        if bid is not None and bid < offer["min_bid"] and not fails:
            raise refused(410, "no_such_ask", f"error 410/3907: no_such_ask {ask}: the bid does not win.", ask_id=ask)
        contract = self._contract({**self._shown(offer, bid is not None, order["disk"])}, order, runs=not fails)
        if fails:
            self.failing_bids -= 1
            contract.wanted = "stopped"
            return 200, {"success": False, "error": "bid_failed", "msg": "lost", "new_contract": contract.id}
        return 200, {"success": True, "new_contract": contract.id}

    def _order(self, body: Any) -> dict[str, Any]:
        order = only(body, {"image"}, set(CREATE_FIELDS), invalid)
        for name, value in order.items():
            if not isinstance(value, CREATE_FIELDS[name]):
                raise invalid(f"{name} has the wrong type")
        if order.get("runtype") != "args":
            raise invalid("this emulator knows no runtype but args")
        if len(order.get("label", "")) > 1024 or len(order.get("onstart", "")) > 4048:
            raise invalid("label or onstart is too long")
        if not all(isinstance(arg, str) for arg in order.get("args", [])):
            raise invalid("args must be texts")
        for name, value in order.get("env", {}).items():
            if not isinstance(value, str) or not re.fullmatch(r"-p \d+:\d+(/udp)?|[A-Za-z_]\w*", name):
                raise invalid(f"env {name}")
        if "price" in order and not 0.001 <= order["price"] <= 128:
            raise refused(400, "invalid_price", "Please set a bid price between 0.001 and 128.")
        return {"disk": 8, **order}

    def _contract(self, offer: dict[str, Any], order: dict[str, Any], runs: bool) -> Contract:
        slow = 10 if self.take(Fault.SLOW_BOOT) else 1
        contract = Contract(next(self._ids), offer, order, self.clock(), self.boot_s * slow, None)
        if "price" in order:
            contract.offer["dph_total"] += order["price"] - offer["dph_base"]
        contract.offer["dph_total"] += self.price_jump
        self.price_jump = 0.0
        contract.stuck = self.take(Fault.STUCK)
        self.made(str(contract.id))
        self.contracts[contract.id] = contract
        if runs:
            self._boot(contract)
        return contract

    def _boot(self, contract: Contract) -> None:
        env = contract.order.get("env", {})
        contract.booted = self.host.boot(
            Boot(
                machine_id=str(contract.id),
                command=((contract.order["onstart"],) if contract.order.get("onstart") else ENTRYPOINT)
                + tuple(contract.order.get("args", ())),
                environment={name: value for name, value in env.items() if not name.startswith("-p ")},
                ports=_inner_ports(env),
            )
        )

    def _list(self, request: Request) -> tuple[int, Any]:
        query = only(dict(request.query), set(), {"limit", "after_token", "order_by", "select_filters"}, invalid)
        if any(order != {"col": "id", "dir": "asc"} for order in json.loads(query.get("order_by", "[]"))):
            raise invalid("this emulator sorts by id only")
        conditions = json.loads(query.get("select_filters", "{}"))
        if set(conditions) - {"id", "label", "actual_status", "gpu_name"}:
            raise invalid("select_filters")
        after = int(base64.b64decode(query["after_token"])) if "after_token" in query else 0
        self.check_listing()
        self._lose_one()
        listed = [c for _, c in sorted(self.contracts.items()) if self.shown(str(c.id), Way.LIST)]
        rows = [self._row(contract) for contract in listed if contract.id > after]
        rows = [row for row in rows if _fits(row, conditions)]
        shown = rows[: min(int(query.get("limit", 25)), self.page)]
        more = len(shown) < len(rows)
        token = base64.b64encode(str(shown[-1]["id"]).encode()).decode() if more else None
        counted = {"instances_found": len(shown), "total_instances": len(self.contracts), "label_counts": {}}
        return 200, {"success": True, **counted, "next_token": token, "instances": [*shown, *self.strangers()]}

    def _get(self, request: Request) -> tuple[int, Any]:
        number = int(request.found["id"])
        if number in self.contracts and self.take(Fault.VANISHED):
            self.vanish(str(number))
        known = number in self.contracts and self.shown(str(number), Way.GET)
        return 200, {"instances": self._row(self.contracts[number]) if known else None}

    def _manage(self, request: Request) -> tuple[int, Any]:
        order = only(request.body, set(), {"state", "label"}, invalid)
        contract = self._known(request)
        if order.get("state", "running") not in ("running", "stopped"):
            raise invalid("state")
        if "label" in order:
            contract.order["label"] = order["label"]
        if "state" in order and order["state"] != contract.wanted and not contract.outbid:
            contract.wanted = order["state"]
            contract.created_s = self.clock()
            if contract.wanted == "running":
                self._boot(contract)
            else:
                self.host.end(str(contract.id))
        return 200, {"success": True}

    def _destroy(self, request: Request) -> tuple[int, Any]:
        contract = self._known(request)
        if not self.undying:
            self.vanish(str(contract.id))
        return 200, {"success": True, "msg": "Instance destroyed successfully"}

    def _known(self, request: Request) -> Contract:
        number = int(request.found["id"])
        if number not in self.contracts or not self.shown(str(number), Way.GET):
            raise refused(404, "no_such_instance", f"Instance {number} not found.")
        return self.contracts[number]

    def _lose_one(self) -> None:
        if self.contracts and self.take(Fault.VANISHED):
            self.vanish(str(next(iter(self.contracts))))

    def _row(self, contract: Contract) -> dict[str, Any]:
        status, wanted = self._status(contract), "stopped" if contract.outbid else contract.wanted
        allocated = "stopped" if wanted == "stopped" else "running"
        env = contract.order.get("env", {})
        reached = contract.booted if status == "running" else None
        ports = {f"{inner}/tcp": [{"HostIp": "0.0.0.0", "HostPort": str(outer)}] for inner, outer in _open(reached)}
        return {
            **{name: contract.offer[name] for name in contract.offer if name not in ("id", "ask_contract_id")},
            "dph_total": self.costs.get(str(contract.id), contract.offer["dph_total"]),
            "id": contract.id, "actual_status": status,
            "label": contract.order.get("label") if self.shown(str(contract.id), Way.TAGS) else None,
            "intended_status": wanted, "cur_state": allocated, "next_state": allocated,
            "status_msg": f"success, {status} {contract.order['image']}/args\n" if status else None,
            "image_uuid": contract.order["image"], "image_runtype": "args",
            "image_args": contract.order.get("args", []), "onstart": contract.order.get("onstart"),
            "extra_env": [[name, value] for name, value in env.items()],
            "jupyter_token": "emulated-jupyter-token", "start_date": EPOCH_S + contract.created_s,
            "public_ipaddr": f"{reached.address} \n" if reached else None, "ports": ports if reached else None,
        }  # fmt: skip

    def _status(self, contract: Contract) -> str | None:
        if self.take(Fault.UNKNOWN_STATE):
            return "hibernating"
        if contract.outbid or contract.wanted == "stopped":
            return "stopped"
        age_s = self.clock() - contract.created_s
        if contract.stuck or age_s < contract.boot_s / 2:
            return None
        return "loading" if age_s < contract.boot_s else "running"


def _open(booted: Booted | None) -> list[tuple[int, int]]:
    return sorted(booted.ports.items()) if booted else []


def _inner_ports(env: Mapping[str, str]) -> tuple[int, ...]:
    return tuple(int(name.split(":")[1].split("/")[0]) for name in env if name.startswith("-p "))


def _fits(shown: Mapping[str, Any], conditions: Mapping[str, Mapping[str, Any]]) -> bool:
    values = {
        **shown,
        "verified": shown.get("verification") == "verified",
        "datacenter": shown.get("hosting_type") == 1,
        "reliability": shown.get("reliability2"),
        "external": bool(shown.get("external")),
        "geolocation": str(shown.get("geolocation", "")).rpartition(", ")[2],
    }
    return all(
        OPERATORS[sign](values.get(name), wanted)
        for name, signs in conditions.items()
        for sign, wanted in signs.items()
    )
