"""How a machine boots that must know its SSH host key from the start: a VM by cloud-init, a container by what it runs.

The vendor keeps both readable: they hold a one-use host key and no other secret.
"""

from __future__ import annotations

import base64
import json

from providers.base import HostKey

AUTHORIZED_KEY = "CROSSOVER_AUTHORIZED_KEY"
HOST_KEY = "CROSSOVER_HOST_KEY"
"""The one-use private host key in base64: a container's environment can be read at the vendor's."""

ENTRY = f"""set -eu
command -v sshd >/dev/null || [ -x /usr/sbin/sshd ] || {{
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends openssh-server
}}
umask 077
authorized=~root/.ssh/authorized_keys
mkdir -p /run/sshd ~root/.ssh /etc/ssh
grep -qxF "${AUTHORIZED_KEY}" "$authorized" 2>/dev/null || printf '%s\\n' "${AUTHORIZED_KEY}" >>"$authorized"
# A restarted container keeps the key that first contact gave it.
[ -f /etc/ssh/crossover_host_key ] || printf '%s' "${HOST_KEY}" | base64 -d >/etc/ssh/crossover_host_key
unset {AUTHORIZED_KEY} {HOST_KEY}
exec /usr/sbin/sshd -D -e -f /dev/null -h /etc/ssh/crossover_host_key -p 22 \\
    -o PasswordAuthentication=no -o KbdInteractiveAuthentication=no -o PermitRootLogin=prohibit-password \\
    -o UsePAM=no -o PidFile=/run/sshd.pid -o MaxSessions=50 -o MaxStartups=50
"""
"""What a container runs (`sh -c`) where a cloud rents those: an SSH server that knows its host key. It is then a
machine like any other: bundles come over SSH, and a process supervisor keeps them, so that flags change by restarting
a process and never by renting anew. It needs the two variables above and a Debian-like image, as vLLM's is."""


def environment(ssh_public_key: str, host_private_key: str) -> dict[str, str]:
    """The variables that ENTRY reads."""
    return {
        AUTHORIZED_KEY: ssh_public_key.strip(),
        HOST_KEY: base64.b64encode(host_private_key.encode()).decode(),
    }


def user_data(host_key: HostKey) -> str:
    """A #cloud-config that gives the machine this SSH host key and no other (cloud-init's module `ssh`)."""
    document = {
        "ssh_deletekeys": True,
        "ssh_keys": {"ed25519_private": host_key.private, "ed25519_public": host_key.public},
    }
    return "#cloud-config\n" + json.dumps(document, indent=1) + "\n"  # JSON is YAML
