"""Each run's whole forecast, kept beside the models: what the plan drew its futures from, and a
replan draws again, bit by bit.

`decisions.forecasts` shows nine levels of it to people and BI.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq

from models.forecasting.forecast import Forecast, from_table, to_table
from orchestration.facts import decisions
from orchestration.home import Home, files

#: As many runs as published versions are kept: a replan reads that of the newest one.
KEPT = 6


def keep_forecast(home: Home, run_id: str, forecast: Forecast) -> Path:
    """Keep a run's forecast whole; forecasts of older runs go."""
    target = _path(home, run_id)
    with files.replacing(target) as aside:
        pq.write_table(to_table(forecast), aside, compression="zstd")
    newest = sorted(target.parent.glob("*.parquet"), key=lambda path: path.stat().st_mtime_ns)
    for path in newest[:-KEPT]:
        path.unlink()
    return target


def kept_forecast(home: Home, run_id: str) -> Forecast:
    """The forecast that a run made. Raises ValueError where it is no longer kept."""
    path = _path(home, run_id)
    if not path.exists():
        raise ValueError(
            f"the forecast of run {run_id} is no longer kept in {path.parent}: run the line first"
        )
    return from_table(pq.read_table(path))


def newest_forecast(home: Home, now: datetime) -> tuple[Forecast, str]:
    """The forecast the line made at this Now, and the name of its model. Raises ValueError where
    the newest one is of another."""
    newest = decisions.newest_row(home.decisions, "forecasts", now)
    if newest is None or newest["as_of"] != now:
        made = (
            f"the newest forecast is as of {newest['as_of']}"
            if newest
            else "nothing is forecast yet"
        )
        raise ValueError(f"{made}, but Now is {now}: run the line up to forecast first")
    return kept_forecast(home, newest["run_id"]), newest["model"]


def _path(home: Home, run_id: str) -> Path:
    return home.models / "forecasts" / f"{run_id}.parquet"
