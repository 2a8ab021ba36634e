"""Lambda's Cloud API v1 in Lambda's words. `jupyter_token`, a secret, is never read."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from providers.clouds.lambdalabs.config import KEYS_PAGE, LambdaConfig
from providers.errors import (
    Ambiguous,
    CloudError,
    InvalidRequest,
    NoCapacity,
    NotFound,
    QuotaExceeded,
    Unauthorized,
    Unavailable,
)
from providers.transport.together import Together
from providers.transport.transport import Answer, Pace, Transport

T = TypeVar("T")

API = "/api/v1"
LAUNCH = f"{API}/instance-operations/launch"
PACE = Pace(1.0)
LAUNCH_PACE = Pace(12.0)
"""The API's documented limits, for the whole process: one request a second, one launch in twelve."""

DOES_NOT_EXIST = "global/object-does-not-exist"
ERRORS: Mapping[str, tuple[type[CloudError], str]] = {
    "instance-operations/launch/insufficient-capacity": (NoCapacity, "Lambda has none free; the next candidate may do"),
    "instance-operations/launch/file-system-in-wrong-region": (
        InvalidRequest,
        "A file system serves its own region only: change clouds.lambda.fileSystems or the candidate's region",
    ),
    "global/quota-exceeded": (QuotaExceeded, "The account's limit is reached: end something or ask Lambda's support"),
    "global/invalid-api-key": (Unauthorized, f"Put a valid key into LAMBDA_API_KEY: {KEYS_PAGE}"),
    "global/account-inactive": (Unauthorized, "The account needs a verified email address and a payment method"),
    "global/invalid-address": (Unauthorized, "The account's billing address needs to be corrected"),
    "global/forbidden": (Unauthorized, "The key in LAMBDA_API_KEY lacks the right"),
    "global/invalid-parameters": (InvalidRequest, "The request cannot succeed as it is"),
    "global/duplicate": (InvalidRequest, "Something of that name exists"),
    "global/not-found": (InvalidRequest, "There is no such path or object: look at CROSSOVER_LAMBDA_URL if it is set"),
    DOES_NOT_EXIST: (NotFound, "It is gone, or belongs to another account"),
    "global/conflict": (Unavailable, "Something else changes it right now: try again"),
    "global/internal-error": (Unavailable, "Lambda's fault: try again later"),
    "firewall-rulesets/firewall-ruleset-in-use": (Unavailable, "A machine still uses it"),
}
"""Lambda's error code → our error and what to do. A 404 without one of these codes is no answer about a machine."""


