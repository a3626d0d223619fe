"""What a model may have known of an item and place on a day: the features that the store gives of
that moment, with nothing that was learnt later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from orchestration.app.home_context import timeline_of
from orchestration.app.procurement import Desk
from orchestration.app.snapshot_queries import published, rows

SERVICE = "demand_v1"
KEYS = ("item_id", "location_id", "event_timestamp")


@dataclass(frozen=True)
class Known:
    """Features of an item and place as known at a moment (UTC without zone): name, value, what it
    is. decided: the moments at which plans were made of it, the newest first."""

    at: datetime
    features: list[tuple[str, Any, str]]
    decided: list[datetime]


def known_features(desk: Desk, item: str, place: str, day: date | None) -> Known:
    """What the store knew of an item and place at the midnight that ends a day, the company's own;
    without a day at the newest decision. Opens the warehouse, which a run may hold.

    Raises LookupError for a pair that is not planned and ValueError for a day beyond Now.
    """
    home, given = desk.home, {"item": item, "place": place}
    with published(home) as con:
        planned = rows(con, _PLANNED, given)
        decided = [row["as_of"] for row in rows(con, _DECIDED, given)]
    if not planned:
        raise LookupError(item)
    timeline = timeline_of(home)
    newest = decided[0] if decided else timeline.now_at
    ends = timeline.instant(day + timedelta(days=1)).replace(tzinfo=None) if day else newest
    if ends > timeline.now_at:
        raise ValueError(f"{day} is not over yet: what is known reaches to {timeline.now_at} UTC")
    # Feast takes seconds to import, and only this page asks it
    from feature_repo.store import open_store, training_frame  # noqa: PLC0415

    store = open_store(home.warehouse, home.features)
    asked = pl.DataFrame([(item, place, ends.replace(tzinfo=UTC))], schema=KEYS, orient="row")
    found = training_frame(store, asked, SERVICE).row(0, named=True)
    about = {
        field.name: field.description
        for view in store.list_feature_views()
        for field in view.features
    }
    told = [(name, said, about.get(name, "")) for name, said in found.items() if name not in KEYS]
    return Known(ends, told, decided)


_PLANNED = """
select 1 from marts.dim_item_locations where item_id = $item and location_id = $place
"""
_DECIDED = """
select distinct as_of from decisions_history.targets
where item_id = $item and location_id = $place order by 1 desc limit 12
"""
