"""What the program makes of every committed example, on Pulumi's mocks: no engine, no plugin, no cloud.

The expected lists are what README and docs promise, by hand; a resource's name, type and parent are its URN, so a
change here replaces machines.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pulumi
import pytest
import yaml
from google.protobuf.json_format import MessageToDict

from stacks import arguments, settings
from stacks.served import served_model
from tests.support.checkout import REPOSITORY
from tests.support.composition import (
    AWS_NODE,
    CA,
    CONFIG,
    CONTACT,
    CREDENTIALS,
    FLEET,
    GATEWAY,
    INSTALL,
    INSTANCE,
    NODE,
    SECRET,
    Made,
    compose,
    short,
)  # fmt: skip


@dataclass(frozen=True)
class Example:
    """What a committed stack comes to."""

    nodes: str
    """The keys of its fleet, a letter each."""
    host: bool = True
    """The gateway has a machine of its own; else every node carries one."""
    machine: str = NODE
    protect: bool = True
    take_along: str = ""
    """Machines whose end takes along what is installed on them, by the first letter of their key: those of a cloud that
    rents. What was there before, and stays, must be tidied up."""

    @property
    def hosts(self) -> list[str]:
        """The keys of what carries a gateway."""
        return ["gateway"] if self.host else list(self.nodes)

    @property
    def machines(self) -> list[str]:
        """Every key."""
        return [*self.nodes, *(["gateway"] if self.host else [])]


EXAMPLES = {
    "local": Example("ab", protect=False, take_along="abg"),  # nothing bills: `make down` needs no unprotecting
    "aws": Example("abc", machine=AWS_NODE, take_along="abcg"),
    "existing": Example("ab"),  # the machines are the user's, before and after
    "lambda": Example("abc", host=False, take_along="abc"),
    "mixed": Example("ab", take_along="ab"),  # its gateway's machine is the user's
    "runpod": Example("ab", take_along="ab"),
    "vastai": Example("ab", take_along="ab"),
}


@pytest.fixture(scope="module", params=sorted(EXAMPLES))
def composed(request: pytest.FixtureRequest) -> tuple[Example, Made]:
    """An example, and what the program made of it."""
    made = compose(request.param)
    assert made.error == ""
    return EXAMPLES[request.param], made


Composed = tuple[Example, Made]


def test_a_stack_is_a_machine_and_an_install_a_key(composed: Composed) -> None:
    """The types and names of docs/reference/plugin.md: one Fleet, one Gateway, their machines, a bundle on each."""
    example, made = composed
    assert (made.of(CREDENTIALS), made.of(FLEET), made.of(GATEWAY)) == (["credentials"], ["fleet"], ["gateway"])
    assert made.of(example.machine) == sorted(example.machines)
    assert made.of(INSTALL) == sorted(
        [*(f"{key}-inference" for key in example.nodes), *(f"{key}-router" for key in example.hosts)]
    )
    at_aws = example.machine == AWS_NODE
    assert made.of(NODE) == ([] if at_aws else sorted(example.machines))
    assert made.of(INSTANCE) == (sorted(example.machines) if at_aws else [])
    assert {kind for kind, _ in made.requests if kind.startswith("aws:")} == set() or at_aws


def test_what_serves_belongs_to_the_fleet_and_what_routes_to_the_gateway(composed: Composed) -> None:
    """Parents are part of a URN: another one would replace a machine."""
    example, made = composed
    for key in example.nodes:
        assert made.parent(example.machine, key) == made.parent(INSTALL, f"{key}-inference") == f"{FLEET} fleet"
    for key in example.hosts:
        assert made.parent(INSTALL, f"{key}-router") == f"{GATEWAY} gateway"
    if example.host:
        assert made.parent(example.machine, "gateway") == f"{GATEWAY} gateway"
    for kind, name in ((CREDENTIALS, "credentials"), (FLEET, "fleet"), (GATEWAY, "gateway")):
        assert made.parent(kind, name).startswith("pulumi:pulumi:Stack ")


def test_machines_are_protected_unless_nothing_bills(composed: Composed) -> None:
    """And nothing else is, or `pulumi destroy` would stop at what can be made again."""
    example, made = composed
    machines = {example.machine, INSTANCE}
    protected = {(kind, name) for (kind, name), request in made.requests.items() if request.protect}
    wanted = {(kind, name) for kind, name in made.requests if kind in machines}
    assert protected == (wanted if example.protect else set())


def test_an_install_goes_with_its_machine_unless_the_machine_stays(composed: Composed) -> None:
    """So that a machine that cannot be tidied up does not go on billing."""
    example, made = composed
    machine = INSTANCE if example.machine == AWS_NODE else example.machine
    found = {name: short(made.requests[INSTALL, name].deletedWith) for name in made.of(INSTALL)}
    assert found == {
        name: f"{machine} {name.split('-')[0]}" if name[0] in example.take_along else "" for name in made.of(INSTALL)
    }


def test_machines_and_installs_go_before_they_come_again(composed: Composed) -> None:
    """Capacity and a machine's ports are for one; what is no machine's may be made first."""
    _, made = composed
    first = {kind for (kind, _), request in made.requests.items() if request.deleteBeforeReplace}
    assert first == {NODE, INSTALL, CONTACT, INSTANCE} & {kind for kind, _ in made.requests}


def test_a_router_waits_for_addresses_and_for_no_model(composed: Composed) -> None:
    """A node waits for nobody; the gateway knows every node's address and needs none of them ready."""
    example, made = composed
    kind, suffix = (CONTACT, "-contact") if example.machine == AWS_NODE else (NODE, "")
    keys = f"{CREDENTIALS} credentials"
    for key in example.nodes:
        assert made.needs(INSTALL, f"{key}-inference") == {keys, f"{kind} {key}{suffix}"}
    for key in example.hosts:
        assert made.needs(INSTALL, f"{key}-router") == {keys, *(f"{kind} {each}{suffix}" for each in example.machines)}
    for key in example.machines if kind == NODE else []:
        assert made.needs(NODE, key) == {keys}


