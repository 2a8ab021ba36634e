"""A stack's certificates and keys, made by the plugin itself, for machines that no stack installs."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from images.remote.waiting import Waiting
from providers.plugin.credentials import CredentialsHandler


@dataclass(frozen=True)
class Made:
    """What Credentials made."""

    outputs: dict[str, Any]

    @classmethod
    def of(cls, *names: str) -> Made:
        """With a certificate for each server name."""
        return cls(CredentialsHandler().create("urn", {"nodes": list(names), "generation": 1}, Waiting())[1])

    @property
    def ca(self) -> str:
        """PEM."""
        return str(self.outputs["caCertificate"])

    @property
    def client(self) -> str:
        """Certificate and key, PEM."""
        return str(self.outputs["clientCertificate"])

    def pair(self, name: str) -> tuple[str, str]:
        """Certificate and key of a node, PEM."""
        pair = self.outputs["nodeCertificates"][name]
        return pair["certificate"], pair["privateKey"]

    def secrets(self, name: str) -> dict[str, str]:
        """Those of the node of that server name."""
        certificate, key = self.pair(name)
        shown = {"client.pem": self.client, "vllm-api-key": self.outputs["vllmApiKey"]}
        return {"tls.crt": certificate, "tls.key": key, **shown}

    def context(self, shown: str | None) -> ssl.SSLContext:
        """A client's, which trusts the CA whatever the server's name, and shows `shown`, PEM."""
        context = ssl.create_default_context(cadata=self.ca)
        context.check_hostname = False
        if shown is not None:
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
                file.write(shown)
                file.flush()
                context.load_cert_chain(Path(file.name))
        return context
