"""Turn a forecast and a stock position into purchase and transfer orders: the plan of one
review."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal

import numpy as np
import polars as pl

from models.domain import (
    MOST_ORDERED,
    SERIES,
    Floats,
    Integers,
    OrderLine,
    Situation,
    also_from,
)
from models.replenishment.agreed_shares import lanes_of, shares_in_words
from models.replenishment.alternatives import ALTERNATIVES, alternatives
from models.replenishment.base_policy import RegisteredPolicy
from models.replenishment.bills_of_materials import Bills, in_bill_words, parts_short, with_parts
from models.replenishment.constraints import (
    Constraint,
    Limit,
    less_stock,
    smallest_conflict,
    unkeepable,
)
from models.replenishment.decision import Decision, Terms, decide
from models.replenishment.explain import in_words, risk, rounded_parts
from models.replenishment.needless_orders import needless, open_units
from models.replenishment.notes import exceptions_of
from models.replenishment.order_rounding import feasible, smallest_order
from models.replenishment.overrides import Overridden, Override, apply
from models.replenishment.plan_exceptions import exception_of, find_exceptions
from models.replenishment.policies import POLICIES
from models.replenishment.service_levels import (
    classes,
    implied_service_level,
    implied_shortage_cost,
)
from models.replenishment.shelf_life import expected_waste
from models.replenishment.situations import situation_of, sources_of
from models.replenishment.stock_projection import remembering
from models.replenishment.supplier_minimums import SupplierMinimum, in_minimum_words
from models.replenishment.supply_options import Logistics

__all__ = ["Constraint", "Override", "Plan", "plan"]

#: The baselines shown beside every line.
BESIDE = ("eoq_reorder_point", "min_max")
#: The explanations of a plan in which no row could be planned: the columns every plan has.
NOTHING = {
    **dict.fromkeys(
        ("item_id", "location_id", "kind", "from_id", "override_reason", "item_class"), pl.String
    ),
    **dict.fromkeys(
        ("unit_cost", "quantity", "system_quantity", *(f"{name}_quantity" for name in BESIDE)),
        pl.Float64,
    ),
    **dict.fromkeys(
        ("position", "expected_demand", "order_up_to", "safety_stock", "economic_service_level"),
        pl.Float64,
    ),
    **dict.fromkeys(
        ("promised_service_level", "implied_shortage_cost", "expected_waste"), pl.Float64
    ),
    **dict.fromkeys(
        ("stock_out_risk_before", "stock_out_risk_without", "stock_out_risk_with"), pl.Float64
    ),
    "stock_out_on": pl.Date,
}
#: No cut is told of where it is made for no more than this share of orders.
SELDOM = 0.02
#: The columns of what a plan says of its limits.
LIMITS = {"name": pl.String, "resource": pl.String} | dict.fromkeys(
    ("at_most", "wanted", "shadow_price"), pl.Float64
)


@dataclass(frozen=True)
class Plan:
    """What to order now, what was left out, and what it is all built on.

    lines: the orders. exceptions: item_id, location_id, kind, severity, reason. explanations: one
    row a planned item and location, ordered or not: targets, position, quantities of the legacy
    baselines, risks, and system_quantity, what would have been ordered without the planner's
    overrides. limits: name, resource, at_most, wanted of it, shadow_price (money saved by one more
    unit of it, 0 where it does not bind). alternatives: other ways to the same goods, see
    models.replenishment.alternatives. gap: how far from the best possible the cut by limits may be,
    as a share.
    """

    lines: list[OrderLine]
    exceptions: pl.DataFrame
    explanations: pl.DataFrame
    limits: pl.DataFrame
    alternatives: pl.DataFrame
    gap: float


def plan(
    rows: pl.DataFrame,
    paths: Floats,
    period_starts: Sequence[date],
    policy: RegisteredPolicy,
    *,
    world: str,
    history: Floats | None = None,
    pipeline: Floats | None = None,
    review: int = 1,
    unmet: Literal["lost", "backlog"] = "lost",
    order_cost: float = 0.0,
    lead_time_paths: Integers | None = None,
    as_sold: Floats | None = None,
    constraints: Sequence[Constraint] = (),
    overrides: Sequence[Override] = (),
    phase: Integers | None = None,
    price_breaks: pl.DataFrame | None = None,
    minimums: Sequence[SupplierMinimum] = (),
    logistics: Logistics | None = None,
    customer_orders: Floats | None = None,
    bills: Bills | None = None,
    open_orders: pl.DataFrame | None = None,
) -> Plan:
    """Plan every item and location at once: locations draw on their distribution centre, which buys
    for all of them.

    rows: one row a planned item and location, columns of dim_item_locations + on_hand, on_order
    (units) and, where known, capacity, service_level, shelf_life_periods and also_from (its other
    sources, see agreed_shares; each has a line of its own). paths: (N, S, H) sampled demand of the
    rows, in their order, for the periods starting at period_starts (H dates; the first is the next
    one). pipeline: (N, K) what is on the way by period due, column 0 the second period; left out,
    on_order is taken to be due then. Goods due in the first period belong to on_hand. history: (N,
    T) past demand, NaN unknown; without it the legacy baselines are left empty. lead_time_paths:
    (N, S). as_sold: (N,) recent demand had stock-out periods been taken at what was sold, as a
    share of what it is without them. price_breaks: item_id, from_id, from_quantity, unit_cost.
    minimums: what suppliers accept at least. overrides: in force on the first day planned; an
    explanation's parts are the system's own reasons, then what the override adds or takes.
    logistics: how else goods can come, to list other ways beside the orders. customer_orders: as in
    models.domain.Situation. bills: what making an item takes of others, which is demand of these.
    open_orders: what can still be called off of on_order, columns needless_orders.OPEN_ORDERS. Rows
    with bad input go to the exception list and the rest is planned. Raises ValueError for shapes
    that do not fit and for paths that do not cover lead time + review.
    """
    _check_shapes(
        rows,
        period_starts,
        paths=paths,
        history=history,
        pipeline=pipeline,
        lead_time_paths=lead_time_paths,
        customer_orders=customer_orders,
    )
    constraints, beyond = unkeepable(rows, constraints)
    found = [_unforecast(rows, paths), _out_of_reach(rows, lead_time_paths, paths, review)]
    facts = _Facts(
        rows=rows,
        paths=paths,
        history=history,
        pipeline=pipeline,
        lead_time_paths=lead_time_paths,
        customer_orders=customer_orders,
        phase=phase,
        review=review,
        unmet=unmet,
        order_cost=order_cost,
        price_breaks=price_breaks,
        minimums=minimums,
        constraints=constraints,
    )
    active = [override for override in overrides if override.is_active(period_starts[0])]
    while True:  # whoever asks for what nobody orders takes nothing of what the others share
        exceptions = pl.concat([find_exceptions(rows, beyond), *found])
        keep = _plannable(rows, exceptions)
        if not keep.size:
            return _empty(exceptions)
        here, made_of = facts.kept(keep), bills.kept(keep) if bills is not None else None
        if made_of is not None:
            here = here.with_parts(made_of, policy, active, period_starts)
        decided = _decided(here, policy, active)
        unheard = _unheard_of(decided)
        if unheard.is_empty():
            break
        beyond = pl.concat([beyond, unheard])
    if made_of is not None:
        short = parts_short(here.rows, made_of, decided.made.quantity)
        exceptions = pl.concat([exceptions, short])
    if open_orders is not None and open_orders.height:
        over = _needless(decided.system, here.rows, policy, open_orders)
        exceptions = pl.concat([exceptions, over])
    return _written(
        decided,
        _parts(decided.system, decided.made, policy, _of(as_sold, keep)),
        world=world,
        period_starts=period_starts,
        logistics=logistics,
        exceptions=exceptions,
        limits=_limits(here.constraints, decided.made),
    )


def _needless(
    system: Decision, rows: pl.DataFrame, policy: RegisteredPolicy, orders: pl.DataFrame
) -> pl.DataFrame:
    """Which open orders the rule would not ask for again, as warnings."""
    view = system.view
    without = replace(view, on_hand=view.on_hand - open_units(rows, orders), memo=None)
    seen = rows.select(*SERIES, position=pl.Series(view.position))
    return needless(seen, policy.order(remembering(without)), orders)


def _unheard_of(decided: _Decided) -> pl.DataFrame:
    """The rows that ask, before what they share is divided, for more units or money than anybody
    orders, as errors."""
    quantity = np.maximum(decided.made.by_lane("override"), decided.made.ordered)
    price = _paid(decided.rows, decided.asked, decided.terms, quantity)
    found = (quantity > MOST_ORDERED) | (quantity * price > MOST_ORDERED)
    asked = [f"{n:,.10g} at {cost:,.10g} each" for n, cost in zip(quantity, price, strict=True)]
    rows = lanes_of(decided.rows).with_columns(asked=pl.Series(asked, dtype=pl.String))
    reason = pl.format(
        "{} is more than anybody orders: mend its demand, stock or terms; until then nothing of it "
        "is ordered",
        "asked",
    )
    return exception_of(rows.filter(pl.Series(found)), "beyond_any_order", "error", reason)


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What is decided on: see `plan`."""

    rows: pl.DataFrame
    paths: Floats
    history: Floats | None
    pipeline: Floats | None
    lead_time_paths: Integers | None
    customer_orders: Floats | None
    phase: Integers | None
    review: int
    unmet: Literal["lost", "backlog"]
    order_cost: float
    price_breaks: pl.DataFrame | None
    minimums: Sequence[SupplierMinimum]
    constraints: Sequence[Constraint]

    def kept(self, keep: Integers) -> _Facts:
        """The facts of some rows, with the room that the stock of the others takes."""
        left_out = self.rows[np.setdiff1d(np.arange(self.rows.height), keep)]
        return replace(
            self,
            rows=self.rows[keep],
            paths=self.paths[keep],
            history=_of(self.history, keep),
            pipeline=_of(self.pipeline, keep),
            lead_time_paths=_of(self.lead_time_paths, keep),
            customer_orders=_of(self.customer_orders, keep),
            constraints=less_stock(self.constraints, left_out),
        )

    def situation(self, asked: pl.DataFrame, paths: Floats, is_certain: np.ndarray) -> Situation:
        """What the policy sees of rows as somebody asks for them; a lead time that the planner
        sets is taken at its word."""
        took = self.lead_time_paths
        seen = situation_of(
            asked,
            paths,
            history=self.history,
            pipeline=self.pipeline,
            lead_time_paths=took,
            phase=self.phase,
            review=self.review,
            unmet=self.unmet,
            order_cost=self.order_cost,
            customer_orders=self.customer_orders,
        )
        if took is None or not is_certain.any():
            return seen
        certain = np.where(is_certain[:, None], seen.lead_time[:, None], took)
        return replace(seen, lead_time_paths=certain)

    def with_parts(
        self,
        bills: Bills,
        policy: RegisteredPolicy,
        active: Sequence[Override],
        period_starts: Sequence[date],
    ) -> _Facts:
        """The same with what making takes of parts in their demand, what is ordered now first."""
        seen = self.situation(self.rows, self.paths, np.zeros(self.rows.height, dtype=bool))
        paths, units = with_parts(
            seen,
            bills,
            sources_of(self.rows),
            period_starts,
            lambda paths: _decided(replace(self, paths=paths), policy, active).made.quantity,
        )
        return replace(self, paths=paths, rows=in_bill_words(self.rows, bills, units))

    def terms(self, asked: pl.DataFrame, fixed: Floats | None = None) -> Terms:
        """What orders have to obey; a supplier's prices are his own word."""
        own = Terms.of(
            asked,
            price_breaks=self.price_breaks,
            minimums=self.minimums,
            constraints=self.constraints,
            fixed=fixed,
        )
        usual = Terms.of(self.rows, price_breaks=self.price_breaks)
        return replace(own, starts=usual.starts, prices=usual.prices)


