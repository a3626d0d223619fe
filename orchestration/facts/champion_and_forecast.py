"""The policy that decides now and the forecast it decided on, as the last run published them."""

from __future__ import annotations

import duckdb
import polars as pl

from models.forecasting.forecast import Forecast
from models.replenishment.base_policy import RegisteredPolicy
from orchestration.facts.kept_agents import policy_of
from orchestration.facts.kept_forecasts import kept_forecast
from orchestration.home import Home
from orchestration.home.sql import frame


def champion(con: duckdb.DuckDBPyConnection, home: Home) -> RegisteredPolicy:
    """The policy that decides now, with the scale its last rehearsal tuned. Raises ValueError
    before the first rehearsal."""
    row = frame(
        con, "select * from decisions.champions where is_champion order by as_of desc limit 1"
    )
    if row.is_empty():
        raise ValueError("no policy has been rehearsed by now; run the line up to rehearse first")
    name = str(row["policy"][0])
    return policy_of(home, name, tuned_scales(con).get(name))


def tuned_scales(con: duckdb.DuckDBPyConnection) -> dict[str, float]:
    """By policy, the scale that the last rehearsal tuned for it; those that have none are not
    there."""
    rehearsed = frame(con, "select * from decisions.champions order by as_of")
    if "scale" not in rehearsed.columns:  # published before scales were kept
        return {}
    tuned = rehearsed.filter(pl.col("as_of") == pl.col("as_of").max()).drop_nulls("scale")
    return dict(tuned.select("policy", "scale").iter_rows())


def published_forecast(con: duckdb.DuckDBPyConnection, home: Home) -> Forecast:
    """The forecast that the newest published decisions were made on, whole. Raises ValueError where
    none is kept."""
    newest = con.execute(
        """
        select run_id from decisions.forecasts
        order by as_of desc, run_id = (select run_id from published.snapshot) desc limit 1
        """
    ).fetchone()
    if newest is None:
        raise ValueError("no forecast is published: run the line first")
    return kept_forecast(home, newest[0])
