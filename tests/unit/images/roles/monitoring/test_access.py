"""The key of Prometheus and Alertmanager, and the file by which they know it."""

from __future__ import annotations

import bcrypt
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from images.roles.monitoring.access import monitoring_key, web_configuration


@settings(max_examples=30)
@given(st.text(min_size=1, max_size=80))
def test_the_hash_is_the_keys_and_no_others(master: str) -> None:
    key = monitoring_key(master)
    [(user, hashed)] = yaml.safe_load(web_configuration(key))["basic_auth_users"].items()
    assert user == "crossover"
    assert bcrypt.checkpw(key.encode(), hashed.encode())
    assert not bcrypt.checkpw(key[:-1].encode(), hashed.encode())
    assert len(key) <= 72, "bcrypt looks at no more"
    assert key not in web_configuration(key)


def test_equal_keys_make_equal_files_and_others_others() -> None:
    """A salt drawn anew would be a change at every `up`."""
    one, two = monitoring_key("sk-one"), monitoring_key("sk-two")
    assert one != two
    assert web_configuration(one) == web_configuration(one) != web_configuration(two)