def _decided(facts: _Facts, policy: RegisteredPolicy, active: Sequence[Override]) -> _Decided:
    """What the system decides, and what is made of it where overrides are in force."""
    rows, paths, agreed = facts.rows, facts.paths, facts.terms(facts.rows)
    unset = np.zeros(rows.height, dtype=bool)
    system = made = decide(facts.situation(rows, paths, unset), policy, agreed)
    asked = apply(active, rows, paths)
    if active:
        agreed = facts.terms(asked.rows, asked.fixed)
        seen = facts.situation(asked.rows, asked.paths, asked.is_lead_time_set)
        made = decide(seen, policy, agreed)
    return _Decided(rows=rows, asked=asked, system=system, made=made, terms=agreed)


@dataclass(frozen=True, kw_only=True)
class _Decided:
    """The rows as they are and as the overrides ask for them, what the system decided on the first
    and made of the second, and the terms that this keeps to."""

    rows: pl.DataFrame
    asked: Overridden
    system: Decision
    made: Decision
    terms: Terms


def _written(
    decided: _Decided,
    parts: dict[str, Floats],
    *,
    world: str,
    period_starts: Sequence[date],
    logistics: Logistics | None,
    exceptions: pl.DataFrame,
    limits: pl.DataFrame,
) -> Plan:
    """The decision as lines, with what each is built on and the other ways beside it."""
    asked, made = decided.asked, decided.made
    by_lane = _paid(decided.rows, asked, decided.terms, made.ordered)
    paid = pl.Series(_mean_paid(by_lane, made))
    words = {"override_reason": asked.reasons, "system_quantity": decided.system.quantity}
    explanations = pl.concat(
        [
            asked.rows.select("item_id", "location_id", "kind", "from_id", unit_cost=paid),
            _explained(made, decided.system, parts, decided.terms, period_starts),
            pl.DataFrame(words),
            _beside(decided.system.view),
        ],
        how="horizontal",
    )
    named = ("kind", "from_id", "item_id", "location_id", "unit_cost")
    facts = pl.concat([asked.rows.drop(named), explanations], how="horizontal")
    # What is ordered stays the normal order: a faster way costs a telephone call and a supplier's
    # favour that no number here
    others = pl.DataFrame(schema=ALTERNATIVES)
    if logistics is not None:
        priced = asked.rows.with_columns(unit_cost=paid)
        others = alternatives(made.view, priced, made.quantity, period_starts, logistics)
        facts = facts.join(_stand_ins(others), on=SERIES, how="left", maintain_order="left")
    facts = _lane_facts(facts, made, by_lane, decided.terms)
    return Plan(
        lines=[
            _line(world, facts.row(int(lane), named=True), tuple(parts), period_starts)
            for lane in _in_order(made)
        ],
        exceptions=pl.concat([exceptions, *_left_out(decided.rows, made, decided.terms)]),
        explanations=explanations,
        limits=limits,
        alternatives=others,
        gap=made.fitted.gap,
    )


