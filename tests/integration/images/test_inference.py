"""The inference bundle on a machine: the simulator over TLS with a private CA, asked by its name in the certificate."""

from __future__ import annotations

import datetime
import json
import ssl
import urllib.request
from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from images.engines import simulator
from images.engines.base import EngineOptions
from images.remote.errors import CheckFailed
from images.roles.inference.bundle import inference_bundle
from images.vehicles.ssh import checks
from images.vehicles.ssh.inspect import inspect
from images.vehicles.ssh.install import install
from tests.integration.images.conftest import Bench

NAME = "a.nodes.crossover.internal"
SETTINGS = EngineOptions(
    model="tiny",
    served_names=("tiny-served",),
    tensor_parallel_size=1,
    shutdown_timeout_s=1,
    simulation={"time-scale": "0"},
)


def certificate(
    common_name: str, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A CA's certificate, or one for a server that `issuer` signs."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(common_name)]), critical=False)
    )
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def pem(value: x509.Certificate | ec.EllipticCurvePrivateKey) -> str:
    """As text."""
    encoding = serialization.Encoding.PEM
    if isinstance(value, x509.Certificate):
        return value.public_bytes(encoding).decode()
    no_passphrase = serialization.NoEncryption()
    return value.private_bytes(encoding, serialization.PrivateFormat.PKCS8, no_passphrase).decode()


@pytest.fixture
def node(new_bench: Callable[..., Bench]) -> Bench:
    """A machine with one port, `vllm`."""
    bench = new_bench()
    bench.ports = {"vllm": bench.ports["one"]}
    return bench


def test_a_node_answers_a_completion_over_tls_and_its_second_install_changes_nothing(node: Bench) -> None:
    authority = certificate("test CA")
    crt, key = certificate(NAME, authority)
    secrets = {"tls.crt": pem(crt), "tls.key": pem(key), "vllm-api-key": "sk-test-0123456789"}
    bundle = inference_bundle(simulator.ENGINE, SETTINGS, pem(authority[0]))
    host = node.machine.host(node.ports, server_name=NAME)

    def run() -> tuple[tuple[str, ...], int, tuple[str, ...]]:
        report = install(
            host, bundle, secrets, node.machine.private_key,
            say=node.said.append, cancelled=lambda: False, deadline_s=180,
        )  # fmt: skip
        return report.checks, report.transferred_bytes, report.restarted

    assert run()[0] == ("vllm", "one-token completion")
    assert run()[1:] == (0, ())
    assert inspect(host, bundle, secrets, node.machine.private_key).healthy
    context = ssl.create_default_context(cadata=pem(authority[0]))
    context.check_hostname = False  # asked by address here; the checks have asked by name
    request = urllib.request.Request(
        f"https://127.0.0.1:{node.ports['vllm']}/v1/models", headers={"Authorization": "Bearer sk-test-0123456789"}
    )
    with urllib.request.urlopen(request, context=context, timeout=10) as answer:
        assert [m["id"] for m in json.load(answer)["data"]] == ["tiny-served"]
    texts = [" ".join(argv) for argv in node.machine.processes().values()]
    assert not [t for t in texts if "sk-test" in t or "PRIVATE KEY" in t]


def test_a_node_whose_certificate_is_not_its_own_is_not_ready(node: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "SETTLING_S", 2.0)
    authority = certificate("test CA")
    crt, key = certificate("b.nodes.crossover.internal", authority)
    secrets = {"tls.crt": pem(crt), "tls.key": pem(key), "vllm-api-key": "sk-test-0123456789"}
    bundle = inference_bundle(simulator.ENGINE, SETTINGS, pem(authority[0]))
    short = replace(bundle, checks=tuple(replace(c, deadline_s=4) for c in bundle.checks))
    with pytest.raises(CheckFailed, match="no alternative certificate subject name matches"):
        install(
            node.machine.host(node.ports, server_name=NAME), short, secrets, node.machine.private_key,
            say=node.said.append, cancelled=lambda: False, deadline_s=120,
        )  # fmt: skip
