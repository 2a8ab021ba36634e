"""Credentials: made once, renewed by generation, and good for a real TLS handshake."""

from __future__ import annotations

import re
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import paramiko
import pytest
from cryptography import x509

from images.remote.waiting import Waiting
from providers.errors import InvalidRequest
from providers.plugin.credentials import API_KEYS, SHARED, CredentialsHandler
from providers.plugin.values import UNKNOWN
from strict.names import stack_id_of
from tests.support.credentials import Made

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


def test_a_node_lets_nobody_in_but_who_shows_the_stacks_client_certificate(made: dict[str, Any]) -> None:
    all_made = Made(made)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(cadata=all_made.ca)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("".join(all_made.pair(NAMES[0])))
        file.flush()
        server.load_cert_chain(file.name)

    def gets_in(shown: str | None) -> bool:
        return _handshake(all_made.context(shown), server, NAMES[0])

    assert gets_in(all_made.client)
    assert not gets_in(None)
    assert not gets_in("".join(all_made.pair(NAMES[1])))  # a node, by its own certificate
    assert not gets_in(Made.of().client)  # another stack's


def test_a_client_certificate_passes_for_no_node(made: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "client.pem").write_text(made["clientCertificate"])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "client.pem")
    assert not _handshake(Made(made).context(None), server, NAMES[0])


def test_a_state_of_before_gets_the_client_certificate_and_nothing_else_changes(made: dict[str, Any]) -> None:
    before = {key: value for key, value in made.items() if key != "clientCertificate"}
    news = {"nodes": NAMES, "generation": 1}
    assert HANDLER.unfinished(before) == ("clientCertificate",)
    assert HANDLER.preview(before, news) == {**before, "clientCertificate": UNKNOWN}
    after = HANDLER.update("id", before, news, Waiting())
    assert {key: value for key, value in after.items() if key != "clientCertificate"} == before
    assert "BEGIN CERTIFICATE" in after["clientCertificate"]
    assert HANDLER.unfinished(after) == ()
    assert HANDLER.update("id", after, news, Waiting()) == after


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


def test_the_identity_is_made_anew_for_each_stack_and_no_rotation_changes_it() -> None:
    """Audit 4: it is in the resource's id, which an update cannot change; 64 bits."""
    ids = {HANDLER.create("urn", {"nodes": NAMES, "generation": 1}, Waiting())[0] for _ in range(2)}
    assert len(ids) == 2
    assert all(re.fullmatch("[0-9a-f]{16}", stack_id_of(made)) for made in ids)
    assert HANDLER.replacing == frozenset()


def test_a_raised_generation_renews_everything(made: dict[str, object]) -> None:
    news = {"nodes": NAMES, "generation": 2}
    after = HANDLER.update("id", made, news, Waiting())
    assert all(after[key] != made[key] for key in ("sshPrivateKey", "caCertificate", *API_KEYS))
    preview = HANDLER.preview(made, news)
    assert preview["sshPrivateKey"] == preview["former"] == UNKNOWN


def rotated(made: dict[str, Any], generation: int, retired: int = 0) -> dict[str, Any]:
    news = {"nodes": NAMES, "generation": generation, **({"retired": retired} if retired else {})}
    return HANDLER.update("id", made, news, Waiting())


def test_the_generation_before_is_kept_until_it_is_retired(made: dict[str, Any]) -> None:
    """Audit 8: old keys died at once."""
    second = rotated(made, 2)
    assert second["former"] == {key: made[key] for key in SHARED}
    assert rotated(second, 2) == second
    retired = rotated(second, 2, retired=1)
    assert retired["former"] == {}
    assert {key: retired[key] for key in SHARED} == {key: second[key] for key in SHARED}
    assert HANDLER.preview(second, {"nodes": NAMES, "generation": 2, "retired": 1})["former"] == {}
    third = rotated(retired, 3, retired=1)
    assert third["former"] == {key: second[key] for key in SHARED}


def test_a_third_generation_waits_until_the_first_is_retired(made: dict[str, Any]) -> None:
    """Nodes and gateways know two at a time. The preview says it, too."""
    second = rotated(made, 2)
    with pytest.raises(InvalidRequest, match="set crossover:credentialsRetired to 1 and run an `up`"):
        rotated(second, 3)
    with pytest.raises(InvalidRequest, match="credentialsRetired"):
        HANDLER.preview(second, {"nodes": NAMES, "generation": 3})
    assert rotated(second, 3, retired=1)["former"] == {key: second[key] for key in SHARED}


@pytest.mark.parametrize("generation", [1, 4, 9])
def test_none_is_left_out_and_none_comes_back(made: dict[str, Any], generation: int) -> None:
    """From 1 to 3 and then `retired: 1`, as the guide says, went on accepting what was to be retired."""
    second = rotated(made, 2, retired=1)
    for retired in (1, generation - 1):
        news = {"nodes": NAMES, "generation": generation, "retired": retired}
        with pytest.raises(
            InvalidRequest, match=r"are of generation 2 .* Set crossover:credentialsGeneration to 3, or"
        ):
            HANDLER.preview(second, news)
        with pytest.raises(InvalidRequest, match="one at a time"):
            HANDLER.update("id", second, news, Waiting())
    assert HANDLER.preview({}, {"nodes": NAMES, "generation": generation})["generation"] == generation


def test_what_has_leaked_is_retired_at_once(made: dict[str, Any]) -> None:
    assert rotated(made, 2, retired=1)["former"] == {}


def test_a_state_of_before_there_were_two_generations_changes_in_nothing_but_that(made: dict[str, Any]) -> None:
    """One that was never rotated in nothing at all."""
    assert HANDLER.unfinished(made) == ()
    assert HANDLER.compared(made) == HANDLER.compared({**made, "retired": 0})
    before = {**made, "generation": 3}
    assert HANDLER.unfinished(before) == ("former",)
    assert rotated(before, 3) == {**before, "former": {}}
    assert HANDLER.unfinished(rotated(before, 3)) == ()


def test_certificates_are_valid_since_yesterday_and_none_outlives_what_signed_it(made: dict[str, Any]) -> None:
    """Audit B, low: a maker whose clock was an hour fast made a fleet that nobody trusts."""
    ca = x509.load_pem_x509_certificate(made["caCertificate"].encode())
    later = HANDLER.update("id", made, {"nodes": [*NAMES, "c.nodes.crossover.internal"], "generation": 1}, Waiting())
    pems = [pair["certificate"] for pair in later["nodeCertificates"].values()] + [made["clientCertificate"]]
    signed = [x509.load_pem_x509_certificate(pem.encode()) for pem in pems]
    assert all(certificate.not_valid_after_utc <= ca.not_valid_after_utc for certificate in signed)
    now = datetime.now(UTC)
    for certificate in (ca, *signed):
        assert timedelta(hours=23) < now - certificate.not_valid_before_utc < timedelta(hours=25)