def _mean_paid(paid: Floats, made: Decision) -> Floats:
    """The unit price of each row's order, (N,), of that of its lanes, (E,): their mean by quantity,
    and the usual source's where nothing is ordered."""
    if made.lanes is None:
        return paid
    total = made.lanes.by_node(paid * made.ordered)
    usual = paid[: made.lanes.nodes].copy()
    return np.divide(total, made.quantity, out=usual, where=made.quantity > 0)


def _lane_facts(facts: pl.DataFrame, made: Decision, paid: Floats, terms: Terms) -> pl.DataFrame:
    """What is said of each lane's order, a row a lane: its own price and quantity, what other
    sources of its place bring, and whether it is the first of its place's orders.

    facts: one row a row of the plan. paid: (E,) money a unit.
    """
    lanes, ordered = lanes_of(facts), made.ordered
    whole, first = made.quantity, np.ones(ordered.size, dtype=bool)
    if made.lanes is not None:
        whole = whole[made.lanes.to]
        begun = np.zeros(made.lanes.nodes, dtype=bool)
        for turn, nodes in made.lanes.turns:
            first[turn] = ~begun[nodes]
            begun[nodes] |= ordered[turn] > 0
    return lanes.with_columns(
        quantity=pl.Series(ordered),
        unit_cost=pl.Series(paid),
        least_order=pl.Series(in_minimum_words(ordered, terms.price, terms.floors)),
        agreed_share=pl.Series(np.where(first, ordered - whole, ordered)),
        is_first=pl.Series(first),
        is_usual=pl.Series(np.arange(ordered.size) < made.view.on_hand.size),
        shares_said=pl.Series(shares_in_words(lanes, ordered), dtype=pl.String),
    )


