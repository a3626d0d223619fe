"""How events fit what is simulated: said where they lie outside, refused where nothing changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.twin.event_effects import Future, Tariffs
from models.twin.scenarios import MONEY, Effect
from orchestration.app.scenario_files import parse
from orchestration.app.scenario_fit import NEEDS, outside, outside_in_words, refuse_idle
from orchestration.facts.timeline import Timeline

ROWS = pl.DataFrame(
    {
        "item_id": ["a", "a"],
        "location_id": ["DC", "SHOP"],
        "from_id": ["S", "DC"],
        "kind": ["purchase", "transfer"],
        "category": ["x", "x"],
    }
)
NOTHING = np.zeros((2, 4))


def future(**tariffs: Any) -> Future:
    """A centre that buys and a shop that it supplies, for four days; nothing costs anything but
    what is said."""
    parts = {"price": NOTHING, "freight": NOTHING, "fuel": NOTHING, "duty": NOTHING} | tariffs
    shares = {"fuel_share": np.zeros(2), "duty_share": np.zeros(2)}
    return Future(
        rows=ROWS,
        hours=24.0,
        demand=NOTHING,
        lead_times=np.ones((2, 4), np.int64),
        due=NOTHING,
        arriving=NOTHING,
        tariffs=Tariffs(**(shares | parts)),
    )


def test_every_event_that_changes_money_says_what_it_needs() -> None:
    assert set(NEEDS) == set(MONEY)


@pytest.mark.parametrize(
    ("kind", "scope", "fed"),
    [
        ("fuel_factor", {}, {"freight": NOTHING + 1, "fuel_share": np.array([0.3, 0.0])}),
        ("freight_factor", {"location_id": "SHOP"}, {"freight": np.array([[0.0] * 4, [1.0] * 4])}),
        ("price_factor", {}, {"price": NOTHING + 2}),
        ("duty_added", {"location_id": "DC"}, {"price": NOTHING + 2}),
    ],
)
def test_an_event_that_finds_nothing_to_change_is_refused_until_what_it_needs_is_fed(
    kind: str, scope: dict[str, str], fed: dict[str, Any]
) -> None:
    effect = Effect(kind, scope, 24.0, 48.0, 1.1)
    with pytest.raises(ValueError, match="changes nothing here") as refused:
        refuse_idle(effect, future())
    assert "feed " in str(refused.value)
    refuse_idle(effect, future(**fed))
    neutral = 0.0 if kind == "duty_added" else 1.0
    refuse_idle(replace(effect, size=neutral), future())  # as it is, and so meant


def test_a_duty_where_nothing_is_bought_and_fuel_where_no_lane_has_a_share_are_refused() -> None:
    fed = future(price=NOTHING + 2, freight=NOTHING + 1, fuel_share=np.array([0.3, 0.0]))
    for kind in ("duty_added", "fuel_factor"):
        with pytest.raises(ValueError, match=kind):
            refuse_idle(Effect(kind, {"location_id": "SHOP"}, 0.0, 24.0, 1.1), fed)


@pytest.mark.parametrize(
    ("kind", "starts", "ends", "said"),
    [
        ("hub_blocked", 0, 96, []),
        ("hub_blocked", -36, 24, ["hub blocked: its 1.5 days before 2024-01-01, the first day"]),
        ("hub_blocked", 30, 120, ["hub blocked: its 1 days after 2024-01-04, the last day"]),
        ("fuel_factor", -24, 120, ["before 2024-01-01", "after 2024-01-04"]),
        ("demand_factor", 6, 20, ["no simulated period begins while it lasts"]),
        ("hub_blocked", 6, 20, []),
        ("recall", 24, 400, []),
        ("new_policy", 0, np.inf, []),
    ],
)
def test_what_of_an_event_lies_outside_is_said(
    kind: str, starts: float, ends: float, said: list[str]
) -> None:
    found = outside([Effect(kind, {}, starts, ends)], date(2024, 1, 1), 24.0, 4)
    words = [outside_in_words(one) for one in found]
    assert len(words) == len(said)
    assert all(part in one for part, one in zip(said, words, strict=True))


def test_an_event_without_a_time_lasts_for_ever() -> None:
    timeline = Timeline("w", "day", "UTC", 1, 7, None, True, datetime(2024, 1, 1))
    text = "scenario: s\ntitle: t\neffects:\n  - {kind: new_policy, policy: min_max}\n"
    (effect,) = parse("s.yml", text.encode(), timeline).scenarios[0].effects
    assert (effect.starts, effect.ends) == (0.0, np.inf)
