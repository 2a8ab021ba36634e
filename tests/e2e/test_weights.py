"""A gated model's files on a whole stack: fetched once, copied to the other node, held to what they must be."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.support.checkout import Checkout
from tests.support.hub import COMMIT, Repository, local_hub

MODEL, TOKEN = "meta-llama/Llama-3.3-70B-Instruct", "hf_abcdefghijklmnopqrst"
FILES = {"config.json": b"{}", "model-00001-of-00001.safetensors": random.Random(7).randbytes(500_000)}


@pytest.mark.slow  # the same on other machines: test_clouds.py
def test_one_node_fetches_the_other_copies_and_the_second_up_asks_nobody(clone: Checkout) -> None:
    with local_hub() as hub:
        hub.repositories[MODEL] = Repository(dict(FILES), gated=True)
        hub.tokens = {TOKEN: False}
        source = {"source": "hf", "tokenSecret": "hf", "endpoint": hub.endpoint}
        clone.configure({"serving.revision": COMMIT, "serving.weights": source})
        clone.pulumi("config", "set", "--secret", "--path", "crossover:apiKeys.hf", TOKEN)
        preview = clone.pulumi("preview")
        assert f"no record of {MODEL}@{COMMIT} is pinned" in preview
        refused = clone.up(fails=True)
        assert "is gated, and the token's account is not on its list" in refused
        assert not hub.sent
        hub.tokens = {TOKEN: True}
        told = clone.up()
        assert "this node copies from it then" in told or "fetching 2 of 2 files" in told
        assert sum(hub.sent.values()) == sum(map(len, FILES.values()))
        for key in ("a", "b"):
            folder = Path(clone.machines[key].root) / "models" / f"meta-llama--Llama-3.3-70B-Instruct--{COMMIT}"
            assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
        clone.run(".venv/bin/crossover", "smoke")
        (folder / "config.json").write_bytes(b"[]")
        verified = clone.run(".venv/bin/crossover", "weights", "verify", "b")
        assert f"{MODEL}@{COMMIT}, 0.0 GiB, verified, 2 bytes were fetched again" in verified
        assert (folder / "config.json").read_bytes() == b"{}"
    assert "unchanged" in clone.up()
    assert TOKEN not in f"{preview}{refused}{told}"
    assert TOKEN not in clone.pulumi("stack", "export")
