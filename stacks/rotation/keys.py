"""What nodes and gateways show one another, and what they accept, also while one generation of credentials takes the
place of another.

    raise credentialsGeneration    Gateways first: they accept what nodes and clients of either generation show, and go
                                   on showing the former. Then node by node: it shows the new, and accepts both.
    set credentialsRetired         Gateways first: they show the new, and accept nothing else. Then node by node.

So at each moment every gateway and every node accept what the other one shows, wherever the change stops.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pulumi

from images.engines.common.base import (
    API_KEY_SECRET,
    CERTIFICATE_SECRET,
    CLIENT_CERTIFICATE_SECRET,
    FORMER_KEY_SECRET,
    PRIVATE_KEY_SECRET,
)
from images.roles.gateway.endpoint import CERTIFICATE, ENDPOINT_KEYS
from images.roles.gateway.haproxy import BACKEND_KEYS, backend_keys
from providers.resources import Credentials
from stacks.settings import Settings

Secrets = dict[str, pulumi.Input[str]]


class Keys:
    """The shared credentials of one stack."""

    trusted: pulumi.Output[str]
    """Of every CA whose certificates count, one after the other, PEM."""
    overlap: bool
    """Whether those of the generation before are accepted too."""
    ordered: bool
    """Whether nodes wait for the gateways. Before the first rotation all are made at once."""

    def __init__(self, settings: Settings, credentials: Credentials) -> None:
        self._made = credentials
        self.ordered = settings.credentials_generation > 1
        self.overlap = settings.credentials_retired < settings.credentials_generation - 1
        former = self._former("caCertificate") if self.overlap else ""
        self.trusted = pulumi.Output.concat(credentials.caCertificate, former)

    def of_node(self, server_name: str) -> Secrets:
        """A node's: it shows its newest, and takes the former key too."""
        pair = self._made.nodeCertificates.apply(lambda made: made[server_name])
        return {
            API_KEY_SECRET: self._made.vllmApiKey,
            CERTIFICATE_SECRET: pair.apply(lambda p: p["certificate"]),
            PRIVATE_KEY_SECRET: pair.apply(lambda p: p["privateKey"]),
            # For its own checks. That one node could reach another by it is no new door: all of them hold the same.
            CLIENT_CERTIFICATE_SECRET: self._made.clientCertificate,
            **({FORMER_KEY_SECRET: self._shown("vllmApiKey")} if self.overlap else {}),
        }

    def of_gateway(self, server_name: str | None) -> Secrets:
        """A gateway's: it shows the former while there is one, and takes clients' keys of both. `server_name` is the
        endpoint's where it speaks TLS."""
        accepted = [self._made.endpointKey, *([self._shown("endpointKey")] if self.overlap else [])]
        pairs = pulumi.Output.all(self._made.nodeCertificates, self._shown("nodeCertificates"))
        return {
            ENDPOINT_KEYS: pulumi.Output.all(*accepted).apply(_lines),
            BACKEND_KEYS: pulumi.Output.all(self._shown("vllmApiKey"), self._made.litellmMasterKey).apply(
                lambda keys: backend_keys(*keys)
            ),
            API_KEY_SECRET: self._shown("vllmApiKey"),
            CLIENT_CERTIFICATE_SECRET: self._shown("clientCertificate"),
            # A name that the former generation had no certificate for has one of the new.
            **(
                {} if server_name is None else {CERTIFICATE: pairs.apply(lambda p: _pem({**p[0], **p[1]}[server_name]))}
            ),
        }

    def _shown(self, what: str) -> pulumi.Output[Any]:
        """The former where there is one, so that who has not changed yet knows it; else the newest."""
        newest: pulumi.Output[Any] = getattr(self._made, what)
        if not self.overlap:
            return newest
        return pulumi.Output.all(self._made.former, newest).apply(lambda known: (known[0] or {}).get(what, known[1]))

    def _former(self, what: str) -> pulumi.Output[str]:
        return self._made.former.apply(lambda former: str((former or {}).get(what, "")))


def _lines(keys: Iterable[str]) -> str:
    return "".join(f"{key}\n" for key in dict.fromkeys(keys))


def _pem(pair: Mapping[str, str]) -> str:
    """Certificate and key in one file, as HAProxy reads them."""
    return f"{pair['certificate']}{pair['privateKey']}"
