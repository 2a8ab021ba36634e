"""haproxy.cfg, LiteLLM's config.yaml, redis.conf: what the programs say of them, and the decisions that matter."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from images.engines.vllm import ENGINE
from images.roles.gateway.cache import render_redis_conf
from images.roles.gateway.endpoint import LUA_FILES
from images.roles.gateway.errors import openai_error
from images.roles.gateway.haproxy import backend_keys, render_haproxy
from images.roles.gateway.litellm import render_litellm_config, secret_environment
from images.roles.gateway.settings import GatewaySettings, Peer
from images.roles.inference.node.canary import FRESH_S, PATIENCE_S
from tests.support.credentials import Made

MANAGED = [{"name": "gpt-4o", "model": "openai/gpt-4o", "apiKeySecret": "openai-key"}]
OWN = {"name": "own", "model": "openai/own", "apiBase": "https://api.example.org/v1"}
A = Peer(key="a", address="192.0.2.1", port=8000, server_name="a.nodes.crossover.internal")
B = Peer(key="b", address="2001:db8::2", port=8001, server_name="b.nodes.crossover.internal")
C = Peer(key="c", address="localhost", port=8002, server_name="c.nodes.crossover.internal")


def _settings(**values: object) -> GatewaySettings:
    return GatewaySettings.model_validate({"managed": MANAGED, **values})


def _litellm(settings: GatewaySettings, *served_names: str) -> Any:
    return yaml.safe_load(render_litellm_config(settings, served_names).replace("@PORT:redis@", "6379"))


def _section(text: str, head: str) -> list[str]:
    """The lines of one section of haproxy.cfg, up to the next that is not indented."""
    body = text.split(f"\n{head}\n", 1)[1]
    lines = []
    for line in body.splitlines():
        if line and not line.startswith(" "):
            break
        lines.append(line.strip())
    return lines


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A machine's folder, with a space in its name, as far as `haproxy -c` looks at it."""
    root = tmp_path_factory.mktemp("machine") / "with space"
    for folder in ("run", "secrets", "tls"):
        (root / folder).mkdir(parents=True)
    for name in ("endpoint-keys", "monitoring-key"):
        (root / "secrets" / name).write_text("one\n")
    (root / "secrets/backend-keys").write_text(backend_keys("n", "l"))
    made = Made.of()
    (root / "tls/ca.pem").write_text(made.ca)
    (root / "secrets/client.pem").write_text(made.client)
    (root / "bin").mkdir()
    for file in LUA_FILES:
        (root / file).write_bytes(Path(file.replace("bin/", "images/roles/gateway/")).read_bytes())
    return root


def _check(text: str, root: Path) -> subprocess.CompletedProcess[str]:
    text = text.replace("@ROOT@", str(root)).replace("@BIND@", "127.0.0.1")
    text = re.sub("@SECRET:([^@]+)@", rf"{root}/secrets/\1", text)
    text = re.sub("@PORT:[^@]+@", "18080", text)
    (root / "haproxy.cfg").write_text(text)
    environment = {"PATH": f"{os.environ['PATH']}:/usr/sbin"}
    command = ["haproxy", "-c", "-f", str(root / "haproxy.cfg")]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("peers", [[], [A], [B, C, A]], ids=["no node", "one", "three"])
@pytest.mark.parametrize(
    "values",
    [{}, {"managed": []}, {"fallback": "gpt-4o"}, {"fallback": "gpt-4o", "balance": "prefixHash", "spillQueue": 9}],
    ids=["plain", "nothing managed", "fallback", "prefix hash"],
)
def test_haproxy_accepts_the_file_without_a_warning(root: Path, values: dict[str, object], peers: list[Peer]) -> None:
    result = _check(render_haproxy(_settings(**values), ["llama-70b", "org/llama:70b"], ENGINE, peers), root)
    assert result.returncode == 0, result.stderr
    assert "WARNING" not in result.stderr


def test_the_order_of_the_peers_changes_nothing() -> None:
    assert render_haproxy(_settings(), ["m"], ENGINE, [A, B]) == render_haproxy(_settings(), ["m"], ENGINE, [B, A])


def test_two_peers_of_one_key_are_refused() -> None:
    with pytest.raises(ValueError, match="more than once"):
        render_haproxy(_settings(), ["m"], ENGINE, [A, A])


