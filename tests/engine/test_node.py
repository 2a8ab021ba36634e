"""What replaces a node, what updates it, what survives which failure: on the real engine, by machine id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO

from tests.engine.conftest import Project
from tests.support.processes import kill

FLEET = """
    import os
    import pulumi
    from providers.resources import Credentials, Install, Node

    generation = {generation}
    parent = pulumi.ResourceOptions(parent=pulumi.ComponentResource("crossover:index:Fleet", "fleet"))
    credentials = Credentials("credentials", nodes=["a", "b"], generation={credentials_generation})
    for key, region in {nodes}.items():
        node = Node(
            key, key=key, role="inference", generation=generation.get(key, 1),
            candidates=[
                {{"cloud": "local", "region": rung, "sku": "sim-8x-a100", "maxUsdPerHour": {ceiling}}}
                for rung in region.split()
            ],
            on_no_capacity="{on_no_capacity}",
            ports={{"ssh": 22, "vllm": 8000}}, ssh_public_key=credentials.sshPublicKey,
            ssh_private_key=credentials.sshPrivateKey, stack_id=credentials.stack_id, deadline_s=120,
            opts=pulumi.ResourceOptions.merge(parent, pulumi.ResourceOptions(protect={protect})),
        )
        Install(
            key + "-install", machine=node.machine, role="inference", fleet="f", server_name=key,
            bundle={bundle}, secrets={{"k": credentials.vllmApiKey}},
            ssh_private_key=credentials.sshPrivateKey, stack_id=credentials.stack_id,
            opts=pulumi.ResourceOptions.merge(parent, pulumi.ResourceOptions(deleted_with=node)),
        )
        pulumi.export(key, node.machine["id"])
"""


def fleet(
    nodes: dict[str, str] | None = None,
    generation: dict[str, int] | None = None,
    ceiling: float = 30.0,
    bundle: Mapping[str, object] | None = None,
    credentials_generation: int = 1,
    on_no_capacity: str = "fail",
    protect: bool = False,
) -> str:
    """`nodes` maps a key to the regions of its candidates, in order."""
    return FLEET.format(
        on_no_capacity=on_no_capacity,
        protect=protect,
        nodes=nodes or {"a": "bay-1", "b": "bay-2"},
        generation=generation or {},
        ceiling=ceiling,
        bundle=bundle or {"v": 1},
        credentials_generation=credentials_generation,
    )


def until_said(output: IO[str], *words: str) -> str:
    """What is said until all of the words have come."""
    said = ""
    while not all(word in said for word in words):
        line = output.readline()
        assert line, f"it ended without having said {words}:\n{said}"
        said += line
    return said


def test_a_fleet_comes_up_stays_and_goes(project: Project) -> None:
    project.program(fleet())
    project.up()
    machines = project.machines
    assert len(machines) == 2
    assert "unchanged" in (again := project.up())
    assert not any(word in again for word in ("created", "updated", "replaced", "deleted"))
    assert project.machines == machines
    project.run("destroy", "--yes", "--skip-preview")
    assert project.machines == {}
    assert project.state() == []


def test_a_state_of_before_identities_comes_up_unchanged(project: Project) -> None:
    """Audit 4: nodes and installs that lack the stack's identity show no difference, and keep their machines."""
    project.program(fleet({"a": "bay-1"}))
    project.up()
    machines = project.machines
    exported = project.told("stack", "export")
    for resource in exported["deployment"]["resources"]:
        for part in ("inputs", "outputs"):
            (resource.get(part) or {}).pop("stackId", None)
    (project.folder / "before.json").write_text(json.dumps(exported))
    project.run("stack", "import", "--file", str(project.folder / "before.json"))
    again = project.up("--refresh")
    assert "unchanged" in again
    assert not any(word in again for word in ("created", "updated", "replaced", "deleted"))
    assert project.machines == machines


def test_a_price_ceiling_shows_one_update_and_keeps_the_machine(project: Project) -> None:
    project.program(fleet({"a": "bay-1"}))
    project.up()
    machines = project.machines
    project.program(fleet({"a": "bay-1"}, ceiling=25.0))
    preview = project.run("preview", "--diff")
    assert preview.count("    ~ gpucloud:index:Node: (update)") == 1
    assert "1 to update" in preview
    assert "replace" not in preview
    assert "maxUsdPerHour: 30 => 25" in preview
    project.up()
    assert project.machines == machines


