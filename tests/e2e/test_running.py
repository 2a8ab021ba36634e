"""A stack that is up: what its users can rely on, and what keeps it right between two `up`. One stack for all of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from providers.base import NodeSpec, Owner
from tests.support.checkout import Checkout
from tests.support.owned import HOST_KEY
from tests.support.processes import memory_bytes, open_ports
from tests.support.pull_request import PullRequest
from tests.unit.crossover.usage import traffic

NO_CHANGE = re.compile(r"Resources:\s+10 unchanged")
PACK = ("--policy-pack", "policies")
RUNG = {"cloud": "local", "region": "bay-1", "sku": "sim-8x-a100", "standsFor": "quoted/lambda-8x-a100-80gb"}


def test_the_printed_curl_lines_work_from_any_folder(running: Checkout, tmp_path: Path) -> None:
    said = running.run(".venv/bin/crossover", "endpoint")
    plain, stream = [line for line in said.splitlines() if line.startswith("curl")]
    answer = json.loads(subprocess.check_output(["sh", "-c", plain], cwd=tmp_path))
    assert answer["choices"][0]["message"]["content"]
    pieces = subprocess.check_output(["sh", "-c", stream], cwd=tmp_path, text=True)
    assert pieces.rstrip().endswith("data: [DONE]")
    assert "$19,940" in said
    assert "4.558B" in said
    key = Path(re.search(r"cat ([^)]+)\)", plain)[1])  # type: ignore[index]
    assert key.stat().st_mode & 0o777 == 0o600


def test_smoke_passes_completion_stream_cache_and_stand_in(running: Checkout) -> None:
    results = running.told(".venv/bin/crossover", "smoke", "--json")
    assert [r["name"] for r in results] == [
        "completion", "stream", "managed: managed-stand-in", "cache: managed-stand-in",
    ]  # fmt: skip
    assert all(r["ok"] for r in results), results


def test_nodes_lists_every_machine(running: Checkout) -> None:
    rows = running.told(".venv/bin/crossover", "nodes", "--json")
    assert {(r["key"], r["role"], r["state"]) for r in rows} == {
        ("a", "inference", "running"), ("b", "inference", "running"), ("gateway", "gateway", "running"),
    }  # fmt: skip


def test_no_key_no_answer(running: Checkout) -> None:
    request = urllib.request.Request(f"{running.outputs()['endpoint']}/v1/models")
    try:
        urllib.request.urlopen(request, timeout=60)
        status = 200
    except urllib.error.HTTPError as e:
        status = e.code
    assert status == 401


def test_a_second_up_changes_nothing(running: Checkout) -> None:
    assert NO_CHANGE.search(running.up(*PACK, "--refresh"))


def test_an_edit_under_providers_shows_no_change(running: Checkout) -> None:
    for name in ("renting/rent.py", "plugin/node.py", "clouds/local/cloud.py", "__main__.py"):
        path = running.folder / "providers" / name
        path.write_text(path.read_text() + "\n# an edit\n")
    assert NO_CHANGE.search(running.pulumi("preview", "-s", "local", *PACK))


def test_thirty_days_later_nothing_has_changed(running: Checkout) -> None:
    assert NO_CHANGE.search(running.pulumi("preview", "-s", "local", *PACK, CROSSOVER_TODAY="2026-12-22"))


def test_a_price_ceiling_updates_its_node_and_what_the_gate_reads(running: Checkout) -> None:
    running.configure({"fleet.nodes.a.candidates": [{**RUNG, "maxUsdPerHour": 16.0}]})
    try:
        preview = running.pulumi("preview", "-s", "local", *PACK)
    finally:
        running.reset()
    assert re.search(r"Resources:\s+~ 2 to update\s+8 unchanged", preview), preview
    assert re.search(r"~ +gpucloud:index:Node a update", preview)


@pytest.fixture
def pull_request(running: Checkout) -> Iterator[PullRequest]:
    """The running stack's own configuration is the base."""
    before = running.state()
    try:
        yield PullRequest(running)
        assert running.state() == before
    finally:
        running.reset()
        shutil.rmtree(running.folder / ".git")


CEILING = {"fleet.nodes.a.candidates": [{**RUNG, "maxUsdPerHour": 16.0}]}
CHEAPER = {"managed.routes": None, "managed.usdPerMillionTokens": 3}


