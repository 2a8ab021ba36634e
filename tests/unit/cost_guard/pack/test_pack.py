"""The pack as a process: it starts, prints its port and nothing else, and answers over gRPC as the engine asks."""

from __future__ import annotations

import ast
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE

from cost_guard.codes import ADVISORY, BESIDE, WAIVERS
from cost_guard.pack.registry import codes
from cost_guard.scenario.scenario import Scenario
from strict import names

PACK = Path(__file__).parents[4] / "policies"
FLEET = "crossover:index:Fleet"
MANDATORY = codes().mandatory
GROUP = "aws:ec2/securityGroup:SecurityGroup"
PRESET = ("OPENBLAS_NUM_THREADS", "PYDANTIC_DISABLE_PLUGINS")
"""What the packages set where nobody else did, for this process has inherited it."""
OURS = f"{names.AWS_NETWORK}$"


@contextmanager
def running() -> Iterator[Any]:
    """The pack, started the way a language host starts it, with a port that listens as the engine's does."""
    engine = socket.create_server(("127.0.0.1", 0))
    command = [sys.executable, "-m", "pulumi.policy", f"127.0.0.1:{engine.getsockname()[1]}", str(PACK)]
    environment = {**os.environ, "CROSSOVER_TODAY": "2026-11-22", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, cwd=PACK, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield analyzer_pb2_grpc.AnalyzerStub(channel)
    finally:
        process.terminate()
        process.wait(timeout=20)
        engine.close()


@pytest.fixture(scope="module")
def stub() -> Iterator[Any]:
    """A running pack that nobody configures."""
    with running() as made:
        yield made


@pytest.fixture
def started() -> Iterator[Any]:
    """A running pack of the test's own."""
    with running() as made:
        yield made


def request(inputs: dict[str, Any], kind: str, chain: str = "") -> Any:
    properties = struct_pb2.Struct()
    properties.update(inputs)
    name = "fleet"
    return analyzer_pb2.AnalyzeRequest(
        type=kind, properties=properties, urn=f"urn:pulumi:t::p::{chain}{kind}::{name}", name=name
    )


def analyze(stub: Any, inputs: dict[str, Any], kind: str = FLEET, chain: str = "") -> list[Any]:
    return list(stub.Analyze(request(inputs, kind, chain), timeout=60).diagnostics)


def configure(stub: Any, config: dict[str, Any]) -> None:
    stub.Configure(analyzer_pb2.ConfigureAnalyzerRequest(policyConfig=config), timeout=60)


def test_the_pack_tells_its_rules(stub: Any) -> None:
    """Those of the registry, all mandatory; and the advisory ones."""
    info = stub.GetAnalyzerInfo(empty_pb2.Empty(), timeout=60)
    assert info.name == "cost-guard"
    levels = {policy.name: policy.enforcementLevel for policy in info.policies}
    assert [levels.pop(name) for name in (ADVISORY, WAIVERS, BESIDE)] == [analyzer_pb2.ADVISORY] * 3
    assert list(levels) == list(MANDATORY)
    assert set(levels.values()) == {analyzer_pb2.MANDATORY}


def test_the_pack_blocks_and_lets_through(stub: Any, ladder: Callable[..., Scenario]) -> None:
    """500e6 is a mandatory violation of break-even, which no draw reaches; at 6e9 all that is said is advisory."""
    blocked = analyze(stub, ladder(volume="500e6").to_inputs())
    mandatory = [d.policyName for d in blocked if d.enforcementLevel == analyzer_pb2.MANDATORY]
    assert mandatory == ["break-even", "horizon", "probability"]
    passed = analyze(stub, ladder().to_inputs())
    assert [d.policyName for d in passed] == ["advisories"]
    assert passed[0].enforcementLevel == analyzer_pb2.ADVISORY


def test_the_pack_shares_the_projects_environment() -> None:
    """By a link, where a copy has an environment of its own. A wrong `virtualenv` can hang a preview."""
    manifest = yaml.safe_load((PACK / "PulumiPolicy.yaml").read_text())
    assert manifest["runtime"] == {"name": "python", "options": {"virtualenv": ".venv"}}
    assert (PACK / ".venv").readlink() == Path("../.venv")


def test_importing_the_pack_does_not_start_it() -> None:
    """The library is importable where a program, a command or a test needs it, and knows no Pulumi."""
    code = """
import sys
from cost_guard.catalogue import claims
from cost_guard.verdict import judge
print(any(name.startswith("pulumi") for name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"


def test_the_pack_tells_its_rules_before_it_loads_what_a_verdict_needs() -> None:
    """The engine waits for the rules before it starts the program."""
    code = "import sys; from cost_guard.pack.advisories import policies; policies(); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(ast.literal_eval(done.stdout))
    assert "cost_guard.verdict.rules.break_even" in loaded
    assert not loaded & {
        "cost_guard.pack.gate",
        "cost_guard.verdict.judge",
        "cost_guard.catalogue.catalogue",
        "cost_guard.scenario.scenario",
        "numpy",
    }


def test_a_verdicts_libraries_bring_no_thread_and_read_no_metadata() -> None:
    """The program starts beside them, on the same cores: OpenBLAS would spin on each, and for plugins pydantic would
    read what every package says of itself."""
    code = """
import os, sys
from importlib import metadata
metadata.distributions = lambda *given, **named: sys.exit("pydantic looks for plugins")
from cost_guard.pack.gate import warm_up
warm_up()
print("numpy" in sys.modules, len(os.listdir("/proc/self/task")))
"""
    unset = {name: value for name, value in os.environ.items() if name not in PRESET}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, env=unset
    )
    assert done.stdout.split() == ["True", "1"]


def test_a_rules_schema_names_what_may_be_configured(stub: Any) -> None:
    """One that has nothing to configure has none: each is built while the engine waits."""
    info = stub.GetAnalyzerInfo(empty_pb2.Empty(), timeout=60)
    told = {one.name: set(one.configSchema.properties) for one in info.policies if one.HasField("configSchema")}
    assert told["spot-share"] == {"maxShare"}
    assert "budget" not in told


def test_the_rules_are_known_without_the_sdk() -> None:
    """To `crossover plan`, which checks waivers.yaml by them and must start fast."""
    code = "import sys; from cost_guard.pack.registry import codes; codes(); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert not {name for name in ast.literal_eval(done.stdout) if name.partition(".")[0] in ("pulumi", "pulumi_policy")}


@pytest.mark.parametrize(
    ("given", "level"),
    [
        ({"budget": analyzer_pb2.DISABLED}, analyzer_pb2.MANDATORY),
        (dict.fromkeys(MANDATORY, analyzer_pb2.ADVISORY), analyzer_pb2.ADVISORY),
        (dict.fromkeys((*MANDATORY, ADVISORY, WAIVERS, BESIDE), analyzer_pb2.DISABLED), analyzer_pb2.ADVISORY),
        ({"budget": analyzer_pb2.DISABLED, "self-check": analyzer_pb2.REMEDIATE}, analyzer_pb2.MANDATORY),
    ],
)
def test_a_lowered_level_is_told_before_anything_is_made(started: Any, given: dict[str, Any], level: Any) -> None:
    """On the stack's root, which is the first resource; everything disabled leaves one voice, and one rule blocks."""
    configure(started, {code: analyzer_pb2.PolicyConfig(enforcementLevel=found) for code, found in given.items()})
    (told,) = analyze(started, {}, "pulumi:pulumi:Stack")
    assert (told.policyName, told.enforcementLevel) == ("self-check", level)
    assert "budget" in told.message


def test_a_misspelt_configuration_is_told_and_a_right_one_counts(started: Any) -> None:
    """The engine passes any name on."""
    wrong = analyzer_pb2.PolicyConfig(enforcementLevel=analyzer_pb2.MANDATORY)
    wrong.properties.update({"maxShar": 1})
    configure(started, {"spot-share": wrong})
    (told,) = analyze(started, {}, "pulumi:pulumi:Stack")
    assert (
        "spot-share: the rule's configuration cannot be used: maxShar: unknown key (did you mean maxShare?)"
        in told.message
    )
    closed = analyzer_pb2.PolicyConfig(enforcementLevel=analyzer_pb2.MANDATORY)
    closed.properties.update({"widestIpv4Prefix": 25})
    configure(started, {"ingress-closed": closed})
    group = {"ingress": [{"cidrBlocks": ["203.0.113.0/24"]}], "tags": {"crossover:fleet": "p:t:shared"}}
    assert [d.policyName for d in analyze(started, group, GROUP)] == ["ingress-closed"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("spot-shar", "spot-shar: there is no such rule; did you mean spot-share?"),
        ("x", "x: there is no such rule"),
        ("monitoring-wired", "monitoring-wired: the rule's configuration cannot be used: maxShare: unknown key"),
        (ADVISORY, f"{ADVISORY}: the rule's configuration cannot be used: maxShare: unknown key; known are none"),
    ],
)
def test_a_configuration_of_no_rule_or_of_one_that_has_none_is_told(started: Any, code: str, said: str) -> None:
    """Else it would be thought to hold."""
    given = analyzer_pb2.PolicyConfig(enforcementLevel=analyzer_pb2.MANDATORY)
    given.properties.update({"maxShare": 0.01})
    configure(started, {code: given})
    (told,) = analyze(started, {}, "pulumi:pulumi:Stack")
    assert said in told.message


