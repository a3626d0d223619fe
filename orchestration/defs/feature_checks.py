"""The watch over features: whether they still look like what the model learnt, and whether news
still arrives. Warnings, never gates."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import dagster as dg
import matplotlib.pyplot as plt
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from feature_repo.features import VIEWS
from feature_repo.watch import drift, freshness
from models.domain import SERIES
from models.forecasting.inputs import SIGNAL_FEATURES
from orchestration.defs.resources import Lakehouse
from orchestration.facts.kept_models import model_in_use
from orchestration.facts.timeline import Timeline
from orchestration.home import Home
from orchestration.planning.demand import ORIGINS, Demand
from orchestration.reports import charts

SERVED = dg.AssetKey(["features", "online_store"])
#: A training set is watched by a sample: enough rows that deciles are sharp, few enough that the
#: watch costs seconds.
WATCHED_ORIGINS, WATCHED_SERIES = 13, 2_000
NEWS = (
    "select distinct $view as view, cast(known_at as date) as known_on from {table} where known_at "
    "<= $now"
)


@dg.multi_asset_check(
    name="features__watch",
    can_subset=True,  # so that what had nothing to look at is skipped, and not passed
    specs=[
        dg.AssetCheckSpec(
            "features_stay_like_the_training_set",
            asset=SERVED,
            description="Population stability index of each feature.",
        ),
        dg.AssetCheckSpec(
            "features_stay_present",
            asset=SERVED,
            description="Share of missing values of each feature.",
        ),
        dg.AssetCheckSpec(
            "features_stay_fresh",
            asset=SERVED,
            description="Age of the newest news of each view, against its rhythm.",
        ),
    ],
)
def watch(
    context: dg.AssetCheckExecutionContext, lakehouse: Lakehouse
) -> Iterator[dg.AssetCheckResult]:
    """Compare what is served now with what the model in use was trained on, and every view's newest
    news with its usual silence; a check that finds nothing to look at did not run."""
    asked = {key.name for key in context.selected_asset_check_keys}
    yield from (one for one in watched(lakehouse.open_home()) if one.check_name in asked)


def watched(home: Home) -> Iterator[dg.AssetCheckResult]:
    """One result for each check that had something to compare."""
    learnt, served = learnt_and_served(home)
    moves, news = drift(learnt, served, "origin"), freshness(*news_of(home))
    moved = moves.filter("has_moved")["feature"].to_list()
    lost, stale = (
        moves.filter("is_lost")["feature"].to_list(),
        news.filter("is_stale")["view"].to_list(),
    )
    if len(moves):
        yield _result(
            "features_stay_like_the_training_set",
            moved,
            "moved away from the training set",
            moves,
            stability_plot(moves),
        )
        yield _result(
            "features_stay_present",
            lost,
            "are missing more often than in the training set",
            moves,
            missing_plot(moves),
        )
    if len(news):
        yield _result(
            "features_stay_fresh",
            stale,
            "have been silent for longer than usual",
            news,
            freshness_plot(news),
        )


def _result(
    name: str, failed: list[str], what: str, rows: pl.DataFrame, plot: Figure
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=SERVED,
        check_name=name,
        passed=not failed,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{', '.join(failed) or 'none'} of {len(rows)} {what}",
        metadata={
            "plot": charts.metadata(plot),
            "table": dg.MetadataValue.md(charts.markdown(rows, digits=3)),
        },
    )


def learnt_and_served(home: Home) -> tuple[pl.DataFrame, pl.DataFrame]:
    """demand_v1 as the model in use learnt it and as it is served at Now: a sample of series and
    origins.

    Without a model yet, its training set is the one it will be trained on; without demand or a
    past, both frames are empty.
    """
    with home.connect(read_only=True) as con:
        if not con.execute(
            "select 1 from marts.dim_item_locations semi join marts.fct_demand using (item_id, "
            "location_id)"
        ).fetchone():
            return pl.DataFrame(), pl.DataFrame()
        demand = Demand.open(con, home.warehouse, home.features)
    kept, timeline = model_in_use(home), demand.timeline
    if kept is not None:
        timeline = replace(timeline, now_at=datetime.fromisoformat(kept.card["as_of"]))
    origins = [
        day for day in timeline.origins(timeline.origin, ORIGINS + 1)[:-1] if day > demand.first
    ]
    if not origins:
        return pl.DataFrame(), pl.DataFrame()
    few = replace(
        demand, series=demand.series.sample(min(WATCHED_SERIES, len(demand.series)), seed=0)
    )
    sampled = sorted({origins[int(k)] for k in np.linspace(0, len(origins) - 1, WATCHED_ORIGINS)})
    learnt, served = (
        few.features_at(days).drop(*SERIES, *SIGNAL_FEATURES)
        for days in (sampled, [demand.timeline.origin])
    )
    return learnt, served


def news_of(home: Home) -> tuple[pl.DataFrame, datetime]:
    """view, known_on: the days on which something became known in each online view, until Now; and
    Now (UTC)."""
    with home.connect(read_only=True) as con:
        now = Timeline.read(con).now_at
        tables = {view.name: view.tags["asset"].replace("/", ".") for view in VIEWS if view.online}
        news = [
            con.execute(NEWS.format(table=table), {"view": view, "now": now}).pl()
            for view, table in tables.items()
        ]
    return pl.concat(news), now


def stability_plot(moves: pl.DataFrame, shown: int = 15) -> Figure:
    """The features that moved most, each with the limit it is measured against."""
    worst = moves.head(shown).reverse()
    figure, axis = _axis(len(worst))
    axis.barh(worst["feature"].to_list(), worst["psi"].to_numpy(), color=charts.SOFT)
    axis.plot(
        worst["psi_limit"].to_numpy(),
        worst["feature"].to_list(),
        "|",
        color=charts.ACCENT,
        markersize=14,
        label="limit",
    )
    axis.set_xlabel("population stability index against the training set")
    axis.legend(frameon=False, fontsize=8)
    return figure


def missing_plot(moves: pl.DataFrame, shown: int = 15) -> Figure:
    """The features missing most often now, beside how often they were missing in the training
    set."""
    worst = moves.sort("missing_now", descending=True).head(shown).reverse()
    figure, axis = _axis(len(worst))
    axis.barh(
        worst["feature"].to_list(), worst["missing_now"].to_numpy(), color=charts.SOFT, label="now"
    )
    axis.plot(
        worst["missing_then"].to_numpy(),
        worst["feature"].to_list(),
        "|",
        color=charts.ACCENT,
        markersize=14,
        label="training set",
    )
    axis.set_xlabel("share of missing values")
    axis.legend(frameon=False, fontsize=8)
    return figure


def freshness_plot(news: pl.DataFrame) -> Figure:
    """How long each view has been silent, beside its usual silence."""
    figure, axis = _axis(len(news))
    axis.barh(
        news["view"].to_list(), news["age_days"].to_numpy(), color=charts.SOFT, label="silent now"
    )
    axis.plot(
        news["usual_days"].to_numpy(),
        news["view"].to_list(),
        "|",
        color=charts.ACCENT,
        markersize=14,
        label="usual",
    )
    axis.set_xlabel("days since the newest news")
    axis.legend(frameon=False, fontsize=8)
    return figure


def _axis(rows: int) -> tuple[Figure, Axes]:
    figure, axis = plt.subplots(figsize=(8, 0.3 * rows + 1), layout="constrained")
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8)
    return figure, axis