@pytest.mark.parametrize(
    ("change", "exit_code", "verdict", "headline", "managed", "changes"),
    [
        (
            CEILING, 0, "WARN",
            "⚠️ WARN: `local` saves $6,310 a month against the managed API, with 5 warnings", "$26,250 | 0",
            [("update", "fleet", ["fleet"]), ("update", "a", ["candidates"])],
        ),
        (
            CHEAPER, 2, "BLOCK",
            "⛔ BLOCK: `local` costs $1,940 a month more than the managed API", "$18,000 | -$8,250 (-31.4 %)",
            [("update", "fleet", ["managed"]), ("update", "gateway-router", ["bundle"])],
        ),
    ],
    ids=["ceiling", "managed price"],
)  # fmt: skip
def test_a_pull_request_of_one_setting_shows_its_difference_and_no_other_change(
    pull_request: PullRequest, change: dict[str, Any], exit_code: int, verdict: str, headline: str, managed: str,
    changes: list[tuple[str, str, list[str]]],
) -> None:  # fmt: skip
    """A ceiling changes no figure. 6B tokens at $3 instead of $4.375 are $18,000, less than $19,940; and the
    gateway's machine, which carries the monitoring, gets the new break-even."""
    pull_request.clone.configure(change)
    code, document, comment = pull_request.preview()
    assert (code, document["verdict"]) == (exit_code, verdict)
    assert comment.startswith(f"<!-- crossover:stack=local -->\n## {headline}\n")
    assert f"| Managed for the same tokens, USD per month | $26,250 | {managed} |" in comment
    assert "| **Self-hosted, USD per month** | $19,940 | $19,940 | 0 |" in comment
    assert [(change["op"], change["name"], change["keys"]) for change in document["changes"]] == changes
    assert f"<summary>Resource changes: {len(changes)} to update</summary>" in comment
    for _, name, (key,) in changes:
        assert re.search(rf"\| ✏️ update \| `{name}` \| `[\w:]+` \| `{key}` \|", comment), comment
    assert document["failures"] == document["notInForce"] == []
    assert {path.name for path in pull_request.out.iterdir()} == {
        "comment.md", "report.json", "junit.xml", "sarif.json",
    }  # fmt: skip


def test_a_forecast_for_a_fleet_that_runs_is_warned_of_and_a_measurement_is_not(running: Checkout) -> None:
    """Asserted for a fleet that the baseline calls 83 days old it would block, if the stack billed money."""
    baseline = {"nodes": 2, "usdPerMonth": 19940, "approvedBy": "cto", "date": "2026-09-01"}
    hours = traffic.hourly(range(30, 0, -1), lambda *_: (6_000_000, 0, 2_000_000))
    export, usage = running.folder / "export.json", running.folder / "usage.yaml"
    export.write_text(traffic.openai(hours))
    importing = (".venv/bin/crossover", "usage", "import", "export.json", "--today", "2026-11-22")
    preview = ("preview", "-s", "local", *PACK)
    try:
        running.configure({"baseline": baseline})
        assert "WARN volume-measured: the volume is asserted, and the fleet runs since 2026-09-01, 83 days" in (
            running.pulumi(*preview)
        )
        running.configure({"workload": {"usage": "usage.yaml"}})
        running.run(*importing, "--forecast")
        forecast = running.pulumi(*preview)
        assert "WARN volume-measured: the volume is a forecast, not measured." in forecast
        assert "5.84B tokens/month cost $19,940/month self-hosted (2 nodes) against $25,550/month" in forecast
        assert re.search(r"Resources:\s+~ 1 to update\s+9 unchanged", forecast), forecast
        assert "crossover:index:Fleet fleet update" in forecast
        running.run(*importing)
        assert "volume-measured" not in running.pulumi(*preview)
    finally:
        running.reset()
        export.unlink()
        usage.unlink(missing_ok=True)


def test_a_wrong_passphrase_is_said_and_changes_nothing(running: Checkout) -> None:
    refused = running.pulumi("preview", "-s", "local", fails=True, PULUMI_CONFIG_PASSPHRASE="wrong")
    assert "incorrect passphrase" in refused


def test_no_secret_is_readable_in_state_diffs_or_logs(running: Checkout) -> None:
    secrets = _secrets(running)
    assert len(secrets) >= 9
    running.configure({"serving.maxNumSeqs": 64})
    changed = running.pulumi("preview", "-s", "local", "--diff", *PACK)
    running.reset()
    texts = {
        "state": "".join(p.read_text() for p in (running.folder / ".state" / "pulumi").rglob("*.json")),
        "up": (running.folder / "up.log").read_text(),
        "diff": changed,
        "refresh": running.pulumi("preview", "-s", "local", "--diff", "--refresh"),
        "export": json.dumps(running.state()),
    }
    for machine in running.machines.values():
        for folder, below, names in os.walk(machine.root):  # services make and remove files meanwhile
            below[:] = [name for name in below if name not in ("secrets", "data")]
            for path in (Path(folder) / name for name in names):
                with suppress(FileNotFoundError):
                    if path.is_file():
                        texts[str(path)] = path.read_text(errors="replace")
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            texts[str(path)] = path.read_text(errors="replace")
        except OSError:
            continue
    found = [(place, name) for place, text in texts.items() for name, secret in secrets.items() if secret in text]
    assert found == []


