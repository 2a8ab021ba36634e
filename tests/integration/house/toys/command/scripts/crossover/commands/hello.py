"""Says hello."""

from __future__ import annotations


def command(name: str = "you") -> None:
    print(f"hello {name}")
