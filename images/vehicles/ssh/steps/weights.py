"""A model's files, before anything starts that reads them."""

from __future__ import annotations

from images.vehicles.ssh.steps.installation import Installation
from images.weights.onto import bring, job_of
from images.weights.siblings import bring_among, can_be_known


def bring_weights(under_way: Installation) -> None:
    """The weights are there and verified, or this fails; a second time nothing is asked of anybody. It has a deadline
    of its own, and the install's does not count meanwhile."""
    layout = under_way.layout
    weights = layout.bundle.weights
    if weights is None:
        return
    opens = [f for f in under_way.secrets if f.path == f"secrets/{weights.secret}" and under_way.probe.differs(f)]
    if opens:
        under_way.put(opens, "sending what opens the weights")
    job = job_of(layout.host, layout.bundle, weights, layout.record)
    with under_way.watch.apart(weights.deadline_s) as watch:
        if under_way.siblings is None or weights.kind == "path" or not can_be_known(weights, layout.record):
            brought = bring(under_way.connection, job, watch, under_way.say)
        else:
            brought = bring_among(under_way.siblings, under_way.connection, job, watch, under_way.say)
    under_way.found["weights"] = brought.told(weights.model)
