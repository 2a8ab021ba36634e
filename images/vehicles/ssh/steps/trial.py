"""What serves a model gives a known answer and stands a load of its own, once for what the machine serves with."""

from __future__ import annotations

from images.gpu.acceptance.trial.trying import job_of, told, try_out
from images.remote.errors import UnsuitableMachine
from images.vehicles.ssh.steps.installation import Installation

TRIAL_FOUND = "trial"
"""What of `found` says how it went."""
SLACK_S = 900.0
"""Beyond the load's own seconds: a busy engine's answers, one of them under way at the end."""
_OF = ("driver", "gpus", "weights")
"""What of `found` a machine serves with, beside its engine's version."""


def try_service(under_way: Installation) -> None:
    """A second time only where the driver, the engine's version, the weights or the trial are others, or it failed. The
    service of a machine that fails is ended, so that no gateway takes it for one that serves. Raises
    UnsuitableMachine."""
    layout = under_way.layout
    bundle, trial = layout.bundle, layout.bundle.trial
    if trial is None:
        return
    engine = () if bundle.runtime is None else (bundle.runtime.distribution,)
    of = {name: under_way.found[name] for name in (*engine, *_OF) if name in under_way.found}
    try:
        with under_way.watch.apart(trial.load_s + SLACK_S) as watch:
            record = try_out(under_way.connection, job_of(layout.host, bundle, trial, of), watch, under_way.say)
    except UnsuitableMachine as e:
        keeping = under_way.keeper()
        for service in bundle.services:
            keeping.stop(service.name)
        raise UnsuitableMachine(
            f"{layout.host.where} is not accepted: {e}. Its services are ended; the next run starts them and tries "
            "again. If that does not help: give the machine back"
        ) from None
    under_way.found[TRIAL_FOUND] = told(record)
    under_way.say(f"it serves: {told(record)}")
