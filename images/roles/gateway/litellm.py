"""LiteLLM's config.yaml: managed models, the fallback of the self-hosted ones, the exact cache. No database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from images.roles.gateway.haproxy import LITELLM_MAX_IN_FLIGHT
from images.roles.gateway.settings import GatewayModel, GatewaySettings

MAX_QUEUED = 50
STAND_IN_BASE = "http://127.0.0.1:@PORT:managed@/v1"
PROCESS_ENVIRONMENT = {
    # Its price list comes with the package: nothing is fetched at start.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    # No .env file of the folder it happens to start in.
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "WARNING",
    "DISABLE_ADMIN_UI": "True",
    "NO_DOCS": "True",
    "NO_REDOC": "True",
}


def render_litellm_config(settings: GatewaySettings, served_names: Sequence[str]) -> str:
    """YAML, tokens unresolved. It knows managed models only: nothing here leads back to HAProxy or to a node.

    A request that HAProxy spills still names the self-hosted model; an alias leads it to the fallback.
    """
    settings.check_served(tuple(served_names))
    router: dict[str, Any] = {
        # Cooldowns send a busy minute to the paid API, and `least-busy` loses count after failures.
        "routing_strategy": "simple-shuffle",
        "num_retries": 0,
        "disable_cooldowns": True,
    }
    if settings.fallback is not None:
        router["model_group_alias"] = dict.fromkeys(served_names, settings.fallback)
    config = {
        "model_list": [_model(m, m in settings.stood_in) for m in settings.managed],
        "router_settings": router,
        "litellm_settings": {
            "callbacks": ["prometheus"],
            "request_timeout": settings.request_timeout_seconds,
            "telemetry": False,
            **_cache(settings),
        },
        "general_settings": {
            "master_key": "os.environ/LITELLM_MASTER_KEY",
            # They would send real completions to a paid API.
            "background_health_checks": False,
            "max_in_flight_requests_per_worker": LITELLM_MAX_IN_FLIGHT,
            "max_queued_requests_per_worker": MAX_QUEUED,
        },
    }
    # A token that stands for a number must be read as one.
    return yaml.safe_dump(config, sort_keys=False, width=120).replace("'@PORT:redis@'", "@PORT:redis@")


def secret_environment(settings: GatewaySettings) -> dict[str, str]:
    """The variables that LiteLLM reads at start, and the secrets they come from."""
    keys = {_variable(m.api_key_secret): m.api_key_secret for m in settings.managed}
    return {"LITELLM_MASTER_KEY": "litellm-master-key", "REDIS_PASSWORD": "redis-password", **keys}


def _variable(secret: str) -> str:
    return f"KEY_{secret.upper().replace('-', '_')}"


def _model(model: GatewayModel, stood_in: bool) -> dict[str, Any]:
    parameters = {"model": model.model, "api_key": f"os.environ/{_variable(model.api_key_secret)}"}
    base = STAND_IN_BASE if stood_in else model.api_base
    if base is not None:
        parameters["api_base"] = base
    return {
        "model_name": model.name,
        "litellm_params": parameters,
        "model_info": {"id": model.name, "disable_background_health_check": True},
    }


def _cache(settings: GatewaySettings) -> dict[str, Any]:
    if settings.cache_ttl_seconds == 0:
        return {"cache": False}
    parameters = {
        "type": "redis",
        "host": "127.0.0.1",
        "port": "@PORT:redis@",
        "password": "os.environ/REDIS_PASSWORD",
        "namespace": "litellm",
        "ttl": settings.cache_ttl_seconds,
    }
    return {
        "cache": True,
        "cache_params": parameters,
        # Else requests that differ in what OpenAI does not know (`min_p`, `chat_template_kwargs`) get one answer.
        "enable_caching_on_provider_specific_optional_params": True,
    }
