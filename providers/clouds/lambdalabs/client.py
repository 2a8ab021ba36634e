"""Lambda's Cloud API v1: what may be asked, and what its errors mean."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from providers.clouds.lambdalabs.config import KEYS_PAGE, LambdaConfig
from providers.clouds.lambdalabs.said import Availability, FileSystem, Image, Instance, Launched, Named, Ruleset
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
from providers.renting.answers.rows import Rows
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
        self.instances = Together(self._instances)
        """() → all instances that exist; one request serves all threads that ask meanwhile."""
        self.rulesets = Together(lambda: self._rows("/firewall-rulesets", Ruleset))
        """() → all rulesets, likewise."""

    def instance_types(self) -> dict[str, Availability]:
        """Name → price and the regions where it is free now."""
        found = self._read("/instance-types", dict[str, Any]).items()
        return {name: kind for name, row in found if (kind := _row(row, Availability)) is not None}

    def regions(self) -> list[Named]:
        return self._rows("/regions", Named)

    def images(self) -> list[Image]:
        return self._rows("/images", Image)

    def file_systems(self) -> list[FileSystem]:
        return self._rows("/file-systems", FileSystem)

    def instance(self, instance_id: str) -> Instance:
        """Raises NotFound on Lambda's own word only."""
        path = f"/instances/{instance_id}"
        found = Instance.of(self._read(path, dict[str, Any]))
        if found is None:
            raise Unavailable(f"lambda answered GET {API}{path} with what is no instance")
        return found

    def _instances(self) -> Rows[Instance]:
        rows = [Instance.of(row) for row in self._read("/instances", list[Any])]
        read = [row for row in rows if row is not None]
        return Rows(read, len(rows) - len(read))

    def launch(self, body: Mapping[str, Any]) -> str:
        """The new instance's id. Raises Ambiguous where the answer was lost or cannot be read."""
        answer = self._api.create("POST", LAUNCH, json=body, paces=self._launch_paces)
        return _parsed(answer, f"POST {LAUNCH}", Launched, Ambiguous).instance_ids[0]

    def terminate(self, instance_id: str) -> None:
        """Asks for its end, which takes a while. Asking twice does no harm."""
        self._api.read("POST", f"{API}/instance-operations/terminate", json={"instance_ids": [instance_id]})

    def ssh_keys(self) -> list[Named]:
        return self._rows("/ssh-keys", Named)

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

    def _read(self, path: str, kind: type[T]) -> T:
        return _parsed(self._api.read("GET", API + path), f"GET {API}{path}", kind, Unavailable)

    def _rows(self, path: str, kind: type[T]) -> list[T]:
        """Those that can be read: what else the account holds is somebody else's."""
        return [found for row in self._read(path, list[Any]) if (found := _row(row, kind)) is not None]

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


def _row(row: Any, kind: type[T]) -> T | None:
    try:
        return TypeAdapter(kind).validate_python(row)
    except ValidationError:
        return None


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
