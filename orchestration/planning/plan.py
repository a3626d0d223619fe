"""The plan of one review: what was read, forecast and decided becomes order lines with their
reasons, as decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

import numpy as np
import polars as pl

from models.domain import SERIES, Floats, OrderLine, need_id
from models.forecasting import surges
from models.forecasting.forecast import Forecast
from models.procurement.documents import NOTHING_SHIPPED, Document
from models.replenishment.constraints import Constraint, used
from models.replenishment.implausible_lines import implausible
from models.replenishment.needless_orders import OPEN_ORDERS
from models.replenishment.opening_state import ASSUMED_COVER
from models.replenishment.overrides import Override
from models.replenishment.plan import Plan, plan
from models.replenishment.plan_exceptions import SCHEMA as EXCEPTIONS
from models.replenishment.policies import RegisteredPolicy
from models.replenishment.supplier_choice import Buyer
from orchestration.expectations import completeness, doubts, held_back, incomplete
from orchestration.facts import decisions
from orchestration.facts.display_names import NAMES
from orchestration.facts.planning_inputs import PlanningInputs, read_planning_inputs, read_unmet
from orchestration.facts.timeline import DAYS_A_PERIOD, Timeline
from orchestration.home import Home
from orchestration.home.sql import frame
from orchestration.ledger import Ledger
from orchestration.planning import override_journal
from orchestration.planning.demand import Demand
from orchestration.planning.rehearsal import deciding, is_rehearsed
from orchestration.planning.replay import INCUMBENT, network_of, paths_of

#: The quantities that stand beside every line, and what the plan calls them.
BESIDE = {
    "eoq_quantity": "eoq_reorder_point_quantity",
    "min_max_quantity": "min_max_quantity",
    "system_quantity": "system_quantity",
}
#: The exception of a world that keeps no stock records.
ASSUMED_STOCK = pl.DataFrame(
    {
        "item_id": ["all"],
        "location_id": ["all"],
        "kind": ["assumed_stock"],
        "severity": ["warning"],
        "reason": [
            (
                f"no stock records: planned as if {ASSUMED_COVER} review intervals of demand were "
                "on hand, and orders for the lead time's demand on the way; land stock counts"
            )
        ],
    }
)
#: The exception of a world whose history is too short to rehearse on.
UNREHEARSED = pl.DataFrame(
    {
        "item_id": ["all"],
        "location_id": ["all"],
        "kind": ["not_rehearsed"],
        "severity": ["warning"],
        "reason": [
            (
                f"too little history to rehearse on: {INCUMBENT} decides, the rule most companies "
                "run, "
                "until there is more"
            )
        ],
    }
)
#: Why an item no override names is ordered otherwise all the same.
KNOCKED_ON = (
    "another item's override took or left its share of a limit or of the shipping location's stock"
)


def plan_orders(
    home: Home,
    demand: Demand,
    forecast: Forecast,
    policy: str,
    budgets: Mapping[str, float] | None = None,
    overrides_read: int | None = None,
) -> Plan:
    """The plan of this review: today's stock and open orders, the forecast, the champion's rule and
    the planner's limits.

    budgets: what an earlier plan had left of each, by name, where it is made anew; else the ledger
    says what was spent of them in this review. overrides_read: the bytes of the overrides' journal
    that count, all where it is not said.
    """
    timeline = demand.timeline
    with home.connect(read_only=True) as con:
        unmet, share = read_unmet(con)
        inputs = read_planning_inputs(con, timeline, forecast, unmet=unmet, waiting_share=share)
        known = completeness(con)
        doubtful = doubts(con)
    lines = _lines(home)
    limits = (
        left_of_review(inputs.limits, lines, inputs.rows, timeline)
        if budgets is None
        else with_budgets(inputs.limits, budgets)
    )
    made = make_plan(
        replace(inputs, limits=limits),
        paths_of(forecast, inputs.rows, seed=0),
        forecast.period_starts,
        deciding(home, demand, policy),
        override_journal.in_force(home, timeline.now_at, timeline.origin, overrides_read),
        still_to_come(lines),
    )
    assumed = [ASSUMED_STOCK] if inputs.is_stock_assumed else []
    young = [] if is_rehearsed(home, demand) else [UNREHEARSED]
    rises = surges_of(home, timeline)
    odd = odd_lines(made, inputs)
    exceptions = pl.concat(
        [made.exceptions, incomplete(known), doubtful, odd, rises, *assumed, *young]
    )
    scores = held_back(known, pl.concat([doubtful, odd])).select(*SERIES, completeness="score")
    explanations = made.explanations.join(scores, on=SERIES, how="left", maintain_order="left")
    return replace(made, exceptions=exceptions, explanations=explanations)


def _lines(home: Home) -> list[Document]:
    if not home.has_ledger:  # as in a home of an earlier day, which orders nothing
        return []
    ledger = Ledger.of(home)
    try:
        return ledger.lines()
    finally:
        ledger.close()


def with_budgets(limits: Sequence[Constraint], budgets: Mapping[str, float]) -> list[Constraint]:
    """The limits with what a plan had left of its budgets, by name."""
    return [
        replace(one, at_most=float(budgets.get(one.name, one.at_most)))
        if one.resource == "value"
        else one
        for one in limits
    ]


def left_of_review(
    limits: Sequence[Constraint],
    lines: Iterable[Document],
    rows: pl.DataFrame,
    timeline: Timeline,
) -> list[Constraint]:
    """The limits with what purchases firmed or approved in this review have left of its budgets.

    lines: the ledger's. What other limits count is on the way, and so in the rows' stock already.
    """
    period = timeline.review_period(timeline.origin).isoformat()
    agreed = [
        replace(line, quantity=line.received if line.ended else line.ordered)
        for line in lines
        if line.review_period == period and (line.is_firm or line.is_approved)
    ]
    spent = used(limits, agreed, rows)
    return [
        replace(limit, at_most=max(0.0, limit.at_most - taken))
        if limit.resource == "value"
        else limit
        for limit, taken in zip(limits, spent.tolist(), strict=True)
    ]


def odd_lines(made: Plan, inputs: PlanningInputs) -> pl.DataFrame:
    """The lines of a plan that a person looks at before goods move, as warnings."""
    decided = made.explanations.select(*SERIES, "quantity", "position")
    planned = inputs.rows.select(*SERIES, "kind", "from_id").join(
        decided, on=SERIES, how="left", maintain_order="left"
    )
    return implausible(planned, inputs.history, DAYS_A_PERIOD[inputs.timeline.grain])


def still_to_come(lines: Iterable[Document]) -> pl.DataFrame:
    """Agreed purchases of which nothing has set out yet, so that they can be called off; columns
    needless_orders.OPEN_ORDERS."""
    rows = [
        (line.item_id, line.location_id, need_id(line.intent_key), line.open_quantity, line.due_on)
        for line in lines
        if line.kind == "purchase" and line.open_quantity and line.stage in NOTHING_SHIPPED
    ]
    return pl.DataFrame(rows, schema=OPEN_ORDERS, orient="row")


def surges_of(home: Home, timeline: Timeline) -> pl.DataFrame:
    """The unusual rises that the forecast of this Now found, as warnings with their split."""
    newest = decisions.latest(home.decisions, "surges", timeline.now_at)
    if newest is None or newest.is_empty() or newest["as_of"][0] != timeline.now_at:
        return pl.DataFrame(schema=EXCEPTIONS)
    kind = {"kind": pl.lit("demand_surge"), "severity": pl.lit("warning")}
    return surges.in_words(newest).with_columns(**kind).select(list(EXCEPTIONS))


def make_plan(
    inputs: PlanningInputs,
    paths: Floats,
    period_starts: Sequence[date],
    policy: RegisteredPolicy,
    overrides: Sequence[Override],
    open_orders: pl.DataFrame | None = None,
) -> Plan:
    """Plan the rows of the inputs and choose whom to buy from: the same for the line and for a
    replan between two runs.

    paths: (N, S, H) sampled demand of the rows, for the H periods starting at period_starts.
    open_orders: as in models.replenishment.plan.plan.
    """
    owed = inputs.waited_for
    made = plan(
        inputs.rows,
        paths,
        period_starts,
        policy,
        world=inputs.timeline.world,
        history=inputs.history,
        as_sold=_as_sold(inputs),
        pipeline=inputs.due[:, 1:],
        review=inputs.timeline.review,
        unmet=inputs.unmet,
        lead_time_paths=inputs.lead_time_paths,
        constraints=inputs.limits,
        price_breaks=inputs.price_breaks,
        minimums=inputs.minimums,
        logistics=inputs.logistics,
        overrides=overrides,
        phase=inputs.phase,
        customer_orders=owed if owed.any() else None,
        bills=inputs.bills,
        open_orders=open_orders,
    )
    buyer = Buyer(
        rows=inputs.rows,
        logistics=inputs.logistics,
        price_breaks=inputs.price_breaks,
        past=inputs.past_lead_times,
        period_starts=period_starts,
        unmet=inputs.unmet,
        limits=inputs.limits,
        settled={least.from_id for least in inputs.minimums},
        calendar=inputs.calendar,
    )
    period = inputs.timeline.review_period(inputs.timeline.origin)
    lines = [replace(line, review_period=period) for line in buyer.choose(made)]
    # at what the lines cost in the end: by the price of their size, and from whom they are bought
    spent = used(inputs.limits, lines, inputs.rows).tolist()
    by_name = dict(zip((limit.name for limit in inputs.limits), spent, strict=True))
    taken = pl.col("name").replace_strict(by_name, return_dtype=pl.Float64)
    return replace(made, lines=lines, limits=made.limits.with_columns(used=taken))


def _as_sold(inputs: PlanningInputs) -> Floats:
    """(N,) recent demand with stock-out periods taken at what was sold, as a share of what it is
    without them, 1 at most: where more than usual was sold until the shelf was empty, leaving the
    period out hides nothing that it would show. A shipping place's is that of all it supplies."""
    network = network_of(inputs.rows, inputs.timeline.review, inputs.unmet)
    known, as_sold = network.echelons.history(inputs.usual).T
    return np.minimum(np.divide(as_sold, known, out=np.ones_like(known), where=known > 0), 1.0)


