"""No secret leaves in a comment, a report or a log: known values by what they are, others by what they look like."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from scripts.crossover.stack.config import SECRET

LEAST_CHARACTERS = 4
"""A shorter value is no secret, and hiding it would garble every number."""

_PATTERNS = re.compile(
    "|".join(
        (
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
            r"\bsk-[A-Za-z0-9_-]{8,}",  # OpenAI, Anthropic, LiteLLM
            r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",  # AWS
            r"\b(?:gh[pousr]_|github_pat_)[A-Za-z0-9_]{16,}",
            r"\bhf_[A-Za-z0-9]{16,}",  # Hugging Face
            r"\brpa_[A-Z0-9]{16,}",  # RunPod
            r"\bpul-[0-9a-f]{16,}",  # Pulumi
            r"\bxox[a-z]-[A-Za-z0-9-]{10,}",  # Slack
            r"\bAIza[A-Za-z0-9_-]{30,}",  # Google
            r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",  # JSON Web Token
            r"\bsecret_[A-Za-z0-9-]+_?[0-9a-f]{8,}\.[A-Za-z0-9]{8,}",  # Lambda
            r"\bv1:[A-Za-z0-9+/=]{8,}:[A-Za-z0-9+/=]{8,}",  # what Pulumi encrypts
            r"(?<=://)[^\s/@:]+:[^\s/@]+(?=@)",  # user:password of a URL
            r"(?i:(?<=bearer )[A-Za-z0-9._~+/-]{8,}=*)",
        )
    ),
    re.DOTALL,
)
_SECRET_NAMES = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD|PASSPHRASE)$")


class Scrubber:
    """Replaces every known value, the longest first, and everything that looks like a key."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        known = sorted({value for value in values if len(value) >= LEAST_CHARACTERS}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        """The text, with "[secret]" in place of each."""
        if self._known is not None:
            text = self._known.sub(SECRET, text)
        return _PATTERNS.sub(SECRET, text)


def from_environment(environment: Mapping[str, str]) -> list[str]:
    """The secrets that a process of this environment has at hand: variables named like one, and the passphrase."""
    found = [value for name, value in environment.items() if _SECRET_NAMES.search(name)]
    if path := environment.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        try:
            found.append(Path(path).read_text().strip())
        except (OSError, UnicodeDecodeError):
            pass  # the engine will say so
    return [part for value in found for part in (value, *value.splitlines())]
