"""Addresses and URLs are checked as such: what stands in a configuration is written into other programs' files."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from strict.fields import address, in_clear, ip_address, url


@pytest.mark.parametrize("value", ["127.0.0.1", "::", "2001:db8::1", "0.0.0.0"])
def test_an_ip_address_is_one(value: str) -> None:
    assert ip_address(value) == value
    assert address(value) == value


@pytest.mark.parametrize(
    "value", ["", "-oProxyCommand=x", "a b", "0.0.0.0\n    bind *:1", "a'b", "*", "a..b", "x" * 254]
)
def test_finding_22_what_another_program_would_read_as_more_is_no_address(value: str) -> None:
    """Audit 22: three lines of haproxy.cfg stood in `bind`, and an option of ssh in `address`."""
    for kind in (address, ip_address):
        with pytest.raises(ValueError, match="is n"):
            kind(value)


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ("https://api.example.com/v1", True),
        ("http://[::1]:8000/v1?a=b%20c", True),
        ("https://10.0.0.7:8443", True),
        ("https://user:word@api.example.com", False),
        ("https://api.example.com:port", False),
        ("https://api.example.com:99999", False),
        ("https:///v1", False),
        ("https://a b/", False),
        ("https://a/\n", False),
        ("https://a/\x1b[31m", False),
        ("https://münchen.example/", False),
        ('https://a/"', False),
        ("ftp://a/", False),
    ],
)
def test_a_url_has_a_host_and_no_user(value: str, taken: bool) -> None:
    with nullcontext() if taken else pytest.raises(ValueError, match=r"URL|address"):
        assert url(value) == value


@pytest.mark.parametrize(
    ("value", "readable"),
    [
        ("http://api.example.com/v1", True),
        ("http://192.0.2.9:8080", True),
        ("http://localhost.example.com", True),
        ("https://api.example.com/v1", False),
        ("http://localhost:8001/v1", False),
        ("http://127.0.0.1:8001/v1", False),
        ("http://[::1]/", False),
    ],
)
def test_in_clear_is_http_to_another_computer(value: str, readable: bool) -> None:
    assert in_clear(value) is readable
