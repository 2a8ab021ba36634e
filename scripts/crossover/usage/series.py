"""Records added up to days and hours, whatever their order and however many files they came in."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from fnmatch import fnmatchcase
from hashlib import blake2b

from cost_guard.scenario.measuring import DayOfTokens, listed
from cost_guard.scenario.usage import TEXT, Traffic
from scripts.crossover.usage.record import LOGGED, BadExport, Empty, Item, Page, Place, Record
from scripts.crossover.usage.traffic import by_name

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
ALL_HOURS = (1 << 24) - 1


class Once:
    """Which records were seen, and where, in a temporary file: memory does not grow with the export."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)  # "": a private file, gone when it is closed
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-32768"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute("CREATE TABLE seen (id INTEGER PRIMARY KEY, file INTEGER, line INTEGER, path TEXT)")
        self._database.execute("BEGIN")
        self._files: dict[str, int] = {}

    def first(self, identity: str, place: Place) -> Place | None:
        """None where it is new; where it stood before, if it is not."""
        key = int.from_bytes(blake2b(identity.encode(), digest_size=8).digest(), signed=True)
        file = self._files.setdefault(place.file, len(self._files))
        try:
            done = self._database.execute(
                "INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?)", (key, file, place.line, place.path)
            )
        except sqlite3.OperationalError as error:
            raise place.bad(f"the temporary file of what was seen: {error}; name a larger folder in TMPDIR") from None
        if done.rowcount:
            return None
        file, line, path = self._database.execute("SELECT file, line, path FROM seen WHERE id = ?", (key,)).fetchone()
        return Place(list(self._files)[file], line, path)

    def close(self) -> None:
        self._database.close()


@dataclass(frozen=True)
class Days:
    """Consecutive days; None is a gap. `notes` say what was left out."""

    series: dict[date, DayOfTokens | None]
    notes: tuple[str, ...]


