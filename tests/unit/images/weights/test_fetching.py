"""The program on the machine against a strict hub: what it fetches, keeps, verifies, and says."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from images.weights.agent import bring as bringing
from images.weights.agent.bring import bring
from images.weights.agent.fetch import part_of
from images.weights.agent.job import Job
from images.weights.agent.listing import Entry, chosen
from images.weights.agent.told import Refused
from tests.support import hub as stand_in
from tests.support.hub import COMMIT, Fault, LocalHub, Repository, local_hub, record

MODEL = "org/tiny"
DATA = random.Random(11)
SHARDS = {f"model-{i:05}-of-00004.safetensors": DATA.randbytes(200_000 + i) for i in range(1, 5)}
READ = {"config.json": b'{"model_type": "llama"}', "tokenizer.json": b"{}", **SHARDS}
ASIDE = {"original/consolidated.00.pth": b"x" * 50_000, "README.md": b"# tiny", ".gitattributes": b"lfs"}


@pytest.fixture
def hub() -> Iterator[LocalHub]:
    with local_hub() as made:
        made.repositories[MODEL] = Repository({**READ, **ASIDE})
        yield made


@pytest.fixture
def job(hub: LocalHub, tmp_path: Path) -> Job:
    return Job(
        "hf", MODEL, MODEL, COMMIT, str(tmp_path / "w" / "tiny"), str(tmp_path / "w" / "tiny.json"), hub.endpoint,
        stall_s=60, deadline_s=600, margin_bytes=0, pause_s=0.01,
    )  # fmt: skip


def there(job: Job) -> dict[str, bytes]:
    folder = Path(job.folder)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def spoil(file: Path, data: bytes) -> None:
    """Writes into it, and it shows a second more. A kernel's clock of files may stand still for 10 ms: with the old
    size, and the time at which it was fetched, nothing would tell it."""
    later_ns = file.stat().st_mtime_ns + 10**9
    file.write_bytes(data)
    os.utime(file, ns=(later_ns, later_ns))


def fetches(hub: LocalHub) -> int:
    """Requests for files' bytes: the large ones are asked of the other host."""
    return sum(
        n for path, n in hub.asked.items() if "/cdn/" in path or ("/resolve/" in path and "safetensors" not in path)
    )


def test_what_an_engine_reads_comes_and_nothing_else(hub: LocalHub, job: Job) -> None:
    size = sum(map(len, READ.values()))
    told = {"revision": COMMIT, "bytes": size, "files": len(READ), "fetched_bytes": size, "verified": True}
    assert bring(job) == told
    assert there(job) == READ
    assert bring(job) == {**told, "fetched_bytes": 0}