def order_frames(
    made: Plan, run_id: str, as_of: datetime, policy: str, model: str
) -> dict[str, pl.DataFrame]:
    """The plan as decisions: order lines with other rules' quantities beside, their parts, other
    ways, overrides, what was left out."""
    stamp = {"run_id": run_id, "as_of": as_of}
    schema = decisions.DECISIONS
    lines = pl.DataFrame(
        [
            {
                **stamp,
                "order_line_id": order_line_id(run_id, line),
                "intent_key": line.intent_key,
                "kind": line.kind,
                "item_id": line.item_id,
                "location_id": line.location_id,
                "from_id": line.from_id,
                "quantity": line.quantity,
                "review_period": line.review_period,
                "due_on": line.due_on,
                "unit_cost": line.unit_cost,
                "value": line.value,
                "reason": line.reason,
                "policy": policy,
                "model": model,
            }
            for line in made.lines
        ],
        schema={
            name: kind
            for name, kind in schema["order_lines"].items()
            if name not in (*BESIDE, *NAMES)
        },
    )
    beside = made.explanations.select("item_id", "location_id", **BESIDE)
    parts = [
        {**stamp, "order_line_id": order_line_id(run_id, line), "part": part, "quantity": quantity}
        for line in made.lines
        for part, quantity in line.parts.items()
    ]
    is_overridden = (pl.col("override_reason") != "") | (
        pl.col("quantity") != pl.col("system_quantity")
    )
    reason = (
        pl.when(pl.col("override_reason") == "")
        .then(pl.lit(KNOCKED_ON))
        .otherwise("override_reason")
    )
    overridden = made.explanations.filter(is_overridden).with_columns(reason=reason)
    return {
        "order_lines": lines.join(
            beside, on=["item_id", "location_id"], how="left", maintain_order="left"
        ),
        "explanations": pl.DataFrame(parts, schema=schema["explanations"]),
        "targets": _stamped(made.explanations, stamp),
        "limits": _stamped(made.limits, stamp),
        "alternatives": _stamped(made.alternatives, stamp),
        "overrides": _stamped(overridden, stamp),
        "exceptions": _stamped(made.exceptions, stamp),
    }