class Series:
    """Adds records up. The days are those of `zone`; nothing may lie after `today`."""

    def __init__(
        self, zone: tzinfo, today: date, models: tuple[str, ...] = (), counted: tuple[Traffic, ...] = (TEXT,)
    ) -> None:
        self._zone, self._today, self._models, self._counted = zone, today, models, frozenset(counted)
        self._once = Once()
        self._tokens: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
        self._left_out: dict[int, dict[Traffic, int]] = defaultdict(lambda: defaultdict(int))
        self._hours: dict[int, list[int]] = defaultdict(lambda: [0] * 24)
        self._covered: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        """Format → day → one bit an hour."""
        self._logged: set[str] = set()
        self._daily = False
        self._by_model: dict[str, bool] = {}
        self._widths: dict[tuple[str, int], timedelta] = {}
        self._chosen, self._others = False, set[str]()
        """Whether --models chose anything, and what it did not choose."""
        self._begun = set[tuple[str, datetime | str]]()
        self._awaited: dict[tuple[str, datetime | str], Place] = {}
        """Pages that are there, and those that another one says must follow."""
        self._told: list[str] = []

    def add(self, form: str, items: Iterable[Item]) -> int:
        """Adds what a reader yields of one export and returns how many records there were. Raises BadExport."""
        number = 0
        for item in items:
            if isinstance(item, Record | Empty):
                day, hours = self._when(form, item)
                self._covered[form][day] |= hours
                if isinstance(item, Record):
                    number += 1
                    self._add(form, item, day, hours)
            elif isinstance(item, Page):
                self._turn(form, item)
            else:
                self._told.append(f"{form}: {item.text}")
        return number

    @property
    def empty(self) -> bool:
        """Whether nothing was covered so far, not even without tokens."""
        return not self._covered

    def close(self) -> None:
        self._once.close()

    def _add(self, form: str, record: Record, day: int, hours: int) -> None:
        if before := self._once.first(f"{form} {record.traffic} {record.identity}", record.place):
            raise record.place.bad(f"stands twice, first at {before}; was a page given twice, or do two overlap?")
        self._check_model(form, record)
        if self._models and not any(fnmatchcase(record.model or "", pattern) for pattern in self._models):
            self._others.add(record.model or "")
            return
        self._chosen = True
        traffic = by_name(record.model) if record.traffic == TEXT and record.model else record.traffic
        if traffic not in self._counted:
            self._left_out[day][traffic] += record.fresh + record.cached + record.output
            return
        tokens = self._tokens[day]
        tokens[0] += record.fresh
        tokens[1] += record.cached
        tokens[2] += record.output
        if hours != ALL_HOURS:
            self._hours[day][hours.bit_length() - 1] += record.fresh + record.cached + record.output

    def _turn(self, form: str, page: Page) -> None:
        self._begun.add((form, page.begins))
        if page.awaits is not None and not self._is_over(page.awaits):
            self._awaited[form, page.awaits] = page.place

    def _is_over(self, awaited: datetime | str) -> bool:
        """Whether what follows is today's, which is never counted."""
        return isinstance(awaited, datetime) and awaited.astimezone(self._zone).date() >= self._today

    def _check_pages(self) -> None:
        for (form, awaited), place in self._awaited.items():
            if (form, awaited) not in self._begun:
                named = awaited.isoformat() if isinstance(awaited, datetime) else awaited
                raise place.bad(
                    f"says that more follows, but no page that was given begins with {named}; fetch the pages to the "
                    "last one, and give all of them together"
                )

    def _check_model(self, form: str, record: Record) -> None:
        named = record.model is not None
        if self._models and not named:
            raise record.place.bad("names no model, so --models cannot choose; export it grouped by model")
        if self._by_model.setdefault(form, named) != named:
            raise record.place.bad(
                "mixes results by model with results of all models, which would count tokens twice; export all alike"
            )

    def _when(self, form: str, record: Record | Empty) -> tuple[int, int]:
        """The day's ordinal and the bits of the hours that the record covers. Raises BadExport."""
        local = record.start.astimezone(self._zone)
        day = local.date()
        if day > self._today:
            raise record.place.bad(f"lies in the future: {local.isoformat()}, after {self._today}")
        if day == self._today:  # partial, whatever its width; never counted
            return day.toordinal(), 1
        if self._widths.setdefault((form, day.toordinal()), record.width) != record.width:
            raise record.place.bad(
                f"{day} has buckets of different widths, which would count tokens twice; export one width"
            )
        if record.width <= HOUR:
            if record.width == LOGGED:
                self._logged.add(form)
            elif local + record.width > self._midnight(day + DAY):
                raise record.place.bad(f"a bucket from {local.isoformat()} spans two days of {self._zone}")
            return day.toordinal(), 1 << local.hour
        if record.width > DAY + HOUR or local + record.width < self._midnight(day + DAY) - HOUR:
            width = int(record.width.total_seconds())
            raise record.place.bad(f"buckets of {width} s: export buckets of a day, an hour or a minute")
        end = (record.start + record.width).astimezone(self._zone)
        if local.time() != time(0) or end.time() != time(0):
            raise record.place.bad(
                f"the day begins at {local.isoformat()}, not at midnight in {self._zone}; name the zone of its days "
                "with --timezone"
            )
        self._daily = True
        return day.toordinal(), ALL_HOURS

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(0), self._zone)

    def days(self, zero_gaps: bool = False) -> Days:
        """From the first to the last day that every format covers in full. Raises BadExport where there is none."""
        self._check_pages()
        notes = [*dict.fromkeys(self._told)]
        spans = [self._span(form, covered, notes) for form, covered in self._covered.items()]
        if not spans:
            raise BadExport("the exports have no record")
        if self._others and not self._chosen:
            raise BadExport(f"--models chooses none of {', '.join(sorted(self._others)[:10])}")
        first, last = max(span[0] for span in spans), min(span[1] for span in spans)
        if first > last:
            raise BadExport(f"no day is covered in full by {', '.join(self._covered)}; " + "; ".join(notes))
        window = [date.fromordinal(day) for day in range(first, last + 1)]
        gaps = [day for day in window if not all(self._whole(form, day.toordinal()) for form in self._covered)]
        if gaps and zero_gaps:
            notes.append(f"counted as days without traffic, as --zero-gaps says: {listed(gaps)}")
        missing = set() if zero_gaps else set(gaps)
        return Days({day: None if day in missing else self._day(day.toordinal()) for day in window}, tuple(notes))

    def _day(self, day: int) -> DayOfTokens:
        fresh, cached, output = self._tokens.get(day, (0, 0, 0))
        hours = None if self._daily else tuple(self._hours.get(day, (0,) * 24))
        return DayOfTokens(fresh, cached, output, hours, tuple(sorted(self._left_out.get(day, {}).items())))

    def _whole(self, form: str, day: int) -> bool:
        covered = self._covered[form].get(day, 0)
        if form in self._logged:
            return covered > 0
        return covered.bit_count() >= self._hours_of(day)

    def _hours_of(self, day: int) -> int:
        """24, or 23 where the clock jumps ahead."""
        start, end = (self._midnight(date.fromordinal(n)) for n in (day, day + 1))
        jump = (end.utcoffset() or timedelta(0)) - (start.utcoffset() or timedelta(0))
        return 24 - max(0, int(jump / HOUR))

    def _span(self, form: str, covered: dict[int, int], notes: list[str]) -> tuple[int, int]:
        """The first and the last full day of a format. At its ends, what is partial is dropped and said.

        A log does not say where it was cut: its first day counts if the first hour has a request, its last if the last.
        """
        days = sorted(day for day in covered if day < self._today.toordinal())
        dropped = [self._today.toordinal()] if self._today.toordinal() in covered else []
        logged = form in self._logged
        while days and not (covered[days[0]] & 1 if logged else self._whole(form, days[0])):
            dropped.append(days.pop(0))
            if logged:
                break
        while days and not (covered[days[-1]] >> 23 & 1 if logged else self._whole(form, days[-1])):
            dropped.append(days.pop())
            if logged:
                break
        if dropped:
            notes.append(f"dropped as partial ({form}): {listed([date.fromordinal(day) for day in sorted(dropped)])}")
        return (days[0], days[-1]) if days else (1, 0)
