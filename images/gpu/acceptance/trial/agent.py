"""Runs on a machine, by its python3 alone: asks the service there for a known answer, loads it, and keeps the record.

stdin: the job, as JSON (`trying.job_of`). Says lines of progress, and at last {"record": …} or {"wrong": "why"}.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import random
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

REQUEST_S = 300
FIRST_TOKEN_ID, LAST_TOKEN_ID = 1_000, 30_000
"""Ordinary tokens in every vocabulary from Llama 2's 32,000 on; special ones lie outside."""
ANSWER_TOKENS = 16
MOST_FAILURES = 20


class Wrong(Exception):
    """The machine is not to be accepted; the message says why, and holds no secret."""


class _Connection(http.client.HTTPSConnection):
    """Of a server that is asked by the name in its certificate, wherever it listens."""

    def __init__(self, job: dict[str, Any], context: ssl.SSLContext) -> None:
        super().__init__(job["name"], job["port"], timeout=REQUEST_S, context=context)
        self.address, self.trust = job["address"], context

    def connect(self) -> None:
        """To its address."""
        sock = socket.create_connection((self.address, self.port), REQUEST_S)
        self.sock = self.trust.wrap_socket(sock, server_hostname=self.host)


class ServiceOnTrial:
    """The service under trial."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.context = ssl.create_default_context(cafile=job["ca"])
        self.context.load_cert_chain(job["client_certificate"])
        with open(job["key_file"]) as file:
            self.key = file.read().strip()

    def complete(self, **fields: Any) -> Iterator[dict[str, Any]]:
        """The whole answer, or one after another what a stream brings. Raises Wrong, and OSError."""
        connection = _Connection(self.job, self.context)
        try:
            body = json.dumps({"model": self.job["model"], "temperature": 0, **fields})
            headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
            connection.request("POST", "/v1/completions", body, headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise Wrong(f"it answers {answer.status}: {answer.read(300).decode(errors='replace')}")
            if not fields.get("stream"):
                yield json.loads(answer.read())
                return
            for line in answer:
                if line.startswith(b"data: {"):
                    yield json.loads(line[6:])
        except (http.client.HTTPException, ValueError) as e:
            raise Wrong(f"its answer cannot be read: {type(e).__name__}: {e}") from None
        finally:
            connection.close()


def known_answer(service: ServiceOnTrial, prompt: str, expect: str) -> dict[str, Any]:
    """Asks the same twice, one after the other, greedily. Raises Wrong for an answer that no whole GPU gives.

    A broken one computes NaN: the answer is "!!!!" (vllm-project/vllm#22881), and asked for the tokens' probabilities
    the server fails (#13035). Two answers that differ are told, and no more: vLLM does not promise that they are equal.
    """
    texts = []
    for _ in range(2):
        try:
            (answer,) = service.complete(prompt=prompt, max_tokens=ANSWER_TOKENS, logprobs=1)
        except OSError as e:
            raise Wrong(f"it cannot be asked: {e}") from None
        choice = answer["choices"][0]
        judge_answer(prompt, choice["text"], (choice.get("logprobs") or {}).get("token_logprobs") or [], expect)
        texts.append(choice["text"])
    return {"answer": texts[0], "same_twice": texts[0] == texts[1]}


def judge_answer(prompt: str, text: str, logprobs: Sequence[Any], expect: str) -> None:
    """Raises Wrong, with the answer."""
    told = f"to {prompt!r} it answers {text!r}"
    if not logprobs or not all(isinstance(p, int | float) and math.isfinite(p) for p in logprobs):
        raise Wrong(f"{told}, with probabilities that are none: {str(list(logprobs))[:200]}")
    if len(set(text.strip())) <= 1:
        raise Wrong(f"{told}, as a GPU does that computes NaN")
    if expect and expect.lower() not in text.lower():
        raise Wrong(f"{told}, and {expect!r} is not in it")


class OwnLoad:
    """Requests of one shape, so many at a time, for so many seconds; those under way then are answered."""

    def __init__(self, service: ServiceOnTrial, job: dict[str, Any]) -> None:
        self.service, self.job = service, job
        self.samples: list[tuple[float, float, float, int]] = []
        """Begin, first token, end, tokens that came."""
        self.failures: list[str] = []
        self.begin = time.monotonic()
        self.end = self.begin + job["load_s"]

    def run(self) -> dict[str, Any]:
        """The figures. Raises Wrong."""
        workers = [threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(self.job["concurrency"])]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if not self.samples or len(self.failures) >= MOST_FAILURES:
            everything = len(self.samples) + len(self.failures)
            why = self.failures[0] if self.failures else "none was sent"
            raise Wrong(f"under load {len(self.failures)} of {everything} requests fail: {why}")
        return {**figures(self.samples, self.begin, self.end), "failed": len(self.failures)}

    def _work(self, number: int) -> None:
        chance = random.Random(number)
        while time.monotonic() < self.end and len(self.failures) < MOST_FAILURES:
            try:
                self.samples.append(self._one(chance))
            except (OSError, Wrong, LookupError) as e:
                self.failures.append(str(e) or type(e).__name__)

    def _one(self, chance: random.Random) -> tuple[float, float, float, int]:
        wanted = self.job["output_tokens"]
        prompt = [chance.randint(FIRST_TOKEN_ID, LAST_TOKEN_ID) for _ in range(self.job["input_tokens"])]
        began, first, tokens = time.monotonic(), 0.0, 0
        events = self.service.complete(
            prompt=prompt, max_tokens=wanted, min_tokens=wanted, ignore_eos=True, stream=True,
            stream_options={"include_usage": True},
        )  # fmt: skip
        for event in events:
            if "error" in event:
                raise Wrong(str(event["error"])[:300])
            first = first or time.monotonic()
            tokens = int((event.get("usage") or {}).get("completion_tokens", tokens))
        if tokens != wanted:
            raise Wrong(f"a stream ends with {tokens} of {wanted} tokens")
        return began, first, time.monotonic(), tokens


def figures(samples: Sequence[tuple[float, float, float, int]], begin: float, end: float) -> dict[str, Any]:
    """Tokens per second between two times, each request's shared out evenly over its own, and times to first tokens."""
    written = sum(
        tokens * max(0.0, min(ended, end) - max(began, begin)) / max(ended - began, 1e-9)
        for began, _, ended, tokens in samples
    )
    waits = sorted(first - began for began, first, _, _ in samples)
    return {
        "output_tokens_per_s": round(written / (end - begin), 1),
        "requests": len(samples),
        "ttft_p50_ms": round(percentile(waits, 0.5) * 1000, 1),
        "ttft_p99_ms": round(percentile(waits, 0.99) * 1000, 1),
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least that share of them, sorted, do not exceed (nearest rank)."""
    return values[max(0, math.ceil(share * len(values)) - 1)]


def found_before(place: str, key: str) -> dict[str, Any]:
    """The record of a trial of that key; empty where there is none that can be read."""
    try:
        with open(place) as file:
            record = json.load(file)
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) and record.get("key") == key else {}


def main() -> int:
    """The trial, or what one of the same kind found before. The record is written whole, at the end, and an old one is
    gone before: a trial that was cut is repeated."""
    job = json.load(sys.stdin)
    place = job["record"]
    os.umask(0o077)
    if known := found_before(place, job["key"]):
        print(json.dumps({"record": known}))
        return 0
    if os.path.exists(place):
        os.unlink(place)
    try:
        service = ServiceOnTrial(job)
        print("asking for a known answer", flush=True)
        record = {"key": job["key"], "known": known_answer(service, job["prompt"], job["expect"]), "of": job["of"]}
        if job["load_s"]:
            print(f"under load for {job['load_s']} s", flush=True)
            shape = {name: job[name] for name in ("input_tokens", "output_tokens", "concurrency", "load_s")}
            record["load"] = {**shape, **OwnLoad(service, job).run()}
    except (Wrong, OSError, LookupError) as e:
        print(json.dumps({"wrong": str(e) or type(e).__name__}))
        return 0
    record["date"] = time.strftime("%Y-%m-%d", time.gmtime())
    with open(f"{place}.new", "w") as file:
        json.dump(record, file)
    os.replace(f"{place}.new", place)
    print(json.dumps({"record": record}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
