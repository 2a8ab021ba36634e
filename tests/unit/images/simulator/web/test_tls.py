"""TLS as nodes use it: a private CA, the node's name in the certificate, the client checks it."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.unit.images.simulator.process import Server

NAME = "localhost"


@dataclass(frozen=True)
class Pki:
    """Paths of a CA certificate, and of a certificate and key that it signed for NAME."""

    ca: Path
    certificate: Path
    key: Path


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return _pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def tls(start: Callable[..., Server], pki: Pki) -> Callable[..., Server]:
    def _tls(*arguments: str) -> Server:
        files = ("--ssl-certfile", str(pki.certificate), "--ssl-keyfile", str(pki.key), "--ssl-ca-certs", str(pki.ca))
        server = start(*files, *arguments)
        server.context = ssl.create_default_context(cafile=str(pki.ca))
        return server

    return _tls


def test_a_client_that_knows_the_ca_is_served(tls: Callable[..., Server]) -> None:
    server = tls()
    assert server.complete(max_tokens=2).status == 200
    assert "Listening on https://" in server.log
    server.terminate()
    assert server.exit_code() == 0


def test_a_client_with_another_ca_refuses_it(tls: Callable[..., Server], tmp_path: Path) -> None:
    server = tls()
    server.context = ssl.create_default_context(cafile=str(_pki(tmp_path).ca))
    with pytest.raises(ssl.SSLCertVerificationError):
        server.get("/health")


def test_plain_http_gets_nothing(tls: Callable[..., Server]) -> None:
    server = tls()
    server.context = None
    with pytest.raises(ConnectionError):
        server.get("/health")


def test_a_client_certificate_is_asked_for_only_if_required(tls: Callable[..., Server], pki: Pki) -> None:
    server = tls("--ssl-cert-reqs", str(int(ssl.CERT_REQUIRED)))
    with pytest.raises((ConnectionError, ssl.SSLError)):
        server.get("/health")
    assert server.context is not None
    server.context.load_cert_chain(pki.certificate, pki.key)
    assert server.get("/health").status == 200


@pytest.mark.parametrize("missing", ["--ssl-certfile", "--ssl-keyfile", "--ssl-ca-certs"])
def test_a_file_that_is_not_there_ends_the_start_with_1(start: Callable[..., Server], pki: Pki, missing: str) -> None:
    files = {"--ssl-certfile": pki.certificate, "--ssl-keyfile": pki.key, "--ssl-ca-certs": pki.ca}
    files[missing] = pki.ca.with_name("absent.pem")
    server = start(*(argument for flag, path in files.items() for argument in (flag, str(path))))
    assert server.exit_code() == 1
    assert "Cannot start" in server.log
    assert "Traceback" not in server.log


def _pki(folder: Path) -> Pki:
    pki = Pki(folder / "ca.pem", folder / "node.pem", folder / "node.key")
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = _name("test CA")
    ca = _certificate(issuer, issuer, ca_key, ca_key, x509.BasicConstraints(ca=True, path_length=0))
    leaf = _certificate(_name(NAME), issuer, key, ca_key, x509.SubjectAlternativeName([x509.DNSName(NAME)]))
    pki.ca.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    pki.certificate.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    pki.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pki


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).add_extension(extension, critical=True)
    builder = builder.not_valid_before(now - datetime.timedelta(hours=1))
    return builder.not_valid_after(now + datetime.timedelta(hours=1)).sign(signer, hashes.SHA256())
