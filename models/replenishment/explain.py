"""Why this quantity: parts that add up to it exactly, the same in words, and what happens with and
without the order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.domain import Floats, Situation
from models.replenishment.stock_projection import CHUNK, project, rows_of

#: Parts are kept in steps of 2^-10 of a unit: such numbers add up exactly in floating point, and
#: nobody buys a thousandth.
STEP = 2.0**-10

_WORDS = {
    "expected_demand": "expected demand",
    "censoring": "demand hidden by past stock-outs",
    "lost_before_arrival": "demand lost before it can arrive",
    "demand_noise": "buffer for uncertain demand",
    "lead_time_noise": "buffer for an uncertain lead time",
    "calibration": "adjustment learned from replay",
    "service_floor": "raised to the promised service level",
    "buffer": "buffer of the rule",
    "agent_for_on_hand": "changed by the agent for the stock on hand",
    "agent_for_position": "changed by the agent for the stock position",
    "agent_for_due_before_next_review": "changed by the agent for what is due before long",
    "agent_for_structured_order": "changed by the agent for the size of the order",
    "agent_for_uncertainty": "changed by the agent for uncertain demand",
    "agent_for_smallest_order": "changed by the agent for the smallest order",
    "agent_for_fractile": "changed by the agent for what a missing unit costs",
    "agent_for_window": "changed by the agent for the lead time",
    "agent_for_volume": "changed by the agent for the sales volume",
    "agent_for_recent_demand": "changed by the agent for the demand of late",
    "agent_for_usual_demand": "changed by the agent for the usual demand",
    "agent_for_forecast_error": "changed by the agent for how forecasts miss of late",
    "agent_otherwise": "changed by the agent, otherwise",
    "stock_position": "stock on hand and on the way",
    "surplus": "already beyond the target, nothing needed",
    "customer_orders": "for customers who wait for more than was expected",
    "rounding": "rounding to whole packs",
    "minimum_order": "raised to the minimum order",
    "price_break": "raised to a lower price",
    "shelf_life": "would spoil before it is sold",
    "override": "set by the planner",
    "distribution_centre": "not available at the shipping location",
    "supplier_minimum": "for the supplier's least order or a full truck",
    "constraints": "cut by limits",
    "agreed_share": "the agreed share of this source",
}
#: What a part is called where it takes away: a buffer below zero is none.
_TAKEN_OFF = {
    "demand_noise": "as stock costs more than what it might miss",
    "lead_time_noise": "as goods often come sooner than planned",
    "service_floor": "as the promised service level asks for less",
    "buffer": "taken off by the rule",
    "agreed_share": "bought from the other sources, as agreed",
}


def rounded_parts(parts: Mapping[str, float], quantity: float) -> dict[str, float]:
    """The parts in exact steps, `rounding` taking what is left, so that math.fsum(parts.values())
    == quantity without tolerance.

    For whole units plain sum() is as exact. Parts that are zero are left out. Raises ValueError
    should they ever not add up.
    """
    kept = {name: round(value / STEP) * STEP for name, value in parts.items() if name != "rounding"}
    kept["rounding"] = quantity - sum(kept.values())
    ordered = {name: kept[name] for name in (*parts, "rounding") if kept[name]}
    if math.fsum(ordered.values()) != quantity:
        raise ValueError(
            f"the parts of an order add up to {math.fsum(ordered.values())}, its quantity is "
            f"{quantity}"
        )
    return ordered


def in_words(
    parts: Mapping[str, float],
    quantity: float,
    last_period: date,
    due: date,
    facts: Mapping[str, Any],
) -> str:
    """One sentence a planner can check with a pencil, and one about the risk."""
    tenths = {name: round(value * 10) for name, value in parts.items()}
    first = next(iter(tenths))
    tenths[first] += round(quantity * 10) - sum(tenths.values())  # what is printed must add up too
    terms = [
        (("- " if value < 0 else "+ ") + f"{_number(abs(value) / 10)} {part_in_words(name, value)}")
        for name, value in _signed(tenths)
    ]
    sentence = (
        " ".join(terms).removeprefix("+ ")
        + f" = {_number(quantity)}, covering the periods to that of {last_period.isoformat()}"
    )
    sentence += f"; due {due.isoformat()}."
    if facts.get("leaves_on") and facts["leaves_on"] > facts["decided_on"]:
        sentence += f" It leaves on {facts['leaves_on']:%a %Y-%m-%d}, the first day it can."
    if facts.get("is_stock_assumed"):
        sentence += " No stock was ever counted: what is on hand and on the way is assumed."
    if facts.get("ordered_by_customers"):
        sentence += f" Customers wait for {_number(facts['ordered_by_customers'])} already."
    if (sold := facts.get("asked_before") or 0.0) >= 0.05:
        sentence += (
            f" Of the stock, {sold:,.1f} are expected to be asked for before "
            f"{facts['decided_on'].isoformat()}, where the plan begins."
        )
    of_kits = parts.get("expected_demand", 0.0) * (facts.get("kit_share") or 0.0)
    if of_kits >= 0.05:
        sentence += f" Of what is expected, {of_kits:,.1f} are for kits sold: {facts['kits']}."
    if facts.get("goes_into"):
        sentence += f" Expected for what is made of it: {facts['goes_into']}."
    if facts.get("made_of"):
        sentence += f" It is made of {facts['made_of']}, taken when it is begun."
    if facts.get("stand_ins"):
        sentence += f" Until it comes, {facts['stand_ins']} can be used in its place."
    if facts.get("inherited"):
        sentence += f" {_number(facts['inherited'])} of the stock are of what it replaces."
    if facts.get("set_aside"):
        sentence += (
            f" {_number(facts['set_aside'])} more lie there blocked, past their date or promised."
        )
    sentence += _as_agreed(facts) + _as_bought(quantity, facts)
    if facts.get("override_reason"):
        sentence += f" Override: {facts['override_reason']}."
    return (
        sentence
        if facts.get("stock_out_risk_without") is None
        else f"{sentence} {_risk_in_words(facts, due)}"
    )


def _as_agreed(facts: Mapping[str, Any]) -> str:
    """What was agreed with those who sell: their shares, and the least they take."""
    shares = facts.get("shares_said")
    sentence = f" Shared out as agreed: {shares}." if shares else ""
    return sentence + (f" {facts['least_order']}." if facts.get("least_order") else "")


def _as_bought(quantity: float, facts: Mapping[str, Any]) -> str:
    """What the supplier reads, where he counts or asks in a unit or a currency of his own."""
    if not facts.get("sold_unit_quantity"):
        return ""
    holds = facts["sold_unit_quantity"]
    said = f" Bought as {_number(quantity / holds)} × {facts['sold_unit'] or 'unit'}"
    said += f" of {_number(holds)}" if holds != 1 else ""
    if facts["sold_currency"] and facts["sold_rate"]:
        price = facts["unit_cost"] * holds / facts["sold_rate"]
        said += f" at {price:,.2f} {facts['sold_currency']}"
    return f"{said}."


def _risk_in_words(facts: Mapping[str, Any], due: date) -> str:
    """What the order changes, from the day it arrives, and apart from it what it comes too late
    for."""
    before, out_on = facts.get("stock_out_risk_before") or 0.0, facts.get("stock_out_on")
    when = f", most likely from {out_on}" if out_on else ""
    is_late = out_on is not None and out_on < due
    said = (
        f"Risk of running out {facts['stock_out_risk_without']:.0%} without this "
        f"order{'' if is_late else when}, "
    )
    said += f"{facts['stock_out_risk_with']:.0%} with it."
    if is_late:
        return (
            f"{said} It comes too late for the days before {due}: risk of running out "
            f"{before:.0%}{when}."
        )
    return (
        f"{said} Risk of running out before it can arrive {before:.0%}."
        if round(100 * before)
        else said
    )


def risk(
    situation: Situation, quantity: Floats, period_starts: Sequence[date]
) -> dict[str, list[float] | list[date | None]]:
    """The probability of running out while the order acts, without it and with it; that of running
    out before it can arrive; and the first period by which it is more likely out than not: one
    before the arrival where the order comes too late for it.

    quantity: (N,) units ordered now, judged at the planned lead time. Lists of length N. A day at
    or after the arrival is only ever given with a risk without the order of at least one half, a
    day before it with such a risk before the arrival.
    """
    count = quantity.size
    before, without, with_order = np.zeros(count), np.zeros(count), np.zeros(count)
    first_out: list[date | None] = []
    for start in range(0, count, CHUNK):
        rows = np.arange(start, min(start + CHUNK, count))
        part = rows_of(situation, rows)
        periods = int((part.lead_time + part.interval).max(initial=part.review))
        is_out = project(part, periods)[1] > 0
        within = np.arange(periods)[None, :] - part.lead_time[:, None]
        waits, acts_on = (
            (within < 0)[:, None, :],
            ((within >= 0) & (within < part.interval[:, None]))[:, None, :],
        )
        before[rows] = (is_out & waits).any(axis=2).mean(axis=1)
        without[rows] = (is_out & acts_on).any(axis=2).mean(axis=1)
        with_order[rows] = (
            ((_with_order(part, quantity[rows], periods) > 0) & acts_on).any(axis=2).mean(axis=1)
        )
        too_late, in_time = _first_likely(is_out & waits), _first_likely(is_out & acts_on)
        first = np.where(too_late >= 0, too_late, in_time)
        first_out += [period_starts[int(period)] if period >= 0 else None for period in first]
    return {
        "stock_out_risk_before": before.tolist(),
        "stock_out_risk_without": without.tolist(),
        "stock_out_risk_with": with_order.tolist(),
        "stock_out_on": first_out,
    }


def _first_likely(is_out: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(N,) the first period by which half of the sample paths (N, S, T) have run out, -1 where none
    is."""
    likely = np.maximum.accumulate(is_out, axis=2).mean(axis=1) >= 0.5
    return np.where(likely.any(axis=1), likely.argmax(axis=1), -1)


def _with_order(situation: Situation, quantity: Floats, periods: int) -> Floats:
    rows = np.arange(quantity.size)
    due = np.zeros(
        (
            quantity.size,
            max(situation.pipeline.shape[1], int(situation.lead_time.max(initial=0)), 1),
        )
    )
    due[:, : situation.pipeline.shape[1]] = situation.pipeline
    is_later = situation.lead_time > 0
    due[rows[is_later], situation.lead_time[is_later] - 1] += quantity[is_later]
    stocked = situation.on_hand + np.where(is_later, 0.0, quantity)
    return project(replace(situation, on_hand=stocked, pipeline=due), periods)[1]


def _signed(tenths: Mapping[str, int]) -> list[tuple[str, int]]:
    """What is shown: what adds first, then what takes away; nothing that rounds to zero."""
    shown = [(name, value) for name, value in tenths.items() if value]
    return sorted(shown, key=lambda part: part[1] < 0)


def part_in_words(name: str, size: float = 0.0) -> str:
    """How a part of an order's quantity is named to people, by whether it adds or takes away."""
    plain = _WORDS.get(name, name.replace("_", " "))
    return _TAKEN_OFF.get(name, plain) if size < 0 else plain


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"
