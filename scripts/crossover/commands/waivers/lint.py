"""Checks the file and shows what each waiver is worth today. Exits 0, or 3 where the file cannot be used."""

from __future__ import annotations

from scripts.crossover.shell.day import Today, day
from scripts.crossover.shell.options import AsJson
from scripts.crossover.stack.waivers import File, show


def command(file: File = None, today: Today = None, as_json: AsJson = False) -> None:
    show(file, day(today), as_json)
