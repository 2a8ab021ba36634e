"""gpucloud:index:Credentials — SSH keys, a private CA with a certificate per node, and API keys. Made here, once."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pulumi.provider.experimental.provider import CheckFailure

from images.remote.waiting import Waiting
from providers.errors import InvalidRequest
from providers.plugin.handler import Handler
from providers.plugin.values import UNKNOWN, Plain
from strict.names import CREDENTIALS_ID

STACK_ID_BYTES = 8
VALIDITY = timedelta(days=3650)
"""Rotation is a raised `generation`, which a person plans; not a date on which a fleet falls silent."""
API_KEYS = ("endpointKey", "vllmApiKey", "litellmMasterKey", "redisPassword", "standInKey")
CLIENT = "clientCertificate"
FORMER = "former"
MADE = ("sshPublicKey", "sshPrivateKey", "caCertificate", "caPrivateKey", "nodeCertificates", CLIENT, *API_KEYS)
SHARED = ("caCertificate", CLIENT, "nodeCertificates", "vllmApiKey", "endpointKey")
"""What two sides must agree on: kept of a generation that another one follows, until it is retired."""
BACKDATED = timedelta(hours=24)
"""For machines whose clocks lag, and a maker whose clock is fast."""


class CredentialsHandler(Handler):
    """Inputs: nodes (server names that get a certificate), generation (raise it to make everything anew), retired
    (the generation up to which nothing is accepted any more; 0 if absent).

    Outputs: sshPublicKey, sshPrivateKey (OpenSSH PEM), caCertificate, caPrivateKey (PEM), nodeCertificates
    {server name: {certificate, privateKey}}, clientCertificate (what nodes ask of whoever reaches them: certificate and
    private key, one PEM), endpointKey, vllmApiKey, litellmMasterKey, redisPassword,
    standInKey. All but the SSH public key and the CA's certificate are secret. `former`, secret: SHARED of the
    generation before, until `retired` names it; else empty.

    The id is the stack's identity (`strict.names.stack_id_of`): made once with the resource, kept by every rotation.
    """

    inputs = ("nodes", "generation", "retired")
    secret = frozenset({"sshPrivateKey", "caPrivateKey", "nodeCertificates", CLIENT, FORMER, *API_KEYS})

    def check(self, olds: Plain, news: Plain) -> list[CheckFailure]:
        return super().check(olds, {"retired": 0, **news})

    def compared(self, values: Plain) -> Plain:
        """A state of before there was `retired` says nothing of it."""
        return values if values.get("retired") else {k: v for k, v in values.items() if k != "retired"}

    def unfinished(self, olds: Plain) -> tuple[str, ...]:
        """A state of before nodes asked for a client certificate has none, and one that was rotated before two
        generations could be in force has no `former`: they are added, and nothing else changes."""
        lacking = [] if CLIENT in olds else [CLIENT]
        return (*lacking, *([FORMER] if olds["generation"] > 1 and FORMER not in olds else []))

    def preview(self, olds: Plain, news: Plain) -> Plain:
        if olds.get("generation") == news["generation"]:
            made = {key: olds.get(key, UNKNOWN) for key in MADE}
            if set(olds["nodes"]) != set(news["nodes"]):
                made["nodeCertificates"] = UNKNOWN
            return {**news, **made, **_kept(olds, news)}
        _check_step(olds, news)
        return {**news, **dict.fromkeys(MADE, UNKNOWN), **({FORMER: UNKNOWN} if olds else {})}

    def create(self, urn: str, news: Plain, waiting: Waiting) -> tuple[str, Plain]:
        return f"{CREDENTIALS_ID}{secrets.token_hex(STACK_ID_BYTES)}", {**news, **_made(news["nodes"])}

    def read(self, resource_id: str, olds: Plain, waiting: Waiting) -> tuple[Plain, Plain] | None:
        if not olds:
            raise ValueError("Credentials live in the state alone and cannot be imported")
        return {key: olds[key] for key in self.inputs if key in olds}, olds

    def update(self, resource_id: str, olds: Plain, news: Plain, waiting: Waiting) -> Plain:
        if olds["generation"] != news["generation"]:
            _check_step(olds, news)
            former = {} if _is_retired(olds["generation"], news) else {key: olds[key] for key in SHARED if key in olds}
            return {**news, **_made(news["nodes"]), FORMER: former}
        kept = {name: pair for name, pair in olds["nodeCertificates"].items() if name in news["nodes"]}
        ca = x509.load_pem_x509_certificate(olds["caCertificate"].encode())
        ca_key = serialization.load_pem_private_key(olds["caPrivateKey"].encode(), None)
        assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
        added = {name: _node_certificate(name, ca, ca_key) for name in news["nodes"] if name not in kept}
        client = olds.get(CLIENT) or _client_certificate(ca, ca_key)
        plain = {key: value for key, value in olds.items() if key != "retired"}
        return {**plain, **news, "nodeCertificates": {**kept, **added}, CLIENT: client, **_kept(olds, news)}

    def delete(self, resource_id: str, olds: Plain, waiting: Waiting) -> None:
        return None


def _is_retired(generation: int, news: Plain) -> bool:
    return int(news.get("retired") or 0) >= generation


def _kept(olds: Plain, news: Plain) -> Plain:
    """What is left of the generation before; nothing for a state that has never been rotated."""
    if olds["generation"] == 1:
        return {}
    former = olds.get(FORMER) or {}
    return {FORMER: {} if _is_retired(news["generation"] - 1, news) else former}


def _check_step(olds: Plain, news: Plain) -> None:
    """Raises InvalidRequest: nodes and gateways know two generations at a time, one of which follows the other. After a
    leap `retired` would name one that never was, and what came before would go on being accepted."""
    if not olds:
        return
    at = olds["generation"]
    if news["generation"] != at + 1:
        raise InvalidRequest(
            f"the credentials are of generation {at} and cannot become {news['generation']}: generations are raised "
            f"one at a time. Set crossover:credentialsGeneration to {at + 1}, or leave it at {at}"
        )
    if olds.get(FORMER) and not _is_retired(at - 1, news):
        raise InvalidRequest(
            f"generation {at - 1} of the credentials is still accepted beside {at}: set "
            f"crossover:credentialsRetired to {at - 1} and run an `up`, then raise credentialsGeneration"
        )


def _made(nodes: list[str]) -> Plain:
    ssh = ed25519.Ed25519PrivateKey.generate()
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = _ca_certificate(ca_key)
    return {
        "sshPublicKey": ssh.public_key()
        .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        .decode(),
        "sshPrivateKey": _pem(ssh, serialization.PrivateFormat.OpenSSH),
        "caCertificate": ca.public_bytes(serialization.Encoding.PEM).decode(),
        "caPrivateKey": _pem(ca_key, serialization.PrivateFormat.PKCS8),
        "nodeCertificates": {name: _node_certificate(name, ca, ca_key) for name in nodes},
        CLIENT: _client_certificate(ca, ca_key),
        # LiteLLM wants its master key to begin with "sk-".
        **{key: f"sk-{secrets.token_hex(32)}" for key in API_KEYS},
    }


def _pem(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey, form: serialization.PrivateFormat) -> str:
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def _builder(
    subject: str, issuer: x509.Name | None, key: ec.EllipticCurvePrivateKey, latest: datetime | None = None
) -> x509.CertificateBuilder:
    """`latest`: when it ends at the latest. Nothing outlives what signed it."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer or name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(min(now + VALIDITY, latest or datetime.max.replace(tzinfo=UTC)))
    )


def _ca_certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return (
        _builder("Crossover fleet CA", None, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _node_certificate(server_name: str, ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    """It serves and cannot be shown as a client's: by its own certificate no node gets into another."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _signed_by(ca, ca_key, server_name, key, ExtendedKeyUsageOID.SERVER_AUTH)
    named = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(server_name)]), critical=False)
    return {"certificate": _signed(named, ca_key), "privateKey": _pem(key, serialization.PrivateFormat.PKCS8)}


def _client_certificate(ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey) -> str:
    """It can serve nothing: whoever reads it in a gateway cannot pass for a node."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _signed_by(ca, ca_key, "Crossover client", key, ExtendedKeyUsageOID.CLIENT_AUTH)
    return _signed(builder, ca_key) + _pem(key, serialization.PrivateFormat.PKCS8)


def _signed_by(
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    usage: x509.ObjectIdentifier,
) -> x509.CertificateBuilder:
    return (
        _builder(subject, ca.subject, key, ca.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
    )


def _signed(builder: x509.CertificateBuilder, ca_key: ec.EllipticCurvePrivateKey) -> str:
    return builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
