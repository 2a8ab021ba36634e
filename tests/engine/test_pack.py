"""The pack alone, on the real engine: it stops `up --skip-preview` before anything is rented."""

from __future__ import annotations

import shutil
import subprocess

from tests.engine.conftest import REPOSITORY, Project

PACK = ("--policy-pack", str(REPOSITORY / "policies"))

PROGRAM = """
    import json

    import pulumi
    from providers.resources import Credentials, Install, Node

    rung = {{"cloud": "local", "region": "bay-1", "sku": "sim-8x-a100", "standsFor": "quoted/lambda-8x-a100-80gb"}}
    ladders = {{"a": [rung], "b": [{{**rung, "region": "bay-2"}}]}}
    scenario = {{
        "workload": {{"model": "meta-llama/Llama-3.3-70B-Instruct", "tokensPerMonth": {volume}, "peakToMean": 1.3}},
        "managed": {{"usdPerMillionTokens": 5.0, "model": "gpt-4o", "source": "invoice 2026-10", "date": "2026-10-31"}},
        "fleet": {{"nodes": {{key: {{"candidates": rungs}} for key, rungs in ladders.items()}}}},
    }}
    fleet = pulumi.ComponentResource("crossover:index:Fleet", "fleet", scenario)
    nodes = {{}}
    for key, rungs in ladders.items():
        nodes[key] = Node(
            key, key=key, role="inference", candidates=rungs, ports={{"ssh": 22}}, ssh_public_key="ssh-ed25519 AAAA",
            ssh_private_key="none", stack_id="1a2b", deadline_s=120, opts=pulumi.ResourceOptions(parent=fleet))
    jobs = [{{"static_configs": [{{"labels": {{"node": key}}}}]}} for key in {scraped}]
    configuration = {{"prometheus/prometheus.yml": {{"content": json.dumps({{"scrape_configs": jobs}})}}}}
    Install("router", machine=nodes["a"].machine, role="gateway", fleet="gateway", server_name="a", secrets={{}},
            bundle={{"files": configuration}}, ssh_private_key="none", stack_id="1a2b")
    {more}
"""


def program(volume: str = "6e9", more: str = "pass", scraped: str = "ab") -> str:
    return PROGRAM.format(volume=volume, more=more, scraped=list(scraped))


def test_a_fleet_that_pays_goes_through(project: Project) -> None:
    project.program(program())
    project.up(*PACK)
    assert len(project.machines) == 2


def test_a_fleet_that_does_not_pay_is_stopped_in_preview_and_in_up_without_preview(project: Project) -> None:
    project.program(program("500e6"))
    for output in (project.run("preview", *PACK, fails=True), project.up(*PACK, fails=True)):
        assert "[mandatory] [severity: high]  break-even" in output
        assert "500M tokens/month" in output
    assert project.machines == {}


def test_an_unknown_volume_fails_closed(project: Project) -> None:
    unknown = 'Credentials("c", nodes=[], generation=1).sshPublicKey.apply(lambda _: 6e9)'
    project.program(program(unknown))
    assert "unknown" in project.run("preview", *PACK, fails=True)


def test_a_node_outside_the_fleet_is_stopped(project: Project) -> None:
    stray = (
        'Node("stray", key="c", role="inference", candidates=[{**rung, "region": "bay-3"}], ports={"ssh": 22},'
        ' ssh_public_key="ssh-ed25519 AAAA", ssh_private_key="none", stack_id="1a2b", deadline_s=120)'
    )
    project.program(program(more=stray))
    output = project.up(*PACK, fails=True)
    assert "[mandatory] [severity: critical]  node-outside-fleet" in output
    assert "bay-3" not in {machine.region for machine in project.cloud.list()}


def test_an_unscraped_node_is_noted_in_preview_and_fails_up(project: Project) -> None:
    """Only `up` knows the gateway's bundle and the nodes' addresses."""
    project.program(program(scraped="a"))
    preview = project.run("preview", *PACK)
    assert "[advisory] [severity: high]  monitoring-wired" in preview
    output = project.up(*PACK, fails=True)
    assert "[mandatory] [severity: high]  monitoring-wired" in output
    assert "its Prometheus does not scrape b" in output


