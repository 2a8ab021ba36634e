"""The steps of an install, in their order. The machine's own state decides what each of them does."""

from __future__ import annotations

from images.vehicles.ssh.steps.accept import accept
from images.vehicles.ssh.steps.allreduce import measure_links
from images.vehicles.ssh.steps.environments import build_environments
from images.vehicles.ssh.steps.examination import examine_gpus
from images.vehicles.ssh.steps.files import send_files
from images.vehicles.ssh.steps.gpu import bring_gpus
from images.vehicles.ssh.steps.installation import Step
from images.vehicles.ssh.steps.look import look
from images.vehicles.ssh.steps.packages import install_packages
from images.vehicles.ssh.steps.runtime import look_at_engine
from images.vehicles.ssh.steps.services import bring_services
from images.vehicles.ssh.steps.trial import try_service
from images.vehicles.ssh.steps.weights import bring_weights

STEPS = (
    Step("looking at the machine", look),
    Step("installing packages", install_packages),
    Step("preparing GPUs", bring_gpus),
    Step("examining GPUs", examine_gpus),
    Step("building environments", build_environments),
    Step("looking at the engine", look_at_engine),
    Step("measuring the GPUs' links", measure_links),
    Step("bringing weights", bring_weights),
    Step("sending files", send_files),
    Step("bringing services up to date", bring_services),
    Step("waiting until it answers", accept),
    Step("trying it out", try_service),
)
