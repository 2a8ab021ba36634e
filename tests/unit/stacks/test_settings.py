"""Settings: the committed stack parses, and every slip is one line with its key and what to do."""

from __future__ import annotations

import copy
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from cost_guard.scenario.measuring import DayOfTokens, measure
from cost_guard.scenario.proposal import proposal_of_inputs
from cost_guard.scenario.usage import VolumeSource
from providers import registry
from stacks.settings import SettingsError, parse, with_stand_ins

CONFIG = Path(__file__).resolve().parents[3] / "stacks" / "config" / "Pulumi.local.yaml"


@pytest.fixture
def values() -> dict[str, Any]:
    """The stack `local`, as the program sees it."""
    config = yaml.safe_load(CONFIG.read_text())["config"]
    return {key.removeprefix("crossover:"): copy.deepcopy(value) for key, value in config.items()}


def change(values: dict[str, Any], dotted: str, value: Any) -> dict[str, Any]:
    *path, last = dotted.split(".")
    place = values
    for key in path:
        place = place.setdefault(key, {})
    place[last] = value
    return values


def test_the_stack_local_is_what_the_readme_says(values: dict[str, Any]) -> None:
    settings = parse(values)
    (model,) = settings.models
    assert model.proposal.scenario.workload.tokens_per_month == 6_000_000_000
    assert sorted(settings.nodes) == ["a", "b"]
    assert model.serving.engine == "simulator"


def test_numbers_may_be_typed_as_pulumi_config_set_stores_them(values: dict[str, Any]) -> None:
    assert parse(change(values, "workload.tokensPerMonth", "6e9")) == parse(values)


EXAMPLES = sorted(path.name.split(".")[1] for path in CONFIG.parent.glob("Pulumi.*.yaml"))


@pytest.mark.parametrize("stack", EXAMPLES)
def test_every_example_is_a_configuration_that_can_be_used(stack: str) -> None:
    config = yaml.safe_load((CONFIG.parent / f"Pulumi.{stack}.yaml").read_text())["config"]
    given = {key.removeprefix("crossover:"): value for key, value in config.items()}
    settings = parse({**given, "apiKeys": {"openai": "sk-none", "hf": "hf-none"}})  # secrets are no part of the file
    clouds = {candidate.cloud for node in settings.nodes.values() for candidate in node.candidates}
    assert clouds <= set(registry.NAMES)
    for cloud, section in settings.clouds.items():
        registry.cloud(cloud).check_settings(section)


def test_there_is_an_example_for_every_cloud_and_a_mixed_one() -> None:
    missing = sorted({*registry.NAMES, "mixed"} - set(EXAMPLES))
    assert set(EXAMPLES) == {*registry.NAMES, "mixed"}, f"write stacks/config/Pulumi.<cloud>.yaml for {missing}"


@pytest.mark.parametrize(
    ("stack", "key", "value", "line"),
    [
        ("runpod", "gatewayNode.cloud", "vastai", "vastai rents containers, which cannot carry the gateway"),
        ("runpod", "gatewayNode", None, "gatewayNode: gateway.placement own needs it"),
        ("aws", "fleet.nodes.a.candidates", [
            {"cloud": "aws", "region": "us-east-1", "sku": "p4de.24xlarge"},
            {"cloud": "lambda", "region": "us-east-1", "sku": "gpu_8x_a100"},
        ], "fleet.nodes.a: a node at aws has one candidate"),
    ],
)  # fmt: skip
def test_what_a_cloud_cannot_do_is_said_before_anything_is_rented(stack: str, key: str, value: Any, line: str) -> None:
    config = yaml.safe_load((CONFIG.parent / f"Pulumi.{stack}.yaml").read_text())["config"]
    given = {k.removeprefix("crossover:"): v for k, v in config.items()}
    with pytest.raises(SettingsError, match=line):
        parse(change(given, key, value))