def test_the_gateway_names_its_fleet_so_the_pack_sees_the_fleet_first(composed: Composed) -> None:
    """And waits for none of its Installs, where the gateway has a machine of its own: Pulumi takes a dependency on a
    component for one on all of its children."""
    example, made = composed
    assert made.inputs(GATEWAY, "gateway")["fleet"].endswith(f"{FLEET}::fleet")
    registered = [kind for kind, _ in made.requests]
    assert registered.index(FLEET) < registered.index(GATEWAY)
    assert bool(made.needs(GATEWAY, "gateway")) == (not example.host)


def test_the_gateway_fits_what_the_nodes_serve() -> None:
    """Endpoint: 200 concurrent; serving.maxModelLen 131072 with bufferBytes 262144."""
    serving = yaml.safe_load((CONFIG / "Pulumi.local.yaml").read_text())["config"]["crossover:serving"]
    made = compose("local", serving={**serving, "maxModelLen": 131_072, "maxNumSeqs": 200})
    assert made.error == ""
    content = made.inputs(INSTALL, "gateway-router")["bundle"]["files"]["haproxy/haproxy.cfg"]["content"]
    assert f"tune.bufsize {8 * 131_072}\n" in content
    assert content.count(" maxconn 200 ") == 2


def test_a_buffer_that_is_too_small_for_the_context_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Endpoint: serving.maxModelLen 131072 with bufferBytes 262144: preview: no warning."""
    example = yaml.safe_load((CONFIG / "Pulumi.local.yaml").read_text())["config"]
    serving = {**example["crossover:serving"], "maxModelLen": 131_072}
    for size, expected in ((262_144, True), (4 * 131_072, False)):
        told: list[str] = []
        monkeypatch.setattr(pulumi.log, "warn", lambda line, *_, told=told: told.append(line))
        made = compose("local", serving=serving, gateway={**example["crossover:gateway"], "bufferBytes": size})
        assert made.error == ""
        assert any("gateway.bufferBytes" in line for line in told) == expected


def test_what_opens_the_weights_goes_to_nodes_alone() -> None:
    """And the keys of managed APIs to the gateway alone."""
    serving = yaml.safe_load((CONFIG / "Pulumi.vastai.yaml").read_text())["config"]["crossover:serving"]
    keys = {"openai": "hidden-openai", "hf": "hidden-hf"}
    made = compose("vastai", apiKeys=keys, serving={**serving, "weights": {"source": "hf", "tokenSecret": "hf"}})
    assert made.error == ""
    holds = {name: str(made.inputs(INSTALL, name)["secrets"]) for name in made.of(INSTALL)}
    for name, secrets in holds.items():
        on_node = name.endswith("-inference")
        assert ("hidden-hf" in secrets, "hidden-openai" in secrets) == (on_node, not on_node), name


def test_what_is_secret_is_marked_wherever_it_goes(composed: Composed) -> None:
    """Keys, passwords and certificates in state and diff; exports too."""
    _, made = composed
    for (kind, name), request in made.requests.items():
        if not kind.startswith("aws:"):
            assert "hidden-" not in json.dumps(open_parts(MessageToDict(request.object))), (kind, name)
    for name in made.of(INSTALL):
        inputs = made.inputs(INSTALL, name)
        assert {key for key, value in inputs.items() if isinstance(value, dict) and SECRET in value} == {
            "secrets", "sshPrivateKey",
        }  # fmt: skip
    assert made.secret_outputs == {"endpointKey", "monitoringKey"}


def open_parts(value: Any) -> Any:
    """What a plan shows: secrets left out."""
    if isinstance(value, dict):
        return {} if SECRET in value else {key: open_parts(each) for key, each in value.items()}
    return [open_parts(each) for each in value] if isinstance(value, list) else value


def test_a_router_carries_gateway_and_monitoring_in_one_bundle(composed: Composed) -> None:
    """One Install a machine: both know the same nodes, and change together."""
    example, made = composed
    for key in example.hosts:
        bundle = made.inputs(INSTALL, f"{key}-router")["bundle"]
        names = {service["name"] for service in bundle["services"]}
        assert names - {"managed"} == {"haproxy", "litellm", "redis", "prometheus", "alertmanager"}
        for file in ("haproxy/haproxy.cfg", "prometheus/prometheus.yml"):
            for node in example.nodes:
                assert f"{node}.nodes.crossover.internal" in bundle["files"][file]["content"]


RUNTIMES: dict[str, dict[str, str | None]] = {
    "local": {"a": None, "b": None},  # the simulator's
    "aws": {"a": "environment", "b": "environment", "c": "environment"},
    "existing": {"a": "environment", "b": "environment"},
    "lambda": {"a": "environment", "b": "environment", "c": "environment"},
    "mixed": {"a": "environment", "b": "image"},  # by the first rung, which the mocks rent
    "runpod": {"a": "image", "b": "image"},
    "vastai": {"a": "image", "b": "image"},
}
"""Example → node → how vLLM gets onto it."""


@pytest.mark.parametrize("stack", RUNTIMES)
def test_a_node_gets_the_bundle_for_what_its_cloud_rents(stack: str) -> None:
    """Where a node's rungs differ, the machine that was rented tells."""
    made = compose(stack)
    bundles = {key: made.inputs(INSTALL, f"{key}-inference")["bundle"] for key in RUNTIMES[stack]}
    assert {key: bundle.get("runtime", {}).get("kind") for key, bundle in bundles.items()} == RUNTIMES[stack]
    for bundle in bundles.values():
        names = [environment["name"] for environment in bundle["environments"]]
        assert ("vllm" in names) == (bundle.get("runtime", {}).get("kind") == "environment")


