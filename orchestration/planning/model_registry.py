"""The model registry: which demand model decides, why it was trained, and whether what it served
since has drifted."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import duckdb
import polars as pl

from models.forecasting.custom_forecaster import OwnModel
from models.forecasting.demand_model import FORM, DemandModel
from models.forecasting.drift import TAIL, Drift
from orchestration.facts import kept_models
from orchestration.facts.timeline import Timeline
from orchestration.home import Home
from orchestration.planning.demand import Demand
from orchestration.planning.replay import RETRAIN

#: Whose totals a line's model gives a distribution of their own: everything, places, categories.
TOTALS = ((), ("location_id",), ("category",))
#: What a model forecast for periods that have closed since, and what came; one row a series and
#: period, from its newest run before it.
SERVED = """
    with promised as (
        select item_id, location_id, period_start,
            any_value(value) filter (quantile is null) as mean,
            any_value(value) filter (quantile = $tail) as high
        from read_parquet($files, union_by_name = true)
        where model = $model and as_of < $now
        group by run_id, as_of, item_id, location_id, period_start
        qualify row_number() over (partition by item_id, location_id, period_start
            order by as_of desc, run_id) = 1
    )
    select promised.mean, promised.high, demand.quantity as came
    from promised inner join marts.fct_demand as demand using (item_id, location_id, period_start)
    where demand.is_current and demand.quantity is not null
"""
#: How the contract reads the history that a model learns from.
READING = """
    select distinct manifest.source_id, manifest.contract, world.absent_sales
    from raw.manifest as manifest, raw.world as world
    where manifest.source_id in (
        select source_id from raw.sales union select source_id from raw.returns)
    order by all
"""


@dataclass(frozen=True)
class Registered:
    """The model in use with its card. facts: name, as_of it was trained, horizon, sha256, reason
    and the model's own card.

    drift: how it has served, where that is known. is_new: whether it has just been trained.
    """

    model: DemandModel | OwnModel
    facts: dict[str, Any]
    drift: Drift | None
    is_new: bool

    @property
    def name(self) -> str:
        """The model's version, as decisions and explanations name it."""
        return str(self.facts["name"])

    def row(self, run_id: str, now: datetime) -> pl.DataFrame:
        """One row of decisions.models: what this run forecasts with, why it was trained, and how it
        has served."""
        unseen, drift = self.facts.get("unseen") or {}, self.drift
        trained = datetime.fromisoformat(self.facts["as_of"])
        return pl.DataFrame(
            [
                {
                    "run_id": run_id,
                    "as_of": now,
                    "model": self.name,
                    "method": self.facts["method"],
                    "trained_as_of": trained,
                    "is_new": self.is_new,
                    "reason": self.facts["reason"],
                    "data_until": self.facts["data_until"],
                    "series": self.facts["series"],
                    "features": len(self.facts["features"]),
                    "sha256": self.facts["sha256"],
                    "unseen_wape": unseen.get("wape"),
                    "unseen_bias": unseen.get("bias"),
                    "unseen_under_tail": unseen.get(f"at_most_{TAIL}"),
                    "served_periods": drift.served_periods if drift else 0,
                    "served_wape": drift.wape if drift else None,
                    "served_bias": drift.bias if drift else None,
                    "served_under_tail": drift.under_tail if drift else None,
                }
            ]
        )


def current_model(home: Home, demand: Demand) -> Registered:
    """The kept model while it is young enough and serves as it promised, else a new one, kept with
    its card.

    A model lives for as many reviews as rehearsals and replays let it live (RETRAIN), shorter where
    drift is measured. A pinned one is used for as long as it can be. Raises ValueError where a
    pinned one cannot be used: people decide whether to let it go.
    """
    kept, held = kept_models.model_in_use(home), kept_models.pinned(home)
    reason, drift, reading = "none was kept", None, _reading(home)
    if kept is not None:
        facts = kept.card
        drift = _drift(home, kept.name, demand.timeline.now_at)
        misfit = why_unusable(facts, demand.reach, demand.timeline)
        if held and misfit:
            raise ValueError(
                f"model {kept.name} is {held}; it cannot be used, as {misfit}: `stockhouse model "
                "unpin`, or pin another"
            )
        if held:
            return Registered(kept.load(), facts | {"reason": str(held)}, drift, is_new=False)
        why = misfit or why_anew(facts, demand.timeline, reading, drift)
        if why is None:
            return Registered(kept.load(), facts, drift, is_new=False)
        reason = why
    model = demand.train(demand.timeline.origin, totals=TOTALS)
    data = model.to_bytes()
    digest = hashlib.sha256(data).hexdigest()
    now = demand.timeline.now_at
    facts = {
        "name": f"{demand.forecast_by}-{now:%Y%m%d}-{digest[:8]}",
        "as_of": now.isoformat(),
        "horizon": demand.reach,
        "sha256": digest,
        "reason": reason,
        "reading": reading,
        **model.card,
    }
    kept_models.keep_model(home, data, facts)
    return Registered(model, facts, None, is_new=True)


def why_unusable(facts: dict[str, Any], horizon: int, timeline: Timeline) -> str | None:
    """Why a kept model can forecast nothing here, in words; None where it can."""
    if facts["horizon"] != horizon:
        return f"the horizon is {horizon} periods now"
    if facts.get("form") != FORM:
        return "the kept model was made by another version"
    if timeline.now_at < datetime.fromisoformat(facts["as_of"]):
        return "the kept model knows a later time"
    return None


def why_anew(
    facts: dict[str, Any], timeline: Timeline, reading: str, drift: Drift | None
) -> str | None:
    """Why a model that can be used should be trained anew, in words; None where it serves well.

    reading: how the contract reads sales and returns now, as a digest.
    """
    if facts.get("reading") != reading:
        return "the contract reads sales another way now"
    age = timeline.now_at - datetime.fromisoformat(facts["as_of"])
    if age >= timedelta(days=RETRAIN * timeline.review_days):
        return f"the last is {RETRAIN} reviews old"
    return drift.reason(facts.get("unseen") or {}) if drift else None


def _reading(home: Home) -> str:
    with home.connect(read_only=True) as con:
        return hashlib.sha256(repr(con.execute(READING).fetchall()).encode()).hexdigest()[:16]


def _drift(home: Home, name: str, now: datetime) -> Drift | None:
    """How a model's forecasts of earlier runs have turned out; None before a period they speak of
    has closed."""
    files = sorted(str(path) for path in (home.decisions / "forecasts").glob("*.parquet"))
    if not files:
        return None
    with home.connect(read_only=True) as con:
        return served(con, files, name, now)


def served(
    con: duckdb.DuckDBPyConnection, files: list[str], name: str, now: datetime
) -> Drift | None:
    """Compare what one model promised in these files with the demand of the warehouse; None where
    nothing closed, or nothing was sold."""
    found = con.execute(SERVED, {"files": files, "model": name, "now": now, "tail": TAIL}).pl()
    return Drift.of(
        *(found[column].cast(pl.Float64).to_numpy() for column in ("came", "mean", "high"))
    )
