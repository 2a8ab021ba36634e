"""The pack alone, on the real engine: it stops `up --skip-preview` before anything is rented."""

from __future__ import annotations

from tests.engine.conftest import REPOSITORY, Project

PACK = ("--policy-pack", str(REPOSITORY / "policies"))

PROGRAM = """
    import pulumi
    from providers.resources import Credentials, Node

    rung = {{"cloud": "local", "region": "bay-1", "sku": "sim-8x-a100", "standsFor": "quoted/lambda-8x-a100-80gb"}}
    ladders = {{"a": [rung], "b": [{{**rung, "region": "bay-2"}}]}}
    scenario = {{
        "workload": {{"tokensPerMonth": {volume}, "peakToMean": 1.3}},
        "managed": {{"usdPerMillionTokens": 5.0}},
        "fleet": {{"nodes": {{key: {{"candidates": rungs}} for key, rungs in ladders.items()}}}},
    }}
    fleet = pulumi.ComponentResource("crossover:index:Fleet", "fleet", scenario)
    for key, rungs in ladders.items():
        Node(key, key=key, role="inference", candidates=rungs, ports={{"ssh": 22}}, ssh_public_key="ssh-ed25519 AAAA",
             ssh_private_key="none", deadline_s=20, opts=pulumi.ResourceOptions(parent=fleet))
    {more}
"""


def program(volume: str = "6e9", more: str = "pass") -> str:
    return PROGRAM.format(volume=volume, more=more)


def test_a_fleet_that_pays_goes_through(project: Project) -> None:
    project.program(program())
    project.up(*PACK)
    assert len(project.machines) == 2


def test_a_fleet_that_does_not_pay_is_stopped_in_preview_and_in_up_without_preview(project: Project) -> None:
    project.program(program("500e6"))
    for output in (project.run("preview", *PACK, fails=True), project.up(*PACK, fails=True)):
        assert "[mandatory]  break-even" in output
        assert "500M tokens/month" in output
    assert project.machines == {}


def test_an_unknown_volume_fails_closed(project: Project) -> None:
    unknown = 'Credentials("c", nodes=[], generation=1).sshPublicKey.apply(lambda _: 6e9)'
    project.program(program(unknown))
    assert "unknown" in project.run("preview", *PACK, fails=True)


def test_a_node_outside_the_fleet_is_stopped(project: Project) -> None:
    stray = (
        'Node("stray", key="c", role="inference", candidates=[{**rung, "region": "bay-3"}], ports={"ssh": 22},'
        ' ssh_public_key="ssh-ed25519 AAAA", ssh_private_key="none", deadline_s=20)'
    )
    project.program(program(more=stray))
    output = project.up(*PACK, fails=True)
    assert "[mandatory]  node-outside-fleet" in output
    assert "bay-3" not in {machine.region for machine in project.cloud.list()}
