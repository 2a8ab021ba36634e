"""The cloud-init document that a VM is launched with: at most a one-use host key, as the vendor keeps it readable."""

from __future__ import annotations

import json

from providers.base import HostKey


def user_data(host_key: HostKey) -> str:
    """A #cloud-config that gives the machine this SSH host key and no other (cloud-init's module `ssh`)."""
    document = {
        "ssh_deletekeys": True,
        "ssh_keys": {"ed25519_private": host_key.private, "ed25519_public": host_key.public},
    }
    return "#cloud-config\n" + json.dumps(document, indent=1) + "\n"  # JSON is YAML
