"""The whole path: settings → verdict → fleets → monitoring's part → the gateway, which brings it along → exports."""

from __future__ import annotations

from collections.abc import Callable

import pulumi

from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.pack.registry import codes
from cost_guard.scenario.waiver_file import load_waivers
from cost_guard.scenario.waivers import fleet_urn
from cost_guard.verdict.judge import judge_stack
from cost_guard.verdict.verdict import explain
from images.roles.gateway.bundle import PORTS as GATEWAY_PORTS
from images.roles.monitoring.access import monitoring_key
from images.roles.monitoring.bundle import PORTS as MONITORING_PORTS
from images.sources import REPOSITORY
from providers.resources import Credentials, Install
from stacks.checks import check_memory, check_weights, note_identity, tell_buffer, tell_secrets
from stacks.fleet import Fleet, peers
from stacks.gateway import Gateway, certificate_names
from stacks.judged.proposal import GATEWAY
from stacks.machines import Machines, surveyed
from stacks.monitoring import monitoring
from stacks.rotation.keys import Keys
from stacks.settings import from_pulumi
from strict.day import today
from strict.problems import Problems

try:
    settings, catalogue, day, waivers = from_pulumi(), load_catalogue(), today(), load_waivers(REPOSITORY, codes)
    stack, project = pulumi.get_stack(), pulumi.get_project()
    asked = {name: one.under(waivers, fleet_urn(stack, project, name)) for name, one in settings.proposals.items()}
    verdict = judge_stack(asked, catalogue, day)
except Problems as e:
    raise pulumi.RunError(str(e)) from None

blocked, told = verdict.blocked, explain(verdict)
if blocked and not pulumi.runtime.is_dry_run():
    raise pulumi.RunError(told)  # before anything is registered: nothing is created, nothing bills
if not blocked:
    (pulumi.log.warn if verdict.reasons else pulumi.log.info)(told)

tell_secrets(settings)
tell_buffer(settings)
check_weights(settings)
check_memory(settings)
found = surveyed(settings)  # asks AWS, if anything is wanted there, before anything is registered
credentials = Credentials(
    "credentials",
    nodes=certificate_names(settings),
    generation=settings.credentials_generation,
    retired=settings.credentials_retired,
)
note_identity(credentials)
keys = Keys(settings, credentials)
machines = Machines(settings, credentials, found, {**GATEWAY_PORTS, **MONITORING_PORTS})
# A fleet is declared first, and the keys of its nodes change after those of the gateways.
deferred: tuple[pulumi.Output[list[Install]], Callable[[pulumi.Output[list[Install]]], None]] = pulumi.deferred_output()
gateways, tell_gateways = deferred
fleets = [Fleet(model, settings, credentials, keys, machines, gateways) for model in settings.models]
nodes = peers(fleets)
along = monitoring(settings, verdict.models or (verdict,), catalogue, nodes, credentials.caCertificate)
gateway = Gateway(GATEWAY, settings, credentials, keys, machines, fleets, nodes, along)
tell_gateways(pulumi.Output.from_input(gateway.installs))

pulumi.export("endpoint", gateway.endpoint)
pulumi.export("endpointAddresses", gateway.addresses)
pulumi.export("endpointKey", credentials.endpointKey)
pulumi.export("caCertificate", keys.trusted)
pulumi.export("model", settings.served_names[0])
pulumi.export("managedModels", [model.name for model in settings.gateway.managed])
pulumi.export("prometheus", gateway.inside("prometheus"))
pulumi.export("alertmanager", gateway.inside("alertmanager"))
pulumi.export("monitoringKey", credentials.litellmMasterKey.apply(monitoring_key))

if blocked:
    raise pulumi.RunError(told)  # in preview, so that the reader and the pack see the whole plan first
