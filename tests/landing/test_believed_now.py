"""Now follows the mass of the facts: one wrong year moves neither Now nor the books, and a real
pause is believed."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from orchestration.landing.load.now import News, first_believed, last_believed
from tests.landing.company import Company

FIRST = date(2024, 1, 1)
HEAD = "till,line,item,store,day,qty,price\n"


def _every(
    step: int, count: int, *, rows: int = 2, source: str = "tills/sales", start: date = FIRST
) -> list[News]:
    return [News(start + timedelta(days=step * k), source, rows) for k in range(count)]


@given(
    step=st.sampled_from([1, 2, 7, 30]),
    count=st.integers(8, 120),
    rows=st.integers(1, 50),
    years=st.lists(st.integers(2, 500), min_size=1, max_size=8, unique=True),
)
@settings(max_examples=200, deadline=None)
def test_rows_of_wrong_years_move_now_at_no_grain_and_no_volume(
    step: int, count: int, rows: int, years: list[int]
) -> None:
    assume(len(years) <= max(2, count // 12))  # odd pauses are not the usual ones
    told = _every(step, count, rows=rows)
    odd = [News(told[-1].day + timedelta(days=366 * year), "tills/sales", 1) for year in years]
    assert last_believed(told + odd) == told[-1].day


@given(
    step=st.sampled_from([1, 2, 7, 30]),
    count=st.integers(8, 120),
    rows=st.integers(1, 50),
    years=st.dictionaries(st.integers(4, 500), st.integers(1, 200), min_size=1, max_size=8),
)
@settings(max_examples=200, deadline=None)
def test_history_begins_where_days_follow_one_another_however_many_odd_ones_lie_before(
    step: int, count: int, rows: int, years: dict[int, int]
) -> None:
    assume(len(years) <= max(2, count // 12))  # odd pauses are not the usual ones
    told = _every(step, count, rows=rows)
    odd = [
        News(FIRST - timedelta(days=366 * year), "tills/sales", some)
        for year, some in years.items()
    ]
    assert first_believed(odd + told) == FIRST
    assert last_believed(told) == told[-1].day


@given(step=st.sampled_from([1, 7, 30]), count=st.integers(2, 60), rows=st.integers(1, 9))
def test_without_a_pause_the_newest_day_is_now(step: int, count: int, rows: int) -> None:
    told = _every(step, count, rows=rows)
    assert last_believed(told) == told[-1].day
    assert first_believed(told) is None


@pytest.mark.parametrize("months", [1, 3, 10])
def test_one_row_of_a_wrong_month_is_held(months: int) -> None:
    told = _every(1, 60)
    assert (
        last_believed([*told, News(told[-1].day + timedelta(days=30 * months), "tills/sales", 1)])
        == told[-1].day
    )


@given(
    usual=st.integers(1, 60),
    wrong=st.integers(1, 60),
    ahead=st.sampled_from([30, 61, 365, 366, 730, 3650]),
    count=st.integers(3, 25),
    is_own_file=st.booleans(),
    rests=st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_wrong_years_typed_day_by_day_move_nothing_while_the_company_goes_on(
    usual: int, wrong: int, ahead: int, count: int, is_own_file: bool, rests: bool
) -> None:
    told = _every(1, 60, rows=usual)
    today, seq = told[-1].day, 0
    for step in range(1, count + 1):
        day, seq = today + timedelta(days=step), seq + 1
        if not (rests and step > 3 and day.isoweekday() == 7):
            told.append(News(day, "tills/sales", usual, seq))
        seq += is_own_file
        told.append(News(day + timedelta(days=ahead), "tills/sales", wrong, seq))
    near = max(one.day for one in told if one.day <= today + timedelta(days=count))
    far = min(one.day for one in told if one.day > today + timedelta(days=count))
    assume((far - near).days > 14)
    assert last_believed(told) == near


@given(
    usual=st.integers(1, 60),
    pause=st.integers(15, 360),
    step=st.sampled_from([1, 7]),
    files=st.sampled_from(["one", "a day", "newest first"]),
)
@settings(max_examples=200, deadline=None)
def test_a_company_that_goes_on_after_a_pause_is_believed_whatever_its_files(
    usual: int, pause: int, step: int, files: str
) -> None:
    told = _every(step, 60, rows=usual)
    again = told[-1].day + timedelta(days=pause)
    told += _every(step, 4, rows=usual, start=again)
    order = sorted({one.day for one in told}, reverse=files == "newest first")
    seq = {day: 1 if files == "one" else place for place, day in enumerate(order)}
    landed = [News(one.day, one.source, one.rows, seq[one.day]) for one in told]
    assert last_believed(landed) == told[-1].day


def test_a_few_rows_a_day_in_one_file_are_no_company_that_goes_on() -> None:
    told = _every(1, 200, rows=40)
    odd = [News(told[-1].day + timedelta(days=350 + k), "tills/sales", 2) for k in range(12)]
    assert last_believed([*told, *odd]) == told[-1].day


def test_a_source_that_begins_before_another_has_caught_up_is_now() -> None:
    told = _every(1, 60)
    for step in range(1, 20):
        day = told[59].day + timedelta(days=step)
        told.append(News(day, "books/sales", 2, 2 * step))
        told.append(News(day + timedelta(days=45), "wms/stock", 2, 2 * step + 1))
    assert last_believed(told) == told[-1].day


def test_a_pause_is_over_after_a_busy_day_or_three_days_in_a_row() -> None:
    told = _every(1, 200, rows=40)
    again = told[-1].day + timedelta(days=60)
    assert last_believed([*told, News(again, "tills/sales", 25)]) == again
    few = [News(again + timedelta(days=k), "tills/sales", 10) for k in range(3)]
    assert last_believed([*told, *few[:2]]) == told[-1].day
    assert last_believed([*told, *few]) == few[-1].day
    odd = [News(one.day, one.source, 1) for one in few]
    assert last_believed([*told, *odd]) == told[-1].day


def test_a_count_exported_months_after_the_last_sale_is_now() -> None:
    told = _every(1, 60)
    counted = told[-1].day + timedelta(days=100)
    assert last_believed([*told, News(counted, "wms/stock", 2)]) == counted
    assert last_believed([*told, News(date(2042, 1, 1), "wms/stock", 2)]) == told[-1].day


def test_history_does_not_begin_with_a_wrong_century_and_a_gap_is_no_wrong_century() -> None:
    told = _every(1, 60)
    assert first_believed([News(date(1924, 1, 1), "tills/sales", 1), *told]) == FIRST
    assert first_believed([News(date(2022, 1, 1), "tills/sales", 1), *told]) is None
    typed = [News(date(1924, 1, day), "tills/sales", 1) for day in (1, 2, 3)]
    many = _every(1, 300)
    assert first_believed([*typed, *many]) == FIRST
    earlier = _every(1, 60, start=date(2015, 1, 1))
    assert first_believed([*earlier, *told]) is None, "a company that paused for years"
    yearly = _every(365, 5, start=date(2010, 1, 1))
    assert first_believed([*yearly, News(date(2020, 1, 1), "tills/sales", 2)]) is None


def _tills(days: list[str]) -> str:
    return HEAD + "".join(f"T,{k},apple,north,{day},1,1.5\n" for k, day in enumerate(days))


@pytest.mark.parametrize("wrong", ["2204-03-31", "2042-01-05", "2025-03-30"])
def test_a_wrong_year_in_a_file_leaves_now_where_it_was_and_the_mended_file_too(
    tmp_path: Path, wrong: str
) -> None:
    company = Company(tmp_path)
    days = [f"2024-03-{day:02d}" for day in range(1, 31)]
    company.write("tills/1.csv", _tills([*days, wrong]))
    assert company.land().now_at == datetime(2024, 3, 31)
    company.write("tills/2.csv", _tills([*days, "2024-03-31"]))
    assert company.land().now_at == datetime(2024, 4, 1)


def test_wrong_years_in_daily_files_leave_now_where_the_company_is(tmp_path: Path) -> None:
    company = Company(tmp_path)
    days = [date(2024, 1, 1) + timedelta(days=k) for k in range(66)]
    company.write("tills/00.csv", _tills([str(day) for day in days[:60]]))
    company.land()
    for k, day in enumerate(days[60:], start=1):
        lines = f"A{k},1,apple,north,{day},1,1.5\nA{k},2,pear,north,{day.replace(year=2025)},1,2\n"
        company.write(f"tills/{k:02d}.csv", HEAD + lines)
        assert company.land().now_at == datetime.combine(
            day + timedelta(days=1), datetime.min.time()
        )
    told = company.rows("select newest_at from raw.world")
    company.reland()
    assert company.rows("select newest_at from raw.world") == told


def test_a_day_somebody_asks_for_is_now_whatever_the_facts_say(tmp_path: Path) -> None:
    company = Company(tmp_path)
    company.write(
        "tills/1.csv", _tills([f"2024-03-{day:02d}" for day in range(1, 31)] + ["2042-01-05"])
    )
    assert company.land(as_of=date(2024, 3, 10)).now_at == datetime(2024, 3, 11)
    assert company.rows("select newest_at from raw.world") == [(datetime(2024, 3, 31),)]
