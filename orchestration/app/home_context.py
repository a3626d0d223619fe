"""The clock and the contract of a home, for every use case that needs them."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from pathlib import Path

from orchestration.facts import published_snapshots
from orchestration.facts.timeline import Timeline
from orchestration.home import Home
from orchestration.landing import World


def timeline_of(home: Home) -> Timeline:
    """The clock of a home, from its contract and the published Now."""
    snapshot = published_snapshots.current(home.published)
    with snapshot.connect() as con:
        row = con.execute("select now_at from published.world").fetchone()
    if row is None or row[0] is None:
        raise ValueError("nothing published says when Now is: run the line first")
    now: datetime = row[0]
    return Timeline.of(world_of(home), now)


def world_of(home: Home) -> World:
    """The contract of a home's world, where the last run read it. Raises ValueError where it is
    gone."""
    origin = home.origin
    if origin is None or not origin[0].exists():
        raise ValueError(
            f"the world of {home.root} is not where the last run read it: run the line again"
        )
    contract = origin[0] / "world.yml" if origin[0].is_dir() else origin[0]
    return _loaded(origin[0], contract.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _loaded(world: Path, _: int) -> World:
    return World.load(world)
