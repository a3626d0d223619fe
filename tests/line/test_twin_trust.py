"""The twin's trust is measured on all that the books say of stock."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from models.twin.trust import overall_error
from orchestration.home import Home
from orchestration.planning.twin_calibration import calibrate

pytestmark = pytest.mark.line

#: Much more is found everywhere, some months before the last day, and all later counts know it.
FOUND = """
    update marts.fct_stock set on_hand = on_hand + 1000
    where event_at >= timestamp '2011-09-01' and on_hand is not null
"""
SAID = """
    insert into intermediate.int_stock_moved by name
    select distinct item_id, location_id, timestamp '2011-08-31 12:00' as event_at,
        1000.0 as delta, 'adjustment' as kind, timestamp '2011-09-01' as known_at
    from marts.fct_stock
"""
#: All counts dated by their day alone, from the day after on.
BY_DAY = """
    update marts.fct_stock set event_at = date_trunc('day', event_at) + interval 1 day
    where event_at >= timestamp '2011-09-01'
"""


def test_the_twin_is_as_far_off_as_the_books_leave_unexplained(sample_home: Path) -> None:
    home = Home.open(sample_home)

    def off(change: str = "") -> float:
        with duckdb.connect(str(home.warehouse)) as con:
            con.execute(change)
        found = calibrate(home)
        assert found is not None and found["counts"].sum() > 1000
        return overall_error(found)

    usual = off()
    assert usual < 0.02, "the sample's books explain nearly all of its counts"
    assert off(FOUND) > 0.5
    assert off(SAID) < usual
    by_day = off(BY_DAY)
    assert by_day < usual + 0.01, "a count dated by its day alone is what the day before left"
    assert off("update raw.world set unmet = 'backlog'") != by_day