def test_who_gives_tells_what_there_is_and_each_file_that_has_come(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is told is in its place; those that are there already are told first."""
    heard: list[dict[str, Any]] = []

    def said(line: str) -> None:
        if line.startswith("{"):
            heard.append(json.loads(line))
            assert "files" in heard[-1] or (Path(job.folder) / heard[-1]["has"]).read_bytes() == READ[heard[-1]["has"]]

    monkeypatch.setattr(bringing, "say", said)
    bring(job)
    assert heard == []  # nobody has asked
    (Path(job.folder) / "config.json").unlink()
    bring(replace(job, gives=True))
    assert heard[0] == {"files": {path: len(data) for path, data in READ.items()}}
    assert sorted(told["has"] for told in heard[1:]) == sorted(READ)
    assert heard[-1] == {"has": "config.json"}


def test_a_second_run_asks_nobody(hub: LocalHub, job: Job) -> None:
    bring(job)
    before = hub.asked.copy()
    assert bring(job)["fetched_bytes"] == 0
    assert hub.asked == before


def test_a_branch_is_resolved_once(hub: LocalHub, job: Job) -> None:
    moving = replace(job, revision="main")
    assert bring(moving)["revision"] == COMMIT
    hub.repositories[MODEL].commits["main"] = "f" * 40
    assert bring(moving)["revision"] == COMMIT


def test_a_corrupt_file_is_fetched_again_and_no_other(hub: LocalHub, job: Job) -> None:
    bring(job)
    victim = Path(job.folder) / "model-00002-of-00004.safetensors"
    spoil(victim, b"\0" * victim.stat().st_size)
    hub.sent.clear()
    assert bring(job)["fetched_bytes"] == len(READ[victim.name])
    assert (there(job), set(hub.sent)) == (READ, {victim.name})


def test_what_is_no_file_of_the_model_goes(job: Job) -> None:
    """An engine reads every *.safetensors of the folder."""
    Path(job.folder).mkdir(parents=True)
    (Path(job.folder) / "model-00009.safetensors").write_bytes(b"of another revision")
    bring(job)
    assert there(job) == READ


def test_ten_cuts_end_with_the_right_bytes_and_nothing_comes_twice(hub: LocalHub, job: Job) -> None:
    hub.faults = [Fault("cut", after=1000 * i) for i in range(1, 11)]
    assert bring(job)["fetched_bytes"] == sum(map(len, READ.values()))
    assert there(job) == READ
    assert hub.faults == []
    assert fetches(hub) == len(READ) + 10
    assert sum(hub.sent.values()) == sum(map(len, READ.values()))


def test_a_server_without_ranges_sends_at_most_that_file_again(hub: LocalHub, job: Job) -> None:
    one = replace(job, workers=1)
    hub.faults = [Fault("cut", after=100_000), Fault("whole")]
    bring(one)
    assert there(job) == READ
    assert sum(hub.sent.values()) == sum(map(len, READ.values())) + 100_000


def test_a_pause_that_the_hub_asks_for_is_made(hub: LocalHub, job: Job) -> None:
    hub.faults = [Fault("429", retry_after_s=0.6), Fault("500")]
    begun = time.monotonic()
    bring(replace(job, workers=1))
    assert time.monotonic() - begun >= 0.6
    assert there(job) == READ


@pytest.mark.parametrize("kind", ["stall", "slow"])
def test_a_download_that_stands_still_is_begun_anew(hub: LocalHub, job: Job, kind: str) -> None:
    hub.faults = [Fault(kind, after=5000)]
    begun = time.monotonic()
    bring(replace(job, workers=1, stall_s=1))
    assert time.monotonic() - begun >= 1
    assert there(job) == READ


def test_wrong_bytes_never_come_to_their_place(hub: LocalHub, job: Job) -> None:
    hub.faults = [Fault("wrong"), Fault("wrong")]
    with pytest.raises(Refused, match="bytes that are not those of its listing") as refused:
        bring(replace(job, workers=1))
    assert refused.value.kind == "wrong"
    assert all(READ[path] == data for path, data in there(job).items() if not path.endswith(".part"))
    assert not Path(job.marker).exists()
    assert bring(job)["verified"]


def test_a_record_is_what_files_must_be_whatever_the_hub_lists(hub: LocalHub, job: Job) -> None:
    """The hub's own listing is not asked: a hub that was changed is found out."""
    pinned = replace(job, record=record(READ), record_revision=COMMIT)
    hub.repositories[MODEL].files["config.json"] = b'{"model_type": "LLAMA"}'
    with pytest.raises(Refused, match=r"config\.json came 2 times with bytes that are not those of its record"):
        bring(pinned)
    assert f"GET /api/models/{MODEL}/revision/{COMMIT}" not in hub.asked


def test_a_record_that_came_later_is_compared_without_reading_anything(hub: LocalHub, job: Job) -> None:
    bring(job)
    hub.sent.clear()
    assert bring(replace(job, record=record(READ), record_revision=COMMIT))["fetched_bytes"] == 0
    assert not hub.sent


def test_a_disk_that_is_too_small_is_refused_before_a_byte(hub: LocalHub, job: Job) -> None:
    with pytest.raises(Refused, match=r"GiB free, and 0\.8 MiB of org/tiny are missing there") as refused:
        bring(replace(job, margin_bytes=1 << 60))
    assert refused.value.kind == "full"
    assert not hub.sent


def test_a_full_disk_in_the_middle_says_so(job: Job) -> None:
    """On a file system of 256 KiB, where the margin was not kept."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    small = Path(job.marker).parent
    small.mkdir()
    code = (
        "import sys; from images.weights.agent.bring import bring; from images.weights.agent.job import Job\n"
        "from images.weights.agent import bring as b; b._require_room = lambda *a: None\n"
        "from images.weights.agent.told import Refused\n"
        "try: bring(Job.parse(sys.stdin.read()))\n"
        "except Refused as e: print(e.kind, e)"
    )
    script = f'mount -t tmpfs -o size=256k none "{small}" && exec "{sys.executable}" -c "$0"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, code], input=text(job), capture_output=True, text=True, timeout=60
    )
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"no mount here: {done.stderr}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("full "), done
    assert "no room for" in done.stdout


def text(job: Job) -> str:
    """The job as it travels."""
    given = asdict(job)
    return json.dumps({f.name: given[f.name] for f in fields(Job) if f.init})


REFUSALS: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "gated, no token": ({"gated": True}, "", "token", f"gated, and no token was sent.*{MODEL}"),
    "gated, not on the list": ({"gated": True}, "stranger", "gate", "not on its list. Ask for access at"),
    "bad token": ({}, "nobody", "token", "refuses the token"),
    "private, no token": ({"private": True}, "", "missing", "private and no token was sent"),
    "private, no right": ({"private": True}, "stranger", "missing", "is not there"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_who_may_not_read_is_told_why_before_a_byte(hub: LocalHub, job: Job, tmp_path: Path, case: str) -> None:
    changes, token, kind, words = REFUSALS[case]
    hub.tokens = {"stranger": False, "member": True}
    hub.repositories[MODEL] = replace(hub.repositories[MODEL], **changes)
    (tmp_path / "token").write_text(f"{token}\n")
    with pytest.raises(Refused, match=words) as refused:
        bring(replace(job, secret_file=str(tmp_path / "token") if token else ""))
    assert refused.value.kind == kind
    assert not hub.sent
    assert token not in str(refused.value) or not token


def test_a_member_gets_the_files_and_the_token_stays_with_the_hub(hub: LocalHub, job: Job, tmp_path: Path) -> None:
    hub.tokens = {"member": True}
    hub.repositories[MODEL].gated = True
    (tmp_path / "token").write_text("member")
    bring(replace(job, secret_file=str(tmp_path / "token")))
    assert (there(job), hub.leaked) == (READ, [])


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"place": "org/other"}, "missing", "org/other is not there"),
        ({"revision": "0" * 40}, "missing", "has no revision '0000"),
        ({"endpoint": "http://127.0.0.1:9"}, "network", "does this machine have a way there"),
    ],
)
def test_what_is_not_there_is_named(job: Job, change: dict[str, str], kind: str, words: str) -> None:
    with pytest.raises(Refused, match=words) as refused:
        bring(replace(job, **change))  # type: ignore[arg-type]
    assert refused.value.kind == kind


def test_an_old_cache_of_the_hubs_client_is_taken_over(hub: LocalHub, job: Job, tmp_path: Path) -> None:
    """Without a second copy: its blobs are linked. One that is corrupt is fetched."""
    model = tmp_path / "hub" / "models--org--tiny"
    (model / "blobs").mkdir(parents=True)
    snapshot = model / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    for path, data in READ.items():
        blob = model / "blobs" / hashlib.sha256(data).hexdigest()
        blob.write_bytes(data if path != "model-00001-of-00004.safetensors" else b"\0" * len(data))
        (snapshot / path).symlink_to(blob)
    bring(replace(job, old_caches=(str(tmp_path),)))
    assert there(job) == READ
    assert set(hub.sent) == {"model-00001-of-00004.safetensors"}
    assert (Path(job.folder) / "config.json").stat().st_nlink == 2


def test_another_nodes_copies_are_taken_where_the_hub_lists_them(hub: LocalHub, job: Job, tmp_path: Path) -> None:
    """One request for the listing; a copy that is not what the hub lists comes from the hub."""
    for path, data in READ.items():
        (tmp_path / "copies").mkdir(exist_ok=True)
        (tmp_path / "copies" / path).write_bytes(data)
    spoilt = "config.json"
    (tmp_path / "copies" / spoilt).write_bytes(b"\0" * len(READ[spoilt]))
    assert bring(replace(job, offered=str(tmp_path / "copies")))["verified"]
    assert (there(job), set(hub.sent)) == (READ, {spoilt})
    assert hub.asked[f"GET /api/models/{MODEL}/revision/{COMMIT}"] == 1


def test_a_folder_that_is_a_link_is_refused_and_what_it_leads_to_stays(job: Job, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    Path(job.folder).parent.mkdir()
    Path(job.folder).symlink_to(mine)
    with pytest.raises(Refused, match=rf"symbolic link.*source: path, path: {mine}}}"):
        bring(job)
    assert [path.name for path in mine.iterdir()] == ["notes.txt"]


NOHASH = [{"lfs": None, "blobId": ""}, {"lfs": {"size": 200_001}}, {"lfs": None, "blobId": None}]


@pytest.mark.parametrize("hashes", NOHASH)
def test_a_mirror_that_tells_no_hash_needs_leave(
    hub: LocalHub, job: Job, monkeypatch: pytest.MonkeyPatch, hashes: dict[str, Any]
) -> None:
    def sibling(path: str, data: bytes) -> dict[str, object]:
        return {**told(path, data), **(hashes if path == "model-00001-of-00004.safetensors" else {})}

    told = stand_in._sibling
    monkeypatch.setattr(stand_in, "_sibling", sibling)
    with pytest.raises(Refused, match=r"weights\.unverified: true") as refused:
        bring(job)
    assert (refused.value.kind, sum(hub.sent.values())) == ("record", 0)
    assert bring(replace(job, unverified=True))["verified"] is False
    assert there(job) == READ


def test_a_part_of_an_earlier_run_is_gone_on_with(hub: LocalHub, job: Job) -> None:
    name = "model-00003-of-00004.safetensors"
    part = part_of(Path(job.folder) / name)
    part.parent.mkdir(parents=True)
    part.write_bytes(READ[name][:150_000])
    bring(job)
    assert there(job) == READ
    assert hub.sent[name] == len(READ[name]) - 150_000


def test_a_folder_of_the_machine_is_compared_with_its_record_and_left_alone(job: Job, tmp_path: Path) -> None:
    mine = tmp_path / "mounted"
    for path, data in READ.items():
        (mine / path).parent.mkdir(parents=True, exist_ok=True)
        (mine / path).write_bytes(data)
    (mine / "notes.txt").write_text("mine")
    local = replace(job, kind="path", place=str(mine), folder=str(mine), record=record(READ), record_revision=COMMIT)
    assert bring(local)["verified"]
    (mine / "config.json").write_text("{}")
    with pytest.raises(Refused, match=r"config\.json missing or different"):
        bring(local)
    assert (mine / "notes.txt").read_text() == "mine"
    assert (mine / "config.json").read_text() == "{}"


def test_a_folder_without_a_record_is_taken_where_that_was_allowed(job: Job, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text("{}")
    local = replace(job, kind="path", place=str(tmp_path / "m"), folder=str(tmp_path / "m"))
    with pytest.raises(Refused, match=r"weights\.unverified: true"):
        bring(local)
    told = bring(replace(local, unverified=True))
    assert (told["verified"], told["files"]) == (False, 1)
    with pytest.raises(Refused, match="is not there: is its volume mounted"):
        bring(replace(local, folder=str(tmp_path / "none"), unverified=True))


def test_mistrals_and_gpt_oss_doubles_are_left_out() -> None:
    """Repositories that hold all weights twice (facts of their listings)."""
    paths = ["config.json", "consolidated.safetensors", "model-00001-of-00002.safetensors", "metal/model.bin",
             "original/model.safetensors", "pytorch_model.bin", "tokenizer.model", "chat_template.jinja"]  # fmt: skip
    kept = [entry.path for entry in chosen(Entry(path, 1) for path in paths)]
    assert kept == ["chat_template.jinja", "config.json", "model-00001-of-00002.safetensors", "tokenizer.model"]
    assert [e.path for e in chosen([Entry("consolidated.safetensors", 1)])] == ["consolidated.safetensors"]
    assert [e.path for e in chosen([Entry("pytorch_model.bin", 1)])] == ["pytorch_model.bin"]


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "a\\b", ""])
def test_a_listing_cannot_write_elsewhere(path: str) -> None:
    with pytest.raises(Refused):
        Entry(path, 1)


FAULTS = st.builds(
    Fault,
    st.sampled_from(["cut", "wrong", "429", "500", "whole", ""]),
    after=st.integers(0, 2000),
    retry_after_s=st.just(0.0),
)
FILES = st.dictionaries(
    st.sampled_from(["config.json", "model-1.safetensors", "model-2.safetensors", "tokenizer.json"]),
    st.binary(min_size=1, max_size=3000),
    min_size=1,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=FILES, faults=st.lists(FAULTS, max_size=12), spoilt=st.lists(st.integers(0, 3), max_size=2))
def test_the_marker_says_verified_only_if_the_bytes_are_right(
    hub: LocalHub, files: dict[str, bytes], faults: list[Fault], spoilt: list[int]
) -> None:
    """Whatever goes wrong on the way, and whoever writes into the folder between the runs."""
    hub.repositories[MODEL] = Repository(dict(files))
    hub.faults = list(faults)
    with tempfile.TemporaryDirectory() as place:
        job = Job(
            "hf", MODEL, MODEL, COMMIT, f"{place}/t", f"{place}/t.json", hub.endpoint, margin_bytes=0, pause_s=0.001,
            workers=2, stall_s=60,
        )  # fmt: skip
        for which in [*spoilt, None]:
            try:
                told = bring(job)
            except Refused:
                assert not Path(job.marker).exists()
            else:
                assert told["verified"]
                assert there(job) == files
            names = sorted(files)
            if which is not None and (victim := Path(job.folder) / names[which % len(names)]).is_file():
                spoil(victim, b"spoilt")
