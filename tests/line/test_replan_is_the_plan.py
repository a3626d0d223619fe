"""Where nothing has happened, planning again from what is published gives the line's own orders, to
the unit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from slices import uci, vn2

from orchestration.app import procurement
from orchestration.app.published_plan import Published
from orchestration.app.replan_state import State
from orchestration.facts import published_snapshots
from orchestration.facts.timeline import Timeline
from orchestration.home import Home
from orchestration.home.sql import frame
from orchestration.landing import World

LINE = ("kind", "item_id", "location_id", "from_id", "quantity", "due_on", "unit_cost")
PLANNED = (
    "select * from decisions.order_lines where run_id = (select run_id from published.snapshot)"
)


def orders_of(home: Home, world: World) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What the line ordered, and what a plan of the published facts orders."""
    with procurement.open_desk(home) as desk:
        timeline = Timeline.of(world, desk.now)
    with published_snapshots.current(home.published).connect() as con:
        published = Published.read(con, home, world, timeline)
        planned = frame(con, PLANNED).select(LINE)
    state = State(inputs=published.inputs, paths=published.paths)
    made = state.plan(published.policy, published.overrides).lines
    again = pl.DataFrame(
        [{name: getattr(line, name) for name in LINE} for line in made], schema=planned.schema
    )
    return planned.sort(LINE), again.sort(LINE)


@pytest.mark.line
def test_the_sample_is_planned_again_to_the_unit(sample_run: tuple[Path, dict[str, Any]]) -> None:
    planned, again = orders_of(Home(sample_run[0]), World.load(Path("sample_data")))
    assert len(planned) > 100
    assert again.equals(planned)


@pytest.mark.shared
@pytest.mark.line
@pytest.mark.parametrize("cut", [vn2, uci])
def test_public_worlds_are_planned_again_to_the_unit(
    cut: Callable[[Path], Path], tmp_path: Path, command: Callable[..., Any]
) -> None:
    folder = cut(tmp_path)
    command("run", folder, "--home", tmp_path / "home", "--json")
    planned, again = orders_of(Home(tmp_path / "home"), World.load(folder))
    assert len(planned) > 5
    assert again.equals(planned)