FOREIGN = """
    import pulumi
    from pulumi.dynamic import CreateResult, Resource, ResourceProvider

    class Renter(ResourceProvider):
        def create(self, props):
            return CreateResult("rented", props)

    class Rented(Resource):
        def __init__(self, name, **props):
            super().__init__(Renter(), name, props)

    pulumi.ComponentResource("my:own:Component", "component")
    Rented("small", size="m7i.large")
    {more}
"""


def test_in_a_stack_of_ours_a_type_that_nobody_knows_fails_the_preview(project: Project) -> None:
    """A dynamic resource, in the way that the engine tells of it; components and providers are none of it."""
    more = "\n    ".join(line.removeprefix("    ") for line in FOREIGN.format(more="pass").splitlines())
    project.program(program(more=more))
    output = project.run("preview", *PACK, fails=True)
    assert output.count("[mandatory] [severity: high]  type-allowed") == 1
    assert "nothing says what pulumi-python:dynamic:Resource costs" in output


def test_a_program_that_is_not_ours_is_warned_of_other_types_and_stopped_at_gpus(project: Project) -> None:
    """No Install of ours: nothing asks for a gateway, self-check says nothing; GPUs need a Fleet."""
    project.program(FOREIGN.format(more="pass"))
    output = project.run("preview", *PACK)
    assert "WARN type-allowed: nothing says what pulumi-python:dynamic:Resource costs" in output
    assert "[mandatory]" not in output
    project.program(FOREIGN.format(more='Rented("large", size="p5.48xlarge")'))
    output = project.up(*PACK, fails=True)
    assert "it rents p5.48xlarge outside a Fleet" in output
    assert [r["urn"].rpartition("::")[2] for r in project.state() if "dynamic" in r["type"]] in ([], ["small"])


def test_copied_into_an_empty_folder_it_makes_its_environment_and_judges(project: Project) -> None:
    """Nothing else of the project is there: its `install` makes .venv from its own lock, and a preview with the one
    folder lets a fleet of `local` nodes that pays through, and stops one that does not, and what cannot be priced."""
    alone = project.folder / "elsewhere" / "policies"
    bytecode = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "policies", alone, symlinks=True, ignore=bytecode)
    project.env["PYTHONPATH"] = ""
    made = subprocess.run([alone / "install"], env=project.environment, capture_output=True, text=True, timeout=400)
    assert made.returncode == 0, made.stdout + made.stderr
    assert not (alone / ".venv").is_symlink()
    project.program("""
        import pulumi

        fleet = {"nodes": 2, "usdPerNodeMonth": 7920, "tokensPerSecond": 4759}
        workload = {"model": "meta-llama/Llama-3.3-70B-Instruct", "tokensPerMonth": 500e6}
        managed = {"usdPerMillionTokens": 5.0, "model": "gpt-4o", "source": "invoice 2026-10", "date": "2026-10-31"}
        scenario = {"workload": workload, "managed": managed}
        pulumi.ComponentResource("crossover:index:Fleet", "own-price", {**scenario, "fleet": fleet})
        priced = {"nodes": 2, "sku": "lambda/gpu_8x_a100_80gb_sxm4"}
        pulumi.ComponentResource("crossover:index:Fleet", "priced", {**scenario, "fleet": priced})
        sku = {"cloud": "local", "sku": "sim-8x-a100", "standsFor": "quoted/lambda-8x-a100-80gb"}
        nodes = {key: {"candidates": [{**sku, "region": f"bay-{key}"}]} for key in "ab"}
        pulumi.ComponentResource("crossover:index:Fleet", "local", {**scenario, "fleet": {"nodes": nodes}})
        pays = {**scenario, "workload": {**workload, "tokensPerMonth": 6e9}, "fleet": {"nodes": nodes}}
        pulumi.ComponentResource("crossover:index:Fleet", "pays", pays)
    """)
    output = project.run("preview", "--policy-pack", str(alone), fails=True)
    assert "add a row of kind contract" in output
    assert "BLOCK break-even: 500M tokens/month cost $36,687.20/month self-hosted" in output
    assert "BLOCK break-even: 500M tokens/month cost $19,940/month self-hosted" in output
    assert output.count("BLOCK break-even: ") == 2
