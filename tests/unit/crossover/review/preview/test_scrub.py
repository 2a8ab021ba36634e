"""What must never be in a comment: known values, and everything that looks like a key. The keys are made up here."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.crossover.review.preview.scrub import Scrubber, from_environment
from scripts.crossover.stack.config import SECRET

LOOKS_LIKE_A_KEY = {
    "OpenAI": "sk-" + "proj-" + "a1B2" * 8,
    "AWS": "AKI" + "A" + "IOSFODNN7EXAMPLE",
    "GitHub": "gh" + "p_" + "a1" * 18,
    "Hugging Face": "h" + "f_" + "aB" * 17,
    "RunPod": "rp" + "a_" + "AB12" * 10,
    "Pulumi": "pu" + "l-" + "0a" * 20,
    "Slack": "xox" + "b-" + "1234567890-abc",
    "JSON Web Token": "ey" + "JhbGciOiJIUzI1NiJ9." + "ey" + "JzdWIiOiIxIn0.c2lnbmF0dXJl",
    "what Pulumi encrypts": "v1" + ":OOE3/HstEwDD755D" + ":GOuFacr0B5skxkWul4HA5ugsgz==",
    "private key": "-----BEGIN OPENSSH PRIVATE " + "KEY-----\nb3Bl\n-----END OPENSSH PRIVATE " + "KEY-----",
    "private key, cut off": "-----BEGIN PRIVATE " + "KEY-----\nb3Bl",
}


@pytest.mark.parametrize("kind", LOOKS_LIKE_A_KEY)
def test_what_looks_like_a_key_is_hidden(kind: str) -> None:
    said = Scrubber()(f"before {LOOKS_LIKE_A_KEY[kind]} ")
    assert said.startswith(f"before {SECRET}")
    assert LOOKS_LIKE_A_KEY[kind] not in said
    assert LOOKS_LIKE_A_KEY[kind][-12:] not in said


def test_a_password_in_a_url_and_a_bearer_token_are_hidden() -> None:
    """What is around them stays, so that a message can be understood."""
    assert Scrubber()("redis://user:pa55word@host:6379/0") == f"redis://{SECRET}@host:6379/0"
    assert Scrubber()("Authorization: Bearer abcdef123456") == f"Authorization: Bearer {SECRET}"


def test_known_values_are_hidden_the_longest_first() -> None:
    """One within another, and one with characters that mean something to a pattern."""
    clean = Scrubber(["pass.word", "pass.word+more", "abc"])
    assert clean("pass.word+more, pass.word, passXword, abc") == f"{SECRET}, {SECRET}, passXword, abc"


@pytest.mark.parametrize(
    "text",
    [
        "6B tokens/month cost $19,940/month self-hosted (2 nodes) against $30,000/month managed at $5/M tokens.",
        "quoted/lambda-8x-a100-80gb, a sha256 of 2b7e151628aed2a6abf7158809cf4f3c, risk-free and task-based",
        "https://host:8443/path, user@host, urn:pulumi:prod::crossover::crossover:index:Fleet::fleet",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert Scrubber()(text) == text


def test_the_environments_secrets_are_known(tmp_path: Path) -> None:
    """By the variable's name, and the passphrase by its file, which may be missing."""
    (tmp_path / "passphrase").write_text("correct horse\n")
    environment = {
        "RUNPOD_API_KEY": "one", "GH_TOKEN": "two", "DB_PASSWORD": "three\nfour", "PATH": "five", "KEYBOARD": "six",
        "PULUMI_CONFIG_PASSPHRASE": "seven", "PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "passphrase"),
    }  # fmt: skip
    known = from_environment(environment)
    assert {"one", "two", "three", "four", "seven", "correct horse"} <= set(known)
    assert not {"five", "six"} & set(known)
    assert from_environment({"PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "missing")}) == []
