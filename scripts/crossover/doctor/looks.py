"""What `crossover doctor` looks at, before money is spent: can this computer bring the stack up, and is it what the
gate judged?"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from cost_guard.catalogue.catalogue import load_catalogue
from providers import registry
from providers.base import Candidate, Capability, Cloud, Offer
from providers.preflight import Check, Grade, Plan
from scripts.crossover.doctor import checks
from scripts.crossover.doctor.certificates import certificates
from scripts.crossover.doctor.checks import Wanted
from scripts.crossover.doctor.disk import disk
from scripts.crossover.doctor.duds import duds
from scripts.crossover.doctor.image import image
from scripts.crossover.doctor.weights import weights
from scripts.crossover.shell.clouds import CloudAnswer, ask
from scripts.crossover.stack.engine import STATE, StackError, project, pulumi
from scripts.crossover.stack.fleet import configured
from scripts.crossover.stack.state import nodes_among, resources
from strict.day import today
from strict.problems import Problems

PROGRAMS = (
    "sshd", "ssh-keygen", "haproxy", "redis-server", "curl", "prometheus", "promtool", "prometheus-alertmanager",
    "amtool",
)  # fmt: skip
"""As scripts/bootstrap installs them."""
CONNECT_S = 5.0


def run(stack: str) -> list[Check]:
    """All checks, each on its own: one that fails does not hide the rest."""
    found = [
        _engine(),
        checks.version("Python", platform.python_version(), checks.LEAST_PYTHON, "run scripts/bootstrap"),
        *disk(STATE),
        *duds(stack),
    ]
    try:
        rungs = wanted(stack)
    except StackError as e:
        rungs = []
        found.append(Check(f"stack {stack}", Grade.FAIL, str(e), "nothing of the stack could be checked"))
    used = {rung.cloud for rung in rungs}
    if any(registry.can(cloud, Capability.THIS_COMPUTER) for cloud in used):
        found.append(checks.programs(_missing_programs()))
    foreign = sorted(used - set(registry.CLOUDS))
    known_are = f"known are: {', '.join(sorted(registry.CLOUDS))}"
    found += [Check(f"cloud {name}", Grade.FAIL, "there is no such cloud", known_are) for name in foreign]
    answers: list[CloudAnswer[Offer]] = ask(lambda cloud: _offers(cloud, rungs))
    for answer in answers:
        found.append(checks.credentials(answer, answer.cloud in used))
        if answer.cloud in used or answer.failed:
            found += _way_out(answer.cloud)
        if answer.cloud in used and not answer.missing:
            found += _preflight(registry.cloud(answer.cloud), stack, rungs)
    if rungs:
        values = configured(stack)[0]
        found += [*image(values, used), *weights(stack, values)]
    state = _state(stack)
    found += certificates(state, datetime.now(UTC))
    standing = frozenset(node.get("key", "") for node in nodes_among(state))
    known = [rung for rung in rungs if rung.cloud not in foreign]
    try:
        return found + checks.candidates(known, answers, load_catalogue(), standing, today=today())
    except Problems as e:
        return [*found, Check("prices", Grade.FAIL, str(e), "mend it: the gate cannot judge either")]


def _offers(cloud: Cloud, rungs: Sequence[Wanted]) -> Sequence[Offer]:
    """A cloud whose catalogue is too long to be listed tells what the stack wants."""
    of_places = getattr(cloud, "offers_of", None)
    if of_places is None:
        return cloud.offers()
    found: Sequence[Offer] = of_places([(rung.region, rung.sku) for rung in rungs if rung.cloud == cloud.name])
    return found


def _preflight(cloud: Cloud, stack: str, rungs: Sequence[Wanted]) -> list[Check]:
    """What stands in the way at one cloud, quotas above all; a cloud that cannot be asked for them says so."""
    look = getattr(cloud, "preflight", None)
    if look is None:
        bills = not {Capability.BILLS_NOTHING, Capability.OWNED} & registry.capabilities(cloud.name)
        return [checks.quota_untold(cloud.name)] if bills else []
    values, fleet = configured(stack)
    first = {r.node: Candidate(r.cloud, r.region, r.sku) for r in reversed(rungs) if r.cloud == cloud.name}
    sections = values.get("clouds")
    settings = sections.get(cloud.name) if isinstance(sections, dict) else None
    given = settings if isinstance(settings, dict) else {}
    generations = {key: n for key, n in (values.get("generations") or {}).items() if isinstance(n, int)}
    plan = Plan(project(), stack.rpartition("/")[2], first, given, fleet.max_per_failure_domain, generations)
    found: list[Check] = look(plan)
    return found


def wanted(stack: str) -> list[Wanted]:
    """All rungs of the stack's committed configuration, the gateway's own machine included. Raises StackError."""
    values, fleet = configured(stack)
    rungs = [
        Wanted(key, c.cloud, c.region, c.sku, c.max_usd_per_hour, None if c.stands_for else c.catalogue_key)
        for key, node in fleet.nodes.items()
        for c in node.candidates
    ]
    gateway = values.get("gatewayNode")
    if isinstance(gateway, dict) and {"cloud", "region", "sku"} <= gateway.keys():
        rungs.append(Wanted("gateway", gateway["cloud"], gateway["region"], gateway["sku"]))
    return rungs


def _state(stack: str) -> list[dict[str, Any]]:
    """The stack's resources; none where it does not exist yet."""
    try:
        return resources(stack)
    except StackError:
        return []


def _engine() -> Check:
    try:
        found = pulumi("version").strip()
    except StackError as e:
        return Check("engine", Grade.FAIL, str(e), "run scripts/bootstrap")
    return checks.version("engine", found, checks.LEAST_ENGINE, "run scripts/bootstrap")


def _missing_programs() -> list[str]:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return [name for name in PROGRAMS if shutil.which(name, path=path) is None]


def _way_out(cloud: str) -> Iterable[Check]:
    """Whether the host of the cloud's API, or the proxy before it, takes connections. Nothing for a cloud that tells
    no `api_url`: there is nothing to reach."""
    url = getattr(registry.cloud(cloud), "api_url", "")
    if url:
        yield way_out(cloud, url)


def way_out(cloud: str, url: str) -> Check:
    """DNS and TCP to where requests to `url` go from here."""
    there = urlsplit(url)
    host, port = there.hostname or "", there.port or (443 if there.scheme == "https" else 80)
    proxy = getproxies().get(there.scheme)
    through = ""
    if proxy and not proxy_bypass(host):
        through = f"the proxy before {host}, "
        there = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        host, port = there.hostname or "", there.port or 80
    name, where = f"way out to {cloud}", f"{through}{host}:{port}"
    begun = time.monotonic()
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        with socket.create_connection((host, port), CONNECT_S):
            return Check(name, Grade.OK, f"{where} answers in {(time.monotonic() - begun) * 1000:.0f} ms")
    except socket.gaierror as e:
        remedy = "is there a DNS server? Behind a proxy set HTTPS_PROXY"
        return Check(name, Grade.FAIL, f"{where}: the name cannot be resolved: {e.strerror}", remedy)
    except OSError as e:
        remedy = "let the firewall of this computer's network pass it, or set HTTPS_PROXY"
        return Check(name, Grade.FAIL, f"{where} does not take connections: {e}", remedy)