def test_a_resource_is_shown_to_the_rules_that_look_at_it_and_what_none_wants_to_none(stub: Any) -> None:
    """An Install's bundle is not even unpacked; a change of a resource is never proposed."""
    assert analyze(stub, {"bundle": {"files": []}, "role": "gateway"}, "gpucloud:index:Install") == []
    world = {"ingress": [{"cidrBlocks": ["0.0.0.0/0"]}]}
    assert [d.policyName for d in analyze(stub, world, GROUP, OURS)] == ["ingress-closed", "ownership-tags"]
    assert not stub.Remediate(request(world, GROUP), timeout=60).remediations


def test_what_only_up_knows_is_noted_in_the_words_of_the_sdk(stub: Any) -> None:
    """`crossover preview` tells such a note from a finding by them; the other rules are asked all the same."""
    later, tags = analyze(stub, {"ingress": UNKNOWN_STRING_VALUE}, GROUP, OURS)
    assert (later.policyName, later.enforcementLevel) == ("ingress-closed", analyzer_pb2.ADVISORY)
    assert later.message.startswith(
        "can't run policy 'ingress-closed' from policy pack 'cost-guard@v0.0.1' during preview"
    )
    assert (tags.policyName, tags.enforcementLevel) == ("ownership-tags", analyzer_pb2.MANDATORY)