def test_only_a_raised_generation_replaces_and_it_deletes_before_it_creates(project: Project) -> None:
    project.program(fleet())
    project.up()
    before = project.machines
    # Another region and a new SSH key apply at the next rent: the machine stays.
    project.program(fleet({"a": "bay-3", "b": "bay-2"}, credentials_generation=2))
    project.up()
    assert project.machines == before
    project.program(fleet({"a": "bay-3", "b": "bay-2"}, {"a": 2}, credentials_generation=2))
    preview = project.run("preview")
    assert "2 to replace" in preview, preview  # the node and what is installed on it
    project.up()
    after = project.machines
    assert len(after) == 2
    assert len(set(before.values()) & set(after.values())) == 1
    assert {m.region for m in project.cloud.list()} == {"bay-3", "bay-2"}


def test_public_bug_9_generations_raised_at_once_go_one_after_the_other_and_the_first_failure_stops_the_rest(
    project: Project,
) -> None:
    """Public bug 9: the engine ends all machines before it rents the first new one."""
    project.program(fleet())
    project.up()
    before, begun = project.machines, len(project.installs)
    project.program(fleet(generation={"a": 2, "b": 2}, bundle={"slow_s": 2}))
    project.up()
    after = project.machines
    assert (len(after), set(before.values()) & set(after.values())) == (2, set())
    events = [line.split()[:2] for line in project.installs[begun:]]
    first, second = (("a", "b"), ("b", "a"))[events[0][1] == "b"]
    assert events == [[what, key] for key in (first, second) for what in ("remove", "begin", "end")]

    project.program(fleet(generation={"a": 3, "b": 3}, bundle={"fail": True}))
    failed = project.up(fails=True)
    assert "is left as it is: the replacement of" in failed, failed
    assert len(set(after.values()) & set(project.machines.values())) == 1
    project.program(fleet(generation={"a": 3, "b": 3}))
    project.up()
    assert len(project.machines) == 2
    assert set(after.values()) & set(project.machines.values()) == set()


def test_taint_obeys_delete_before_replace_so_adoption_never_meets_the_old_machine(project: Project) -> None:
    project.program(fleet({"a": "bay-1"}))
    project.up()
    (before,) = project.machines.values()
    project.up("--target-replace", project.resource("a")["urn"], "--target-dependents")
    (after,) = project.machines.values()
    assert after != before
    assert project.resource("a")["id"] == f"local/{after}"


def test_a_machine_that_died_is_noticed_by_refresh_and_rented_anew_by_up(project: Project) -> None:
    project.program(fleet())
    project.up()
    before = project.machines
    dead = project.resource("a")["id"].removeprefix("local/")
    project.cloud.terminate(dead)
    project.run("refresh", "--yes", "--skip-preview")
    assert not any(r["urn"].endswith("::a") for r in project.state())
    project.up()
    after = project.machines
    assert len(after) == 2
    assert dead not in after.values()
    assert len(set(before.values()) & set(after.values())) == 1


def test_an_unreachable_machine_is_not_taken_for_gone(project: Project) -> None:
    project.program(fleet({"a": "bay-1"}))
    project.up()
    (machine,) = project.machines.values()
    kill(project.cloud.client.processes(machine))
    refreshed = project.run("refresh", "--yes", "--skip-preview")
    assert "stopped" in refreshed
    assert project.resource("a")["initErrors"]
    project.up()  # starts it again: the same machine
    assert list(project.machines.values()) == [machine]
    assert not project.resource("a").get("initErrors")


def test_a_cloud_that_cannot_be_asked_fails_the_refresh_and_keeps_the_state(project: Project) -> None:
    project.program(fleet({"a": "bay-1"}))
    project.up()
    (machine,) = project.machines.values()
    record = project.folder / "local" / machine / "machine.json"
    body = record.read_text()
    record.write_text("{")
    assert "cannot read" in project.run("refresh", "--yes", "--skip-preview", fails=True)
    record.write_text(body)
    assert project.resource("a")["id"] == f"local/{machine}"


def test_a_machine_can_be_imported_by_its_id(project: Project) -> None:
    project.program(fleet({"a": "bay-1"}))
    project.up()
    (machine,) = project.machines.values()
    project.run("state", "delete", project.resource("a-install")["urn"], "--yes")
    project.run("state", "delete", project.resource("a")["urn"], "--yes")
    fleet_urn = project.resource("fleet")["urn"]
    project.run("import", "gpucloud:index:Node", "a", f"local/{machine}", "--generate-code=false", "--yes",
                "--protect=false", "--parent", f"fleet={fleet_urn}")  # fmt: skip
    project.up()
    assert list(project.machines.values()) == [machine]
    missing = project.run("import", "gpucloud:index:Node", "x", "local/m-00000000", "--generate-code=false", "--yes",
                          fails=True)  # fmt: skip
    assert "no machine local/m-00000000 to import" in missing