def test_an_image_of_the_user_s_is_what_containers_are_made_of() -> None:
    """And no section of a VM's cloud hears of it."""
    own = "registry.example/vllm:0.32.0-1"
    serving = {"model": "Qwen/Qwen3-32B", "servedName": "llama-70b", "image": own}
    made = compose("mixed", serving=serving)
    assert made.error == ""
    settings_of = made.inputs(NODE, "a")["settings"]
    assert settings_of["runpod"] == {"diskGb": 400, "image": own}
    assert "image" not in settings_of["lambda"]
    assert "image" not in compose("mixed").inputs(NODE, "a")["settings"]["runpod"]


def test_the_exports_are_those_of_the_readme(composed: Composed) -> None:
    """`crossover endpoint` and people's scripts read them by name."""
    example, made = composed
    assert set(made.outputs) == {
        "endpoint", "endpointAddresses", "endpointKey", "caCertificate", "model", "managedModels",
        "prometheus", "alertmanager", "monitoringKey",
    }  # fmt: skip
    assert made.outputs["model"] == "llama-70b"
    assert len(made.outputs["endpointAddresses"]) == len(example.hosts)
    assert made.outputs["prometheus"].startswith("http://127.0.0.1:")


def test_the_stack_local_serves_here_and_names_its_stand_in() -> None:
    """Plain HTTP on this computer; a TLS name anywhere else (README, docs/reference/gateway.md)."""
    outputs = compose("local").outputs
    assert outputs["endpoint"] == "http://gateway.example:8080"
    assert outputs["managedModels"] == ["managed-stand-in"]
    assert compose("mixed").outputs["endpoint"] == "https://llm.example.com:8080"


