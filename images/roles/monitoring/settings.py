"""What the monitoring is told: limits from the stack's configuration, and what the gate already knows."""

from __future__ import annotations

from pydantic import Field, model_validator

from strict.fields import SecretName, Section, Url, in_clear


class Webhook(Section):
    """Where alerts are sent. The address is no secret: what must be one is the bearer token."""

    url: Url
    bearer_secret: SecretName | None = None
    """Name of the secret sent as `Authorization: Bearer …`."""

    @model_validator(mode="after")
    def _token_is_not_sent_in_clear(self) -> Webhook:
        if self.bearer_secret is not None and in_clear(self.url):
            raise ValueError(f"url: {self.url}: the token of bearerSecret would travel in clear; say https://")
        return self


class MonitoringSettings(Section):
    """When to tell somebody, whom, and how long to remember."""

    p99_limit_s: float = Field(60.0, gt=0, le=3600)
    """Alert when the 99th percentile of a request's whole time on a node exceeds it."""
    kv_cache_limit: float = Field(0.95, gt=0, le=1)
    """Alert when a node's KV cache stays fuller than this share."""
    queue_limit: int = Field(16, ge=0, le=100_000)
    """Alert when more requests than this wait on one node."""
    error_share_limit: float = Field(0.05, gt=0, le=1)
    """Alert when a larger share of the endpoint's answers are 5xx."""
    spill_usd_per_day: float = Field(20.0, gt=0, le=1_000_000)
    """Alert when the fallback has cost more in 24 hours."""
    volume_minimum_days: int = Field(7, ge=1, le=30)
    """How much history a verdict on the volume needs: a week, because traffic has a weekly shape."""
    scrape_interval_s: int = Field(15, ge=1, le=300)
    retention_days: int = Field(90, ge=31, le=3650)
    """The gate needs 30 days."""
    retention_gib: int = Field(20, ge=1, le=10_000)
    """The history never takes more of the disk than this."""
    webhook: Webhook | None = None
    """None: alerts are seen in Alertmanager and nowhere else."""


class SpillPrice(Section):
    """What the fallback bills for a request that asked for one of the self-hosted names."""

    served_names: tuple[str, ...]
    input_usd_per_token: float = Field(gt=0)
    output_usd_per_token: float = Field(gt=0)


class Limits(Section):
    """What alerts compare with, settings and the gate's figures together: the numbers of `limits.yaml`."""

    minimum_nodes: int = Field(ge=0)
    """Nodes that must serve for the fleet to be redundant."""
    break_even_tokens_per_month: float | None = Field(gt=0)
    """The volume below which it does not pay, in tokens per month of 730 hours; None where no volume does."""
    certificates_end_seconds: int | None = None
    """When the stack's certificates end, in seconds since the epoch."""
    spill: SpillPrice | None = None
    """None where nothing is spilled, or nobody knows its price."""