def test_a_served_name_that_is_managed_is_refused() -> None:
    with pytest.raises(ValueError, match="gpt-4o"):
        render_haproxy(_settings(), ["gpt-4o"], ENGINE, [])
    with pytest.raises(ValueError, match="gpt-4o"):
        render_litellm_config(_settings(), ["gpt-4o"])


def test_a_node_is_spoken_to_over_verified_tls_and_checked_by_its_own_name() -> None:
    settings = _settings(maxConnectionsPerNode=9, canaryStrikes=4, healthIntervalMs=500)
    line = next(
        x for x in _section(render_haproxy(settings, ["m"], ENGINE, [A]), "backend vllm") if x.startswith("server a ")
    )
    assert line == (
        'server a 192.0.2.1:8000 maxconn 9 ssl verify required ca-file "@ROOT@/tls/ca.pem"'
        ' verifyhost a.nodes.crossover.internal crt "@SECRET:client.pem@" sni str(a.nodes.crossover.internal)'
        " check-sni a.nodes.crossover.internal"
        " check inter 500ms fastinter 500ms downinter 500ms fall 4 rise 2"
        " observe layer4 error-limit 1 on-error mark-down init-addr last,libc,none"
    )


def test_requests_are_replayed_only_before_an_answer_begins_and_paid_ones_only_before_they_were_sent() -> None:
    text = render_haproxy(_settings(fallback="gpt-4o"), ["m"], ENGINE, [A, B])
    assert {"retry-on conn-failure empty-response 503", "option redispatch 1", "retries 7"} <= {
        *_section(text, "backend vllm")
    }
    assert "retry-on conn-failure" in _section(text, "backend litellm")


def test_a_hung_engine_is_out_of_rotation_within_15_s() -> None:
    """Its node says "working" while anything has moved lately; then a check begins, and each strike takes the node's
    patience. The gateway must not give up before its node does, or busy would be hung."""
    text = render_haproxy(_settings(), ["m"], ENGINE, [A])
    inter_s, soon_s = (int(n) / 1000 for n in re.findall(r" inter (\d+)ms fastinter (\d+)ms", text)[0])
    strikes = int(re.findall(rf"server a {re.escape(A.target)} .* fall (\d+)", text)[0])
    assert FRESH_S + inter_s + (strikes - 1) * soon_s + strikes * PATIENCE_S <= 15
    assert _settings().canary_timeout_ms / 1000 > PATIENCE_S


def test_a_check_is_health_and_then_a_canary_whose_busy_answer_counts_as_healthy() -> None:
    lines = _section(render_haproxy(_settings(canaryTimeoutMs=1234), ["m", "alias"], ENGINE, [A]), "backend vllm")
    expects = [x for x in lines if x.startswith("http-check expect")]
    assert expects == ["http-check expect status 200", "http-check expect status 200,429,503"]
    canary = next(x for x in lines if "POST" in x)
    body = json.loads(canary.split(" body '")[1].removesuffix("'"))
    assert (body["model"], body["max_tokens"]) == ("m", 1)
    assert "timeout check 1234ms" in lines


def test_a_fallback_is_reached_as_backup_and_when_every_slot_is_taken_and_not_without_one() -> None:
    with_it = render_haproxy(_settings(fallback="gpt-4o", spillQueue=5), ["m"], ENGINE, [A])
    assert "use_backend litellm if self_hosted slots_taken queue_long" in with_it
    assert "acl queue_long queue(vllm) ge 5" in with_it
    assert any(x.startswith("server spill ") and " backup " in x for x in _section(with_it, "backend vllm"))
    without = render_haproxy(_settings(), ["m"], ENGINE, [A])
    assert "spill" not in without
    assert "slots_taken" not in without


def test_no_file_holds_a_secret_and_keys_come_from_the_environment_or_a_path() -> None:
    """Those of HAProxy from files: a process gets no new environment without a restart, which cuts streams."""
    text = render_haproxy(_settings(fallback="gpt-4o"), ["m"], ENGINE, [A])
    assert "Bearer" not in text
    assert "${" not in text
    assert set(re.findall(r"Authorization \"%\[(\S+)\]\"", text)) == {
        "str(nodes),map(secrets/backend-keys)", "str(litellm),map(secrets/backend-keys)",
    }  # fmt: skip
    assert '-f "@SECRET:endpoint-keys@"' in text
    config = _litellm(_settings(), "m")
    assert config["general_settings"]["master_key"] == "os.environ/LITELLM_MASTER_KEY"
    assert config["model_list"][0]["litellm_params"]["api_key"] == "os.environ/KEY_OPENAI_KEY"
    assert secret_environment(_settings())["KEY_OPENAI_KEY"] == "openai-key"


