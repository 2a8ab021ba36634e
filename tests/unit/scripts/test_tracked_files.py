"""No file of the project holds what belongs to one machine, to an index, or to nobody's eyes."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.scripts import CHECKOUT

FORBIDDEN = {
    # Written so that this file does not match itself.
    "a package index's address": r"https?://[^\s\"'`)>]*(py[p]i\.org|python[h]osted\.org|proxy\.gola[n]g\.org|"
    r"deb\.debi[a]n\.org|registry\.np[m]js\.org|/simp[l]e/)",
    "a path of one machine": r"(?<![\w.~$}{*/@-])/(ro[o]t|wor[k]|ho[m]e/[a-z]\w+|Us[e]rs/\w+)/[\w.-]+",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE [K]EY-----\s*\n[A-Za-z0-9+/=]{40}",
    "an access key": r"\b(AKI[A][A-Z0-9]{16}|gh[p]_[A-Za-z0-9]{36}|sk-[p]roj-[A-Za-z0-9_-]{20,}|rp[a]_[A-Z0-9]{30,})\b",
}
GENERATED = {"scripts/engine/go.sum"}


def tracked_files() -> list[Path]:
    """What git tracks, or would if it were added."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, check=True).stdout.decode().split("\0")
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [CHECKOUT / name for name in listed if name and name not in GENERATED and (CHECKOUT / name).is_file()]


def findings(text: str, pattern: str) -> list[str]:
    return [match[0] for match in re.finditer(pattern, text)]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_tracked_file_holds_it(what: str) -> None:
    found = {
        str(path.relative_to(CHECKOUT)): hits
        for path in tracked_files()
        if (hits := findings(path.read_text(errors="replace"), FORBIDDEN[what]))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("what", "example"),
    [
        ("a package index's address", "index-url = https://py" + "pi.org/simple"),
        ("a package index's address", "http://mirror.example/sim" + "ple/requests"),
        ("a path of one machine", "open('/ro" + "ot/.ssh/id')"),
        ("a path of one machine", " /ho" + "me/ada/project"),
        ("a private key", "-----BEGIN OPENSSH PRIVATE " + "KEY-----\n" + "b3Bl" * 12),
        ("an access key", "AKI" + "AIOSFODNN7EXAMPLE"),
    ],
)
def test_the_patterns_find_what_they_are_for(what: str, example: str) -> None:
    assert findings(example, FORBIDDEN[what])


@pytest.mark.parametrize("harmless", ["docs/root/x", "@ROOT@/etc", "$HOME/root/x", "~/work/notes", "/network/a"])
def test_paths_that_belong_to_no_machine_are_fine(harmless: str) -> None:
    assert not findings(harmless, FORBIDDEN["a path of one machine"])


def test_scripts_are_executable_and_stop_at_the_first_error() -> None:
    """Every bash script; the library that is sourced inherits the setting."""
    scripts = [path for path in tracked_files() if path.read_bytes().startswith(b"#!/usr/bin/env bash")]
    assert {path.name for path in scripts} >= {"bootstrap", "pulumi", "install", "up", "down", "run"}
    for path in scripts:
        assert os.access(path, os.X_OK), path
        assert "\nset -euo pipefail\n" in path.read_text(), path
        subprocess.run(["bash", "-n", str(path)], check=True)


def test_every_target_of_the_makefile_is_explained() -> None:
    """`make help` lists all of .PHONY."""
    makefile = (CHECKOUT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.M)
    assert targets is not None
    output = subprocess.run(["make", "--no-print-directory"], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert {line.split()[1] for line in output.stdout.splitlines()} == set(targets[1].split())


def test_whatever_is_installed_from_a_lock_comes_from_the_lock_alone() -> None:
    """pip would resolve an extra to a version younger than the lock's, and both would build with the day's tools."""
    order = re.compile(r"pip (?:install|sync|download)\b(?:[^\n]*\\\n)*[^\n]*")
    where = ("scripts/", "images/", ".github/", "tests/support/")
    orders = [
        found[0]
        for path in tracked_files()
        if str(path.relative_to(CHECKOUT)).startswith(where)
        for found in order.finditer(path.read_text(errors="replace"))
        if "--require-hashes" in found[0]
    ]
    assert len(orders) >= 6
    for found in orders:
        assert "--only-binary :all:" in found, found
        assert "--no-deps" in found or found.startswith("pip sync"), found
