"""Vast.ai's API in its own words: docs.vast.ai/api-reference, rate limits and error envelope included."""

from __future__ import annotations

import functools
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from providers.clouds.vastai.config import KEYS_PAGE, VastaiConfig
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

PAGE = 25
"""The most that the listing answers at once."""
MOST_PAGES = 400
PACE = Pace(0.5)
CREATE_PACE = Pace(4.5)
"""Vast keeps a least interval per endpoint and names it only when it refuses; for a create it says "endpoint
threshold=4.5" (docs.vast.ai/api-reference/instances/create-instance), and it never says when to come back."""
LONG_TOKEN = re.compile(r"[A-Za-z0-9+/=_-]{40,}")
"""A key's look. The vendor may quote in a message what it was sent, the one-use host key included."""


Json = dict[str, Any]


class FailedContract(NoCapacity):
    """A create was refused and made a contract all the same: it is stopped, and its disk bills until it is ended."""

    def __init__(self, message: str, contract: int) -> None:
        super().__init__(message)
        self.contract = contract


def classify(answer: Answer, what: str) -> CloudError:
    """Vast's refusal → ours. The envelope is {"success": false, "error": code, "msg": text}; each part may be absent,
    and a rented-out offer comes with the code `invalid_args` or `no_such_ask`, so there the status decides."""
    body = answer.body if isinstance(answer.body, dict) else {}
    code = str(body.get("error") or "")
    said = LONG_TOKEN.sub("…", str(body.get("msg") or body.get("detail") or code or answer.body or ""))[:200]
    message = f"vastai refused {what} ({answer.status} {code}): {said}"
    creates = "/asks/" in what
    if creates and isinstance(body.get("new_contract"), int):
        return FailedContract(message, body["new_contract"])
    if answer.status == 401:
        return Unauthorized(f"{message}. Check VAST_API_KEY; keys are made at {KEYS_PAGE}")
    if answer.status == 402 or code.startswith("insufficient_credit"):
        return QuotaExceeded(f"{message}. Add credit to the account at Vast.ai")
    if code == "no_such_ask" or (creates and answer.status in (404, 410) and body):
        return NoCapacity(message)
    if answer.status == 403 and code != "invalid_args":
        return Unauthorized(f"{message}. The key needs the rights instance_read, instance_write and misc: {KEYS_PAGE}")
    if code == "no_such_instance":
        return NotFound(message)
    if answer.status == 404 and not body:
        return Unavailable(message)  # a proxy's page, say: no word of Vast's about the thing asked for
    return InvalidRequest(message)


class VastaiClient:
    """Raises errors of providers/errors.py; Unauthorized, on the first call, where there is no key."""

    def __init__(
        self,
        config: VastaiConfig,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        paces: tuple[Pace, ...] = (),
        create_paces: tuple[Pace, ...] = (),
    ) -> None:
        self.clock = clock
        self.sleep = sleep
        self.config = config
        self._create_paces = create_paces
        self._checked = Transport(
            "vastai",
            config.base_url,
            {"Authorization": f"Bearer {config.api_key}"},
            classify,
            paces=paces,
            clock=clock,
            sleep=sleep,
        )
        self.look = Together(self.instances)
        """() → all instances of the account; one listing serves all threads that ask meanwhile."""

    @classmethod
    def from_environment(cls) -> VastaiClient:
        """See VastaiConfig. One client, and its rates, for the whole process."""
        return _shared(VastaiConfig.from_environment())

    def search(self, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The offers that the server thinks fit."""
        body = self._transport().read("POST", "/api/v0/bundles/", json=dict(query))
        return [row for row in _listed(body, "offers", "POST /api/v0/bundles/") if isinstance(row, dict)]

    def create(self, offer_id: int, order: Mapping[str, Any]) -> int:
        """Accepts an offer; returns the contract, which is the instance's id. Raises NoCapacity where the offer is
        gone and nothing was made, FailedContract where something was, Ambiguous."""
        path = f"/api/v0/asks/{offer_id}/"
        body = self._transport().create("PUT", path, json=dict(order), paces=self._create_paces)
        if isinstance(body, dict) and body.get("success") and isinstance(body.get("new_contract"), int):
            return int(body["new_contract"])
        if isinstance(body, dict) and body.get("success") is False:
            raise classify(Answer(200, body), f"PUT {path}")
        raise Ambiguous(f"vastai answered PUT {path} without a contract")

    def instances(self) -> Rows[Json]:
        """All instances of the account, by id."""
        rows: list[Any] = []
        asked: dict[str, Any] = {"limit": PAGE, "order_by": json.dumps([{"col": "id", "dir": "asc"}])}
        for _ in range(MOST_PAGES):
            body = self._transport().read("GET", "/api/v1/instances/", query=asked)
            rows += _listed(body, "instances", "GET /api/v1/instances/")
            token = body.get("next_token")
            if not token:
                read = [row for row in rows if isinstance(row, dict) and type(row.get("id")) is int]
                return Rows(read, len(rows) - len(read))
            asked["after_token"] = token
        raise Unavailable(f"vastai's listing does not end after {MOST_PAGES} pages")

    def instance(self, instance_id: int) -> dict[str, Any]:
        """Raises NotFound where Vast answers that there is none."""
        path = f"/api/v0/instances/{instance_id}/"
        body = self._transport().read("GET", path)
        if not isinstance(body, dict) or "instances" not in body:
            raise Unavailable(f"vastai answered GET {path} without an instance")
        row = body["instances"]
        if row is None:
            raise NotFound(f"vastai has no instance {instance_id}")
        if not isinstance(row, dict):
            raise Unavailable(f"vastai answered GET {path} with what is no instance")
        return {**row, "id": instance_id}

    def start(self, instance_id: int) -> None:
        """Asks for a stopped instance to run; the machine's GPUs may be another's by now."""
        self._succeed("PUT", f"/api/v0/instances/{instance_id}/", {"state": "running"})

    def destroy(self, instance_id: int) -> None:
        """Irreversible. Raises NotFound where there is none."""
        self._succeed("DELETE", f"/api/v0/instances/{instance_id}/", {})

    def _succeed(self, method: str, path: str, order: Mapping[str, Any]) -> None:
        body = self._transport().read(method, path, json=dict(order))
        if isinstance(body, dict) and body.get("success") is False:
            raise classify(Answer(200, body), f"{method} {path}")

    def _transport(self) -> Transport:
        if not self.config.api_key:
            raise Unauthorized(f"VAST_API_KEY is not set: make a key at {KEYS_PAGE} and export it")
        return self._checked


@functools.cache
def _shared(config: VastaiConfig) -> VastaiClient:
    return VastaiClient(config, paces=(PACE,), create_paces=(CREATE_PACE,))


def _listed(body: Any, key: str, what: str) -> list[Any]:
    rows = body.get(key) if isinstance(body, dict) else None
    if not isinstance(rows, list):
        raise Unavailable(f"vastai answered {what} without {key}")
    return rows