def _secrets(checkout: Checkout) -> dict[str, str]:
    """Every secret, decrypted; of a PEM key the middle line, which diffs could show on its own."""
    exported = checkout.told("scripts/pulumi", "stack", "export", "--show-secrets", "-s", "local")
    credentials = next(
        r["outputs"] for r in exported["deployment"]["resources"] if r["type"] == "gpucloud:index:Credentials"
    )
    found: dict[str, str] = {}
    for name, value in credentials.items():
        if isinstance(value, dict) and "plaintext" in value:
            plain = json.loads(value["plaintext"])
            if isinstance(plain, dict):
                found |= {f"{name}.{key}": pair["privateKey"].splitlines()[1] for key, pair in plain.items()}
            else:
                found[name] = plain.splitlines()[1] if plain.startswith("-----") else plain
    return found


def test_the_stack_takes_less_than_two_gigabytes(running: Checkout) -> None:
    used = sum(memory_bytes(pid) for m in running.machines.values() for pid in running.cloud.client.processes(m.id))
    assert 0 < used < 2e9


def test_everything_listens_on_loopback_only(running: Checkout) -> None:
    pids = {pid for m in running.machines.values() for pid in running.cloud.client.processes(m.id)}
    addresses = {address for address, _ in open_ports(pids)}
    assert addresses == {"127.0.0.1"}


CROSSOVER = ".venv/bin/crossover"


def peers(checkout: Checkout) -> str:
    """The gateway's configuration, as the state has it."""
    [router] = [r for r in checkout.state()["deployment"]["resources"] if r["urn"].endswith("::gateway-router")]
    text: str = router["inputs"]["bundle"]["files"]["haproxy/haproxy.cfg"]["content"]
    return text


def test_reconcile_brings_a_changed_port_to_the_gateway_and_is_quiet_else(running: Checkout) -> None:
    assert running.printed(CROSSOVER, "reconcile") == "local: nothing changed\n"
    record = running.cloud.client.folder(running.machines["a"].id) / "machine.json"
    before = record.read_text()
    body = json.loads(before)
    port = body["ports"]["vllm"]
    try:
        record.write_text(json.dumps({**body, "ports": {**body["ports"], "vllm": 32_001}}))
        assert running.printed(CROSSOVER, "reconcile") == "local: the gateway was changed: gateway-router\n"
        assert "server a 127.0.0.1:32001 " in peers(running)
    finally:
        record.write_text(before)
    assert running.printed(CROSSOVER, "reconcile") == "local: the gateway was changed: gateway-router\n"
    assert f"server a 127.0.0.1:{port} " in peers(running)


def test_orphans_ends_what_the_state_does_not_know_and_nothing_else(running: Checkout) -> None:
    """Audit 4: and nothing of another stack of this one's name; the identity of `up` is the one in the marks, in the
    state and in the copy beside it."""
    before = {machine.id for machine in running.cloud.list()}
    [copy] = (running.folder / ".state/pulumi/.crossover/crossover/local/stack-ids").read_text().split()
    assert {m.owner.stack_id for m in running.cloud.list() if m.owner} == {copy}
    strays = {}
    for stray, stack, stack_id in (("ours", "local", copy), ("theirs", "local", "0badcafe"), ("far", "far", copy)):
        owner = Owner("crossover", stack, "inference", "x", 1, stack_id)
        spec = NodeSpec(f"crossover-{stray}-x", owner, "bay-4", "small", HOST_KEY, {"ssh": 22})
        strays[stray] = running.cloud.launch(spec).id
    try:
        told = running.run(CROSSOVER, "orphans", fails=True)
        assert "1 orphan(s) at 0.00 USD/h; 3 machine(s) known to a state" in told
        assert f"ended local/{strays['ours']}" in running.run(CROSSOVER, "orphans", "--terminate", "--yes")
        assert {machine.id for machine in running.cloud.list()} == before | {strays["theirs"], strays["far"]}
    finally:
        for machine_id in strays.values():
            running.cloud.terminate(machine_id)


def test_a_state_that_a_full_disk_cut_is_mended_and_nothing_is_rented_twice(running: Checkout) -> None:
    """Audit 7: 40,960 bytes of the state were left, and no command could read it while the machines went on."""
    before = {key: machine.id for key, machine in running.machines.items()}
    file = running.folder / ".state/pulumi/.pulumi/stacks/crossover/local.json"
    file.write_bytes(file.read_bytes()[:40_960])
    assert "unexpected end of JSON input" in running.up(fails=True)
    assert "the state of local could not be read" in running.run("scripts/recover", "local")
    running.up()
    assert {key: machine.id for key, machine in running.machines.items()} == before
    assert NO_CHANGE.search(running.up(*PACK, "--refresh"))


def test_doctor_finds_nothing_wrong_with_a_stack_that_is_up(running: Checkout) -> None:
    checks = running.told(CROSSOVER, "doctor", "--json")
    assert {check["level"] for check in checks} == {"ok"}


def test_two_clones_run_side_by_side(running: Checkout, clone: Checkout) -> None:
    clone.up()
    ours = {port for machine in clone.machines.values() for port in machine.ports.values()}
    theirs = {port for machine in running.machines.values() for port in machine.ports.values()}
    assert ours & theirs == set()
    clone.run("scripts/down", "local")
    assert set(running.machines) == {"a", "b", "gateway"}
