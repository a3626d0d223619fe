"""How events fit what is simulated: which of them find nothing to change there, and what of them
lies outside the simulated periods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np

from models.labels import in_words
from models.twin.event_effects import Future, happens
from models.twin.scenarios import MONEY, Effect, Scenario

#: What an event that changes money needs, by its kind, where it finds nothing to change.
NEEDS = {
    "fuel_factor": (
        "no lane in its scope says what part of its freight is fuel: feed lanes.fuel_share and "
        "lanes.freight_per_kg, and the items' weight"
    ),
    "freight_factor": (
        "nobody says what freight costs in its scope: feed lanes.freight_per_kg and the items' "
        "weight"
    ),
    "price_factor": (
        "nothing in its scope is bought at a known price: feed supplier_terms.unit_cost or "
        "items.unit_cost"
    ),
    "duty_added": (
        "nothing in its scope is bought at a known price: feed supplier_terms.unit_cost or "
        "items.unit_cost, or name the place that buys"
    ),
}
#: Kinds that change the periods which begin while they last.
IN_PERIODS = (*MONEY, "demand_factor", "item_delisted", "capacity_cut", "new_constraint")
#: What of an event lies outside, as `outside_in_words` says it.
OUTSIDE_WORDS = {
    "before": "{kind}: its {days} days before {day}, the first day simulated, are left out.",
    "after": "{kind}: its {days} days after {day}, the last day simulated, are left out.",
    "between": "{kind}: no simulated period begins while it lasts, so it changes nothing.",
}


def refuse_idle(effect: Effect, future: Future) -> None:
    """Refuse an event that changes money where there is nothing to change, at any time. Raises
    ValueError with what has to be fed."""
    if effect.kind not in MONEY or effect.size == (0.0 if effect.kind == "duty_added" else 1.0):
        return
    always = replace(effect, starts=0.0, ends=np.inf, probability=1.0, after="")
    changed = happens(Scenario("always", "", (always,)), future).tariffs
    if np.array_equal(changed.total, future.tariffs.total):
        raise ValueError(f"{effect.kind} changes nothing here: {NEEDS[effect.kind]}")


def outside(
    effects: Sequence[Effect], first: date, hours: float, periods: int
) -> list[dict[str, Any]]:
    """What of events lies outside the simulated periods, as plain data: kind, word (one of
    OUTSIDE_WORDS), days, and day, the first or last one simulated. hours: of a period.
    """
    end, found = hours * periods, []
    last = first + timedelta(days=end / 24 - 1)
    for effect in effects:
        begins = np.arange(periods) * hours
        is_on = (effect.starts <= begins) & (begins < effect.ends)
        if effect.kind in IN_PERIODS and not is_on.any():
            found.append({"kind": effect.kind, "word": "between", "days": 0.0, "day": str(first)})
            continue
        if effect.kind == "recall":  # it begins, and does not last
            continue
        if effect.starts < 0:
            days = -effect.starts / 24
            found.append({"kind": effect.kind, "word": "before", "days": days, "day": str(first)})
        if end < effect.ends < np.inf:
            days = (effect.ends - end) / 24
            found.append({"kind": effect.kind, "word": "after", "days": days, "day": str(last)})
    return found


def outside_in_words(
    one: Mapping[str, Any],
    say: Callable[..., str] = str.format,
    term: Callable[[str], str] = in_words,
    number: Callable[[float, int], str] = lambda value, digits: f"{round(value, digits):g}",
    day: Callable[[str], str] = str,
) -> str:
    """What of an event lies outside, for whoever reads an answer. one: of `outside`."""
    return say(
        OUTSIDE_WORDS[one["word"]],
        kind=term(one["kind"]),
        days=number(one["days"], 1),
        day=day(one["day"]),
    )
