"""Laws of the state a plan and a replay start from: records are taken at their word, and only a
twin reads them kindly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime

import duckdb
import numpy as np
import polars as pl
import pytest

from models.forecasting.inputs import Grain
from orchestration.facts.opening_stock import read_past_opening
from orchestration.facts.stock_lots import read_lots
from orchestration.facts.timeline import Timeline

START = date(2024, 1, 8)
NODES = pl.DataFrame({"item_id": ["counted", "below", "moved", "new"], "location_id": "A"})


CLOCK = Timeline("tea", "day", "UTC", 1, 7, None, True, datetime(2024, 1, 8))


@pytest.fixture
def books() -> Iterator[duckdb.DuckDBPyConnection]:
    """Counts of two items, movements of three, and an order of which 4 of 10 have come."""
    with duckdb.connect() as con:
        con.execute("create schema marts; create schema intermediate")
        con.execute(
            "create table marts.fct_stock (item_id text, location_id text, event_at timestamp, "
            "known_at timestamp, "
            "on_hand double, is_current boolean)"
        )
        con.execute(
            "insert into marts.fct_stock select x.i, 'A', '2024-01-02', '2024-01-02', x.n, true "
            "from (values ('counted', 20.0), ('below', 3.0)) x(i, n)"
        )
        con.execute(
            "create table intermediate.int_stock_moved (item_id text, location_id text, event_at "
            "timestamp, delta double)"
        )
        con.execute(
            "insert into intermediate.int_stock_moved values "
            "('counted', 'A', '2024-01-03', -5), ('below', 'A', '2024-01-03', -7), ('moved', 'A', "
            "'2024-01-03', -2)"
        )
        con.execute(
            "create table intermediate.int_orders_received (item_id text, location_id text, "
            "ordered_at timestamp, "
            "due_at timestamp, received_at timestamp, quantity double, received_quantity double, "
            "closed_at timestamp)"
        )
        con.execute(
            "insert into intermediate.int_orders_received values ('counted', 'A', '2024-01-02', "
            "'2024-01-10', null, 10, 4, null)"
        )
        con.execute(
            "create table marts.dim_successions (item_id text, successor_id text, share double)"
        )
        yield con


def test_negative_stock_stays_negative_and_what_nobody_ever_counted_is_unknown(
    books: duckdb.DuckDBPyConnection,
) -> None:
    found = read_past_opening(books, NODES, CLOCK, start=START, horizon=10)
    assert found is not None
    assert found.on_hand[:2].tolist() == [15.0, -4.0]
    assert np.isnan(found.on_hand[2])  # it was sold, so something was there
    assert found.on_hand[3] == 0.0  # nothing ever came or went
    assert found.on_the_shelf().tolist() == [15.0, 0.0, 0.0, 0.0]


def test_of_an_order_in_two_parts_only_the_second_is_on_the_way(
    books: duckdb.DuckDBPyConnection,
) -> None:
    found = read_past_opening(books, NODES, CLOCK, start=START, horizon=10)
    assert found is not None
    assert found.due.sum() == found.due[0, 2] == 6.0


def test_a_world_without_counts_has_no_opening(books: duckdb.DuckDBPyConnection) -> None:
    books.execute("delete from marts.fct_stock")
    assert read_past_opening(books, NODES, CLOCK, start=START, horizon=10) is None


@pytest.mark.parametrize(
    ("grain", "lots"),
    # sold for the last time on the day before its date, or in the last week that is over by then
    [("day", [4.0, 6.0, 0.0, 0.0, 10.0]), ("week", [10.0, 0.0, 10.0, 0.0, 0.0])],
)
def test_lots_stand_in_the_last_period_in_which_they_can_be_sold(
    books: duckdb.DuckDBPyConnection, grain: Grain, lots: list[float]
) -> None:
    books.execute(
        "create table marts.fct_stock_lots as select item_id, location_id, cast(event_at as "
        "timestamp) as event_at, cast(expires_on as date) as expires_on, available, is_current "
        "from (values ('old', 'A', '2024-01-02', '2024-01-10', 9.0, true), "
        "('counted', 'A', '2024-01-01', '2024-01-09', 9.0, true), "  # of an older count
        "('counted', 'A', '2024-01-02', '2024-01-09', 9.0, false), "  # corrected since
        "('counted', 'A', '2024-01-02', '2024-01-09', 4.0, true), "
        "('counted', 'A', '2024-01-02', '2024-01-10', 6.0, true), "
        "('counted', 'A', '2024-01-02', '2024-01-29', 10.0, true), "
        "('counted', 'A', '2024-01-02', '2024-01-10', -1.0, true), "
        "('counted', 'A', '2024-01-02', null, 7.0, true), "
        "('counted', 'A', '2024-01-02', '2024-01-08', 8.0, true)) "  # past its date at Now
        "as x(item_id, location_id, event_at, expires_on, available, is_current)"
    )
    books.execute("insert into marts.dim_successions values ('counted', 'below', 0.5)")
    nodes = pl.DataFrame({"item_id": ["counted", "below"], "location_id": "A"})
    clock = replace(CLOCK, grain=grain)
    found = read_lots(books, nodes, clock, 4)
    assert found[0].tolist() == [0.0] * 5  # what took its place has its stock, by its share
    assert (found[1] * 2).tolist() == lots
