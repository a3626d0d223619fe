"""`check --suggest` on days, weeks and months as people write them, and on sheets with a sum at the
end: the draft lands what was meant, and asks where two things may be."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from orchestration.landing import World, suggest
from orchestration.landing.load.landing import land
from orchestration.landing.readers.written_days import FORMATS, MONTHS, WEEKS

HEAD = "ticket;date;article;store;quantity\n"
DAYS = [date(2025, 1, 20) + timedelta(days=k) for k in range(30)]
MONDAYS = [date(2025, 1, 6) + timedelta(weeks=k) for k in range(45)]
FIRSTS = [date(2024 + k // 12, 1 + k % 12, 1) for k in range(20)]
WRITTEN = (
    {form: DAYS for form in FORMATS}
    | {form: MONDAYS for form in WEEKS}
    | {form: FIRSTS for form in MONTHS}
)


def draft_and_rows(folder: Path, text: str) -> tuple[str, list[date], int]:
    """The draft for one file of sales, the days that land by it, and how many rows are set aside."""
    (folder / "sales.csv").write_text(text, encoding="utf-8")
    draft = suggest([folder / "sales.csv"])
    (folder / "world.yml").write_text(draft, encoding="utf-8")
    with duckdb.connect() as con:
        report = land(con, World.load(folder), folder, folder / "archive")
        found = con.execute("select event_at::date from raw.sales order by row_no").fetchall()
    return draft, [day for (day,) in found], report.quarantined_rows


@pytest.mark.parametrize("form", WRITTEN)
def test_what_is_drafted_lands_every_day_as_it_was_meant(form: str, tmp_path: Path) -> None:
    meant = WRITTEN[form]
    lines = "".join(f"{k};{day.strftime(form)};a;n;2\n" for k, day in enumerate(meant))
    draft, read, aside = draft_and_rows(tmp_path, HEAD + lines)
    assert (read, aside) == (meant, 0)
    rhythm = {id(DAYS): "day", id(MONDAYS): "week, week_starts_on: monday", id(FIRSTS): "month"}
    assert f"grain: {rhythm[id(meant)]}, " in draft


@pytest.mark.parametrize("offset", ["Z", "+02:00", "-0500"])
def test_an_instant_needs_no_word(offset: str, tmp_path: Path) -> None:
    lines = "".join(f"{k};{day}T12:00:00{offset};a;n;2\n" for k, day in enumerate(DAYS))
    draft, read, aside = draft_and_rows(tmp_path, HEAD + lines)
    assert (read, aside) == (DAYS, 0)
    assert "dates:" not in draft


@pytest.mark.parametrize(
    ("form", "days", "other"),
    [
        ("%d/%m/%Y", FIRSTS, "%m/%d/%Y"),
        ("%d/%m/%y", FIRSTS, "%m/%d/%y"),
        ("%d/%m/%Y", DAYS, ""),
        ("%Y%m", FIRSTS, "%G%V"),
        ("%m/%Y", FIRSTS, "%V/%G"),
        ("%d.%m.%Y", FIRSTS, ""),
    ],
)
def test_days_that_can_be_read_in_two_ways_are_asked_about(
    form: str, days: list[date], other: str, tmp_path: Path
) -> None:
    lines = "".join(f"{k};{day.strftime(form)};a;n;2\n" for k, day in enumerate(days))
    draft, _, _ = draft_and_rows(tmp_path, HEAD + lines)
    assert f'dates: "{form}"' in draft
    assert ("every day can be read as both" in draft) == bool(other)
    assert other in draft


def test_sales_of_the_last_days_of_months_are_totals_of_them(tmp_path: Path) -> None:
    ends = [day - timedelta(days=1) for day in FIRSTS]
    lines = "".join(f"{k};{day};a;n;2\n" for k, day in enumerate(ends))
    draft, read, _ = draft_and_rows(tmp_path, HEAD + lines)
    assert read == ends and "grain: month, review: monthly" in draft
    assert "are these totals of months?" in draft and "known_after: 31 days" in draft


@pytest.mark.parametrize(
    ("form", "said", "meant"),
    [
        ("%B %Y", ["Januar 2025", "Februar 2025", "März 2025", "April 2025"], FIRSTS[12:16]),
        ("%B %Y", ["Jan 2025", "Fev 2025", "Mars 2025", "Avril 2025"], FIRSTS[12:16]),
        ("%d-%b-%y", ["20-Mrz-25", "21-Mrz-25", "23-Mai-25"], None),
    ],
)
def test_months_are_drafted_in_the_languages_that_say_them(
    form: str, said: list[str], meant: list[date] | None, tmp_path: Path
) -> None:
    lines = "".join(f"{k};{day};a;n;2\n" for k, day in enumerate(said))
    draft, read, aside = draft_and_rows(tmp_path, HEAD + lines)
    assert f'dates: "{form}"' in draft and not aside
    assert read == (meant or [date(2025, 3, 20), date(2025, 3, 21), date(2025, 5, 23)])


def test_a_header_that_comes_again_and_a_sum_are_no_reason_to_know_nothing(tmp_path: Path) -> None:
    lines = [f"{k};{day:%d.%m.%Y};a;n;1.234,5\n" for k, day in enumerate(DAYS)]
    text = HEAD + "".join(lines[:15]) + HEAD + "".join(lines[15:]) + ";;;Summe:;37.035,0\n"
    draft, read, aside = draft_and_rows(tmp_path, text)
    assert (read, aside) == (DAYS, 2)
    assert 'decimal: ","\n    thousands: "."' in draft and "key: [ticket]" in draft


@pytest.mark.parametrize(
    ("number", "signs"),
    [
        ("1.234,5", ('decimal: ","', 'thousands: "."')),
        ("1 234,5", ('decimal: ","', 'thousands: " "')),
        ("1,234.5", ("", 'thousands: ","')),
        ("1,5", ('decimal: ","', "")),
        ("1.5", ("", "")),
    ],
)
def test_signs_in_numbers_are_drafted_where_a_cell_shows_them(
    number: str, signs: tuple[str, str], tmp_path: Path
) -> None:
    draft, read, aside = draft_and_rows(tmp_path, HEAD + f"1;2025-01-20;a;n;{number}\n")
    assert len(read) == 1 and not aside
    assert all(sign in draft for sign in signs)
    assert ("thousands" in draft, "decimal" in draft) == (bool(signs[1]), bool(signs[0]))