@pytest.mark.parametrize("stack", ["runpod", "aws"])
def test_nodes_that_cannot_carry_the_gateway_refuse_that_placement(stack: str) -> None:
    config = yaml.safe_load((CONFIG.parent / f"Pulumi.{stack}.yaml").read_text())["config"]
    given = {k.removeprefix("crossover:"): v for k, v in config.items() if k != "crossover:gatewayNode"}
    with pytest.raises(SettingsError, match=r"gateway\.placement: .*choose placement own, with a gatewayNode at aws"):
        parse(change(given, "gateway.placement", "nodes"))


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("worklaod", {}, r"crossover:worklaod: unknown key \(did you mean workload\?\)"),
        ("workload.peakToMeen", 1, r"crossover:workload.peakToMeen: unknown key \(did you mean peakToMean\?\)"),
        ("serving.servdName", "x", r"crossover:serving.servdName: unknown key \(did you mean servedName\?\)"),
        ("gateway.managed", [{"nam": "x", "model": "openai/x"}], r"unknown key \(did you mean name\?\)"),
        ("monitoring.p99LimitSeconds", 1, r"monitoring.p99LimitSeconds: unknown key \(did you mean p99LimitS"),
        ("monitoring.webhook", {"ulr": "https://x"}, r"monitoring.webhook.ulr: unknown key \(did you mean url"),
        ("serving.model", None, r"crossover:serving.model"),
        ("serving.engine", ["vllm"], r"crossover:serving.engine: must be 'vllm' or 'simulator'"),
        ("gatewayNode.cloud", "exising", r"gatewayNode\.cloud: unknown cloud 'exising'; did you mean existing\?"),
        ("workload.usage", "a\0b", r"crossover:workload.usage: 'a\\x00b' is no path of a file"),
        ("serving.maxModelLen", 1, "crossover:serving.maxModelLen: must be at least 256, got 1"),
        ("serving.maxNumQueuedReqs", 8, r"serving.maxNumQueuedReqs counts running requests too"),
        ("gateway.fallback", "gpt-9", r"fallback: 'gpt-9' is not among the managed models \(managed-stand-in\)"),
        ("serving.servedName", "managed-stand-in", "is the name of the self-hosted model too"),
        ("fleet", {"nodes": 2, "usdPerNodeMonth": 1, "tokensPerSecond": 1}, "a stack needs `nodes` as a map of key"),
        ("fleet.nodes.spill", {"candidates": [{"cloud": "local", "region": "bay-4", "sku": "x"}]}, "'spill' is a name"),
        ("fleet.nodes.gateway", {"candidates": [{"cloud": "local", "region": "bay-4", "sku": "x"}]}, "'gateway' is a"),
        ("gatewayNode", None, "gatewayNode: gateway.placement own needs it"),
        ("gateway.placement", "nodes", "placement nodes must not have it"),
        ("gatewayNode.cloud", "lambda", "gateway.tlsServerName: missing; away from this computer"),
        ("gateway.tlsServerName", "not a name", "crossover:gateway.tlsServerName"),
        ("clouds", {"lambada": {}}, "clouds: unknown cloud lambada; known are .*local"),
        ("onNoCapacity", "retry", "crossover:onNoCapacity: must be 'fail' or 'degrade'"),
        ("apiKeys", {"endpoint-keys": "k"}, "endpoint-keys is a secret of the gateway's own"),
        ("monitoring.webhook", {"url": "https://x", "bearerSecret": "pager"}, "apiKeys: pager is missing"),
        ("generations", {"c": 2}, "generations: the fleet has no node c"),
        ("generations", {"a": 0}, "generations: a must be 1 or more"),
        ("workload.tokensPerMonth", float("nan"), "crossover:workload.tokensPerMonth"),
        ("workload.tokensPerMonth", -1, "crossover:workload.tokensPerMonth"),
        ("baseline", {"nodes": 2}, "crossover:baseline.usdPerMonth: missing"),
    ],
)  # fmt: skip
def test_a_slip_is_one_line_that_names_its_key(values: dict[str, Any], key: str, value: Any, line: str) -> None:
    with pytest.raises(SettingsError, match=line):
        parse(change(values, key, value))


def test_a_managed_model_without_its_key_says_how_to_set_it(values: dict[str, Any]) -> None:
    values["gateway"] = {"managed": [{"name": "gpt-4o", "model": "openai/gpt-4o"}], "fallback": "gpt-4o"}
    with pytest.raises(SettingsError, match=r"pulumi config set --secret --path crossover:apiKeys.managed-api-key"):
        parse(values)
    values["apiKeys"] = {"managed-api-key": "k"}
    assert "managed-api-key" in parse(values).api_keys


def test_every_problem_is_said_at_once(values: dict[str, Any]) -> None:
    change(values, "workload.tokensPerMonth", 0)
    change(values, "serving.maxNumSeqs", 0)
    values["managde"] = {}
    with pytest.raises(SettingsError) as caught:
        parse(values)
    for key in ("workload.tokensPerMonth", "serving.maxNumSeqs", "managde"):
        assert f"crossover:{key}" in str(caught.value)


def test_a_missing_section_is_named(values: dict[str, Any]) -> None:
    del values["serving"], values["managed"]
    with pytest.raises(SettingsError, match=r"crossover:managed: missing[\s\S]*crossover:serving: missing"):
        parse(values)


def test_the_gate_is_told_what_a_node_may_cost_and_how_it_serves(values: dict[str, Any]) -> None:
    """The Fleet's inputs are the whole proposal: ceilings, the model, and what decides whether it fits."""
    values["fleet"]["nodes"]["a"]["candidates"][0]["maxUsdPerHour"] = 25.0
    values["gateway"] = {**values.get("gateway", {}), "managedBudgetUsdPerMonth": 100}
    inputs = parse(values).models[0].inputs
    assert inputs["fleet"]["nodes"]["a"]["candidates"][0]["maxUsdPerHour"] == 25
    assert inputs["workload"]["model"] == values["serving"]["model"]
    assert inputs["served"]["tensorParallelSize"] == 8
    assert inputs["gateway"]["managedBudgetUsdPerMonth"] == 100
    assert proposal_of_inputs(inputs) == parse(values).models[0].proposal


