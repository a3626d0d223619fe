"""On which days orders can leave and goods can come: order days and cut-offs of suppliers, their
working days, days on which lanes leave and places take goods in, holidays.

Symbols: L whole periods an order takes where no day is in its way, W periods more that one decided
on a certain day takes, R review interval, G periods beyond R until what the next decision orders is
there. An order decided in period t is there in period t + L + W(t) and has to last until t + R + L
+ W(t + R): R + G periods.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from models.domain import Integers

EVERY_DAY = frozenset(range(1, 8))
MONDAY_TO_FRIDAY = frozenset(range(1, 6))
#: Weekdays by how their names begin, English and German; a name goes on in letters.
BEGINNINGS = {
    **{name: day for day, name in enumerate(("mo", "tu", "we", "th", "fr", "sa", "su"), start=1)},
    "di": 2,
    "mi": 3,
    "do": 4,
    "so": 7,
}
#: Where no day within so many is open, nothing will ever leave.
REACH = 400
DAY = timedelta(days=1)


def weekdays(text: str | None) -> frozenset[int]:
    """The ISO weekdays that a text names, such as "tue, fri", "mon-thu" or "2,5"; every day where
    it names none. Raises ValueError for a word that is no weekday."""
    said = re.sub(r"\s*(?:-|\bto\b|\bbis\b)\s*", "-", (text or "").strip().lower())
    found: set[int] = set()
    for part in re.split(r"[\s,;/+]+|\band\b|\bund\b", said):
        if not part:
            continue
        if part == "daily":
            found |= EVERY_DAY
            continue
        first, _, last = part.partition("-")
        start, end = _weekday(first), _weekday(last or first)
        found |= {(start - 1 + k) % 7 + 1 for k in range((end - start) % 7 + 1)}
    return frozenset(found) or EVERY_DAY


def _weekday(word: str) -> int:
    day = int(word) if word.isdecimal() else BEGINNINGS.get(word[:2], 0)
    if not 1 <= day <= 7:
        raise ValueError(f"'{word}' is no weekday: write mon, tue, wed, thu, fri, sat or sun")
    return day


@dataclass(frozen=True)
class Days:
    """The days on which somebody sends or takes: ISO weekdays, less the days closed."""

    weekdays: frozenset[int] = EVERY_DAY
    closed: frozenset[date] = frozenset()

    @property
    def is_every_day(self) -> bool:
        """Whether there is no day that is not open."""
        return self.weekdays == EVERY_DAY and not self.closed

    def first(self, day: date) -> date:
        """The first open day at or after one. Raises ValueError where none is within reach."""
        for ahead in range(REACH):
            if (then := day + ahead * DAY).isoweekday() in self.weekdays and (
                then not in self.closed
            ):
                return then
        raise ValueError(f"no day is open within {REACH} days of {day}")

    def after(self, day: date, count: int) -> date:
        """The open day that is so many open days later than one."""
        for _ in range(count):
            day = self.first(day + DAY)
        return day


@dataclass(frozen=True)
class Way:
    """One way goods come: when its orders leave, how long they take, when they are taken in.

    days: calendar days from order to goods. working_days: days of the sender's in their place, None
    where calendar days count. is_missed: orders of a day are made too late for the day's cut-off.
    """

    sends: Days
    works: Days
    takes: Days
    days: float
    working_days: float | None = None
    is_missed: bool = False

    @property
    def is_free(self) -> bool:
        """Whether no day is ever in the way."""
        is_open = self.sends.is_every_day and self.takes.is_every_day
        return is_open and self.working_days is None and not self.is_missed

    def leaves(self, day: date) -> date:
        """The day on which an order decided on a day leaves."""
        return self.sends.first(day + DAY if self.is_missed else day)

    def arrives(self, day: date) -> date:
        """The day on which what is decided on a day is there."""
        leaves = self.leaves(day)
        if self.working_days is None:
            there = leaves + math.ceil(self.days - 1e-9) * DAY
        else:
            there = self.works.after(leaves, math.ceil(self.working_days - 1e-9))
        return self.takes.first(there)


@dataclass(frozen=True)
class SupplyCalendar:
    """The days of every supplier and place.

    orders, works: by supplier. cut_offs: suppliers whose cut-off is over before orders leave here.
    takes: by location. shut: by location that ships, the days it is closed. Whoever is not named is
    open every day but those of `everybody`.
    """

    orders: Mapping[str, Days] = field(default_factory=dict)
    works: Mapping[str, Days] = field(default_factory=dict)
    cut_offs: frozenset[str] = frozenset()
    takes: Mapping[str, Days] = field(default_factory=dict)
    everybody: Days = field(default_factory=Days)
    days_a_period: float = 1.0

    def way(self, row: Mapping[str, Any]) -> Way:
        """The way of a row: kind, from_id, location_id, lead_time_days and, where known,
        lead_time_working_days and departure_days."""
        source, is_bought = row["from_id"], row["kind"] == "purchase"
        senders = self.orders if is_bought else self.takes
        sends = senders.get(source, self.everybody)
        if not is_bought:  # a place ships on the lane's days, whatever day it takes goods in
            sends = Days(weekdays(row.get("departure_days")), sends.closed)
        workdays = Days(MONDAY_TO_FRIDAY, self.everybody.closed)
        days = row["lead_time_days"]
        return Way(
            sends=sends,
            works=self.works.get(source, workdays) if is_bought else workdays,
            takes=self.takes.get(row["location_id"], self.everybody),
            days=self.days_a_period if days is None else days,
            working_days=row.get("lead_time_working_days") if is_bought else None,
            is_missed=is_bought and source in self.cut_offs,
        )

    def periods(self, way: Way, day: date) -> int:
        """Whole periods from a decision on the first day of a period to goods in stock."""
        return math.ceil((way.arrives(day) - day).days / self.days_a_period - 1e-9)


@dataclass(frozen=True)
class Waits:
    """What a calendar makes of orders decided in each of T periods, (N, T) whole periods each.

    longer: W, periods they take beyond L, below 0 where fewer. gaps: G, periods beyond R that they
    have to last. leaves: days from the first of a period until what is decided then leaves, none
    where everything leaves at once.
    """

    longer: Integers
    gaps: Integers
    leaves: Integers = field(default_factory=lambda: np.zeros((1, 1), dtype=np.int64))

    def within(self, lead_time: Integers, review: int, horizon: int) -> Waits:
        """The same, no further than a forecast of `horizon` periods reaches, and never below no
        time at all. lead_time: (N,)."""
        most = np.maximum(horizon - review - lead_time, 0)[:, None]
        longer = np.clip(self.longer, -lead_time[:, None], most)
        return replace(self, longer=longer, gaps=np.clip(self.gaps, 0, most - longer))

    def beyond(self, first: Integers) -> Waits:
        """The same, of lead times in which (N,) periods are counted already."""
        return replace(self, longer=self.longer - first[:, None])


def waits(
    calendar: SupplyCalendar, rows: pl.DataFrame, days: Sequence[date], following: Sequence[date]
) -> Waits:
    """W and G of an order of every row decided on each of these T days, and when it leaves.

    rows: as SupplyCalendar.way asks, and lead_time_periods, L. following: the day of the decision
    after each. What an order takes is never less than nothing.
    """
    longer = np.zeros((rows.height, len(days)), dtype=np.int64)
    gaps, leaves = np.zeros_like(longer), np.zeros_like(longer)
    known: dict[tuple[Any, ...], tuple[Integers, Integers, Integers]] = {}
    for i, row in enumerate(rows.iter_rows(named=True)):
        planned = row["lead_time_periods"]
        way = calendar.way(row)
        if way.is_free or planned is None or planned < 0:
            continue
        whose = (row["kind"], row["from_id"], row["location_id"], way.sends.weekdays)
        key = (*whose, way.days, way.working_days, planned)
        if key not in known:
            takes = {day: calendar.periods(way, day) for day in {*days, *following}}
            now = np.array([takes[day] for day in days], dtype=np.int64)
            then = np.array([takes[day] for day in following], dtype=np.int64)
            waiting = np.array([(way.leaves(day) - day).days for day in days], dtype=np.int64)
            known[key] = now - planned, np.maximum(then - now, 0), waiting
        longer[i], gaps[i], leaves[i] = known[key]
    return Waits(longer, gaps, leaves)


def longest(
    calendar: SupplyCalendar, rows: pl.DataFrame, days: Sequence[date], following: Sequence[date]
) -> Integers:
    """(N,) the most periods by which a row's calendar lengthens the window of its orders, on any of
    these days."""
    if rows.is_empty() or not days:
        return np.zeros(rows.height, dtype=np.int64)
    found = waits(calendar, rows, days, following)
    return np.maximum((found.longer + found.gaps).max(axis=1), 0)
