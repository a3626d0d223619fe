"""How the days of a sample are written: the format of a contract's `dates` that reads them, found
by trying."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

import polars as pl

from orchestration.landing.contract.locales import MONTHS as MONTH_NAMES
from orchestration.landing.contract.locales import month_called
from orchestration.landing.contract.world import WEEKDAYS

FIRST_OF_MONTH, LAST_OF_MONTH = "the first of a month", "the last of a month"
#: ISO first, which a contract reads without a word. Of two that read every day, the first counts.
FORMATS = (
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d.%m.%y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%d-%m-%Y",
    "%Y/%m/%d",
    "%d-%b-%y",
    "%d-%b-%Y",
    "%d %b %Y",
    "%Y%m%d",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y %I:%M %p",
)
#: ISO with an offset from UTC, which a contract reads without a word.
INSTANT = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}(:?\d{2})?)$"
#: Weeks and months, and how they are written.
WEEKS = {
    "%G-W%V": r"^(?<year>\d{4})-W(?<week>\d{1,2})$",
    "%GW%V": r"^(?<year>\d{4})W(?<week>\d{1,2})$",
    "KW %V/%G": r"^KW (?<week>\d{1,2})/(?<year>\d{4})$",
    "KW%V/%G": r"^KW(?<week>\d{1,2})/(?<year>\d{4})$",
    "W%V/%G": r"^W(?<week>\d{1,2})/(?<year>\d{4})$",
    "%V/%G": r"^(?<week>\d{1,2})/(?<year>(?:19|20)\d{2})$",
    "%G%V": r"^(?<year>(?:19|20)\d{2})(?<week>[0-5]\d)$",
}
MONTHS = {
    "%Y-%m": r"^(?<year>\d{4})-(?<month>\d{2})$",
    "%m/%Y": r"^(?<month>\d{1,2})/(?<year>(?:19|20)\d{2})$",
    "%m.%Y": r"^(?<month>\d{1,2})\.(?<year>(?:19|20)\d{2})$",
    "%B %Y": r"^(?<name>[^\W\d_]+) (?<year>(?:19|20)\d{2})$",
    "%Y%m": r"^(?<year>(?:19|20)\d{2})(?<month>[01]\d)$",
}
#: Of so many readable days one may be none: a cell that says `n/a`.
READ_OF = 50


def written(values: pl.Series) -> list[tuple[str, pl.Series]]:
    """Every format that reads the texts, with the days they say; none where nothing fits all but
    one in fifty of them. ISO is the format `` (nothing has to be said)."""
    said = values.str.replace(r"\.0+$", "")
    some = said.drop_nulls()
    most = some.len()
    if not some.head(READ_OF).str.contains(r"\d.*\d").any():
        return []
    return [
        ("" if form.startswith("%Y-%m-%d") else form, days)
        for form, days in _tried(said)
        if days.drop_nulls().len() >= most - most // READ_OF
    ]


def _in_english(text: str | None) -> str | None:
    """A text whose month is said in English, in short."""
    words = re.findall(r"[^\W\d_]{3,}", text or "")
    number = month_called(words[0]) if words else 0
    return text.replace(words[0], MONTH_NAMES[number - 1][:3]) if text and number else text


def _tried(said: pl.Series) -> Iterator[tuple[str, pl.Series]]:
    short = pl.Series([_in_english(text) for text in said], dtype=pl.String)
    for form in FORMATS:
        kind = pl.Datetime if "%H" in form or "%I" in form else pl.Date
        read = short if "%b" in form else said
        days = read.str.strptime(kind, form, strict=False).cast(pl.Date)
        # `25` is read as the year 25 where four digits are asked for
        yield form, days.set(days.dt.year() < 1000, None)
    instants = said.set(~said.str.contains(INSTANT), None)
    yield "%Y-%m-%d", instants.str.slice(0, 10).str.strptime(pl.Date, "%Y-%m-%d", strict=False)
    for form, pattern in (MONTHS | WEEKS).items():
        yield form, pl.Series([_first_day(pattern, text) for text in said], dtype=pl.Date)


def _first_day(pattern: str, text: str | None) -> date | None:
    """The first day of the week or month that a text says."""
    found = re.match(pattern.replace("(?<", "(?P<"), text or "")
    if found is None:
        return None
    said = found.groupdict()
    if "name" in said:
        said["month"] = str(month_called(said.pop("name")))
    parts = {name: int(part) for name, part in said.items()}
    try:
        if "week" in parts:
            return date.fromisocalendar(parts["year"], parts["week"], 1)
        return date(parts["year"], parts["month"], 1)
    except ValueError:
        return None


def days_of(values: pl.Series) -> pl.Series:
    """The days that texts say, null where no usual format fits."""
    found = written(values)
    return found[0][1] if found else pl.Series([None] * values.len(), dtype=pl.Date)


def period_of(values: pl.Series) -> str:
    """What days are the totals of, where all are alike: the first or the last of a month, or a
    weekday; empty for days of any kind."""
    known = days_of(values).drop_nulls().unique()
    if known.len() < 3:
        return ""
    if (known.dt.day() == 1).all():
        return FIRST_OF_MONTH
    if (known.dt.offset_by("1d").dt.day() == 1).all():
        return LAST_OF_MONTH
    weekdays = known.dt.weekday().unique()
    return WEEKDAYS[weekdays[0] - 1] if weekdays.len() == 1 else ""