def _in_order(made: Decision) -> list[int]:
    """The lanes that are ordered on, row by row, a row's usual source first."""
    found = np.flatnonzero(made.ordered > 0)
    if made.lanes is not None:
        found = found[np.argsort(made.lanes.to[found], kind="stable")]
    return [int(lane) for lane in found]


def _stand_ins(others: pl.DataFrame) -> pl.DataFrame:
    """What can be used in each row's place, in words."""
    one = pl.format("{} of {}", pl.col("quantity").cast(pl.Int64), "from_id")
    found = others.filter(pl.col("kind") == "substitute")
    return found.group_by(SERIES).agg(stand_ins=one.sort_by("rank").str.join(", "))


def _check_shapes(
    rows: pl.DataFrame, period_starts: Sequence[date], **given: Floats | Integers | None
) -> None:
    for name, values in given.items():
        if values is not None and len(values) != rows.height:
            raise ValueError(
                f"plan: {name} has {len(values)} rows for {rows.height} item-locations"
            )
    paths = given["paths"]
    if paths is not None and paths.shape[2] != len(period_starts):
        count = len(period_starts)
        raise ValueError(
            f"plan: paths cover {paths.shape[2]} periods, {count} period starts are given"
        )


def _empty(exceptions: pl.DataFrame) -> Plan:
    """The plan of no row at all, with the columns every plan has."""
    nothing, limits, others = (pl.DataFrame(schema=one) for one in (NOTHING, LIMITS, ALTERNATIVES))
    return Plan([], exceptions, nothing, limits, others, 0.0)


