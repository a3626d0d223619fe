"""A study of scenarios as tables of schema `decisions`, as BI reads them."""

from __future__ import annotations

from typing import Any

import polars as pl

from orchestration.app.scenario_answers import Answer, Study
from orchestration.facts import decisions

SCENARIOS, LANES, PLACES = "scenarios", "scenario_lanes", "scenario_places"


def scenarios(study: Study, is_nightly: bool = False) -> pl.DataFrame:
    """A study as rows of decisions.scenarios: totals, measures, rival policies and nodes."""
    rows: list[dict[str, Any]] = []
    for one in study.survival.to_dicts():
        spans = {name: one[name] for name in ("lower", "upper")}
        rows.append({"part": "node", "name": one["node_id"], "after": one["periods"], **spans})
    rows += [row for answer in study.answers for row in _said(answer)]
    stamp = {
        "run_id": study.study_id,
        "as_of": study.as_of,
        "state_run_id": study.run_id,
        "is_nightly": is_nightly,
        "policy": study.policy,
        "futures": study.futures,
        "periods": study.periods,
        "seed": study.seed,
        "version": study.version,
        "asked": study.asked.text,
    }
    schema = decisions.DECISIONS[SCENARIOS]
    nothing = dict.fromkeys(schema)
    return pl.DataFrame([nothing | stamp | row for row in rows], schema=schema)


def _said(answer: Answer) -> list[dict[str, Any]]:
    of: dict[str, Any] = {"scenario": answer.scenario.name, "title": answer.scenario.title}
    found: list[dict[str, Any]] = []
    for name, said in answer.totals.items():
        found.append({**of, "part": "total", "name": name, **said})
    for one in answer.measures:
        money = {"difference": one.cost, "mean_lower": one.lower, "mean_upper": one.upper}
        is_chosen = one.measure == answer.best
        found.append(
            {**of, "part": "measure", "name": one.measure, **money, "is_chosen": is_chosen}
        )
    for name, said in answer.policies.items():
        found.append({**of, "part": "policy", "name": name, **said})
    return found


def lanes(study: Study) -> pl.DataFrame:
    """A study as rows of decisions.scenario_lanes: one per scenario, item and the lane that it
    comes by to a place that sells it."""
    named = {"lower": "margin_lower", "upper": "margin_upper"}
    found = [study.trust.marked(one.lanes).rename(named) for one in study.answers]
    return _together(LANES, study, found)


def places(study: Study) -> pl.DataFrame:
    """A study as rows of decisions.scenario_places: one per scenario and supplier, place or hub."""
    return _together(PLACES, study, [_by_node(study.survival, one) for one in study.answers])


def _by_node(survival: pl.DataFrame, answer: Answer) -> pl.DataFrame:
    """How long each node can be missing, beside what the scenario does to the places."""
    missing = survival.select(
        "node_id",
        "kind",
        "is_beyond",
        survival_periods="periods",
        survival_lower="lower",
        survival_upper="upper",
    )
    felt = answer.places.select(
        node_id="location_id",
        kind=pl.lit("place"),
        noticed_share="noticed",
        noticed_after_periods="survives",
        recovery_periods="recovers",
        not_over_share="not_over",
    )
    by_place = answer.depth.group_by(node_id="location_id")
    mean = by_place.agg(stock_before=pl.col("before").mean(), stock_after=pl.col("after").mean())
    # where nothing falls, the first period says so
    deepest = answer.depth.sort("difference", "period_start").unique("location_id", keep="first")
    low = deepest.select(
        node_id="location_id",
        deepest_on="period_start",
        deepest_difference="difference",
        deepest_lower="lower",
        deepest_upper="upper",
    )
    here = felt.join(mean, on="node_id", how="left").join(low, on="node_id", how="left")
    found = missing.join(here, on=["node_id", "kind"], how="full", coalesce=True)
    return found.sort("kind", "node_id")


def _together(table: str, study: Study, answers: list[pl.DataFrame]) -> pl.DataFrame:
    """The tables of all answers as one of schema `decisions`."""
    named = [
        found.with_columns(scenario=pl.lit(answer.scenario.name))
        for answer, found in zip(study.answers, answers, strict=True)
    ]
    stamp = {"run_id": pl.lit(study.study_id), "as_of": pl.lit(study.as_of, pl.Datetime("us"))}
    return pl.concat(named).with_columns(**stamp).select(*decisions.DECISIONS[table])
