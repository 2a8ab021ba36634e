"""What can go wrong while a bundle is brought onto a machine.

Messages say what, where and what to do; they never hold a secret. Nothing here ends a machine: a failed install keeps
it, and the next one resumes.
"""

from __future__ import annotations


class InstallError(Exception):
    """Base of all."""


class InvalidBundle(InstallError):
    """The bundle, its placement or its secrets do not fit together: nothing was sent."""


class Unreachable(InstallError):
    """No SSH connection, or it broke. Says nothing about whether the machine exists."""


class HostKeyChanged(InstallError):
    """The machine shows another host key than the pinned one. Nothing was sent, not even a user name."""


class AuthenticationFailed(InstallError):
    """The machine is the right one and refuses the key, or the key cannot be read."""


class MissingProgram(InstallError):
    """A program that the bundle needs is not on the machine."""


class DiskFull(InstallError):
    """No room on the machine. Files of ours there are whole: each is either the old one or the new one."""


class CommandFailed(InstallError):
    """A step on the machine ended with an error; the message holds the end of its output."""


class CheckFailed(InstallError):
    """A readiness check did not pass in time, or a service does not stay up."""

    def __init__(self, message: str, log_tail: str = "") -> None:
        super().__init__(f"{message}\n{log_tail}" if log_tail else message)
        self.log_tail = log_tail
        """The last lines of the service's log, secrets masked; empty if it wrote none."""


class Cancelled(InstallError):
    """The user interrupted. What was done is kept, and the next install resumes."""


class DeadlineExceeded(InstallError):
    """The time ran out; the message names the step."""
