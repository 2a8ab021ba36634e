"""The Prometheus series of vLLM 0.32 that monitoring needs, under its names, labels and buckets.

Labels are `model_name` (the first served name) and `engine` (the data-parallel rank, "0", "1", …), as in vLLM;
`vllm:request_success_total` adds `finished_reason`; `vllm:admission_rejections_total` has `model_name` and `reason`.
Source of the buckets: vllm/v1/metrics/buckets.py of 0.32.0 (its second 2.5 in the first-token family left out).
"""

from __future__ import annotations

from collections.abc import Sequence as Several

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from .engine import EngineCore, Sequence, Token

# fmt: off
REQUEST_LATENCY_S = (
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0,
    1920.0, 7680.0,
)
TIME_TO_FIRST_TOKEN_S = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
    160.0, 640.0, 2560.0,
)
INTER_TOKEN_LATENCY_S = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
)
# fmt: on
FINISHED_REASONS = ("stop", "length", "abort", "error", "repetition")
REJECTION_REASONS = ("max_num_queued_reqs", "max_num_queued_tokens")
_LABELS = ("model_name", "engine")


class CoreMetrics:
    """The series of one engine. Counters move as tokens do, so that a hung engine shows."""

    def __init__(self, metrics: ServerMetrics, index: int, engine: EngineCore) -> None:
        labels = (metrics.model_name, str(index))
        metrics.running.labels(*labels).set_function(lambda: len(engine.running))
        metrics.waiting.labels(*labels).set_function(lambda: len(engine.waiting))
        metrics.kv_usage.labels(*labels).set_function(lambda: engine.cache.usage)
        metrics.preemptions.labels(*labels)
        self._prompt_tokens = metrics.prompt_tokens.labels(*labels)
        self._generation_tokens = metrics.generation_tokens.labels(*labels)
        self._prefix_queries = metrics.prefix_queries.labels(*labels)
        self._prefix_hits = metrics.prefix_hits.labels(*labels)
        self._success = {reason: metrics.success.labels(*labels, reason) for reason in FINISHED_REASONS}
        self._first_token = metrics.first_token.labels(*labels)
        self._inter_token = metrics.inter_token.labels(*labels)
        self._latency = metrics.latency.labels(*labels)
        self._queue_time = metrics.queue_time.labels(*labels)

    def started(self, sequence: Sequence, *, prefix_caching: bool) -> None:
        if prefix_caching:
            self._prefix_queries.inc(sequence.prompt.tokens)
            self._prefix_hits.inc(sequence.cached)

    def token(self, token: Token) -> None:
        self._generation_tokens.inc()
        if token.first:
            self._prompt_tokens.inc(token.sequence.prompt.tokens)
            self._first_token.observe(token.at_s - token.since_s)
        else:
            self._inter_token.observe(token.at_s - token.since_s)

    def finished(self, sequence: Sequence, reason: str, now_s: float) -> None:
        """At a request's last token. Requests aborted by the client count nowhere, as in vLLM."""
        self._success[reason].inc()
        self._latency.observe(now_s - sequence.queued_s)
        if sequence.started_s is not None:
            self._queue_time.observe(sequence.started_s - sequence.queued_s)


class ServerMetrics:
    """A registry of its own with all series, at zero from the start; and this process's memory, CPU and start time."""

    def __init__(self, model_name: str, engines: Several[EngineCore]) -> None:
        self.model_name = model_name
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._gauges()
        self._counters()
        self._histograms()
        self.engines = tuple(CoreMetrics(self, index, engine) for index, engine in enumerate(engines))

    def rejected(self, reason: str) -> None:
        """A request refused with 503 by the limit `reason`."""
        self._rejections[reason].inc()

    def exposition(self) -> tuple[bytes, str]:
        """The body of /metrics and its content type: one form, whatever the `Accept` header asks, as in vLLM."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, _LABELS, registry=self.registry)

    def _counter(self, name: str, text: str, labels: tuple[str, ...] = _LABELS) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, _LABELS, registry=self.registry, buckets=buckets)

    def _gauges(self) -> None:
        self.running = self._gauge("vllm:num_requests_running", "Requests in model execution batches.")
        self.waiting = self._gauge("vllm:num_requests_waiting", "Requests waiting to be processed.")
        self.kv_usage = self._gauge("vllm:kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.")

    def _counters(self) -> None:
        self.prompt_tokens = self._counter("vllm:prompt_tokens", "Prefill tokens processed.")
        self.generation_tokens = self._counter("vllm:generation_tokens", "Generation tokens processed.")
        self.prefix_queries = self._counter("vllm:prefix_cache_queries", "Prefix cache queries, in tokens.")
        self.prefix_hits = self._counter("vllm:prefix_cache_hits", "Prefix cache hits, in cached tokens.")
        self.preemptions = self._counter("vllm:num_preemptions", "Preemptions; the simulator has none.")
        self.success = self._counter("vllm:request_success", "Requests finished.", (*_LABELS, "finished_reason"))
        rejections = self._counter(
            "vllm:admission_rejections", "Requests rejected by a queue limit.", ("model_name", "reason")
        )
        self._rejections = {reason: rejections.labels(self.model_name, reason) for reason in REJECTION_REASONS}

    def _histograms(self) -> None:
        self.first_token = self._histogram(
            "vllm:time_to_first_token_seconds", "Time to first token.", TIME_TO_FIRST_TOKEN_S
        )
        self.inter_token = self._histogram(
            "vllm:inter_token_latency_seconds", "Time between tokens.", INTER_TOKEN_LATENCY_S
        )
        self.latency = self._histogram(
            "vllm:e2e_request_latency_seconds", "End to end request latency.", REQUEST_LATENCY_S
        )
        self.queue_time = self._histogram(
            "vllm:request_queue_time_seconds", "Time a request spent waiting.", REQUEST_LATENCY_S
        )
