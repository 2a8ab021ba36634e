"""What can go wrong with a machine, from the way there to a bundle's last check; `providers.errors` adds what a cloud
may say.

Messages say what, where and what to do; they never hold a secret. Nothing here ends a machine: a failed install keeps
it, and the next one resumes.
"""

from __future__ import annotations


class RemoteError(Exception):
    """Base of all: told to a person as it is."""


class Cancelled(RemoteError):
    """The user interrupted. What was done is kept or ended, as the message says, and the next run goes on."""


class DeadlineExceeded(RemoteError):
    """The time ran out; the message names the step, or the machine and its last status."""


class Unreachable(RemoteError):
    """No SSH connection, or it broke. Says nothing about whether the machine exists."""


class HostKeyChanged(RemoteError):
    """The machine shows another host key than the pinned one. Nothing was sent, not even a user name."""


class AuthenticationFailed(RemoteError):
    """The machine is the right one and refuses the key, or the key cannot be read."""


class InvalidBundle(RemoteError):
    """The bundle, its host or its secrets do not fit together: nothing was sent."""


class MissingProgram(RemoteError):
    """A program that the bundle needs is not on the machine."""


class UnsuitableMachine(RemoteError):
    """Its GPUs or their driver cannot serve as they are; the message says why, and whether to mend it or give it
    back."""


class DiskFull(RemoteError):
    """No room on the machine. Files of ours there are whole: each is either the old one or the new one."""


class CommandFailed(RemoteError):
    """A step on the machine ended with an error; the message holds the end of its output."""


class CheckFailed(RemoteError):
    """A readiness check did not pass in time, or a service does not stay up."""

    def __init__(self, message: str, log_tail: str = "") -> None:
        super().__init__(f"{message}\n{log_tail}" if log_tail else message)
        self.log_tail = log_tail
        """The last lines of the service's log, secrets masked; empty if it wrote none."""
