"""Decisions are data: one Parquet file a run and table under state/decisions, which the warehouse
reads as schema `decisions`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from orchestration.home import files
from orchestration.home.sql import floats, literal, quote

_TEXT, _NUMBER, _TIME, _DAY = pl.String, pl.Float64, pl.Datetime("us"), pl.Date
#: Money as dbt's macros of these names have it: an amount, and what one unit costs or earns.
_AMOUNT, _UNIT_MONEY = pl.Decimal(38, 4), pl.Decimal(38, 12)

#: The tables and their columns; run_id and as_of come first in each, so that every decision can be
#: placed.
DECISIONS: dict[str, dict[str, pl.DataType | type[pl.DataType]]] = {
    "forecasts": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "model": _TEXT,
        "item_id": _TEXT,
        "location_id": _TEXT,
        "period_start": _DAY,
        "quantile": _NUMBER,
        "value": _NUMBER,
    },
    "forecast_totals": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "model": _TEXT,
        "total_of": _TEXT,
        "name": _TEXT,
        "period_start": _DAY,
        "quantile": _NUMBER,
        "value": _NUMBER,
    },
    "surges": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "model": _TEXT,
        "item_id": _TEXT,
        "location_id": _TEXT,
        "period_start": _DAY,
        "periods": pl.Int64,
        "demand": _NUMBER,
        "usual": _NUMBER,
        "part": _TEXT,
        "units": _NUMBER,
    },
    "models": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "model": _TEXT,
        "method": _TEXT,
        "trained_as_of": _TIME,
        "is_new": pl.Boolean,
        "reason": _TEXT,
        "data_until": _TEXT,
        "series": pl.Int64,
        "features": pl.Int64,
        "sha256": _TEXT,
        "unseen_wape": _NUMBER,
        "unseen_bias": _NUMBER,
        "unseen_under_tail": _NUMBER,
        "served_periods": pl.Int64,
        "served_wape": _NUMBER,
        "served_bias": _NUMBER,
        "served_under_tail": _NUMBER,
    },
    "champions": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "policy": _TEXT,
        "holding_cost": _AMOUNT,
        "shortage_cost": _AMOUNT,
        "total_cost": _AMOUNT,
        "mean_difference": _AMOUNT,
        "lower": _AMOUNT,
        "upper": _AMOUNT,
        "is_champion": pl.Boolean,
        "is_in_shadow": pl.Boolean,
        "scale": _NUMBER,
        "settings": _TEXT,
    },
    "forecast_scores": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "stair": pl.Int64,
        "method": _TEXT,
        "wape": _NUMBER,
        "bias": _NUMBER,
        "crps": _NUMBER,
        "wape_reduction": _NUMBER,
    },
    "order_lines": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "order_line_id": _TEXT,
        "intent_key": _TEXT,
        "kind": _TEXT,
        "item_id": _TEXT,
        "location_id": _TEXT,
        "from_id": _TEXT,
        "quantity": _NUMBER,
        "review_period": _DAY,
        "due_on": _DAY,
        "unit_cost": _UNIT_MONEY,
        "value": _AMOUNT,
        "reason": _TEXT,
        "policy": _TEXT,
        "model": _TEXT,
        "eoq_quantity": _NUMBER,
        "min_max_quantity": _NUMBER,
        "system_quantity": _NUMBER,
        "item_name": _TEXT,
        "from_name": _TEXT,
        "currency": _TEXT,
    },
    "explanations": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "order_line_id": _TEXT,
        "part": _TEXT,
        "quantity": _NUMBER,
    },
    "targets": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "item_id": _TEXT,
        "location_id": _TEXT,
        "kind": _TEXT,
        "from_id": _TEXT,
        "item_class": _TEXT,
        "position": _NUMBER,
        "expected_demand": _NUMBER,
        "safety_stock": _NUMBER,
        "order_up_to": _NUMBER,
        "quantity": _NUMBER,
        "stock_out_risk_before": _NUMBER,
        "stock_out_risk_without": _NUMBER,
        "stock_out_risk_with": _NUMBER,
        "stock_out_on": _DAY,
        "economic_service_level": _NUMBER,
        "promised_service_level": _NUMBER,
        "implied_shortage_cost": _UNIT_MONEY,
        "expected_waste": _NUMBER,
        "completeness": _NUMBER,
    },
    "limits": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "name": _TEXT,
        "resource": _TEXT,
        "at_most": _AMOUNT,
        "wanted": _AMOUNT,
        "used": _AMOUNT,
        "shadow_price": _UNIT_MONEY,
    },
    "alternatives": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "item_id": _TEXT,
        "location_id": _TEXT,
        "rank": pl.Int64,
        "way": _TEXT,
        "kind": _TEXT,
        "from_id": _TEXT,
        "quantity": _NUMBER,
        "normal_quantity": _NUMBER,
        "landed_unit_cost": _UNIT_MONEY,
        "price": _UNIT_MONEY,
        "freight": _UNIT_MONEY,
        "fuel": _UNIT_MONEY,
        "duty": _UNIT_MONEY,
        "holding_in_transit": _UNIT_MONEY,
        "arrives_on": _DAY,
        "extra_purchase_cost": _AMOUNT,
        "expected_cost": _AMOUNT,
        "total_cost": _AMOUNT,
        "is_cheapest": pl.Boolean,
    },
    "overrides": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "kind": _TEXT,
        "item_id": _TEXT,
        "location_id": _TEXT,
        "from_id": _TEXT,
        "system_quantity": _NUMBER,
        "quantity": _NUMBER,
        "unit_cost": _UNIT_MONEY,
        "reason": _TEXT,
    },
    "scenarios": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "state_run_id": _TEXT,
        "scenario": _TEXT,
        "title": _TEXT,
        "part": _TEXT,
        "name": _TEXT,
        "before": _NUMBER,
        "after": _NUMBER,
        "difference": _NUMBER,
        "lower": _NUMBER,
        "upper": _NUMBER,
        "mean_lower": _NUMBER,
        "mean_upper": _NUMBER,
        "is_chosen": pl.Boolean,
        "is_nightly": pl.Boolean,
        "policy": _TEXT,
        "futures": pl.Int64,
        "periods": pl.Int64,
        "seed": pl.Int64,
        "version": _TEXT,
        "asked": _TEXT,
    },
    "scenario_lanes": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "scenario": _TEXT,
        "item_id": _TEXT,
        "location_id": _TEXT,
        "from_id": _TEXT,
        "item_class": _TEXT,
        "is_trusted": pl.Boolean,
        "sold_before": _NUMBER,
        "sold_after": _NUMBER,
        "lost_before": _NUMBER,
        "lost_after": _NUMBER,
        "margin_before": _AMOUNT,
        "margin_before_lower": _AMOUNT,
        "margin_before_upper": _AMOUNT,
        "margin_after": _AMOUNT,
        "margin_after_lower": _AMOUNT,
        "margin_after_upper": _AMOUNT,
        "margin_difference": _AMOUNT,
        "margin_lower": _AMOUNT,
        "margin_upper": _AMOUNT,
        "cost_to_serve_before": _AMOUNT,
        "cost_to_serve_before_lower": _AMOUNT,
        "cost_to_serve_before_upper": _AMOUNT,
        "cost_to_serve_after": _AMOUNT,
        "cost_to_serve_after_lower": _AMOUNT,
        "cost_to_serve_after_upper": _AMOUNT,
        "cost_to_serve_difference": _AMOUNT,
        "cost_to_serve_lower": _AMOUNT,
        "cost_to_serve_upper": _AMOUNT,
        "turns_unprofitable": pl.Boolean,
        "unprofitable_after": _NUMBER,
    },
    "scenario_places": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "scenario": _TEXT,
        "node_id": _TEXT,
        "kind": _TEXT,
        "survival_periods": _NUMBER,
        "survival_lower": _NUMBER,
        "survival_upper": _NUMBER,
        "is_beyond": pl.Boolean,
        "noticed_share": _NUMBER,
        "noticed_after_periods": _NUMBER,
        "recovery_periods": _NUMBER,
        "not_over_share": _NUMBER,
        "stock_before": _NUMBER,
        "stock_after": _NUMBER,
        "deepest_on": _DAY,
        "deepest_difference": _NUMBER,
        "deepest_lower": _NUMBER,
        "deepest_upper": _NUMBER,
    },
    "calibration": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "item_class": _TEXT,
        "location_id": _TEXT,
        "counts": pl.Int64,
        "counted": _NUMBER,
        "error": _NUMBER,
        "bias": _NUMBER,
        "is_trusted": pl.Boolean,
    },
    "exceptions": {
        "run_id": _TEXT,
        "as_of": _TIME,
        "item_id": _TEXT,
        "location_id": _TEXT,
        "kind": _TEXT,
        "severity": _TEXT,
        "reason": _TEXT,
    },
}

#: What each table says.
TABLES: dict[str, str] = {
    "forecasts": "The forecasts decisions were made on; a row without quantile is the mean.",
    "forecast_totals": (
        "The distribution of totals: of everything, of each location and of each category."
    ),
    "surges": (
        "Unusual rises of the newest review window, split into causes that add up to demand less "
        "usual."
    ),
    "models": (
        "Which demand model each run forecast with, why it was trained, what it promised and how "
        "it has served since."
    ),
    "champions": "What each policy cost in rehearsal, and which one decides.",
    "forecast_scores": (
        "Forecast value added, as stairs: how far forecasts of the rehearsal lay from what came, "
        "from the simplest method to the one that decides."
    ),
    "order_lines": (
        "What to buy and what to move, each line with its reason, its due date and the legacy "
        "quantities beside."
    ),
    "explanations": "The parts of every quantity; they add up to it exactly.",
    "targets": (
        "What stock each item and location should have and why, ordered or not: level, safety "
        "stock, class, service level, risk."
    ),
    "limits": (
        "The planner's limits: what was wanted and used of each, and what one more unit of it "
        "would save."
    ),
    "alternatives": (
        "Other ways to the same goods beside the normal order, each with its landed cost and what "
        "it leaves of other cost."
    ),
    "overrides": (
        "Where planners overrode the plan, and what it would have ordered by itself: what an "
        "override was worth shows here later."
    ),
    "scenarios": (
        "What scenarios change in the twin (part total), what can be done about them (measure), "
        "how rival policies do (policy) and how long nodes survive (node); run_id is the study, "
        "asked what it was asked, word for word."
    ),
    "scenario_lanes": (
        "What scenarios change for every item and the lane it comes by, mean over the futures: "
        "units sold and lost, margin and cost to serve; run_id is the study."
    ),
    "scenario_places": (
        "How every supplier, place and hub takes scenarios: how long it can be missing, when "
        "customers notice, how long it is felt, and how low stock falls; run_id is the study."
    ),
    "calibration": (
        "How far the twin's stock lies from what was counted, by item class and place, where the "
        "last half year is run again with the orders really placed; error and bias are shares of "
        "what was counted."
    ),
    "exceptions": "Items that could not be planned, with the reason and what to mend.",
}
#: What a column says, in whatever table it stands; where tables mean different things by a name,
#: the table is named too.
WORDS: dict[str, str] = {
    "run_id": "The run that decided; of a study of scenarios, the study.",
    "as_of": "The Now it was decided at, UTC: nothing known later was looked at.",
    "model": "The demand model that forecast.",
    "item_id": "The thing that is bought, stored and sold.",
    "location_id": "The store, market, plant or warehouse.",
    "period_start": "The first local day of the period it speaks of.",
    "quantile": "The share of sampled futures with at most this demand; null for the mean.",
    "forecasts.value": "Units that may be asked for in the period.",
    "forecast_totals.value": "Units that may be asked for in the period, all series together.",
    "total_of": "What is added up: everything, or all series that share what is named.",
    "forecast_totals.name": "Which of them it is, such as a location or a category.",
    "periods": "Periods it is about, from the first day on.",
    "demand": "Units asked for in the window.",
    "usual": "Units the model expected there, before the cause was known.",
    "surges.part": "The cause, in the model's words; the parts add up to demand less usual.",
    "units": "Units of the rise that the cause explains.",
    "method": "How the model forecasts: the product's own, or a company's forecaster.",
    "trained_as_of": "The Now it was trained at, UTC.",
    "is_new": "It was trained in this run.",
    "reason": "Why, in words.",
    "data_until": "The last local day the model learned from.",
    "series": "Items and locations it learned from.",
    "features": "Columns it looks at.",
    "sha256": "The checksum of the model as it is kept.",
    "unseen_wape": "Absolute error over demand, on periods it had not seen.",
    "unseen_bias": "Forecast less demand over demand, on periods it had not seen.",
    "unseen_under_tail": "Share of unseen periods whose demand stayed under the upper tail.",
    "served_periods": "Periods that came since, which it had forecast.",
    "served_wape": "Absolute error over demand, of what it forecast and what came since.",
    "served_bias": "Forecast less demand over demand, of what it forecast and what came since.",
    "served_under_tail": "Share of the periods since whose demand stayed under the upper tail.",
    "policy": "The rule that decides how much to order.",
    "holding_cost": "What holding stock cost in the rehearsal.",
    "shortage_cost": "What demand that was not met cost in the rehearsal.",
    "stair": "Its place on the stairs, the simplest method first.",
    "forecast_scores.method": "Who forecast: a baseline, or the model that decides.",
    "wape": "Absolute error over demand, on origins of the rehearsal.",
    "forecast_scores.bias": "Forecast less demand, over demand.",
    "crps": "Error of the whole distribution, in units (continuous ranked probability score).",
    "wape_reduction": "Error it takes off that of the stair before; empty on the first.",
    "champions.total_cost": "Holding, shortage and what spoiled in the rehearsal together.",
    "mean_difference": "Total cost less the champion's, on the same demand.",
    "champions.lower": "The lower end of the difference's 95 % interval.",
    "champions.upper": "The upper end of the difference's 95 % interval.",
    "is_champion": "The rule that decides now.",
    "is_in_shadow": (
        "It stands beside the others and may not decide yet: an agent's first rehearsal."
    ),
    "scale": "The setting that the rehearsal tuned for the rule.",
    "settings": (
        "A digest of the contract's plan and economics then, and of the agent that was kept; where "
        "they differ now, the rules are rehearsed again."
    ),
    "order_line_id": "The line: the run, and the id that trace and approve take.",
    "intent_key": "The need behind the line: planned again, it revises and never repeats.",
    "kind": "purchase from a supplier, or transfer between locations.",
    "overrides.kind": "What the planner overrode: a purchase or a transfer.",
    "exceptions.kind": "Which sort of doubt or contradiction it is.",
    "from_id": "Where the goods come from: a supplier, or the location that ships.",
    "quantity": "Units decided.",
    "explanations.quantity": "Units of the part; the parts add up to the line's quantity.",
    "review_period": "The first day of the review the line belongs to.",
    "due_on": "The local day the goods are due.",
    "unit_cost": "What one unit costs us, in the world's currency.",
    "order_lines.value": "Quantity at its unit cost, in the world's currency.",
    "item_name": "What people call the item.",
    "from_name": "What people call the supplier; of a transfer, the location that ships.",
    "currency": "What the money of the row is in, by its ISO 4217 code.",
    "eoq_quantity": "What the economic order quantity with a reorder point would order.",
    "min_max_quantity": "What the min-max rule would order.",
    "system_quantity": "What would have been ordered without the planner's overrides.",
    "explanations.part": "The step of the decision that asked for it, or took it away.",
    "item_class": "The class of the item by its share of value and how steadily it sells.",
    "position": "Units on hand and on order.",
    "expected_demand": "Units expected until the next order's goods are used up.",
    "safety_stock": "Units above the expected demand.",
    "order_up_to": "The order-up-to level: units that position and order together reach.",
    "stock_out_risk_before": "Chance of an empty shelf before goods ordered now can come.",
    "stock_out_risk_without": "Chance of an empty shelf while the order acts, without it.",
    "stock_out_risk_with": "Chance of an empty shelf while the order acts, with it.",
    "stock_out_on": "From when the shelf is more likely empty than not, without it; null: never.",
    "economic_service_level": "The chance to meet all demand at which one more unit stops paying.",
    "promised_service_level": "The chance to meet all demand that the planner promised.",
    "implied_shortage_cost": "What one unit short has to cost for the promise to pay.",
    "expected_waste": "Units that will probably pass their shelf life.",
    "completeness": "How much of what the plan needs is known and in no doubt, from 0 to 1.",
    "limits.name": "The limit, as the planner wrote it.",
    "resource": "What it counts: value (money), units, weight_kg or volume_m3.",
    "at_most": (
        "What these orders may use of it: less what stock takes of a capacity, and what was firmed "
        "or approved in this review of a budget; money in the world's currency."
    ),
    "wanted": "What the plan would have used without the limit.",
    "used": "What the plan uses.",
    "shadow_price": "Money that one more unit of the limit would save; 0 where it does not bind.",
    "rank": "1 is the normal order; the others follow by total cost.",
    "way": "The other way to the goods, in words.",
    "normal_quantity": "Units of the normal order.",
    "landed_unit_cost": "What one unit costs when it lies here: the five parts beside.",
    "price": "The supplier's price of one unit.",
    "freight": "Freight of one unit.",
    "fuel": "What today's price of fuel adds to the freight of one unit.",
    "duty": "Duty on one unit.",
    "holding_in_transit": "Capital on one unit while it travels.",
    "arrives_on": "The local day the goods can be sold or sent on.",
    "extra_purchase_cost": "Paid above the normal order's landed cost of as many units.",
    "expected_cost": "Holding and shortage that are left.",
    "alternatives.total_cost": "What it costs above the normal order, and what is left.",
    "is_cheapest": "It has the least total cost.",
    "state_run_id": "The run whose published state the study starts from.",
    "scenario": "The scenario's short name.",
    "title": "The scenario, in words.",
    "scenarios.part": "What the row is about: total, measure, policy or node.",
    "scenarios.name": "Which figure, measure, policy or node it is.",
    "before": "The figure as things are.",
    "after": "The figure in the scenario.",
    "difference": "After less before; of a measure, its cost less that of doing nothing.",
    "scenarios.lower": "The lower end of what 95 % of the futures say.",
    "scenarios.upper": "The upper end of what 95 % of the futures say.",
    "mean_lower": "The lower end of the mean's 95 % interval.",
    "mean_upper": "The upper end of the mean's 95 % interval.",
    "is_chosen": "The measure that is advised.",
    "is_nightly": "The study is the nightly rehearsal of the world's stress sets.",
    "scenario_lanes.from_id": "Where the lane begins: a supplier, or the place that ships.",
    "scenario_lanes.is_trusted": "The twin is close enough to counts of the item's class there.",
    "sold_before": "Units sold as things are.",
    "sold_after": "Units sold in the scenario.",
    "lost_before": "Units not met in their period as things are: lost, or owed to who waits.",
    "lost_after": "The same in the scenario.",
    "margin_before": "Sales less goods, freight, duty and holding as things are, money.",
    "margin_after": "The same in the scenario, money.",
    "margin_before_lower": "The lower end of the margin in 95 % of futures as things are.",
    "margin_before_upper": "The upper end of the margin in 95 % of futures as things are.",
    "margin_after_lower": "The lower end of the margin in 95 % of futures with the scenario.",
    "margin_after_upper": "The upper end of the margin in 95 % of futures with the scenario.",
    "margin_difference": "Margin after less before, on the same futures, money.",
    "margin_lower": "The lower end of what 95 % of the futures say of the margin's difference.",
    "margin_upper": "The upper end of what 95 % of the futures say of the margin's difference.",
    "cost_to_serve_before": "Freight, fuel, duty, holding and write-offs as things are, money.",
    "cost_to_serve_after": "The same in the scenario, money.",
    "cost_to_serve_before_lower": "The lower end of what 95 % of futures cost to serve as is.",
    "cost_to_serve_before_upper": "The upper end of what 95 % of futures cost to serve as is.",
    "cost_to_serve_after_lower": "The lower end of what 95 % of futures cost to serve then.",
    "cost_to_serve_after_upper": "The upper end of what 95 % of futures cost to serve then.",
    "cost_to_serve_difference": "Cost to serve after less before, on the same futures, money.",
    "cost_to_serve_lower": "The lower end of what 95 % of the futures say of that difference.",
    "cost_to_serve_upper": "The upper end of what 95 % of the futures say of that difference.",
    "turns_unprofitable": "It earns as things are, and no longer in the scenario.",
    "unprofitable_after": "Share of the futures in which it earns nothing in the scenario.",
    "node_id": "The supplier, place or hub.",
    "scenario_places.kind": "Which it is: supplier, place or hub.",
    "survival_periods": (
        "Time to survive: periods until customers notice that the node is missing, median over "
        "the futures, whatever the scenario; empty where nothing sets out from it."
    ),
    "survival_lower": "The lower end of what 95 % of the futures say of the time to survive.",
    "survival_upper": "The upper end of what 95 % of the futures say of the time to survive.",
    "is_beyond": "Customers do not notice within all that was simulated.",
    "noticed_share": "Share of the futures in which customers there notice the scenario.",
    "noticed_after_periods": (
        "Periods from the scenario's beginning until they do, median; empty: they never do."
    ),
    "recovery_periods": (
        "Time to recover: periods from the scenario's end until nothing is left of it there, "
        "median; empty where it is never felt."
    ),
    "not_over_share": "Share of the futures in which it is not over when the simulation ends.",
    "stock_before": "Units in stock there as things are, mean over the periods and futures.",
    "stock_after": "The same in the scenario.",
    "deepest_on": "The first day of the period whose stock lies furthest below, on average.",
    "deepest_difference": "Units by which the scenario changes the stock of that period.",
    "deepest_lower": "The lower end of what 95 % of the futures say of that difference.",
    "deepest_upper": "The upper end of what 95 % of the futures say of that difference.",
    "futures": "Sampled futures that were simulated.",
    "seed": "Where the random numbers began.",
    "version": "The version of Stockhouse that answered.",
    "asked": "The question, word for word: a study replays from it.",
    "counts": "Stock counts that were compared.",
    "counted": "Units that were counted, on average.",
    "error": "Absolute difference of the twin's stock and what was counted, over that.",
    "bias": "The twin's stock less what was counted, over that.",
    "is_trusted": "The twin is close enough to be asked.",
    "severity": "error: nothing is ordered; warning: a person looks first.",
}


def said_of(table: str, column: str) -> str:
    """What a column of a table says, as BI shows it beside the numbers."""
    return WORDS.get(f"{table}.{column}") or WORDS[column]


#: Under which name a file says of which Now its decisions are: one without rows says nothing else.
AS_OF = "as_of"
#: And how much of the planners' overrides its plan had read, in bytes of their journal.
OVERRIDES_READ = "overrides_read"
#: And by which trained agent its plan was made, as its checksum: none where none decided.
AGENT_KEPT = "agent"


def record(
    folder: Path,
    run_id: str,
    table: str,
    frame: pl.DataFrame,
    *,
    as_of: datetime,
    made_with: Mapping[str, str] | None = None,
) -> Path:
    """Keep one run's decisions of one kind, also that there were none; a retried run replaces its
    own file whole, never half. as_of: the Now they were made at, naive UTC. made_with: what else
    they depend on, by OVERRIDES_READ and AGENT_KEPT."""
    schema = DECISIONS[table]
    target = folder / table / f"{run_id}.parquet"
    kept = frame.select([_kept(name, kind) for name, kind in schema.items()])
    with files.replacing(target) as aside:
        kept.write_parquet(aside, metadata={AS_OF: as_of.isoformat(), **(made_with or {})})
    return target


def overrides_read(folder: Path, run_id: str) -> int | None:
    """How many bytes of the overrides' journal a run's plan knew; None where it is not on record,
    as of plans made before runs kept it."""
    told = _made_with(folder, run_id, OVERRIDES_READ)
    return None if told is None else int(told)


def agent_kept(folder: Path, run_id: str) -> str | None:
    """The checksum of the agent that made a run's plan; None where no agent did."""
    return _made_with(folder, run_id, AGENT_KEPT)


