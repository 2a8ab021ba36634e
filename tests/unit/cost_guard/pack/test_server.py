"""What the pack's server shows to a rule: the same as the SDK's, and only what is asked for is unpacked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st
from pulumi_policy import deserialize, proxy

from cost_guard.pack import server
from cost_guard.pack.rule import unwrapped

UNKNOWN = [value for name, value in vars(proxy).items() if name.startswith("UNKNOWN_")]
SECRET = {deserialize.SPECIAL_SIG_KEY: deserialize.SPECIAL_SECRET_SIG}
KEYS = st.sampled_from("abcde")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("xyz", max_size=2) | st.sampled_from(UNKNOWN),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=3)
    | below.map(lambda value: {**SECRET, "value": value}),
    max_leaves=8,
)  # fmt: skip


def told(read: Callable[[], Any]) -> tuple[str, Any]:
    """What a rule gets that reads all of it: plain values, where something is unknown, or that a key is missing."""
    try:
        return "value", unwrapped(read())
    except proxy.UnknownValueError as error:
        return "unknown", error.message
    except KeyError as error:
        return "missing", error.args


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_properties_are_those_that_the_sdk_shows(inputs: dict[str, Any]) -> None:
    message = Struct()
    message.update(inputs)
    ours = server.Props(message)
    theirs = proxy.unknown_checking_proxy(deserialize.deserialize_properties(MessageToDict(message)))
    for key in "abcdef":
        for _ in range(2):  # what is unknown stays so when it is read again
            assert told(lambda key=key: ours[key]) == told(lambda key=key: theirs[key])  # type: ignore[misc]
    assert (list(ours), len(ours)) == (list(theirs), len(theirs))
    assert told(lambda: ours) == told(lambda: theirs)


def test_to_ask_for_a_property_does_not_make_it() -> None:
    """A protobuf map makes an entry for each key that it is asked for."""
    props = server.Props(Struct())
    assert (props.get("tags"), "tags" in props, list(props)) == (None, False, [])


def test_only_what_a_rule_reads_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, however many rules read it: a resource is large, and a plan has hundreds."""
    unpacked: list[Any] = []

    def counted(message: Any) -> Any:
        unpacked.append(MessageToDict(message))
        return unpacked[-1]

    monkeypatch.setattr(server, "MessageToDict", counted)
    message = Struct()
    message.update({"role": "gateway", "bundle": {"files": {"a": "b"}}})
    props = server.Props(message)
    assert [props["role"], props.get("role"), "role" in props] == ["gateway", "gateway", True]
    assert unpacked == ["gateway"]
