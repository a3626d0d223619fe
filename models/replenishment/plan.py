"""Turn a forecast and a stock position into purchase and transfer orders: the plan of one review."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal

import numpy as np
import polars as pl

from models.domain import Floats, Integers, OrderLine, Policy, Situation
from models.replenishment.alternatives import ALTERNATIVES, alternatives
from models.replenishment.constraints import Constraint, Fitted, Limit, fit, smallest_conflict, unkeepable
from models.replenishment.echelon import echelon_view
from models.replenishment.exceptions import exception_of, find_exceptions
from models.replenishment.explain import exact_parts, in_words, risk
from models.replenishment.minimums import SupplierMinimum, give_up, keep_minimums
from models.replenishment.orders import allocate, feasible, price_at, smallest_order, up_to_price_break
from models.replenishment.overrides import Override, apply
from models.replenishment.policies import POLICIES, QuantileOrderUpTo
from models.replenishment.projection import window_demand, within_reach
from models.replenishment.service import classes, implied_service_level, implied_shortage_cost
from models.replenishment.shelf_life import expected_waste, sellable
from models.replenishment.situations import price_steps, situation_of, sources_of
from models.replenishment.targets import PARTS, explain_target
from models.replenishment.ways import Logistics

__all__ = ["Constraint", "Override", "Plan", "plan"]

#: The baselines shown beside every line.
BESIDE = ("eoq_reorder_point", "min_max")
#: The explanations of a plan in which no row could be planned: the columns every plan has.
NOTHING = {
    **dict.fromkeys(("item_id", "location_id", "kind", "from_id", "override_reason", "item_class"), pl.String),
    **dict.fromkeys(("unit_cost", "quantity", "system_quantity", *(f"{name}_quantity" for name in BESIDE)), pl.Float64),
    **dict.fromkeys(("position", "expected_demand", "order_up_to", "safety_stock", "economic_service_level"), pl.Float64),
    **dict.fromkeys(("promised_service_level", "implied_shortage_cost", "expected_waste"), pl.Float64),
    **dict.fromkeys(("stock_out_risk_without", "stock_out_risk_with"), pl.Float64),
    "stock_out_on": pl.Date,
}
#: The columns of what a plan says of its limits.
LIMITS = {"name": pl.String, "resource": pl.String} | dict.fromkeys(("at_most", "wanted", "used", "shadow_price"), pl.Float64)


@dataclass(frozen=True)
class Plan:
    """What to order now, what was left out, and what it is all built on.

    lines: the orders. exceptions: item_id, location_id, kind, severity, reason. explanations: one row a planned item and location,
    ordered or not: targets, position, quantities of the legacy baselines, risks, and system_quantity, what would have been ordered
    without the planner's overrides. limits: name, resource, at_most, wanted and used of it, shadow_price (money saved by one more
    unit of it, 0 where it does not bind). alternatives: other ways to the same goods, see models.replenishment.alternatives. gap: how
    far from the best possible the cut by limits may be, as a share.
    """

    lines: list[OrderLine]
    exceptions: pl.DataFrame
    explanations: pl.DataFrame
    limits: pl.DataFrame
    alternatives: pl.DataFrame
    gap: float

    @property
    def shadow_prices(self) -> dict[str, float]:
        """Money saved by one more unit of each limit."""
        return dict(self.limits.select("name", "shadow_price").iter_rows())


def plan(
    rows: pl.DataFrame,
    paths: Floats,
    period_starts: Sequence[date],
    policy: Policy,
    *,
    world: str,
    history: Floats | None = None,
    pipeline: Floats | None = None,
    review: int = 1,
    unmet: Literal["lost", "backlog"] = "lost",
    order_cost: float = 0.0,
    lead_time_paths: Integers | None = None,
    censored_mean: Floats | None = None,
    constraints: Sequence[Constraint] = (),
    overrides: Sequence[Override] = (),
    phase: Integers | None = None,
    price_breaks: pl.DataFrame | None = None,
    minimums: Sequence[SupplierMinimum] = (),
    logistics: Logistics | None = None,
) -> Plan:
    """Plan every item and location at once: locations draw on their distribution centre, which buys for all of them.

    rows: one row a planned item and location, columns of dim_item_locations + on_hand, on_order (units) and, where known, capacity,
    service_level and shelf_life_periods. paths: (N, S, H) sampled
    demand of the rows, in their order, for the periods starting at period_starts (H dates; the first is the next one). pipeline:
    (N, K) what is on the way by period due, column 0 the second period; left out, on_order is taken to be due then. Goods due in
    the first period belong to on_hand. history: (N, T) past demand, NaN unknown; without it the legacy baselines are left empty.
    lead_time_paths: (N, S). price_breaks: item_id, from_id, from_quantity, unit_cost. minimums: what suppliers accept at
    least. overrides: in force on the first day planned; an explanation's parts are the system's own reasons, then what the override
    adds or takes. logistics: how else goods can come, to list other ways beside the orders. Rows with bad input go to the exception
    list and the rest is planned. Raises ValueError for shapes that do not fit and for paths that do not cover lead time + review.
    """
    for name, given in (("paths", paths), ("history", history), ("pipeline", pipeline), ("lead_time_paths", lead_time_paths)):
        if given is not None and len(given) != rows.height:
            raise ValueError(f"plan: {name} has {len(given)} rows for {rows.height} item-locations")
    if paths.shape[2] != len(period_starts):
        raise ValueError(f"plan: paths cover {paths.shape[2]} periods, {len(period_starts)} period starts are given")
    constraints, beyond = unkeepable(rows, constraints)
    exceptions = pl.concat([find_exceptions(rows, beyond), _unforecast(rows, paths), _out_of_reach(rows, lead_time_paths, paths, review)])
    keep = _plannable(rows, exceptions)
    rows = rows[keep]
    if rows.is_empty():
        return Plan([], exceptions, pl.DataFrame(schema=NOTHING), pl.DataFrame(schema=LIMITS), pl.DataFrame(schema=ALTERNATIVES), 0.0)

    def seen(rows: pl.DataFrame, paths: Floats, is_certain: np.ndarray) -> Situation:
        took = _of(lead_time_paths, keep)
        if took is not None:  # a lead time the planner sets is taken at its word
            took = np.where(is_certain[:, None], rows["lead_time_periods"].to_numpy()[:, None], took)
        situation = situation_of(
            rows, paths, history=_of(history, keep), pipeline=_of(pipeline, keep), lead_time_paths=took, phase=phase, review=review,
            unmet=unmet, order_cost=order_cost,
        )  # fmt: skip
        return within_reach(echelon_view(situation, sources_of(rows)))

    system = seen(rows, paths[keep], np.zeros(rows.height, dtype=bool))
    wanted = policy.order(system)
    packed = feasible(wanted, np.zeros_like(wanted), system.order_multiple)
    minimum = feasible(wanted, system.moq, system.order_multiple)
    parts = _reasons(system, policy, wanted, _of(censored_mean, keep))
    parts |= {"rounding": packed - sum(parts.values()), "minimum_order": minimum - packed}

    starts, prices = price_steps(rows, price_breaks)

    life = rows["shelf_life_periods"].fill_null(np.inf).to_numpy() if "shelf_life_periods" in rows.columns else np.full(len(wanted), np.inf)

    def cheapest(view: Situation, wish: Floats) -> Floats:
        least = feasible(wish, view.moq, view.order_multiple)
        demand = np.asarray(view.paths).mean(axis=(1, 2), dtype=np.float64)
        return up_to_price_break(
            least, starts, prices, moq=view.moq, multiple=view.order_multiple, demand=demand, holding=view.economics.holding, review=review
        )  # fmt: skip

    def bounds(rows: pl.DataFrame) -> list[Limit]:
        # A limit counts the dearest step's price, so that a line cut below its step still fits.
        dearest = rows.with_columns(unit_cost=pl.max_horizontal("unit_cost", pl.Series(np.nanmax(prices, axis=1))))
        return [constraint.limit(dearest) for constraint in constraints]

    def price(quantity: Floats) -> Floats:
        return price_at(quantity, starts, prices)

    def ordered(view: Situation, rows: pl.DataFrame, desired: Floats, is_free: np.ndarray) -> tuple[Floats, Floats, Fitted, pl.DataFrame]:
        shipped = allocate(desired, sources_of(rows), rows["on_hand"].to_numpy(), view.order_multiple)
        kept, waiting = keep_minimums(view, rows, shipped, price, minimums, is_free)
        fitted = fit(view, kept, smallest_order(view.moq, view.order_multiple), view.order_multiple, bounds(rows))
        quantity, given_up = give_up(rows, kept, fitted.quantity, price, minimums, bounds(rows))
        return shipped, kept, replace(fitted, quantity=quantity), pl.concat([waiting, given_up])

    active = [override for override in overrides if override.is_active(period_starts[0])]
    asked = apply(active, rows, paths[keep])
    view = seen(asked.rows, asked.paths, asked.is_lead_time_set) if active else system
    raised = cheapest(system, wanted)
    fresh = sellable(system, raised, life)
    free = sellable(view, cheapest(view, policy.order(view)), life) if active else fresh
    fixed = feasible(np.nan_to_num(asked.fixed), view.moq, view.order_multiple)
    is_free = np.isnan(asked.fixed)
    desired = np.where(is_free, free, fixed)
    shipped, kept, fitted, beneath = ordered(view, asked.rows, desired, is_free)
    quantity = fitted.quantity
    unasked = ordered(system, rows, fresh, np.ones_like(is_free))[2].quantity if active else quantity
    smallest, limits = smallest_order(view.moq, view.order_multiple), bounds(asked.rows)
    cut = _cut_away(rows, kept, quantity, smallest, limits).join(beneath, on=["item_id", "location_id"], how="anti")
    spoils = exception_of(
        rows.filter(pl.Series(is_free & (raised > 0) & (fresh == 0))), "outlives_shelf_life", "warning",
        pl.lit("even its smallest order would spoil before it is sold: ask for smaller lots or delist it"),
    )  # fmt: skip
    exceptions = pl.concat([exceptions, cut, beneath, spoils])
    parts |= {
        "price_break": raised - minimum,
        "shelf_life": fresh - raised,
        "override": desired - fresh,
        "distribution_centre": shipped - desired,
        "supplier_minimum": kept - shipped,
        "constraints": quantity - kept,
    }

    # A price the planner sets is the planner's word.
    is_usual = (asked.rows["unit_cost"] == rows["unit_cost"]).to_numpy()
    paid = np.where(is_usual, price(quantity), asked.rows["unit_cost"].to_numpy())

    explanations = pl.concat(
        [
            asked.rows.select("item_id", "location_id", "kind", "from_id", unit_cost=pl.Series(paid)),
            pl.DataFrame({"window": view.lead_time + review, "position": view.position}),
            pl.DataFrame({name: values + 0.0 for name, values in parts.items()}),
            pl.DataFrame({"quantity": quantity, **risk(view, quantity, period_starts)}, schema_overrides={"stock_out_on": pl.Date}),
            pl.DataFrame(_stock_targets(view, parts) | {"expected_waste": expected_waste(view, quantity, life)}),
            pl.DataFrame({"override_reason": asked.reasons, "system_quantity": unasked}),
            pl.DataFrame(_beside(system), schema_overrides=dict.fromkeys((f"{name}_quantity" for name in BESIDE), pl.Float64)),
        ],
        how="horizontal",
    )
    facts = pl.concat([asked.rows.drop("kind", "from_id", "item_id", "location_id", "unit_cost"), explanations], how="horizontal")
    lines = [_line(world, facts.row(int(i), named=True), tuple(parts), period_starts) for i in np.flatnonzero(quantity > 0)]
    told = [
        (rule.name, rule.resource, rule.at_most, float(limit.use @ kept), float(limit.use @ quantity), fitted.shadow_price[rule.name])
        for rule, limit in zip(constraints, limits, strict=True)
    ]
    # What is ordered stays the normal order: a faster way costs a telephone call and a supplier's favour that no number here knows,
    # so a person takes it from the list, or `react` when something has happened.
    others = pl.DataFrame(schema=ALTERNATIVES)
    if logistics is not None:
        others = alternatives(view, asked.rows.with_columns(unit_cost=pl.Series(paid)), quantity, period_starts, logistics)
    return Plan(lines, exceptions, explanations, pl.DataFrame(told, schema=LIMITS, orient="row"), others, fitted.gap)


def _of(values: Any, keep: Integers) -> Any:
    return None if values is None else values[keep]


def _plannable(rows: pl.DataFrame, exceptions: pl.DataFrame) -> Integers:
    errors = exceptions.filter(pl.col("severity") == "error").select("item_id", "location_id").unique()
    marked = rows.select("item_id", "location_id").with_row_index("row").join(errors, on=["item_id", "location_id"], how="anti")
    return marked.sort("row")["row"].to_numpy().astype(np.int64)


def _unforecast(rows: pl.DataFrame, paths: Floats) -> pl.DataFrame:
    bad = ~np.isfinite(paths).all(axis=(1, 2)) | (paths < 0).any(axis=(1, 2))
    reason = pl.lit("its forecast is missing or negative: see the forecast station")
    return exception_of(rows.filter(pl.Series(bad)), "no_forecast", "error", reason)


def _out_of_reach(rows: pl.DataFrame, lead_time_paths: Integers | None, paths: Floats, review: int) -> pl.DataFrame:
    reach = paths.shape[2] - review
    share = np.zeros(rows.height) if lead_time_paths is None else (lead_time_paths > reach).mean(axis=1)
    late = pl.Series("late", share * 100)
    reason = pl.format("{} % of such orders take longer than the {} periods the forecast reaches: counted as {}", "late", reach, reach)
    return exception_of(rows.with_columns(late.round(1)).filter(late > 0), "lead_time_beyond_forecast", "warning", reason)


def _cut_away(rows: pl.DataFrame, wanted: Floats, ordered: Floats, smallest: Floats, limits: Sequence[Limit]) -> pl.DataFrame:
    """A line the limits left nothing of, with the limits whose room it would have needed."""
    lost = np.flatnonzero((wanted > 0) & (ordered == 0))
    used = [float(limit.use @ ordered) for limit in limits]
    reasons = []
    for row in lost:
        least = smallest[row : row + 1]
        own = [replace(limit, use=limit.use[row : row + 1]) for limit in limits if limit.use[row] > 0]
        group = smallest_conflict({f"the smallest order of {least[0]:g}": least}, own)
        full = [limit.name for limit, spent in zip(limits, used, strict=True) if 0 < limit.use[row] * least[0] > limit.at_most - spent]
        what = (
            f"{' and '.join(group)} cannot all be kept" if group else f"{' and '.join(full) or 'their room'} went to orders that save more"
        )
        reasons.append(f"nothing of the {wanted[row]:g} wanted is ordered: {what}")
    return exception_of(rows[lost].with_columns(why=pl.Series(reasons, dtype=pl.String)), "cut_by_limits", "warning", pl.col("why"))


def _reasons(view: Situation, policy: Policy, wanted: Floats, censored_mean: Floats | None) -> dict[str, Floats]:
    if isinstance(policy, QuantileOrderUpTo):
        target = explain_target(view, policy, censored_mean)
        parts = {name: getattr(target, name) for name in PARTS}
    else:
        mean = window_demand(replace(view, lead_time_paths=np.zeros((0, 0), dtype=np.int64))).mean(axis=1)
        # A rule that waits, or caps its orders, has no level to show beyond what it orders.
        level = np.where(wanted > 0, view.position + wanted, np.minimum(_level(policy, view), view.position))
        parts = {"expected_demand": mean, "buffer": level - mean, "stock_position": -view.position}
    return parts | {"surplus": np.maximum(-sum(parts.values()), 0.0)}


def _stock_targets(view: Situation, parts: Mapping[str, Floats]) -> dict[str, Any]:
    """What stock each row should have and how well that serves: the level, the safety stock in it, class and service level."""
    demand = parts["expected_demand"] + parts.get("censoring", 0.0)
    buffers = ("demand_noise", "lead_time_noise", "calibration", "service_floor", "lost_before_arrival", "buffer")
    level = demand + sum((parts[name] for name in buffers if name in parts), start=np.zeros_like(demand))
    held = 1 if view.economics.unmet == "backlog" else view.review
    promised = view.service_level if view.service_level.size else np.zeros_like(demand)
    value = demand / (view.lead_time + view.review) * view.economics.unit_cost
    return {
        "order_up_to": level,
        "safety_stock": level - demand,
        "item_class": classes(value, view.history, view.review),
        "economic_service_level": implied_service_level(view.economics.shortage, view.economics.holding, held),
        "promised_service_level": promised,
        "implied_shortage_cost": implied_shortage_cost(np.minimum(promised, 0.9999), view.economics.holding, held),
    }


def _level(policy: Policy, view: Situation) -> Floats:
    target = getattr(policy, "target", None)
    return view.position if target is None else target(view)


def _beside(view: Situation) -> dict[str, Floats | list[None]]:
    if not view.history.shape[1]:
        return {f"{name}_quantity": [None] * view.on_hand.size for name in BESIDE}
    return {f"{name}_quantity": feasible(POLICIES[name].order(view), view.moq, view.order_multiple) for name in BESIDE}


def _line(world: str, fact: Mapping[str, Any], names: Sequence[str], period_starts: Sequence[date]) -> OrderLine:
    parts = exact_parts({name: fact[name] for name in names}, fact["quantity"])
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
        reason=in_words(parts, fact["quantity"], period_starts[fact["window"] - 1], period_starts[lead_time], fact),
    )
