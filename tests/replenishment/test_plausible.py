"""A line that may be right and is seldom waits for a person: goods sent where nobody buys, and
stock for more than a year."""

from __future__ import annotations

from math import ceil

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.replenishment.implausible_lines import QUIET_DAYS, YEAR_DAYS, implausible

KINDS = {"busy": "transfer", "quiet": "transfer", "dc": "purchase"}


def planned(quantity: dict[str, float], position: float = 0.0) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "item_id": ["mug"] * 3,
            "location_id": list(KINDS),
            "kind": list(KINDS.values()),
            "from_id": ["dc", "dc", "S1"],
            "quantity": [quantity.get(name) for name in KINDS],
            "position": [position] * 3,
        },
        schema_overrides={"quantity": pl.Float64},
    )


def history(days: int) -> np.ndarray:
    """A year by periods of so many days: one place sells a unit a day, one stopped 28 days ago."""
    periods = ceil(YEAR_DAYS / days)
    past = np.full((3, periods), float(days))
    past[1, periods - ceil(QUIET_DAYS / days) :] = 0.0
    past[2] = np.nan
    return past


def told(frame: pl.DataFrame) -> set[tuple[str, str]]:
    return set(frame.select("location_id", "kind").iter_rows())


@pytest.mark.parametrize("days", [1, 7, 28])
def test_a_move_to_a_place_without_a_sale_in_four_weeks_waits_at_any_grain(days: int) -> None:
    found = implausible(planned({"busy": 5, "quiet": 5, "dc": 5}), history(days), days)
    assert told(found) == {("quiet", "moved_without_sale")}
    assert set(found["severity"]) == {"warning"}
    assert "freight" in found["reason"][0]


@pytest.mark.parametrize("unknown", [1, QUIET_DAYS])
def test_an_empty_shelf_is_filled_and_nothing_ordered_is_nothing_told(unknown: int) -> None:
    past = history(1)
    past[1, -unknown:] = np.nan
    assert implausible(planned({"quiet": 5}), past, 1).is_empty()
    assert implausible(planned({}), past, 1).is_empty()


@given(st.floats(1, 2000), st.floats(0, 2000))
def test_more_than_a_year_of_what_a_place_or_all_it_ships_to_sells_waits(
    quantity: float, position: float
) -> None:
    found = told(implausible(planned({"busy": quantity, "dc": quantity}, position), history(1), 1))
    busy, fed = YEAR_DAYS, YEAR_DAYS + YEAR_DAYS - QUIET_DAYS
    assert (("busy", "beyond_a_year") in found) == (position + quantity > busy)
    assert (("dc", "beyond_a_year") in found) == (position + quantity > fed)


def test_what_was_never_known_to_sell_is_no_line_above_a_year() -> None:
    past = np.full((3, 10), np.nan)
    assert told(implausible(planned({"dc": 10_000}), past, 1)) == set()
