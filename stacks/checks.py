"""What is said, noted and refused before anything is rented: whether it fits, which weights, what comes on a node."""

from __future__ import annotations

import pulumi

from cost_guard.catalogue.models import load_models
from cost_guard.scenario.proposal import STACK_PREFIX
from images.engines.common.base import GPUS
from images.weights import settings as weights
from providers.renting.memory import identity
from providers.resources import Credentials
from stacks import planning, runtime
from stacks.served import ServedModel
from stacks.settings import Settings, SettingsError


def check_memory(settings: Settings) -> None:
    """Says how what is served fits the machines' GPUs. Raises RunError where vLLM would not start."""
    fits = [planning.fit(model) for model in settings.models]
    for note in (note for one in fits for note in one.notes):
        pulumi.log.info(note)
    if refusals := [line for one in fits for line in one.refusals]:
        raise pulumi.RunError(str(SettingsError(refusals)))


def tell_secrets(settings: Settings) -> None:
    """Says in a preview, which needs none, which secrets are missing."""
    for line in settings.not_set:
        pulumi.log.warn(f"`up` will refuse: {STACK_PREFIX}{line}")


_LEAST_BYTES_PER_TOKEN = 4
"""English has about so many; fewer in the buffer, and the longest requests that the nodes take are refused."""


def tell_buffer(settings: Settings) -> None:
    """Says where the gateway is told to read less of a request than the longest that the nodes take."""
    longest, given = max(model.serving.max_model_len for model in settings.models), settings.gateway.buffer_bytes
    if given is not None and given < (wanted := _LEAST_BYTES_PER_TOKEN * longest):
        pulumi.log.warn(
            f"{STACK_PREFIX}gateway.bufferBytes: {given}, and a request of serving.maxModelLen, {longest} tokens, has "
            f"about {wanted} bytes: the gateway answers 413 to one that names its model at the end, as OpenAI's Python "
            "client does. Leave bufferBytes out, and it fits"
        )


def check_weights(settings: Settings) -> None:
    """Says what should be known of the weights before anything is rented. Raises RunError in an `up` that would install
    files of which nothing is known; a preview says so."""
    for model in settings.models:
        if (wanted := model.weights) is None:
            continue
        source, known = model.serving.weights, load_models().get(model.serving.model)
        for line in weights.remarks(
            wanted, None if source is None else source.secret, gated=known is not None and known.gated
        ):
            pulumi.log.warn(line)
        if why := weights.refusal(wanted):
            if not pulumi.runtime.is_dry_run():
                raise pulumi.RunError(why)
            pulumi.log.warn(f"`up` will refuse: {why}")


def tell_nodes(model: ServedModel, settings: Settings, fleet: pulumi.Resource) -> None:
    """Says what will be on each node. Raises NotAllowed."""
    if GPUS not in model.engine.capabilities:
        return
    for key in model.fleet.nodes:
        runtimes = model.runtimes(key)
        sections = {cloud: settings.clouds.get(cloud, {}) for cloud in runtimes}
        images = {c: s.get(runtime.IMAGE) or model.serving.image or "" for c, s in sections.items()}
        for line in runtime.told(key, runtimes, images):
            pulumi.log.info(line, fleet)


def note_identity(credentials: Credentials) -> None:
    """In `up` alone, copies the stack's identity to where this computer finds it when the state cannot be read. Where
    that cannot be written, it is said, and nothing else depends on it."""
    if not pulumi.runtime.is_dry_run():
        credentials.stack_id.apply(_noted)


def _noted(stack_id: str) -> None:
    try:
        identity.keep(pulumi.get_project(), pulumi.get_stack(), stack_id)
    except (OSError, RuntimeError) as e:
        pulumi.log.warn(
            f"the stack's identity {stack_id} cannot be copied to this computer: {e}. Write it down: if the state is "
            f"lost, `crossover orphans --stack-id {stack_id}` finds the stack's machines"
        )
