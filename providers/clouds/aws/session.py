"""The way into an instance without an open port: SSH inside a session of AWS' Session Manager.

A state holds `ssm:<region>/<instance id>` alone. What is run is made from that here, and never through a shell.
"""

from __future__ import annotations

import re
import shutil

from providers.errors import InvalidRequest

_TUNNEL = re.compile(r"ssm:([a-z]{2,4}(?:-[a-z]+)+-[0-9])/(i-[0-9a-f]{8,17})")
_REFUSED = re.compile(
    r"An error occurred \((?:AccessDenied\w*|ExpiredToken\w*|InvalidClientTokenId|InvalidDocument|"
    r"InvalidSignature\w*|UnrecognizedClient\w*)\)|Unable to locate credentials"
)
"""Codes of StartSession, as the AWS CLI shows them, that waiting does not cure. TargetNotConnected is none: it stands
for a machine that boots, or that is not there."""
_DOCS = "https://docs.aws.amazon.com"
PROGRAMS = {
    "aws": f"the AWS CLI ({_DOCS}/cli/latest/userguide/getting-started-install.html)",
    "session-manager-plugin": "AWS' Session Manager plugin "
    f"({_DOCS}/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html)",
}
"""Program that must be on this computer → what to install for it."""


def tunnel(region: str, instance_id: str) -> str:
    """What a Machine's `tunnel` says of the instance."""
    return f"ssm:{region}/{instance_id}"


def command(tunnel: str, port: int) -> tuple[str, ...]:
    """The program, with its arguments, whose stdin and stdout are the instance's port; empty for no tunnel. Raises
    InvalidRequest for what is no tunnel, as a state may hold anything."""
    if not tunnel:
        return ()
    parts = _TUNNEL.fullmatch(tunnel)
    if parts is None:
        raise InvalidRequest(
            f"{tunnel!r} is no way to a machine that is known: they look like ssm:us-east-1/i-0123abcd"
        )
    region, instance_id = parts.groups()
    return (
        "aws", "ssm", "start-session", "--region", region, "--target", instance_id,
        "--document-name", "AWS-StartSSHSession", "--parameters", f"portNumber={int(port)}",
    )  # fmt: skip


def require_programs() -> None:
    """Raises InvalidRequest, with what to install, where this computer lacks a program that sessions need."""
    missing = [f"{name}, of {what}" for name, what in PROGRAMS.items() if shutil.which(name) is None]
    if missing:
        raise InvalidRequest(
            f"access: ssm needs on this computer's PATH {' and '.join(missing)}: install what is missing"
        )


def refused(message: str) -> bool:
    """Whether AWS will say so again, from what the AWS CLI printed."""
    return _REFUSED.search(message) is not None
