"""Replay of the last half year with the orders really placed: how far the twin's stock lies from
what was counted.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

import duckdb
import numpy as np
import polars as pl

from models.domain import Floats
from models.forecasting.inputs import locate
from models.replenishment.service_levels import classes
from models.twin.trust import errors, run_again
from orchestration.facts import decisions
from orchestration.facts.opening_stock import read_past_opening
from orchestration.facts.past_orders import read_past_orders
from orchestration.facts.planning_inputs import read_history, read_nodes, read_unmet
from orchestration.facts.timeline import DAYS_A_PERIOD, Timeline
from orchestration.home import Home
from orchestration.planning.replay import network_of

#: So many weeks are run again.
WEEKS = 26
#: What was sold less what came back, what else changed stock, and what was counted, from a day on.
SOLD = """
    select item_id, location_id, period_start, coalesce(recorded_quantity, quantity, 0) as units
    from marts.fct_demand where is_current and period_start >= $start
"""
ADJUSTED = """
    select item_id, location_id, event_at, delta from intermediate.int_stock_moved
    where kind = 'adjustment' and event_at >= $at
"""
COUNTED = """
    select item_id, location_id, event_at, on_hand from marts.fct_stock
    where is_current and on_hand is not null and event_at >= $at
"""


def calibrate(home: Home) -> pl.DataFrame | None:
    """Error of simulated against counted stock by item class and place over the last WEEKS, or what
    history there is; None where nothing was counted. See models.twin.trust.errors.

    What the books say besides sales and orders (returns, adjustments) comes and goes as it did; who
    waits for what is short is who waited: customers of a world that owes, nobody of one that loses.
    """
    with home.connect(read_only=True) as con:
        timeline = Timeline.read(con)
        days = DAYS_A_PERIOD[timeline.grain]
        start = timeline.shift(timeline.origin, -round(WEEKS * 7 / days))
        oldest = con.execute("select min(period_start) from marts.fct_demand").fetchone()
        if oldest is not None and oldest[0] is not None and oldest[0] > start:
            start = oldest[0]
        nodes = read_nodes(con)
        opening = read_past_opening(con, nodes, timeline, start=start, horizon=1)
        periods = timeline.periods_from(start, timeline.origin)
        if opening is None or periods < 1:
            return None
        unmet = read_unmet(con)
        due = _due(con, nodes, timeline, start, periods)
        sold = _sold(con, nodes, timeline, start, periods)
        more = _adjusted(con, nodes, timeline, start, periods) - sold
        placed = read_past_orders(con, nodes, timeline, start=start, periods=periods)
        counted = _counts(con, nodes, timeline, start, periods)
        history = read_history(con, nodes, timeline)
    if counted.is_empty():
        return None
    network = network_of(nodes, timeline.review, *unmet)
    leaves, comes = np.maximum(-more, 0.0), np.maximum(more, 0.0)
    again = run_again(network, leaves, opening.on_the_shelf(), due + comes, placed)
    price = nodes["price"].cast(pl.Float64).fill_null(1.0).to_numpy()
    known = np.nan_to_num(network.echelons.history(history))
    value = known.mean(axis=1) * price if known.shape[1] else price
    return errors(nodes, again.on_hand, counted, classes(value, known, timeline.review))


def record_calibration(home: Home, run_id: str, as_of: datetime) -> None:
    """Keep what `calibrate` found as decisions.calibration, where anything was counted."""
    calibration = calibrate(home)
    if calibration is not None:
        stamped = calibration.with_columns(run_id=pl.lit(run_id), as_of=pl.lit(as_of))
        decisions.record(home.decisions, run_id, "calibration", stamped, as_of=as_of)


def _due(
    con: duckdb.DuckDBPyConnection,
    nodes: pl.DataFrame,
    timeline: Timeline,
    start: date,
    periods: int,
) -> Floats:
    """(N, periods) what was on the way at the start, by when it really came."""
    at = timeline.cutoff(start).replace(tzinfo=None)
    coming = con.execute(
        """
        select item_id, location_id, quantity, received_at
        from intermediate.int_orders_received
        where ordered_at < $at and received_at >= $at and quantity > 0
        """,
        {"at": at},
    ).pl()
    due = np.zeros((nodes.height, periods))
    when = timeline.local_days(coming["received_at"].cast(pl.Datetime))
    for row, day, units in zip(locate(coming, nodes), when, coming["quantity"], strict=True):
        k = timeline.periods_from(start, day)
        if row >= 0 and k < periods:
            due[row, max(k, 0)] += float(units)
    return due


def _sold(
    con: duckdb.DuckDBPyConnection,
    nodes: pl.DataFrame,
    timeline: Timeline,
    start: date,
    periods: int,
) -> Floats:
    """(N, periods) units sold; below zero where more came back."""
    sales = con.execute(SOLD, {"start": start}).pl()
    units = np.zeros((nodes.height, periods))
    row, index = locate(sales, nodes), timeline.spec(1).index(sales["period_start"])
    first = int(timeline.spec(1).index(pl.Series([start]))[0])
    keep = (row >= 0) & (index - first < periods)
    values = sales["units"].cast(pl.Float64).to_numpy()
    np.add.at(units, (row[keep], index[keep] - first), values[keep])
    return units


def _adjusted(
    con: duckdb.DuckDBPyConnection,
    nodes: pl.DataFrame,
    timeline: Timeline,
    start: date,
    periods: int,
) -> Floats:
    """(N, periods) units that the books added, or took away: found, broken, stolen."""
    at = timeline.cutoff(start).replace(tzinfo=None)
    changes = con.execute(ADJUSTED, {"at": at}).pl()
    units = np.zeros((nodes.height, periods))
    days = timeline.local_days(changes["event_at"].cast(pl.Datetime))
    index = np.array([timeline.periods_from(start, day) for day in days], dtype=np.int64)
    row = locate(changes, nodes)
    keep = (row >= 0) & (index < periods)
    np.add.at(units, (row[keep], index[keep]), changes["delta"].cast(pl.Float64).to_numpy()[keep])
    return units


def _counts(
    con: duckdb.DuckDBPyConnection,
    nodes: pl.DataFrame,
    timeline: Timeline,
    start: date,
    periods: int,
) -> pl.DataFrame:
    """Counts by row and the period whose end is nearest: one dated by its day alone was made
    before anything moved on it, and is the stock that the day before left."""
    at = timeline.cutoff(start).replace(tzinfo=None)
    counts = con.execute(COUNTED, {"at": at}).pl()
    half = timedelta(days=DAYS_A_PERIOD[timeline.grain] / 2)
    days = timeline.local_days(counts["event_at"].cast(pl.Datetime) - half)
    index = [timeline.periods_from(start, day) for day in days]
    counted = pl.DataFrame(
        {
            "row": locate(counts, nodes),
            "period": pl.Series(index, dtype=pl.Int64),
            "on_hand": counts["on_hand"].cast(pl.Float64),
        }
    )
    is_inside = (pl.col("row") >= 0) & pl.col("period").is_between(0, periods - 1)
    return counted.filter(is_inside)