def _parts(
    system: Decision, made: Decision, policy: RegisteredPolicy, as_sold: Floats | None
) -> dict[str, Floats]:
    """What every step added or took, (N,) units each, adding up to the quantity.

    The system's own reasons come first, then what the planner's overrides add or take, then what
    holds for both.
    """
    need = system.after("need")
    parts = policy.explain(system.view, need, as_sold)
    parts |= {"surplus": np.maximum(-sum(parts.values()), 0.0)}
    parts |= {"customer_orders": system.change("customer_orders")}
    parts |= {"rounding": system.after("rounding") - sum(parts.values())}
    parts |= {step: system.change(step) for step in ("minimum_order", "price_break", "shelf_life")}
    parts |= {"override": made.after("override") - system.after("shelf_life")}
    last = ("distribution_centre", "supplier_minimum", "constraints")
    return parts | {step: made.change(step) for step in last}


def _paid(rows: pl.DataFrame, asked: Overridden, terms: Terms, quantity: Floats) -> Floats:
    """The unit price on every lane, (E,); one that the planner sets is the planner's word."""
    is_usual = (asked.rows["unit_cost"] == rows["unit_cost"]).to_numpy()
    said = asked.rows["unit_cost"].to_numpy()
    if terms.lanes is not None:
        is_usual, said = is_usual[terms.lanes.to], said[terms.lanes.to]
    return np.where(is_usual, terms.price(quantity), said)