def _stamped(frame: pl.DataFrame, stamp: dict[str, object]) -> pl.DataFrame:
    return frame.with_columns(pl.lit(value).alias(name) for name, value in stamp.items())


def order_line_id(run_id: str, line: OrderLine) -> str:
    """A name for one line of one run's plan, short enough to type after `stockhouse trace`."""
    return f"{run_id[:8]}-{need_id(line.intent_key)}"


def movers(home: Home, run_id: str, timeline: Timeline) -> dict[tuple[str, str], set[str]]:
    """Whose overrides moved which item and location in a run's plan, those they do not name but
    knocked on included."""
    kept = decisions.read(home.decisions / "overrides" / f"{run_id}.parquet")
    moved = set(kept.select("item_id", "location_id").iter_rows())
    with home.connect(read_only=True) as con:
        planned = frame(con, "select * from marts.dim_item_locations")
    return override_journal.movers(home, timeline.now_at, timeline.origin, planned, moved)


def lines_of(lines: pl.DataFrame, parts: pl.DataFrame) -> list[OrderLine]:
    """Order lines read back from the decisions that were kept of them."""
    by_line: dict[str, dict[str, float]] = {}
    for line_id, part, quantity in parts.select("order_line_id", "part", "quantity").iter_rows():
        by_line.setdefault(line_id, {})[part] = quantity
    names = (
        "kind",
        "item_id",
        "location_id",
        "from_id",
        "quantity",
        "review_period",
        "due_on",
        "unit_cost",
        "reason",
    )
    found = []
    for row in lines.iter_rows(named=True):
        world, reasons = row["intent_key"].split("|")[0], by_line.get(row["order_line_id"], {})
        usual = OrderLine(world=world, parts=reasons, **{name: row[name] for name in names})
        found.append(
            replace(
                usual, occasion=row["intent_key"].removeprefix(usual.intent_key).removeprefix("|")
            )
        )
    return found