def test_a_failed_install_keeps_the_machine_and_the_next_up_resumes(project: Project) -> None:
    project.program(fleet({"a": "bay-1"}, bundle={"fail": True}))
    failed = project.up(fails=True)
    assert "a is not healthy; the end of its log: no GPU found" in failed
    assert "Traceback" not in failed
    machines = project.machines
    assert len(machines) == 1
    assert project.resource("a-install")["initErrors"]
    project.program(fleet({"a": "bay-1"}, bundle={"v": 2}))
    project.up()
    assert project.machines == machines


def test_changes_go_one_by_one_and_the_first_failure_stops_the_rest(project: Project) -> None:
    project.program(fleet())
    project.up()
    begun = len(project.installs)
    project.program(fleet(bundle={"v": 2}))
    project.up()
    rolled = project.installs[begun:]
    assert [line.split()[0] for line in rolled] == ["begin", "end", "begin", "end"]
    # The first to come fails only once the engine has begun both: it begins nothing after a failure.
    may_fail = project.folder / "may-fail"
    project.program(fleet(bundle={"fail": True, "when": str(may_fail)}))
    up = project.start("up", "--yes", "--skip-preview")
    assert up.stdout is not None
    failed = until_said(up.stdout, "a-install updating", "b-install updating")
    may_fail.touch()
    failed += up.stdout.read()
    assert up.wait(timeout=60) != 0
    assert "one broken node is enough" in failed
    assert len([line for line in project.installs[begun + 4 :] if line.startswith("begin")]) == 1
    project.program(fleet(bundle={"v": 3}))
    project.up()
    assert sum(line.startswith("end") for line in project.installs[begun + 4 :]) == 2


def test_a_sold_out_first_rung_lands_on_the_second_and_says_why(project: Project) -> None:
    project.env["SOLD_OUT"] = "bay-1"
    project.program(fleet({"a": "bay-1 bay-2"}))
    assert "no capacity: local/bay-1/sim-8x-a100: bay-1 is sold out" in project.up()
    assert [m.region for m in project.cloud.list()] == ["bay-2"]
    project.env.clear()
    assert "unchanged" in (again := project.up())  # it does not move back: the machine is there
    assert "updated" not in again


def test_a_degraded_fleet_serves_with_a_vacant_node_that_the_next_up_rents(project: Project) -> None:
    project.env["SOLD_OUT"] = "bay-1"
    program = fleet({"a": "bay-1", "b": "bay-2"}, on_no_capacity="degrade", protect=True)
    project.program(program)
    first = project.up()
    assert "warning: a is vacant, and the rest of the fleet serves" in first
    (kept,) = project.machines.values()
    assert {line.split()[1] for line in project.installs} == {"b"}
    assert "vacant" in project.up()  # still sold out: tried again, and still no error
    assert list(project.machines.values()) == [kept]
    project.env.clear()
    project.up()
    assert len(project.machines) == 2
    assert kept in project.machines.values()
    assert [line.split()[:2] for line in project.installs if line.startswith("end")] == [["end", "b"], ["end", "a"]]
    assert not any(word in project.up() for word in ("created", "updated", "replaced"))
    project.run("state", "unprotect", "--all", "--yes")
    project.run("destroy", "--yes", "--skip-preview")
    assert project.machines == {}


def test_a_node_is_not_known_by_an_unknown_cloud_or_renamed(project: Project) -> None:
    project.program(fleet({"a": "nowhere"}))
    assert "local has no region 'nowhere'" in project.up(fails=True)
    assert project.machines == {}
    project.program(fleet({"a": "bay-1"}).replace('"cloud": "local"', '"cloud": "lokal"'))
    assert "unknown cloud 'lokal': choose one of aws, existing, lambda, local" in project.up(fails=True)


def test_no_candidate_left_apart_from_the_siblings_rents_nothing(project: Project) -> None:
    project.program(fleet({"a": "bay-1", "b": "bay-1"}))
    failed = project.up(fails=True)
    assert "failure domain local/bay-1 already holds 1 node" in failed
    assert len(project.machines) == 1
