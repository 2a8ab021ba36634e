"""Interruptible pods, through the SDK `runpod` 1.12: REST v2 cannot order them.

The SDK speaks GraphQL, which RunPod has announced to retire early in 2027; whatever uses it ends then. It is imported
on first use only: it is heavy (seconds), and everything else works without it.

A query holds the pod's environment, and the SDK's QueryError keeps the query. No exception of the SDK leaves here, not
even as the cause of ours, and nothing here logs.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, TypeVar

from providers.clouds.runpod.config import KEY_VARIABLE, KEYS_PAGE, RunpodConfig
from providers.clouds.runpod.pods import usd_per_hour
from providers.errors import Ambiguous, CloudError, InvalidRequest, NoCapacity, Unauthorized, Unavailable

RETIREMENT = (
    "interruptible pods rest on RunPod's GraphQL API, which is announced to retire early in 2027: "
    "plan to move to an on-demand SKU"
)
NOT_FREE = ("no longer any instances available", "not enough free gpus")
"""Parts of the messages that mean "no capacity": the SDK passes on the message alone and drops GraphQL's codes."""

T = TypeVar("T")
_sdk_lock = threading.RLock()


class Interruptible:
    """The two questions that v2 has no answer for."""

    def __init__(self, config: RunpodConfig) -> None:
        self.config = config

    def usd_per_gpu_hour(self, gpu_id: str) -> Decimal:
        """What an interruptible GPU of secure cloud costs now. Raises NoCapacity where RunPod quotes no such price,
        Unauthorized, Unavailable."""
        gpu = self._ask(lambda sdk: sdk.get_gpu(gpu_id, 1, api_key=self.config.api_key), Unavailable)
        price = usd_per_hour(gpu.get("secureSpotPrice")) if isinstance(gpu, dict) else None
        if price is None:
            raise NoCapacity(f"runpod quotes no interruptible price for {gpu_id}")
        return price

    def create_pod(self, order: Mapping[str, Any], usd_per_gpu_hour: Decimal) -> str:
        """Rents what `order` (the body of v2's POST /pods) describes, at that bid. Returns the pod's id.

        Raises NoCapacity, Unauthorized; Ambiguous where it may have been rented; Unavailable where nothing was sent.
        """
        query = mutation(order, usd_per_gpu_hour)

        def rent(sdk: Any) -> str:
            answer = sdk.api.graphql.run_graphql_query(query, api_key=self.config.api_key)
            return str(answer["data"]["podRentInterruptable"]["id"])

        return self._ask(rent, Ambiguous, tuple(order["env"].values()))

    def _ask(self, call: Callable[[Any], T], lost: type[CloudError], secrets: tuple[str, ...] = ()) -> T:
        if not self.config.api_key:
            raise Unauthorized(f"runpod has no API key: set {KEY_VARIABLE} to a key made at {KEYS_PAGE}")
        sdk = _sdk()
        requests = sdk.api.graphql.requests
        failure: CloudError
        with _pointed_at(self.config.base_url):
            try:
                return call(sdk)
            except sdk.error.AuthenticationError:
                failure = Unauthorized(f"runpod refuses the API key: put one made at {KEYS_PAGE} in {KEY_VARIABLE}")
            except sdk.error.QueryError as e:
                failure = _refusal(str(e.message), lost, secrets)
            except requests.exceptions.ConnectionError as e:
                kind = Unavailable if _never_connected(e) else lost
                failure = kind(f"runpod's GraphQL API did not answer: {type(e).__name__}")
            except (requests.exceptions.RequestException, ValueError, LookupError, TypeError) as e:
                failure = lost(f"runpod's GraphQL API did not answer as it should: {type(e).__name__}")
        raise failure  # outside of `except`, so that it has no context and with it no query


def mutation(order: Mapping[str, Any], usd_per_gpu_hour: Decimal) -> str:
    """GraphQL's podRentInterruptable for the body of v2's POST /pods, every text escaped (the SDK would not)."""
    gpu = order["gpu"]
    fields = {
        "name": _text(order["name"]),
        "imageName": _text(order["image"]),
        "cloudType": order["cloud"],
        "gpuTypeId": _text(gpu["id"]),
        "gpuCount": str(int(gpu["count"])),
        "bidPerGpu": f"{usd_per_gpu_hour:f}",
        "supportPublicIp": "true",
        "containerDiskInGb": str(int(order["disk"])),
        "volumeInGb": "0",
        "dockerArgs": _text(order["args"]),
        "ports": _text(",".join(order["ports"])),
        "env": _list(f"{{ key: {_text(key)}, value: {_text(value)} }}" for key, value in order["env"].items()),
    }
    if centers := order.get("dataCenterIds"):
        fields["dataCenterId"] = _text(centers[0])
    if versions := gpu.get("allowedCudaVersions"):
        fields["allowedCudaVersions"] = _list(map(_text, versions))
    for mount in order.get("mounts", {}).get("network", ()):
        fields |= {"networkVolumeId": _text(mount["volumeId"]), "volumeMountPath": _text(mount["path"])}
    given = ", ".join(f"{name}: {value}" for name, value in fields.items())
    return f"mutation {{ podRentInterruptable(input: {{ {given} }}) {{ id }} }}"


def _text(value: str) -> str:
    return f'"{json.dumps(value)[1:-1]}"'  # JSON's escapes are GraphQL's (October 2021, 2.9.4)


def _list(values: Any) -> str:
    return f"[{', '.join(values)}]"


def _refusal(message: str, lost: type[CloudError], secrets: tuple[str, ...]) -> CloudError:
    for secret in secrets:
        message = message.replace(secret, "…").replace(json.dumps(secret)[1:-1], "…")
    message = " ".join(message.split())[:300]
    if any(part in message.lower() for part in NOT_FREE):
        return NoCapacity(f"runpod has no such interruptible pod free: {message}")
    return lost(f"runpod's GraphQL API: {message}")


def _never_connected(error: Exception) -> bool:
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return type(reason).__name__ in ("NewConnectionError", "ConnectTimeoutError", "NameResolutionError")


def _sdk() -> Any:
    """The PyPI package."""
    with _sdk_lock:
        try:
            import runpod  # type: ignore[import-untyped]  # takes seconds
        except ImportError as e:
            raise InvalidRequest(f"interruptible pods need the Python package runpod 1.12: {e}") from e
        return runpod


@contextmanager
def _pointed_at(base_url: str) -> Iterator[None]:
    """The SDK reads its address from the environment at each call; one call at a time, then."""
    name = "RUNPOD_API_BASE_URL"
    with _sdk_lock:
        before = os.environ.get(name)
        os.environ[name] = base_url
        try:
            yield
        finally:
            if before is None:
                del os.environ[name]
            else:
                os.environ[name] = before