def test_only_the_endpoint_listens_beyond_loopback() -> None:
    binds = re.findall(r"bind (\S+)", render_haproxy(_settings(fallback="gpt-4o"), ["m"], ENGINE, [A]))
    assert binds == [
        "@BIND@:@PORT:endpoint@",
        "unix@run/queue.sock",
        "127.0.0.1:@PORT:haproxy-spill@",
        "127.0.0.1:@PORT:haproxy-stats@",
    ]
    assert "bind 127.0.0.1" in render_redis_conf().splitlines()


@pytest.mark.parametrize("status", [400, 401, 404, 405, 408, 502, 503, 504])
def test_errors_of_the_gateway_have_openais_shape(status: int) -> None:
    error = json.loads(openai_error(status))["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert "'" not in openai_error(status)


def test_litellm_knows_managed_models_only_and_leads_spilled_names_to_the_fallback() -> None:
    config = _litellm(_settings(fallback="gpt-4o"), "m", "alias")
    assert [m["model_name"] for m in config["model_list"]] == ["gpt-4o"]
    assert config["router_settings"]["model_group_alias"] == {"m": "gpt-4o", "alias": "gpt-4o"}
    assert "model_group_alias" not in _litellm(_settings(), "m")["router_settings"]


def test_litellm_neither_cools_down_nor_retries_nor_pays_for_health_checks() -> None:
    config = _litellm(_settings(), "m")
    assert config["router_settings"] == {
        "routing_strategy": "simple-shuffle",
        "num_retries": 0,
        "disable_cooldowns": True,
    }
    assert config["general_settings"]["background_health_checks"] is False
    assert all(m["model_info"]["disable_background_health_check"] for m in config["model_list"])
    assert "database_url" not in config["general_settings"]


def test_the_stand_in_is_asked_in_place_of_the_provider_and_no_other() -> None:
    settings = _settings(managed=[*MANAGED, OWN], standIn=True)
    bases = [m["litellm_params"].get("api_base") for m in _litellm(settings, "m")["model_list"]]
    assert bases == ["http://127.0.0.1:@PORT:managed@/v1", "https://api.example.org/v1"]
    settings = _settings(managed=[*MANAGED, OWN])
    bases = [m["litellm_params"].get("api_base") for m in _litellm(settings, "m")["model_list"]]
    assert bases == [None, "https://api.example.org/v1"]


def test_the_cache_is_redis_with_the_set_life_and_can_be_turned_off() -> None:
    on = render_litellm_config(_settings(cacheTtlSeconds=30), ["m"])
    assert "port: @PORT:redis@\n" in on
    parameters = _litellm(_settings(cacheTtlSeconds=30), "m")["litellm_settings"]["cache_params"]
    assert (parameters["type"], parameters["ttl"], parameters["port"]) == ("redis", 30, 6379)
    off = _litellm(_settings(cacheTtlSeconds=0), "m")["litellm_settings"]
    assert off["cache"] is False
    assert "cache_params" not in off


def test_redis_starts_keeps_nothing_and_asks_for_the_password(tmp_path: Path) -> None:
    conf = render_redis_conf()
    assert {'save ""', "appendonly no", "maxmemory-policy allkeys-lru", 'include "@SECRET:redis.conf@"'} <= {
        *conf.splitlines()
    }
    (tmp_path / "secret").write_text("requirepass word-of-the-tests\n")
    text = conf.replace("@SECRET:redis.conf@", str(tmp_path / "secret")).replace("@ROOT@/data/redis", str(tmp_path))
    (tmp_path / "redis.conf").write_text(text.replace("@PORT:redis@", "0") + f"unixsocket {tmp_path}/s\n")
    with subprocess.Popen(["redis-server", tmp_path / "redis.conf"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            assert any("ready to accept connections" in line for line in server.stdout)
            ask = ["redis-cli", "-s", f"{tmp_path}/s", "--no-auth-warning"]
            assert "NOAUTH" in subprocess.run([*ask, "ping"], capture_output=True, text=True, check=False).stdout
            known = subprocess.run(
                [*ask, "-a", "word-of-the-tests", "ping"], capture_output=True, text=True, check=False
            )
            assert known.stdout.strip() == "PONG"
        finally:
            server.terminate()