def test_a_workload_that_names_another_model_than_is_served_is_refused(values: dict[str, Any]) -> None:
    values["workload"] = {**values["workload"], "model": "org/other"}
    with pytest.raises(SettingsError, match=r"crossover:workload\.model: 'org/other', and serving\.model is '"):
        parse(values)


def test_several_models_are_parsed_and_told_apart_by_their_keys(values: dict[str, Any]) -> None:
    """Each has its own serving, workload, managed and fleet; a node's key is the stack's; shared keys are told once."""
    own = {key: values.pop(key) for key in ("serving", "workload", "managed", "fleet")}
    nodes = {f"x{key}": node for key, node in own["fleet"]["nodes"].items()}
    other = {**own, "serving": {**own["serving"], "servedName": "coder"}, "fleet": {**own["fleet"], "nodes": nodes}}
    found = parse({**values, "models": {"llama": own, "coder": other}})
    assert list(found.proposals) == ["llama", "coder"]
    assert set(found.nodes) == {"a", "b", "xa", "xb"}
    with pytest.raises(SettingsError, match="two of them have a node a, b; give each node of the stack its own key"):
        parse({**values, "models": {"llama": own, "coder": {**other, "fleet": own["fleet"]}}})
    with pytest.raises(SettingsError) as caught:
        parse({**values, "models": {"llama": own, "coder": {**other, "managed": {}}}, "overhead": {"x": 1}})
    keys = [line.split(": ")[0] for line in caught.value.lines]
    assert sorted(keys) == ["crossover:models.coder.managed", "crossover:overhead.x"]


def test_api_keys_do_not_show_in_a_representation(values: dict[str, Any]) -> None:
    values["apiKeys"] = {"managed-api-key": "very-secret"}
    assert "very-secret" not in repr(parse(values))


def test_a_usage_file_is_read_from_the_project_s_root(values: dict[str, Any], tmp_path: Path) -> None:
    """Its numbers become the scenario's, and its content travels with the Fleet's inputs for the pack."""
    days = {date(2026, 10, 23) + timedelta(days=n): DayOfTokens(3 * 10**8, 10**8, 10**8) for n in range(30)}
    source = VolumeSource(name="page.json", format="openai", sha256="0" * 64, records=30)
    usage = measure(days, sources=[source], imported_at=date(2026, 11, 22))
    (tmp_path / "usage.yaml").write_text(yaml.safe_dump(usage.to_inputs()))
    values["workload"] = {"usage": "usage.yaml"}
    (model,) = parse(values, tmp_path).models
    assert model.proposal.usage == usage
    assert model.proposal.scenario.workload.tokens_per_month == usage.tokens_per_month
    assert model.inputs["usage"] == usage.to_inputs()
    assert "usage" not in model.inputs["workload"]
    assert model.inputs["workload"]["kind"] == "measured"


def test_a_usage_file_that_is_not_there_is_one_line(values: dict[str, Any], tmp_path: Path) -> None:
    values["workload"] = {"usage": "usage.yaml"}
    with pytest.raises(SettingsError, match=r"crossover:workload\.usage: there is no file usage\.yaml"):
        parse(values, tmp_path)


def test_the_usage_is_no_key_of_the_configuration(values: dict[str, Any]) -> None:
    """Only the file says it."""
    with pytest.raises(SettingsError, match="crossover:usage: unknown key"):
        parse({**values, "usage": {}})


def test_a_preview_needs_no_secret_and_says_what_up_would_miss(values: dict[str, Any]) -> None:
    """Of a webhook, of the weights, of a managed model with and without a name for its key."""
    change(values, "serving.weights", {"source": "hf", "tokenSecret": "hf"})
    change(values, "monitoring.webhook", {"url": "https://x.example", "bearerSecret": "pager"})
    named = {"name": "gpt-4o", "model": "openai/gpt-4o", "apiKeySecret": "openai"}
    values["gateway"] = {"managed": [named, {"name": "gpt-4", "model": "openai/gpt-4"}], "fallback": "gpt-4o"}
    values["apiKeys"] = {"pager": "secret"}
    settings = parse(with_stand_ins(values))
    assert [line.partition(":")[2].split()[0] for line in settings.not_set] == ["hf", "openai", "managed-api-key"]
    assert settings.not_set[0].endswith(": pulumi config set --secret --path crossover:apiKeys.hf")
    with pytest.raises(SettingsError, match="apiKeys: hf is missing"):
        parse(values)


def test_a_token_that_weights_name_must_be_there(values: dict[str, Any]) -> None:
    change(values, "serving.weights", {"source": "hf", "tokenSecret": "hf"})
    with pytest.raises(SettingsError, match=r"apiKeys: hf is missing, which serving\.weights\.tokenSecret names"):
        parse(values)
    (model,) = parse(change(values, "apiKeys.hf", "hf_token")).models
    assert model.weights is not None
    assert model.weights.place == model.serving.model


def test_a_simulator_fetches_nothing_that_it_is_not_told_to(values: dict[str, Any]) -> None:
    (model,) = parse(values).models
    assert model.weights is None