def _made_with(folder: Path, run_id: str, name: str) -> str | None:
    path = folder / "order_lines" / f"{run_id}.parquet"
    return pl.read_parquet_metadata(path).get(name) if path.exists() else None


def _kept(name: str, kind: pl.DataType | type[pl.DataType]) -> pl.Expr:
    """A column as it is kept: an amount nobody knows is none."""
    column = pl.col(name)
    is_money = isinstance(kind, pl.Decimal)
    return (column.cast(pl.Float64).fill_nan(None) if is_money else column).cast(kind)


def read(path: Path, rows: int | None = None) -> pl.DataFrame:
    """The decisions of one file, or its first rows, as arrays take them: money as floats."""
    return floats(pl.read_parquet(path, n_rows=rows))


def load(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Make schema `decisions` say exactly what state/decisions says; tables no run has written yet
    are there and empty.

    Rows stand in the order in which the runs decided: of two runs with one Now, the later comes
    after.
    """
    con.execute("create schema if not exists decisions")
    for table, schema in DECISIONS.items():
        files = [str(path) for path in _oldest_first(folder / table)]
        con.register("empty_decisions", pl.DataFrame(schema=schema).to_arrow())
        con.execute(f"create or replace table decisions.{table} as select * from empty_decisions")
        con.unregister("empty_decisions")
        con.execute(f"comment on table decisions.{table} is {literal(TABLES[table])}")
        for column in schema:
            con.execute(
                f"comment on column decisions.{table}.{quote(column)} is "
                f"{literal(said_of(table, column))}"
            )
        if files:
            con.execute(
                f"insert into decisions.{table} by name select * from read_parquet(?, "
                "union_by_name = true)",
                [files],
            )


def latest(folder: Path, table: str, now: datetime | None = None) -> pl.DataFrame | None:
    """The newest decisions of one kind, by the Now they were made at (not later than `now`):
    without rows where that run decided nothing of the kind; None before the first."""
    path = _newest(folder / table, now)
    return None if path is None else read(path)


def latest_run(folder: Path, table: str) -> str:
    """The run that made the newest decisions of one kind, empty before the first."""
    path = _newest(folder / table, None)
    return "" if path is None else path.stem


def _newest(folder: Path, now: datetime | None) -> Path | None:
    made = [
        (at, place, path)
        for place, path in enumerate(_oldest_first(folder))
        if (at := _made_at(path)) is not None and (now is None or at <= now)
    ]
    return max(made)[2] if made else None


def _made_at(path: Path) -> datetime | None:
    if told := pl.read_parquet_metadata(path).get(AS_OF):
        return datetime.fromisoformat(told)
    first = read(path, rows=1)  # kept before files said so: one without rows says nothing
    return first["as_of"][0] if len(first) else None


def _oldest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"), key=lambda path: path.stat().st_mtime_ns)


def newest_row(folder: Path, table: str, now: datetime) -> dict[str, Any] | None:
    """The first row of the newest decisions of one kind, not later than `now`: which run made them,
    when and by which model."""
    paths = _oldest_first(folder / table)
    rows = [row for path in paths for row in read(path, rows=1).iter_rows(named=True)]
    known = [row for row in rows if row["as_of"] <= now]
    return max(reversed(known), key=lambda row: row["as_of"], default=None)
