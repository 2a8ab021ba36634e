"""LiteLLM's table of managed prices: from the wheel that requirements/litellm.txt pins, a file, or an address."""

from __future__ import annotations

import email.utils
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from images.sources import REPOSITORY
from scripts.crossover.prices.diff import RowQuote

MEMBER = "litellm/model_prices_and_context_window_backup.json"
LOCK = REPOSITORY / "requirements" / "litellm.txt"
TIMEOUT_S = 300
MILLION = Decimal(10) ** 6
DIGITS = Context(prec=12)
"""The table is written from floats: 1.6000000000000001e-06 is 1.6 a million."""
MAX_TABLE_BYTES = 64 * 2**20
FIELDS = {
    "inputUsdPerMillion": "input_cost_per_token",
    "cachedInputUsdPerMillion": "cache_read_input_token_cost",
    "outputUsdPerMillion": "output_cost_per_token",
}


class TableError(Exception):
    """There is no such table to be had. The message says why."""


@dataclass(frozen=True)
class Table:
    """One version of the table."""

    models: Mapping[str, Mapping[str, Any]]
    name: str
    """E.g. "LiteLLM 1.106.2"."""
    date: date
    """When it was made; where nothing says, when it was read."""
    sha256: str
    """Of the table."""
    wheel_sha256: str = ""


def load(source: str | None, today: date) -> Table:
    """`source` is a .whl, a .json or an https address; None fetches the pinned wheel by pip, against the lock's hashes.
    Raises TableError."""
    try:
        if source is None:
            with tempfile.TemporaryDirectory() as folder:
                return _wheel(_fetched(Path(folder)))
        if source.startswith(("https://", "http://127.0.0.1:")):
            return _address(source, today)
        path = Path(source)
        if path.suffix == ".whl":
            return _wheel(path)
        return _table(path.read_bytes(), f"LiteLLM's table {path.name}", today)
    except (OSError, zipfile.BadZipFile, KeyError, subprocess.SubprocessError) as e:
        raise TableError(f"LiteLLM's table cannot be read from {source or 'the pinned wheel'}: {e}") from None


def quotes(table: Table, today: date) -> list[RowQuote]:
    """One for every model that is billed by the token, and that its vendor has not ended by today."""
    found = [_quote(key, entry, table) for key, entry in table.models.items() if _lives(entry, today)]
    return [quote for quote in found if quote is not None]


def _lives(entry: object, today: date) -> bool:
    return isinstance(entry, Mapping) and not "" < str(entry.get("deprecation_date") or "") <= today.isoformat()


def header(table: Table) -> str:
    """What stands above the rows: the version, its date and its hashes."""
    wheel = f"\n# The wheel's SHA-256: {table.wheel_sha256}" if table.wheel_sha256 else ""
    return (
        f"# What managed models cost, by their names in LiteLLM's table: {table.name}, of {table.date}.\n"
        f"# The table's SHA-256: {table.sha256}{wheel}\n"
        "# USD per million tokens. `crossover prices refresh --managed --write` writes it; --accept MODEL adds a row.\n"
        "# `weights`, whose weights a model is (a row of models.toml), is written by hand and kept.\n"
    )


def _fetched(folder: Path) -> Path:
    found = re.search(r"^litellm==(\S+) \\\n((?:    --hash=\S+(?: \\)?\n)+)", LOCK.read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise TableError(f"{LOCK.name} pins no litellm")
    (folder / "wanted.txt").write_text(found.group(0))
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--require-hashes", "--dest", str(folder), "--requirement", str(folder / "wanted.txt")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise TableError(f"pip cannot fetch litellm {found.group(1)}: {last[0]}; give the table by --table")
    return next(folder.glob("*.whl"))


def _wheel(path: Path) -> Table:
    with zipfile.ZipFile(path) as wheel:
        made = wheel.getinfo(MEMBER).date_time
        table = wheel.read(MEMBER)
    name = f"LiteLLM {path.name.split('-')[1]}"
    return _table(table, name, date(*made[:3]), hashlib.sha256(path.read_bytes()).hexdigest())


def _address(url: str, today: date) -> Table:
    import httpx  # here, because it takes 0.2 s, and a file or a wheel needs none

    try:
        answer = httpx.get(url, timeout=30.0, follow_redirects=True)
        answer.raise_for_status()
    except httpx.HTTPError as e:
        raise TableError(f"LiteLLM's table cannot be read from {url}: {e}") from None
    told = email.utils.parsedate_to_datetime(answer.headers["date"]).date() if "date" in answer.headers else today
    return _table(answer.content, f"LiteLLM's table at {url}", told)


def _table(content: bytes, name: str, made: date, wheel_sha256: str = "") -> Table:
    if len(content) > MAX_TABLE_BYTES:
        raise TableError(f"{name} has {len(content)} bytes, which is no table of prices")
    try:
        models = json.loads(content, parse_float=Decimal)
    except ValueError as e:
        raise TableError(f"{name} is not JSON: {e}") from None
    if not isinstance(models, dict):
        raise TableError(f"{name} is not a map of models")
    return Table(models, name, made, hashlib.sha256(content).hexdigest(), wheel_sha256)


def _quote(key: str, entry: Mapping[str, Any], table: Table) -> RowQuote | None:
    told = {name: entry[field] for name, field in FIELDS.items() if entry.get(field) is not None}
    if not {"inputUsdPerMillion", "outputUsdPerMillion"} <= told.keys():
        return None
    source = f"{table.name}, {entry['source']}" if entry.get("source") else table.name
    fields: dict[str, Any] = {"provider": entry.get("litellm_provider", ""), "date": table.date, "source": source}
    if entry.get("deprecation_date"):
        fields["note"] = f"its vendor ends it on {entry['deprecation_date']}"
    try:
        figures = {name: DIGITS.plus(Decimal(value) * MILLION).normalize() for name, value in told.items()}
        discount = _batch_discount(entry)
    except (InvalidOperation, TypeError, ValueError):
        return RowQuote(key, {}, fields, trouble="its prices are no numbers")
    if figures.get("cachedInputUsdPerMillion") == figures["inputUsdPerMillion"]:
        del figures["cachedInputUsdPerMillion"]  # no discount, and the catalogue says so by silence
    if discount is not None:
        figures["batchDiscount"] = discount
    return RowQuote(key, figures, fields)


def _batch_discount(entry: Mapping[str, Any]) -> Decimal | None:
    """What the batch API takes off, where it is the same for input and output."""
    shares = set()
    for field in ("input_cost_per_token", "output_cost_per_token"):
        full, batch = entry.get(field), entry.get(f"{field}_batches")
        if not full or batch is None:
            return None
        shares.add(DIGITS.plus(1 - Decimal(batch) / Decimal(full)).normalize())
    return shares.pop() if len(shares) == 1 else None