def _explained(
    made: Decision,
    system: Decision,
    parts: Mapping[str, Floats],
    terms: Terms,
    period_starts: Sequence[date],
) -> pl.DataFrame:
    """Position, parts, quantity, risk and target stock of every row."""
    view, quantity = made.view, made.quantity
    columns: dict[str, Any] = {"window": view.lead_time + view.interval, "position": view.position}
    columns |= {name: values + 0.0 for name, values in parts.items()}
    columns |= {"quantity": quantity, **risk(view, quantity, period_starts)}
    columns |= _stock_targets(view, parts)
    columns |= {"expected_waste": expected_waste(view, quantity, terms.life[: quantity.size])}
    return pl.DataFrame(columns, schema_overrides={"stock_out_on": pl.Date})


def _left_out(rows: pl.DataFrame, made: Decision, terms: Terms) -> list[pl.DataFrame]:
    """Rows whose order waits, was cut away by limits or would spoil, as lines of the exception
    list."""
    beneath = exceptions_of(made.notes, rows)
    lots = made.view if made.lanes is None else terms
    smallest = smallest_order(lots.moq, lots.order_multiple)
    kept = made.by_lane("supplier_minimum")
    cut = _cut_away(lanes_of(rows), kept, made.ordered, smallest, made.limits)
    raised, fresh = made.after("price_break"), made.after("shelf_life")
    spoils = exception_of(
        rows.filter(pl.Series(terms.is_free & (raised > 0) & (fresh == 0))),
        "outlives_shelf_life",
        "warning",
        pl.lit(
            "even its smallest order would spoil before it is sold: ask for smaller lots or delist "
            "it"
        ),
    )
    return [cut.join(beneath, on=["item_id", "location_id"], how="anti"), beneath, spoils]


def _limits(constraints: Sequence[Constraint], made: Decision) -> pl.DataFrame:
    kept, prices = made.by_lane("supplier_minimum"), made.fitted.shadow_price
    rows = [
        (
            rule.name,
            rule.resource,
            limit.at_most,
            float(limit.use @ kept),
            prices[rule.name],
        )
        for rule, limit in zip(constraints, made.limits, strict=True)
    ]
    return pl.DataFrame(rows, schema=LIMITS, orient="row")


def _of(values: Any, keep: Integers) -> Any:
    return None if values is None else values[keep]


def _plannable(rows: pl.DataFrame, exceptions: pl.DataFrame) -> Integers:
    errors = (
        exceptions.filter(pl.col("severity") == "error").select("item_id", "location_id").unique()
    )
    marked = (
        rows.select("item_id", "location_id")
        .with_row_index("row")
        .join(errors, on=["item_id", "location_id"], how="anti")
    )
    return marked.sort("row")["row"].to_numpy().astype(np.int64)


def _unforecast(rows: pl.DataFrame, paths: Floats) -> pl.DataFrame:
    bad = ~np.isfinite(paths).all(axis=(1, 2)) | (paths < 0).any(axis=(1, 2))
    reason = pl.lit("its forecast is missing or negative: see the forecast station")
    return exception_of(rows.filter(pl.Series(bad)), "no_forecast", "error", reason)


def _out_of_reach(
    rows: pl.DataFrame, lead_time_paths: Integers | None, paths: Floats, review: int
) -> pl.DataFrame:
    gap = rows["gap"].to_numpy() if "gap" in rows.columns else 0
    reach = np.broadcast_to(paths.shape[2] - review - gap, rows.height)
    share = (
        np.zeros(rows.height)
        if lead_time_paths is None
        else (lead_time_paths > reach[:, None]).mean(axis=1)
    )
    late = pl.Series("late", share * 100)
    reason = pl.format(
        "{} % of such orders take longer than the {} periods the forecast reaches: counted as {}",
        "late",
        "reach",
        "reach",
    )
    return exception_of(
        rows.with_columns(late.round(1), reach=pl.Series(reach)).filter(share > SELDOM),
        "lead_time_beyond_forecast",
        "warning",
        reason,
    )


