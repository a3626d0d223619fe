"""Overrides as people make them: recorded, listed, ended, and previewed as the plan they would
make."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import polars as pl

from models.domain import OrderLine
from models.replenishment.overrides import Override
from orchestration.app.home_context import timeline_of, world_of
from orchestration.app.published_plan import Published
from orchestration.app.snapshot_queries import names
from orchestration.facts import published_snapshots
from orchestration.home import Home
from orchestration.home.sql import frame
from orchestration.planning import override_journal
from orchestration.planning.override_journal import Entry
from orchestration.planning.plan import make_plan


def record(home: Home, override: Override, by: str, request: str = "") -> tuple[Entry, int]:
    """Record an override; the next plan follows it. How many items and locations it touches comes
    with it. request: of a script, see override_journal.add.

    Raises ValueError, with nothing recorded, for one that could do nothing or more than is meant.
    """
    timeline = timeline_of(home)
    with published_snapshots.current(home.published).connect() as con:
        planned = frame(con, "select * from marts.dim_item_locations")
    now, first = timeline.now_at, timeline.origin
    return override_journal.add(home, planned, override, by, now, first, request)


def end(home: Home, override_id: str, by: str, reason: str, request: str = "") -> Entry:
    """End an override: the next plan is the system's own again."""
    return override_journal.expire(home, override_id, by, reason, timeline_of(home).now_at, request)


def standing(home: Home, *, everything: bool = False) -> list[Entry]:
    """The overrides the next plan follows, or every one there ever was."""
    timeline = timeline_of(home)
    return [
        entry
        for entry in override_journal.entries(home)
        if everything or entry.is_in_force(timeline.now_at, timeline.origin)
    ]


@dataclass(frozen=True)
class Preview:
    """What an override would change: order lines by item, place and source before and after, and
    what they cost."""

    touches: int
    changes: pl.DataFrame
    before: float
    after: float


def preview(home: Home, override: Override) -> Preview:
    """Plan what is published once more, without and with the override; nothing is recorded.

    Raises ValueError where the override could do nothing, or nothing is published to plan from.
    """
    timeline, world = timeline_of(home), world_of(home)
    with published_snapshots.current(home.published).connect() as con:
        planned = frame(con, "select * from marts.dim_item_locations")
        published = Published.read(con, home, world, timeline).within_review(con)
        called = names(con)
    touches = int(override.touches(planned).sum())
    if not touches:
        raise ValueError("no planned item and location is in this scope")
    starts = [timeline.shift(timeline.origin, k) for k in range(published.paths.shape[2])]

    def lines(standing: Collection[Override]) -> list[OrderLine]:
        made = make_plan(
            published.inputs, published.paths, starts, published.policy, list(standing)
        )
        return made.lines

    now, then = lines(published.overrides), lines([*published.overrides, override])
    return Preview(touches, changes(now, then, called), spend(now), spend(then))


def spend(lines: Collection[OrderLine]) -> float:
    """What the purchases of a plan cost."""
    return sum(line.value for line in lines if line.kind == "purchase")


def changes(
    before: Collection[OrderLine], after: Collection[OrderLine], called: dict[str, str]
) -> pl.DataFrame:
    """The lines whose quantity differs, the most money first."""
    old, new = (
        {(line.item_id, line.location_id, line.from_id): line for line in lines}
        for lines in (before, after)
    )
    found = []
    for key in sorted(old.keys() | new.keys()):
        was, becomes = (lines[key].quantity if key in lines else 0.0 for lines in (old, new))
        if was == becomes:
            continue
        cost = (new.get(key) or old[key]).unit_cost
        found.append((*key, called.get(key[0], key[0]), was, becomes, (becomes - was) * cost))
    schema = {
        "item_id": pl.String,
        "location_id": pl.String,
        "from_id": pl.String,
        "item": pl.String,
        "before": pl.Float64,
        "after": pl.Float64,
        "cost": pl.Float64,
    }
    return pl.DataFrame(found, schema=schema, orient="row").sort(
        pl.col("cost").abs(), descending=True
    )