def test_the_whole_stack_is_judged_by_what_it_has_become(stub: Any) -> None:
    """A Fleet without a gateway, and a machine of a type that nobody knows; a component makes nothing."""
    fleet, install = whole(FLEET), whole(names.INSTALL, {"role": "inference"}, made=True)
    stray, component = whole("gpucloud:index:Helper", made=True), whole("my:own:Component")
    assert ended(stub, fleet, install, stray, component) == [
        ("type-allowed", stray.urn, analyzer_pb2.MANDATORY),
        ("monitoring-wired", fleet.urn, analyzer_pb2.MANDATORY),
    ]


def test_a_program_without_an_install_of_ours_is_only_warned_of_what_else_it_makes(stub: Any) -> None:
    """No gateway is missed, and a type that nobody knows is told."""
    fleet, other = whole(FLEET), whole("random:index/randomId:RandomId", made=True)
    assert ended(stub, fleet, other) == [("beside-nodes", other.urn, analyzer_pb2.ADVISORY)]


def whole(kind: str, inputs: dict[str, Any] | None = None, made: bool = False) -> Any:
    """A resource as a rule on the whole stack sees it; what is `made` has a provider."""
    asked = request(inputs or {}, kind)
    provider = analyzer_pb2.AnalyzerProviderResource(type="pulumi:providers:it") if made else None
    return analyzer_pb2.AnalyzerResource(
        type=kind, properties=asked.properties, urn=asked.urn, name="fleet", provider=provider
    )


def ended(stub: Any, *resources: Any) -> list[tuple[str, str, int]]:
    """What the rules on the whole stack say."""
    found = stub.AnalyzeStack(analyzer_pb2.AnalyzeStackRequest(resources=resources), timeout=60).diagnostics
    return [(d.policyName, d.urn, d.enforcementLevel) for d in found]