def test_no_key_of_a_user_s_takes_the_place_of_one_that_the_stack_makes() -> None:
    """The names that the settings refuse are those that routers and nodes get, of which TLS and a rotation bring the
    most; but a node's own certificate, which no key of a user's meets."""
    made = compose("mixed", credentialsGeneration=2)
    given = {name for install in ("gateway-router", "a-inference") for name in made.secrets(install)}
    assert given - {"openai", "tls.crt", "tls.key", "weights-key"} == arguments.GATEWAY_SECRETS


BLOCKED = {"usdPerMillionTokens": 0.5}
"""A tenth of what the fleet of `local` needs to pay."""


def test_what_the_gate_blocks_registers_nothing_in_up() -> None:
    made = compose("local", managed=BLOCKED)
    assert made.error.startswith("Cost gate: BLOCK.")
    assert {kind for kind, _ in made.requests} == {"pulumi:pulumi:Stack"}


def test_what_the_gate_blocks_is_shown_whole_in_preview() -> None:
    """So that the reader and the pack see all of the plan before the refusal."""
    made = compose("local", preview=True, managed=BLOCKED)
    assert made.error.startswith("Cost gate: BLOCK.")
    assert (made.of(FLEET), made.of(INSTALL)) == (["fleet"], ["a-inference", "b-inference", "gateway-router"])


def test_a_configuration_that_cannot_be_used_registers_nothing() -> None:
    made = compose("local", worklaod={})
    assert "crossover:worklaod: unknown key (did you mean workload?)" in made.error
    assert {kind for kind, _ in made.requests} == {"pulumi:pulumi:Stack"}


def limit(made: Made, name: str) -> float:
    """What alerts of the gateway's monitoring compare with."""
    content = made.inputs(INSTALL, "gateway-router")["bundle"]["files"]["prometheus/limits.yaml"]["content"]
    (rules,) = (group["rules"] for group in yaml.safe_load(content)["groups"])
    (found,) = (rule["expr"] for rule in rules if rule["record"] == f"crossover:limit:{name}")
    return float(found.removeprefix("vector(").removesuffix(")"))