class Said(BaseModel):
    """What Lambda answers; fields that we do not use, or that are new, are dropped."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Named(Said):
    """A region or an SSH key, as far as it matters."""

    name: str
    id: str = ""


class FileSystem(Named):
    region: Named


class Image(Said):
    family: str
    region: Named


class Specs(Said):
    gpus: int


class InstanceType(Said):
    name: str
    description: str
    gpu_description: str
    price_cents_per_hour: int
    specs: Specs

    @property
    def usd_per_hour(self) -> Decimal:
        return Decimal(self.price_cents_per_hour) / 100

    @property
    def gpu_memory_gib(self) -> int:
        """Of each GPU; it stands in the description alone, "A100 (80 GB SXM4)". 0 where it does not."""
        found = re.search(r"(\d+) ?GB", self.gpu_description)
        return int(found[1]) if found else 0


class Availability(Said):
    instance_type: InstanceType
    regions_with_capacity_available: tuple[Named, ...]


class Tag(Said):
    key: str
    value: str


class Instance(Said):
    """`ip` is absent while it boots; a status may be one that no documentation has."""

    id: str
    status: str
    region: Named
    instance_type: InstanceType
    ssh_key_names: tuple[str, ...]
    name: str | None = None
    ip: str | None = None
    tags: tuple[Tag, ...] | None = None
    file_system_names: tuple[str, ...] = ()

    @property
    def tag_values(self) -> dict[str, str]:
        return {tag.key: tag.value for tag in self.tags or ()}

    @property
    def ended(self) -> bool:
        """It exists in listings alone. An outbid machine is `preempted`: Lambda has ended it."""
        return self.status in ("terminated", "preempted")


class FirewallRule(Said):
    protocol: str
    source_network: str
    description: str
    port_range: tuple[int, ...] = ()
    """Absent with icmp."""


class Ruleset(Named):
    region: Named
    rules: tuple[FirewallRule, ...]


class Launched(Said):
    instance_ids: tuple[str, ...] = Field(min_length=1, max_length=1)


class LambdaClient:
    """Every method is one call and raises the errors of `ERRORS`, RateLimited or Unavailable; and Unauthorized where
    there is no key at all."""

    def __init__(
        self,
        config: LambdaConfig,
        pace: Pace | None = None,
        launch_pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.clock, self.sleep = clock, sleep
        self.config = config
        self._transport = Transport(
            cloud="lambda",
            base_url=config.base_url,
            headers={"Authorization": f"Bearer {config.api_key}"},
            classify=classify,
            paces=(pace,) if pace else (),
            clock=clock,
            sleep=sleep,
        )
        self._launch_paces = (launch_pace,) if launch_pace else ()
        self.instances = Together(lambda: self._read("GET", "/instances", list[Instance]))
        """() → all instances that exist; one request serves all threads that ask meanwhile."""
        self.rulesets = Together(lambda: self._read("GET", "/firewall-rulesets", list[Ruleset]))
        """() → all rulesets, likewise."""

    def instance_types(self) -> dict[str, Availability]:
        """Name → price and the regions where it is free now."""
        return self._read("GET", "/instance-types", dict[str, Availability])

    def regions(self) -> list[Named]:
        return self._read("GET", "/regions", list[Named])

    def images(self) -> list[Image]:
        return self._read("GET", "/images", list[Image])

    def file_systems(self) -> list[FileSystem]:
        return self._read("GET", "/file-systems", list[FileSystem])

    def instance(self, instance_id: str) -> Instance:
        """Raises NotFound on Lambda's own word only."""
        return self._read("GET", f"/instances/{instance_id}", Instance)

    def launch(self, body: Mapping[str, Any]) -> str:
        """The new instance's id. Raises Ambiguous where the answer was lost or cannot be read."""
        answer = self._api.create("POST", LAUNCH, json=body, paces=self._launch_paces)
        return _parsed(answer, f"POST {LAUNCH}", Launched, Ambiguous).instance_ids[0]

    def terminate(self, instance_id: str) -> None:
        """Asks for its end, which takes a while. Asking twice does no harm."""
        self._api.read("POST", f"{API}/instance-operations/terminate", json={"instance_ids": [instance_id]})

    def ssh_keys(self) -> list[Named]:
        return self._read("GET", "/ssh-keys", list[Named])

    def add_ssh_key(self, name: str, public_key: str) -> Named:
        return self._create("/ssh-keys", {"name": name, "public_key": public_key}, Named)

    def delete_ssh_key(self, key_id: str) -> None:
        self._api.read("DELETE", f"{API}/ssh-keys/{key_id}")

    def create_ruleset(self, name: str, region: str, rules: Sequence[Mapping[str, Any]]) -> Ruleset:
        return self._create("/firewall-rulesets", {"name": name, "region": region, "rules": rules}, Ruleset)

    def update_ruleset(self, ruleset_id: str, rules: Sequence[Mapping[str, Any]]) -> None:
        self._api.read("PATCH", f"{API}/firewall-rulesets/{ruleset_id}", json={"rules": rules})

    def delete_ruleset(self, ruleset_id: str) -> None:
        """Repeated for a while if Lambda still counts a machine that is gone."""
        self._api.read("DELETE", f"{API}/firewall-rulesets/{ruleset_id}")

    def _read(self, method: str, path: str, kind: type[T]) -> T:
        return _parsed(self._api.read(method, API + path), f"{method} {API}{path}", kind, Unavailable)

    def _create(self, path: str, body: Mapping[str, Any], kind: type[T]) -> T:
        return _parsed(self._api.create("POST", API + path, json=body), f"POST {API}{path}", kind, Ambiguous)

    @property
    def _api(self) -> Transport:
        key = self.config.api_key
        if not key:
            raise Unauthorized(f"lambda needs an API key: make one at {KEYS_PAGE} and export LAMBDA_API_KEY")
        if not (key.isascii() and key.isprintable()):  # httpx would quote the header in its complaint
            raise Unauthorized("LAMBDA_API_KEY holds characters that no API key has: copy it again")
        return self._transport


def classify(answer: Answer, what: str) -> CloudError:
    """Lambda's error answer → our error, by `error.code` alone, as its documentation asks."""
    code, said = _envelope(answer.body)
    message = f"lambda refuses {what}: {said or 'it says no reason'} ({code or answer.status})"
    launches = what == f"POST {LAUNCH}"
    if not code and answer.status in (401, 403):
        return Unauthorized(f"{message}. Look at LAMBDA_API_KEY and at what stands between here and Lambda")
    if not code or code.startswith("provider/"):
        # From whom Lambda rents, or from something in between: nobody knows whether a launch got through.
        return (Ambiguous if launches else Unavailable)(f"{message}. Not this project's fault: try again")
    kind, advice = ERRORS.get(code, (InvalidRequest, "An error that this version does not know"))
    if launches and kind is NotFound:
        kind, advice = InvalidRequest, "Something that the launch names is gone or is in another region: run again"
    if launches and kind is Unavailable:
        kind = Ambiguous
    return kind(f"{message}. {advice}")


def _envelope(body: Any) -> tuple[str, str]:
    """The code and Lambda's own words in one short line; empty where the answer is not Lambda's."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return "", ""
    return str(error.get("code") or ""), " ".join(str(error.get("message") or "").split())[:200].rstrip(".")


def _parsed(body: Any, what: str, kind: type[T], otherwise: type[CloudError]) -> T:
    """`body["data"]` as `kind`, which may also be list[…] or dict[str, …]."""
    try:
        return TypeAdapter(kind).validate_python(body["data"] if isinstance(body, dict) and "data" in body else None)
    except ValidationError as e:
        first = e.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise otherwise(
            f"lambda answered {what} with what its API does not describe: {where}: {first['msg']}"
        ) from None
