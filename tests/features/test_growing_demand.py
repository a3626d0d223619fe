"""A table that grows says what one made anew says, however its facts came: in what portions, late,
corrected, taken back, or as of an earlier day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from random import Random

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_marts import compiled, dbt

FIRST = datetime(2026, 1, 1)
MARTS = """
create table fct_demand (
  item_id varchar, location_id varchar, period_start date, quantity double, event_at timestamp,
  known_at timestamp, version int
);
create table int_periods_closed (period_start date, period_rank int);
create table stg_world as select ? as grain;
"""
TABLES = ("marts.fct_demand", "staging.stg_world", "intermediate.int_periods_closed")
#: What dbt is asked for the statement that its pre-hook runs.
FORGET = "{{ forget_all_but_grown_series('feat_demand') }}"


@dataclass(frozen=True, repr=False)
class Statements:
    """How the table is made anew, what is forgotten of it first, and what is added to it then."""

    anew: str
    forget: str
    add: str


@pytest.fixture(scope="module")
def statements(built: Path) -> Statements:
    dbt(built, "compile", target="grown")
    inline = ("--inline", FORGET)
    said = dbt(built, "--quiet", "compile", select=inline, target="inline")
    add = compiled(built, "feat_demand", "grown")
    assert '"features"."feat_demand"' in add and "steps between" in add
    here = [_here(sql) for sql in (compiled(built, "feat_demand"), said, add)]
    return Statements(*here)


def _here(sql: str) -> str:
    for table in (*TABLES, "features.feat_demand"):
        schema, name = table.split(".")
        sql = sql.replace(f'"warehouse"."{schema}"."{name}"', name)
    return sql


@dataclass(frozen=True)
class Series:
    """When a series began, for how many periods it is told, which numbers it draws, and how its
    periods come: at their end, by deliveries at other hours or of some days at once, or late and
    corrected."""

    begins: int
    periods: int
    seed: int
    comes: str = "at its end"

    def readings(self) -> Iterator[tuple[int, float | None, float, int]]:
        """(period, quantity, day known, version) of each."""
        draw = Random(self.seed)
        for period in range(self.begins, self.begins + self.periods):
            known = (
                period
                + 1
                + {
                    "at its end": 0.0,
                    "at any hour": draw.choice((0.0, 0.2, 0.9)),
                    "by threes": float(-period % 3),
                    "late": draw.choice((0.0, 0.0, 0.0, 1.0, 4.0)),
                }[self.comes]
            )
            yield period, _quantity(draw), known, 1
            if self.comes == "late" and draw.random() < 0.1:
                yield period, _quantity(draw), known + draw.randint(1, 9), 2


def _quantity(draw: Random) -> float | None:
    return draw.choice((None, 0.0, 0.0, 1.0, float(draw.randint(0, 9)), draw.uniform(0, 9)))


SERIES = st.builds(
    Series,
    begins=st.integers(0, 20),
    periods=st.integers(1, 99),
    seed=st.integers(0, 999),
    comes=st.sampled_from(["at its end", "at any hour", "by threes", "late"]),
)
#: By how many days Now moves: mostly by one, some after days of rest, or back to an earlier day.
NIGHT = st.sampled_from([1, 1, 1, 1, 2, 3, 4, 4, 6, 20, 0, -5])
#: What an alias or a pack says of one series from some night on: its id is another's, or each of
#: its quantities is twice as much.
NEWS = st.tuples(st.integers(0, 3), st.integers(0, 4), st.sampled_from(["renamed", "doubled"]))


def rows(company: Sequence[Series], until: int, news: Sequence[tuple[int, str]] = ()) -> list:
    """The readings known on a day."""
    return [
        (
            f"{number}{'x' * ((number, 'renamed') in news)}",
            "l",
            date(2026, 1, 1) + timedelta(days=period),
            quantity and quantity * (2 if (number, "doubled") in news else 1),
            FIRST + timedelta(days=period + 1),
            FIRST + timedelta(days=known),
            version,
        )
        for number, series in enumerate(company)
        for period, quantity, known, version in series.readings()
        if known <= until
    ]


def tell(con: duckdb.DuckDBPyConnection, readings: list[tuple]) -> None:
    con.execute("delete from fct_demand; delete from int_periods_closed")
    if readings:
        con.executemany("insert into fct_demand values (?, ?, ?, ?, ?, ?, ?)", readings)
    con.execute(
        "insert into int_periods_closed select day, n from (select date '2026-01-01' + n::int, n "
        "from range(100) as days (n)) as all_days (day, n)"
    )


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    company=st.lists(SERIES, min_size=1, max_size=4),
    first=st.integers(1, 90),
    nights=st.lists(NIGHT, min_size=2, max_size=6),
    news=st.lists(NEWS, max_size=2),
    grain=st.sampled_from(["day", "week", "month"]),
)
def test_any_order_of_news_comes_to_the_rows_of_one_build(
    statements: Statements,
    company: list[Series],
    first: int,
    nights: list[int],
    news: list[tuple[int, int, str]],
    grain: str,
) -> None:
    with duckdb.connect() as con:
        con.execute("set threads = 1")
        con.execute(MARTS, [grain])
        con.execute(f"create table feat_demand as {statements.anew}")
        for night, until in enumerate(accumulate(nights, initial=first)):
            heard = [(number, what) for number, since, what in news if since <= night]
            tell(con, rows(company, until, heard))
            grow(con, statements)
            assert not differing(con, statements), (night, until)


def known(row: tuple, day: float) -> tuple:
    return (*row[:5], FIRST + timedelta(days=day), row[6])


#: Of a series told until day 27: what becomes of its last told days, and what comes next.
ODD_NIGHTS = {
    "the first of two new days was known last": lambda day: ([], [known(day(27), 30), day(28)]),
    "a new day comes before the one between is known": lambda day: ([], [day(28)]),
    "a file says of a new day that it was known before the last told one": lambda day: (
        [known(day(26), 35)],
        [day(27)],
    ),
    "a new day comes with its correction": lambda day: (
        [],
        [day(27), (*known(day(27), 29)[:6], 2)],
    ),
}


@pytest.mark.parametrize("night", ODD_NIGHTS)
def test_what_did_not_come_in_order_is_made_anew(statements: Statements, night: str) -> None:
    readings = rows([Series(0, 40, 1)], 40)
    told, new = ODD_NIGHTS[night](readings.__getitem__)
    told = [*readings[: 27 - len(told)], *told]
    with duckdb.connect() as con:
        con.execute(MARTS, ["day"])
        tell(con, told)
        con.execute(f"create table feat_demand as {statements.anew}")
        tell(con, [*told, *new])
        assert grow(con, statements)[0] == 27
        assert not differing(con, statements)


def test_only_the_new_day_of_a_series_that_grew_is_written(statements: Statements) -> None:
    steady = Series(0, 60, 1)
    company = [steady, replace(steady, seed=2)]
    corrected = (*rows([steady], 40)[20][:3], 99.0, FIRST, FIRST + timedelta(days=40), 2)
    with duckdb.connect() as con:
        con.execute(MARTS, ["day"])
        tell(con, rows(company, 39))
        con.execute(f"create table feat_demand as {statements.anew}")
        tell(con, rows(company, 40))
        assert grow(con, statements) == (0, 2)
        tell(con, [*rows(company, 41), corrected])
        forgotten, added = grow(con, statements)
        assert forgotten == 40 and added > 41


def grow(con: duckdb.DuckDBPyConnection, statements: Statements) -> tuple[int, int]:
    """How many rows are forgotten and how many added, as dbt does one after the other."""
    forgotten = con.execute(statements.forget).fetchone()
    added = con.execute(f"insert into feat_demand by name {statements.add}").fetchone()
    return (forgotten or (0,))[0], (added or (0,))[0]


def differing(con: duckdb.DuckDBPyConnection, statements: Statements) -> list[tuple]:
    """Rows that the table has and one made anew has not, and the other way round."""
    con.execute(f"create or replace table anew as {statements.anew}")
    return con.execute(
        "(from feat_demand except all from anew) union all (from anew except all from feat_demand)"
    ).fetchall()