def test_each_served_model_has_a_fleet_and_all_share_one_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration says one today; what is made of it goes over all of them."""
    config = yaml.safe_load((CONFIG / "Pulumi.local.yaml").read_text())["config"]
    values = {key.removeprefix("crossover:"): value for key, value in config.items()}
    one, alone = settings.parse(values), compose("local")
    rungs = [{"cloud": "local", "region": "bay-4", "sku": "x", "standsFor": "quoted/lambda-8x-a100-80gb"}]
    values["fleet"]["nodes"] = {"c": {"candidates": rungs}, "d": {"candidates": [{**rungs[0], "region": "bay-5"}]}}
    values["serving"]["servedName"] = "coder"
    two = one.model_copy(update={"models": (*one.models, served_model("coder", values, REPOSITORY))})
    monkeypatch.setattr(settings, "from_pulumi", lambda: two)
    made = compose("local")
    assert made.error == ""
    assert made.of(FLEET) == ["coder", "fleet"]
    assert (made.parent(NODE, "b"), made.parent(NODE, "c")) == (f"{FLEET} fleet", f"{FLEET} coder")
    assert made.inputs(INSTALL, "c-inference")["fleet"] == "coder"
    assert made.needs(INSTALL, "gateway-router") >= {f"{NODE} {key}" for key in "abcd"}
    files = made.inputs(INSTALL, "gateway-router")["bundle"]["files"]
    for name in ("llama-70b", "coder"):
        assert name in files["haproxy/haproxy.cfg"]["content"]
    assert limit(made, "nodes") == 2 * limit(alone, "nodes") > 0
    # They share 4,100 of overhead: 2 × 7,920 + 2,050 each, in place of 19,940 alone.
    pays = "break_even_tokens_per_month"
    assert limit(made, pays) == pytest.approx(2 * limit(alone, pays) * 17_890 / 19_940)


@pytest.mark.parametrize(
    ("model", "priced"),
    [
        ({"model": "openai/gpt-4.1"}, True),
        ({"model": "gpt-4.1"}, True),
        ({"model": "azure/gpt-4.1"}, False),
        ({"model": "openai/gpt-4.1", "apiBase": "https://api.example.org/v1"}, False),
        ({"model": "openai/nobody-knows-it"}, False),
    ],
    ids=str,
)
def test_what_the_fallback_costs_is_the_catalogues_price(model: dict[str, str], priced: bool) -> None:
    """Endpoint: no alert and no counter of money spent through fallback."""
    gateway = yaml.safe_load((CONFIG / "Pulumi.existing.yaml").read_text())["config"]["crossover:gateway"]
    managed = [{"name": "paid", "apiKeySecret": "openai", **model}]
    made = compose("existing", gateway={**gateway, "managed": managed, "fallback": "paid"})
    assert made.error == ""
    content = made.inputs(INSTALL, "gateway-router")["bundle"]["files"]["prometheus/limits.yaml"]["content"]
    found = [r for r in yaml.safe_load(content)["groups"][0]["rules"] if "_usd_per_token" in r["record"]]
    # USD 2 and 8 a million: https://developers.openai.com/api/docs/pricing, as managed.toml cites it.
    assert [float(r["expr"][7:-1]) for r in found] == ([2e-6, 8e-6] if priced else [])
    assert all(r["labels"] == {"requested_model": "llama-70b"} for r in found)


FORMER = {"caCertificate": "former-ca", "endpointKey": "former-endpointKey", "vllmApiKey": "former-vllmApiKey"}


def test_in_an_overlap_gateways_show_the_former_and_take_both_and_nodes_show_the_new_and_take_both() -> None:
    """Audit 8: whoever has changed and whoever has not know one another at each moment of a rotation."""
    made = compose("local", credentialsGeneration=2)
    gateway, node = made.secrets("gateway-router"), made.secrets("a-inference")
    assert gateway["endpoint-keys"] == "hidden-endpointKey\nformer-endpointKey\n"
    assert gateway["backend-keys"].splitlines()[0] == "nodes Bearer former-vllmApiKey"
    assert gateway["client.pem"] == "former-clientCertificate"
    assert (node["vllm-api-key"], node["former-vllm-api-key"]) == ("hidden-vllmApiKey", "former-vllmApiKey")
    assert node["tls.key"] == "hidden-a.nodes.crossover.internal"
    for install in ("gateway-router", "a-inference"):
        assert made.file(install, "tls/ca.pem") == f"{CA}former-ca"
    assert made.outputs["caCertificate"] == f"{CA}former-ca"


def test_once_it_is_retired_nothing_of_the_former_is_shown_or_taken() -> None:
    made = compose("local", credentialsGeneration=2, credentialsRetired=1)
    assert made.secrets("gateway-router")["endpoint-keys"] == "hidden-endpointKey\n"
    assert made.secrets("gateway-router")["backend-keys"].splitlines()[0] == "nodes Bearer hidden-vllmApiKey"
    assert "former-vllm-api-key" not in made.secrets("a-inference")
    assert made.file("a-inference", "tls/ca.pem") == CA


@pytest.mark.parametrize(("generation", "waits"), [(1, False), (2, True)])
def test_nodes_change_after_the_gateways_once_keys_were_rotated(generation: int, waits: bool) -> None:
    """Before that they come up beside them, which takes less time."""
    made = compose("local", credentialsGeneration=generation)
    assert (f"{INSTALL} gateway-router" in made.needs(INSTALL, "a-inference")) == waits


def test_a_composition_leaves_no_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python would close it at its end, and print an error behind what the program said last."""
    made: list[asyncio.AbstractEventLoop] = []
    new = asyncio.new_event_loop

    def noted() -> asyncio.AbstractEventLoop:
        made.append(new())
        return made[-1]

    monkeypatch.setattr(asyncio, "new_event_loop", noted)
    compose("local")
    assert len(made) > 1  # the main one, and those of the threads that register
    assert all(loop.is_closed() for loop in made)
