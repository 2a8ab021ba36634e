"""The lines that `crossover endpoint` prints."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scripts.crossover.commands import endpoint
from scripts.crossover.stack import files
from scripts.crossover.stack.state import Outputs
from tests.support.ports import free_port


@pytest.mark.parametrize("address", ["localhost", "127.0.0.1", "[::1]"])
def test_curl_takes_the_address_of_a_gateway_whether_it_is_a_name_or_a_number(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str
) -> None:
    """At AWS it is a name. Nothing listens there: status 7 is "failed to connect", 49 would be a malformed option."""
    monkeypatch.setattr(files, "STATE", tmp_path)
    where = f"{address}:{free_port()}"
    reached = Outputs("https://llm.example.com:8080", (where,), "sk", "a certificate", "m", (), "", "", "")
    (tmp_path / "key").write_text("sk")
    line = endpoint.curl(reached, tmp_path / "key", stream=False, trust=endpoint.trusting(reached, "aws"))
    assert subprocess.run(["bash", "-c", line], capture_output=True, timeout=20, check=False).returncode == 7
