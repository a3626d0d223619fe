"""What may happen between two runs: read strictly, and reaching exactly as far as its scope
says."""

from __future__ import annotations

import polars as pl
import pytest

from models.procurement.disruptions import read
from models.procurement.messages import MessageError

SPAN = {"starts_on": "2026-01-05", "ends_on": "2026-01-25"}
ROWS = pl.DataFrame(
    {
        "item_id": ["mug", "mug", "cup"],
        "location_id": ["DC", "UK", "UK"],
        "from_id": ["S1", "DC", "DC"],
        "category": ["kitchen", "kitchen", None],
    }
)


@pytest.mark.parametrize(
    ("scope", "reach"),
    [
        ({}, [True, True, True]),
        ({"item_id": "mug"}, [True, True, False]),
        ({"location_id": "UK", "category": "kitchen"}, [False, True, False]),
        ({"supplier_id": "S1"}, [True, False, False]),
        ({"item_id": "saucer"}, [False, False, False]),
    ],
)
def test_an_event_reaches_the_rows_its_scope_names_and_no_other(scope, reach):
    assert (
        read({"kind": "demand_factor", "factor": 2, "scope": scope, **SPAN}, "e1")
        .rows(ROWS)
        .to_list()
        == reach
    )


def test_a_closed_place_concerns_what_it_takes_and_what_it_gives():
    assert read({"kind": "location_closed", "scope": {"location_id": "DC"}, **SPAN}, "e1").rows(
        ROWS
    ).to_list() == [True, True, True]


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ({}, "kind is None"),
        ({"kind": "earthquake"}, "kind is 'earthquake'"),
        ({"kind": "demand_factor"}, "factor is None"),
        ({"kind": "demand_factor", "factor": -1}, "factor is -1; it lies between 0 and 100"),
        ({"kind": "demand_factor", "factor": "2"}, "factor is '2'"),
        ({"kind": "demand_factor", "factor": True}, "factor is True"),
        ({"kind": "demand_factor", "factor": float("nan")}, "factor is nan"),
        ({"kind": "demand_factor", "factor": 2, "scope": "UK"}, "scope may name"),
        ({"kind": "lead_time_delay", "scope": {"planet": "Mars"}, "days": 3}, "scope may name"),
        ({"kind": "lead_time_delay", "days": 1e9}, "days is 1000000000.0"),
        ({"kind": "location_closed"}, "one location_id"),
        ({"kind": "demand_factor", "factor": 2, "starts_on": "soon"}, "days as YYYY-MM-DD"),
        ({"kind": "demand_factor", "factor": 2, "ends_on": "2026-01-01"}, "before it starts"),
    ],
)
def test_an_event_that_cannot_be_meant_is_refused_with_the_word_that_is_wrong(said, word):
    with pytest.raises(MessageError, match=word):
        read(SPAN | said, "e1")
