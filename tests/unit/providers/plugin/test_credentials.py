"""Credentials: made once, renewed by generation, and good for a real TLS handshake."""

from __future__ import annotations

import ssl
from io import StringIO
from pathlib import Path

import paramiko
import pytest

from images.remote.waiting import Waiting
from providers.plugin.credentials import API_KEYS, CredentialsHandler
from providers.plugin.values import UNKNOWN

HANDLER = CredentialsHandler()
NAMES = ["a.nodes.crossover.internal", "b.nodes.crossover.internal"]


@pytest.fixture(scope="module")
def made() -> dict[str, object]:
    return HANDLER.create("urn", {"nodes": NAMES, "generation": 1}, Waiting())[1]


def test_everything_that_is_secret_is_declared_so(made: dict[str, object]) -> None:
    assert set(made) - HANDLER.secret == {"nodes", "generation", "sshPublicKey", "caCertificate"}


def test_api_keys_differ_and_hold_256_bits(made: dict[str, str]) -> None:
    keys = [made[name] for name in API_KEYS]
    assert len(set(keys)) == len(keys)
    assert all(len(bytes.fromhex(key.removeprefix("sk-"))) == 32 for key in keys)


def test_the_ssh_pair_belongs_together(made: dict[str, str]) -> None:
    key = paramiko.Ed25519Key.from_private_key(StringIO(made["sshPrivateKey"]))
    assert f"ssh-ed25519 {key.get_base64()}" == made["sshPublicKey"]


@pytest.mark.parametrize(("name", "accepted"), [(NAMES[0], True), (NAMES[1], False), ("localhost", False)])
def test_a_node_proves_its_own_name_and_no_other(made: dict, tmp_path: Path, name: str, accepted: bool) -> None:  # type: ignore[type-arg]
    pair = made["nodeCertificates"][NAMES[0]]
    (tmp_path / "chain.pem").write_text(pair["certificate"] + pair["privateKey"])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "chain.pem")
    client = ssl.create_default_context(cadata=made["caCertificate"])
    assert _handshake(client, server, name) == accepted


def _handshake(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> bool:
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    done = [False, False]
    for _ in range(10):
        for index, end in enumerate(ends):
            try:
                end.do_handshake()
                done[index] = True
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
    return all(done)


def test_another_node_gets_a_certificate_and_the_rest_stay(made: dict[str, object]) -> None:
    news = {"nodes": [NAMES[0], "c.nodes.crossover.internal"], "generation": 1}
    after = HANDLER.update("id", made, news, Waiting())
    old, new = made["nodeCertificates"], after["nodeCertificates"]
    assert new[NAMES[0]] == old[NAMES[0]]  # type: ignore[index]
    assert set(new) == set(news["nodes"])  # type: ignore[call-overload]
    assert {k: v for k, v in after.items() if k not in ("nodes", "nodeCertificates")} == {
        k: v for k, v in made.items() if k not in ("nodes", "nodeCertificates")
    }
    assert HANDLER.preview(made, news)["nodeCertificates"] == UNKNOWN


def test_a_raised_generation_renews_everything(made: dict[str, object]) -> None:
    news = {"nodes": NAMES, "generation": 2}
    after = HANDLER.update("id", made, news, Waiting())
    assert all(after[key] != made[key] for key in ("sshPrivateKey", "caCertificate", *API_KEYS))
    preview = HANDLER.preview(made, news)
    assert preview["sshPrivateKey"] == UNKNOWN
