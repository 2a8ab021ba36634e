"""The gateway's settings and peers: what is accepted, and what is refused with a message that names it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from images.roles.gateway.settings import GatewaySettings, Peer

OPENAI = {"name": "gpt-4o", "model": "openai/gpt-4o"}
ELSEWHERE = {"name": "claude", "model": "anthropic/claude", "apiKeySecret": "other-api-key"}


def test_config_is_camel_case_and_numbers_may_be_text() -> None:
    settings = GatewaySettings.model_validate(
        {"maxConnectionsPerNode": "32", "managed": [OPENAI], "fallback": "gpt-4o"}
    )
    assert settings.max_connections_per_node == 32
    assert settings.managed[0].api_key_secret == "managed-api-key"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"fallbak": None}, "fallbak"),
        ({"placement": "moon"}, "placement"),
        ({"managed": [OPENAI, OPENAI]}, "gpt-4o stands there more than once"),
        ({"managed": [OPENAI], "fallback": "gpt-5"}, "'gpt-5' is not among the managed models (gpt-4o)"),
        ({"fallback": "gpt-4o"}, "none is set"),
        ({"managed": [{**OPENAI, "name": "it's"}]}, "is no model name"),
        ({"managed": [{**OPENAI, "name": ""}]}, "is no model name"),
        ({"managed": [{**OPENAI, "apiBase": "https://key@host"}]}, "apiBase"),
        ({"managed": [{**OPENAI, "apiKeySecret": "Bad Name"}]}, "apiKeySecret"),
        ({"standIn": True}, "nothing to stand in for"),
        ({"standIn": True, "managed": [{**OPENAI, "apiBase": "https://x"}]}, "nothing to stand in for"),
        ({"standIn": True, "managed": [ELSEWHERE]}, "claude must be openai/"),
        ({"standIn": True, "managed": [OPENAI, {**OPENAI, "name": "b", "apiKeySecret": "k2"}]}, "one apiKeySecret"),
        ({"maxConnectionsPerNode": 0}, "maxConnectionsPerNode"),
        ({"bufferBytes": 1000}, "bufferBytes"),
        ({"canaryStrikes": 1}, "canaryStrikes"),
        ({"balance": "least-busy"}, "balance"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(values: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        GatewaySettings.model_validate(values)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "base", ["http://api.example.com/v1", "http://10.0.0.9:8000/v1", "https://a b", "https://u:p@x"]
)
def test_finding_22_a_managed_key_is_not_sent_in_clear(base: str) -> None:
    """Audit 22: `apiBase` might be http:// to anywhere, and any text behind it."""
    managed = [{"name": "m", "model": "openai/m", "apiBase": base}]
    with pytest.raises(ValidationError, match=r"in clear|URL"):
        GatewaySettings.model_validate({"managed": managed})


@pytest.mark.parametrize("base", ["https://api.example.com/v1", "http://127.0.0.1:8000/v1", "http://localhost/v1"])
def test_a_managed_api_is_asked_over_tls_or_on_this_computer(base: str) -> None:
    managed = [{"name": "m", "model": "openai/m", "apiBase": base}]
    assert GatewaySettings.model_validate({"managed": managed}).managed[0].api_base == base


def test_a_name_is_self_hosted_or_managed_not_both() -> None:
    settings = GatewaySettings.model_validate({"managed": [OPENAI]})
    settings.check_served(("llama-70b",))
    with pytest.raises(ValueError, match="gpt-4o is the name of the self-hosted model too"):
        settings.check_served(("llama-70b", "gpt-4o"))
    with pytest.raises(ValueError, match="no served model name"):
        settings.check_served(())
    with pytest.raises(ValueError, match="is no model name"):
        settings.check_served(("a b",))


def test_the_stand_in_plays_those_without_an_address() -> None:
    own = {"name": "own", "model": "openai/own", "apiBase": "https://api.example.org/v1"}
    settings = GatewaySettings.model_validate({"managed": [OPENAI, own], "standIn": True})
    assert [m.name for m in settings.stood_in] == ["gpt-4o"]
    assert GatewaySettings.model_validate({"managed": [OPENAI]}).stood_in == ()


def test_a_peer_is_reached_at_an_address_or_a_host_name() -> None:
    def peer(address: str) -> Peer:
        return Peer(key="a", address=address, port=8000, server_name="a.nodes.crossover.internal")

    assert (peer("192.0.2.1").target, peer("192.0.2.1").is_host_name) == ("192.0.2.1:8000", False)
    assert (peer("2001:DB8::1").target, peer("2001:DB8::1").is_host_name) == ("[2001:db8::1]:8000", False)
    assert (peer("node.example.org").target, peer("node.example.org").is_host_name) == ("node.example.org:8000", True)


@pytest.mark.parametrize(
    "bad",
    [
        {"key": "spill"},
        {"key": "A b"},
        {"key": ""},
        {"address": "not an address"},
        {"address": "a\nserver x"},
        {"port": 0},
        {"server_name": "x y"},
        {"server_name": "a.b\n"},
    ],
)
def test_a_peer_that_would_break_a_configuration_is_refused(bad: dict[str, object]) -> None:
    good = {"key": "a", "address": "192.0.2.1", "port": 8000, "server_name": "a.nodes.crossover.internal"}
    Peer.model_validate(good)
    with pytest.raises(ValidationError):
        Peer.model_validate({**good, **bad})
