"""Where a world stands in time: its grain, its zone, its Now, and the origins at which it
decides."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb
import polars as pl

from models.forecasting.inputs import Grain, Spec
from orchestration.landing.contract.world import WEEKDAYS, World

UTC = ZoneInfo("UTC")
#: Days of a mean year, as dbt_project.yml has it.
DAYS_A_YEAR = 365.25
DAYS_A_PERIOD = {"day": 1.0, "week": 7.0, "month": DAYS_A_YEAR / 12}


def midnight(day: date, timezone: str) -> datetime:
    """Local midnight at the beginning of a day, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(timezone)).astimezone(UTC)


def day_ending_at(now: datetime, timezone: str) -> date | None:
    """The local day that ends with a Now (UTC without zone), as `--as-of` names it; None where that
    is no midnight, and so came from the data."""
    local = now.replace(tzinfo=UTC).astimezone(ZoneInfo(timezone))
    is_midnight = (local.hour, local.minute, local.second, local.microsecond) == (0, 0, 0, 0)
    return local.date() - timedelta(days=1) if is_midnight else None


@dataclass(frozen=True)
class Timeline:
    """One world's clock, read from raw.world; now_at is UTC without zone, days are the company's
    local business days."""

    world: str
    grain: Grain
    timezone: str
    week_starts_on: int  # ISO weekday
    review_days: int
    decide_on: int | None  # ISO weekday on whose evening orders are decided
    is_whole_units: bool
    now_at: datetime
    # how far the facts themselves reach, where Now is a day somebody asked for
    newest_at: datetime | None = None
    # what all money is in
    currency: str = ""

    @classmethod
    def read(cls, con: duckdb.DuckDBPyConnection) -> Timeline:
        """The world's clock as landing wrote it down. Raises ValueError where nothing has been
        sold, returned or counted yet, so that there is no Now."""
        row = con.execute(
            "select world, grain, timezone, week_starts_on, review_days, decide_on, "
            "is_whole_units, newest_at, currency, now_at from raw.world"
        ).fetchone()
        if row is None or row[-1] is None:
            raise ValueError(
                "the world has no sales, returns or stock yet, so there is no Now. Land some data "
                "first."
            )
        (world, grain, timezone, week_starts_on, review_days, decide_on, whole, newest_at) = row[:8]
        currency, now_at = row[8:]
        return cls(
            world,
            grain,
            timezone or "UTC",
            week_starts_on or 1,
            review_days or 7,
            decide_on,
            bool(whole),
            now_at,
            newest_at,
            currency or "",
        )

    @classmethod
    def of(cls, world: World, now: datetime) -> Timeline:
        """The world's clock from its contract and a Now, without its warehouse."""
        plan = world.plan
        decide_on = WEEKDAYS.index(plan.decide_on) + 1 if plan.decide_on else None
        week = WEEKDAYS.index(plan.week_starts_on) + 1
        return cls(
            world.world,
            plan.grain,
            world.timezone,
            week,
            plan.review_days,
            decide_on,
            plan.whole_units,
            now,
            currency=world.currency,
        )

    @property
    def review(self) -> int:
        """The review interval R in whole periods, at least one."""
        return max(1, math.ceil(self.review_days / DAYS_A_PERIOD[self.grain] - 0.01))

    @property
    def origin(self) -> date:
        """The first day of the first period that starts at or after Now: what is forecast and
        decided next."""
        local = self.now_at.replace(tzinfo=UTC).astimezone(ZoneInfo(self.timezone))
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        day = local.date() if local == midnight else local.date() + timedelta(days=1)
        return self.first_period(day)

    def first_period(self, day: date) -> date:
        """The first day of the first period that starts on this day or later."""
        if self.grain == "week":
            return day + timedelta(days=(self.week_starts_on - day.isoweekday()) % 7)
        if self.grain == "month":
            return day if day.day == 1 else (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        return day

    def period_of(self, day: date) -> date:
        """The first day of the period a day falls in."""
        first = self.first_period(day)
        return first if first == day else self.shift(first, -1)

    def spec(self, horizon: int) -> Spec:
        """What a forecaster has to know of this world: grain, periods ahead, whole units, depth of
        training."""
        # weeks and months have fewer rows, and deeper training costs more in replay
        rounds = 200 if self.grain == "day" else 100
        return Spec(
            grain=self.grain, horizon=horizon, whole_units=self.is_whole_units, rounds=rounds
        )

    def shift(self, start: date, periods: int) -> date:
        """The first day of the period that lies so many periods later (or earlier, if negative)."""
        if self.grain == "month":
            month = start.year * 12 + start.month - 1 + periods
            return date(month // 12, month % 12 + 1, 1)
        return start + timedelta(days=periods * int(DAYS_A_PERIOD[self.grain]))

    def periods_from(self, start: date, day: date) -> int:
        """How many whole periods after the one starting at `start` a local day falls, negative
        before it."""
        spec = self.spec(1)
        first, then = spec.index(pl.Series([start, self.period_of(day)]))
        return int(then - first)

    def local_days(self, moments: pl.Series) -> pl.Series:
        """The company's business day of every UTC moment, empty where there is none."""
        return moments.dt.replace_time_zone("UTC").dt.convert_time_zone(self.timezone).dt.date()

    def local_day(self, moment: datetime) -> date:
        """The company's business day that a moment (naive UTC) falls in."""
        return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(self.timezone)).date()

    def instant(self, day: date) -> datetime:
        """Local midnight at the beginning of a day, in UTC: the cutoff of a decision made there."""
        return midnight(day, self.timezone)

    def cutoff(self, day: date) -> datetime:
        """What a decision made at the midnight beginning a day may know: everything until then, and
        nothing after Now."""
        return min(self.instant(day), self.now_at.replace(tzinfo=UTC))

    def review_period(self, origin: date) -> date:
        """The first day of the review period an origin falls in: two plans in it are about the same
        need."""
        if self.grain != "day" or self.decide_on is None:
            return origin
        return origin - timedelta(days=(origin.isoweekday() - self.decide_on - 1) % 7)

    def origins(self, last: date, count: int) -> list[date]:
        """The last `count` origins up to one, a review interval apart, oldest first."""
        return [self.shift(last, -self.review * k) for k in reversed(range(count))]
