"""RunPod's REST API v2 in RunPod's words: pods, network volumes, the catalogue."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from providers.clouds.runpod.config import KEY_VARIABLE, KEYS_PAGE, RunpodConfig
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

PACE = Pace(1.0, burst=60)
"""The API's description gives 60 requests a minute and 3000 an hour as its example of a quota, per user and window."""
LOOK_PACE = Pace(2.0)
"""Of those, what all who wait for their pods may use together: the rest is for renting more."""
MESSAGE_LENGTH = 300

Json = dict[str, Any]


class RunpodClient:
    """Each method is one request. They raise what `classify` says, RateLimited, Unavailable, and Unauthorized where
    there is no key."""

    def __init__(
        self,
        config: RunpodConfig,
        paces: tuple[Pace, ...] = (),
        look_paces: tuple[Pace, ...] = (),
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.config = config
        self.clock = clock
        self.sleep = sleep
        headers = {"Authorization": f"Bearer {config.api_key}"}
        url = f"{config.base_url}/v2"
        self._transport = Transport("runpod", url, headers, classify, paces=paces, clock=clock, sleep=sleep)
        self.look = Together(lambda: self.pods(look_paces))
        """() → every pod of the account; one request serves all threads that ask meanwhile."""

    @classmethod
    def from_environment(cls) -> RunpodClient:
        """One client and one pace for the whole process, as the quota is the user's."""
        return _shared(RunpodConfig.from_environment())

    def create_pod(self, order: Json) -> Json:
        """The new pod (CreatePodRequest → Pod). Raises NoCapacity, QuotaExceeded, InvalidRequest, Ambiguous."""
        pod = self._ready().create("POST", "/pods", json=order)
        if not isinstance(pod, dict) or not pod.get("id"):
            raise Ambiguous("runpod answered POST /pods without the new pod's id")
        return pod

    def pods(self, paces: tuple[Pace, ...] = ()) -> Rows[Json]:
        """Every pod of the account; the API has no pages."""
        rows = _listed(self._ready().read("GET", "/pods", paces=paces), "pods")
        read = [row for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str) and row["id"]]
        return Rows(read, len(rows) - len(read))

    def pod(self, pod_id: str) -> Json:
        """Raises NotFound on the vendor's 404."""
        return _object(self._ready().read("GET", _pod(pod_id)), "GET /pods/{id}")

    def delete_pod(self, pod_id: str) -> None:
        """Asks for its end. Raises NotFound on the vendor's 404."""
        self._ready().read("DELETE", _pod(pod_id))

    def start_pod(self, pod_id: str) -> Json:
        """Boots a pod that is EXITED or ERROR. Raises NoCapacity where its host has no GPUs left for it,
        InvalidRequest where its state does not allow it (409)."""
        body = {"action": "start"}  # sent twice it is refused the second time, so it may be repeated
        return _object(self._ready().read("POST", f"{_pod(pod_id)}/action", json=body), "POST /pods/{id}/action")

    def gpu(self, gpu_id: str, count: int, min_cuda_version: str | None = None) -> Json:
        """The GPU type (GpuType) with its price, and what secure cloud has free of it for pods of `count` GPUs."""
        query = {"include": "AVAILABILITY", "product": "POD", "cloud": "SECURE", "count": count}
        if min_cuda_version is not None:
            query["minCudaVersion"] = min_cuda_version
        path = f"/catalog/gpus/{quote(gpu_id, safe='')}"
        return _object(self._ready().read("GET", path, query=query), "GET /catalog/gpus/{id}")

    def data_centers(self) -> list[str]:
        """The ids of all data centres, upper case."""
        found = _listed(self._ready().read("GET", "/catalog/datacenters"), "dataCenters")
        return sorted(str(center.get("id")) for center in found if isinstance(center, dict))

    def network_volume(self, volume_id: str) -> Json:
        """Raises InvalidRequest where there is none of that id."""
        path = f"/network-volumes/{quote(volume_id, safe='')}"
        return _object(self._ready().read("GET", path), "GET /network-volumes/{id}")

    def _ready(self) -> Transport:
        if not self.config.api_key:
            raise Unauthorized(f"runpod has no API key: set {KEY_VARIABLE} to a key made at {KEYS_PAGE}")
        return self._transport


@functools.cache
def _shared(config: RunpodConfig) -> RunpodClient:
    return RunpodClient(config, (PACE,), (LOOK_PACE,))


def classify(answer: Answer, what: str) -> CloudError:
    """RunPod's problem document (RFC 9457) as our error, by status: there are no codes finer than it."""
    detail = f"{what}: {answer.status} {_detail(answer.body)}"
    method, path = what.split(" ", 1)
    creates, starts = (method, path) == ("POST", "/pods"), path.endswith("/action")
    match answer.status:
        case 400 if creates:
            # One status for both, and no machine code (the description of createPod): the next candidate is tried.
            return NoCapacity(f"runpod could not place the pod, or the order breaks a rule ({detail})")
        case 400 if starts:
            return NoCapacity(f"runpod could not start the pod on its host ({detail})")
        case 401:
            return Unauthorized(f"runpod refuses the API key ({detail}): put one made at {KEYS_PAGE} in {KEY_VARIABLE}")
        case 402:
            return QuotaExceeded(f"the RunPod account's balance does not suffice ({detail}): add credit to it")
        case 403 if creates:  # "Your account cannot access the requested pool. Skip this candidate, keep going."
            return NoCapacity(f"the RunPod account, or its key, may not rent this ({detail})")
        case 403:
            return Unauthorized(f"the RunPod key lacks the right for this ({detail}): give it read and write of pods")
        case 404 if path.startswith("/pods/"):
            return NotFound(f"runpod has no such pod ({detail})")
        case _ if answer.status < 500:
            return InvalidRequest(f"runpod cannot do what was asked ({detail})")
        case _:
            return Unavailable(f"runpod failed ({detail})")


def _detail(body: Any) -> str:
    if isinstance(body, dict):
        body = "; ".join(map(str, [body.get("detail") or body.get("title") or "", *(body.get("errors") or [])]))
    return " ".join(str(body or "no reason given").split())[:MESSAGE_LENGTH]


def _pod(pod_id: str) -> str:
    return f"/pods/{quote(pod_id, safe='')}"


def _object(body: Any, what: str) -> Json:
    if not isinstance(body, dict):
        raise Unavailable(f"runpod answered {what} with what is no object")
    return body


def _listed(body: Any, key: str) -> list[Any]:
    found = body.get(key) if isinstance(body, dict) else None
    if not isinstance(found, list):
        raise Unavailable(f"runpod listed no {key}")
    return found