def _cut_away(
    rows: pl.DataFrame, need: Floats, ordered: Floats, smallest: Floats, limits: Sequence[Limit]
) -> pl.DataFrame:
    """A line the limits left nothing of, with the limits whose room it would have needed."""
    lost = np.flatnonzero((need > 0) & (ordered == 0))
    used = [float(limit.use @ ordered) for limit in limits]
    reasons = []
    for row in lost:
        least = smallest[row : row + 1]
        own = [
            replace(limit, use=limit.use[row : row + 1]) for limit in limits if limit.use[row] > 0
        ]
        group = smallest_conflict({f"the smallest order of {least[0]:g}": least}, own)
        full = [
            limit.name
            for limit, spent in zip(limits, used, strict=True)
            if 0 < limit.use[row] * least[0] > limit.at_most - spent
        ]
        what = (
            f"{' and '.join(group)} cannot all be kept"
            if group
            else f"{' and '.join(full) or 'their room'} went to orders that save more"
        )
        reasons.append(f"nothing of the {need[row]:g} wanted is ordered: {what}")
    return exception_of(
        rows[lost].with_columns(why=pl.Series(reasons, dtype=pl.String)),
        "cut_by_limits",
        "warning",
        pl.col("why"),
    )


def _stock_targets(view: Situation, parts: Mapping[str, Floats]) -> dict[str, Any]:
    """What stock each row should have and how well that serves: the level, the safety stock in it,
    class and service level."""
    demand = parts["expected_demand"] + parts.get("censoring", 0.0)
    buffers = (
        "demand_noise",
        "lead_time_noise",
        "calibration",
        "service_floor",
        "lost_before_arrival",
        "buffer",
        *(name for name in parts if name.startswith("agent_")),
    )
    level = demand + sum(
        (parts[name] for name in buffers if name in parts), start=np.zeros_like(demand)
    )
    held = np.ones(1) if view.economics.unmet == "backlog" else view.interval
    promised = view.service_level if view.service_level.size else np.zeros_like(demand)
    value = demand / (view.lead_time + view.interval) * view.economics.unit_cost
    return {
        "order_up_to": level,
        "safety_stock": level - demand,
        "item_class": classes(value, view.history, view.review),
        "economic_service_level": implied_service_level(
            view.economics.shortage, view.economics.holding, held
        ),
        "promised_service_level": promised,
        "implied_shortage_cost": implied_shortage_cost(
            np.minimum(promised, 0.9999), view.economics.holding, held
        ),
    }


def _beside(view: Situation) -> pl.DataFrame:
    """What the rules most companies run would order; empty without history."""
    names = [f"{name}_quantity" for name in BESIDE]
    if not view.history.shape[1]:
        return pl.DataFrame(
            dict.fromkeys(names, [None] * view.on_hand.size), dict.fromkeys(names, pl.Float64)
        )
    return pl.DataFrame(
        {
            column: feasible(POLICIES[name].order(view), view.moq, view.order_multiple)
            for name, column in zip(BESIDE, names, strict=True)
        }
    )


def _line(
    world: str, fact: Mapping[str, Any], names: Sequence[str], period_starts: Sequence[date]
) -> OrderLine:
    own = {name: fact[name] if fact["is_first"] else 0.0 for name in names}
    parts = rounded_parts(own | {"agreed_share": fact["agreed_share"]}, fact["quantity"])
    lead_time = fact["lead_time_periods"]
    return OrderLine(
        world=world,
        kind=fact["kind"],
        item_id=fact["item_id"],
        location_id=fact["location_id"],
        from_id=fact["from_id"],
        quantity=fact["quantity"],
        review_period=period_starts[0],
        due_on=period_starts[lead_time],
        unit_cost=fact["unit_cost"],
        parts=parts,
        reason=in_words(
            parts,
            fact["quantity"],
            period_starts[fact["window"] - 1],
            period_starts[lead_time],
            {**fact, "decided_on": period_starts[0]},
        ),
        occasion="" if fact["is_usual"] else also_from(fact["from_id"]),
    )
