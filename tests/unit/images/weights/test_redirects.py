"""What a redirect takes along."""

from __future__ import annotations

import io
import urllib.request

import pytest

from images.weights.agent.sources.web import _Redirects

OPENING = {"Authorization": "a", "x-amz-security-token": "b", "X-aws-ec2-metadata-token": "c"}


@pytest.mark.parametrize(("to", "kept"), [("https://one.example/y", 3), ("https://two.example/y", 0)])
def test_what_opens_the_first_host_is_shown_to_no_other(to: str, kept: int) -> None:
    request = urllib.request.Request("https://one.example/x", headers={**OPENING, "Range": "bytes=5-"})
    made = _Redirects().redirect_request(request, io.BytesIO(), 302, "Found", {}, to)
    assert made is not None
    there = {name.lower() for name, _ in made.header_items()}
    assert len(there & {name.lower() for name in OPENING}) == kept
    assert "range" in there
