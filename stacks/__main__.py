"""The whole path: settings → verdict → fleet → gateway → monitoring → exports."""

from __future__ import annotations

import pulumi

from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.pack.registry import codes
from cost_guard.scenario.waiver_file import load_waivers
from cost_guard.scenario.waivers import fleet_urn
from cost_guard.verdict.judge import judge
from cost_guard.verdict.verdict import explain
from images.roles.monitoring.settings import Limits
from providers.resources import Credentials
from stacks.fleet import Fleet
from stacks.gateway import HOST_PORTS, Gateway, certificate_names
from stacks.machines import Machines, surveyed
from stacks.settings import GATEWAY, ROOT, from_pulumi, today
from strict.problems import Problems

FLEET = "fleet"

try:
    settings = from_pulumi()
    urn = fleet_urn(pulumi.get_stack(), pulumi.get_project(), FLEET)
    verdict = judge(settings.proposal.under(load_waivers(ROOT, codes()), urn), load_catalogue(), today())
except Problems as e:
    raise pulumi.RunError(str(e)) from None

if verdict.blocked and not pulumi.runtime.is_dry_run():
    raise pulumi.RunError(explain(verdict))  # before anything is registered: nothing is created, nothing bills
if not verdict.blocked:
    (pulumi.log.warn if verdict.reasons else pulumi.log.info)(explain(verdict))

found = surveyed(settings)  # asks AWS, if anything is wanted there, before anything is registered
credentials = Credentials(
    "credentials",
    nodes=certificate_names(settings),
    generation=settings.credentials_generation,
)
machines = Machines(settings, credentials, found, HOST_PORTS)
fleet = Fleet(FLEET, settings, credentials, machines)
limits = Limits(
    minimum_nodes=settings.fleet.node_count - settings.fleet.spare_nodes,
    break_even_tokens_per_month=None if verdict.break_even.stable is None else float(verdict.break_even.stable),
)
gateway = Gateway(GATEWAY, settings, credentials, machines, fleet, limits)

pulumi.export("endpoint", gateway.endpoint)
pulumi.export("endpointAddresses", gateway.addresses)
pulumi.export("endpointKey", credentials.endpointKey)
pulumi.export("caCertificate", credentials.caCertificate)
pulumi.export("model", settings.serving.served_name)
pulumi.export("managedModels", [model.name for model in settings.gateway.managed])
pulumi.export("prometheus", gateway.prometheus)
pulumi.export("alertmanager", gateway.alertmanager)

if verdict.blocked:
    raise pulumi.RunError(explain(verdict))  # in preview, so that the reader and the pack see the whole plan first
