"""The company's calendar: the days of the sample, their index, and one random stream for each thing
that is drawn."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta

SEED = 20111209
START = date(2010, 12, 1)
END = date(2011, 12, 9)
LAST = (END - START).days  # index of the last day
LISTED = date(2010, 11, 15)  # when the master data of the first extract was handed over
RENEGOTIATED = date(2011, 6, 15)  # when some suppliers changed their prices
FRIDAY, SATURDAY, TUESDAY, WEDNESDAY = 4, 5, 1, 2


def stream(*names: object) -> random.Random:
    """A random stream of its own for each named thing, so that adding one thing leaves the others
    as they were."""
    # data that must repeat, no secret
    return random.Random("|".join(map(str, (SEED, *names))))  # noqa: S311


def day(index: int) -> date:
    """The date of a day index; index 0 is the first day of the sample."""
    return START + timedelta(days=index)


def at(index: int, clock: str) -> str:
    """A local time of day on a day index, as the systems write it."""
    return f"{day(index)} {clock}:00"


def index_of(text: str) -> int:
    """The day index of an ISO date or time."""
    return (datetime.fromisoformat(text).date() - START).days


def indices(weekday: int, first: int, last: int) -> list[int]:
    """Day indices from first to last that fall on a weekday (0 = Monday)."""
    return [index for index in range(first, last + 1) if day(index).weekday() == weekday]
