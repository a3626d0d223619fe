"""A scenario file is read whole or refused with its file, line and field."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from orchestration.app.scenarios import read_scenario
from orchestration.facts.timeline import Timeline
from orchestration.landing import ContractError

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data" / "scenarios"
TIMELINE = Timeline(
    world="w",
    grain="day",
    timezone="Europe/London",
    week_starts_on=1,
    review_days=7,
    decide_on=None,
    is_whole_units=True,
    now_at=datetime(2011, 12, 10),
)
GOOD = """scenario: s
title: t
starts_on: 2011-12-12
ends_on: 2011-12-13
effects:
  - {kind: hub_blocked, scope: {location_id: DC1}}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "s.yml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.yml")), ids=lambda path: path.stem)
def test_every_scenario_that_ships_is_one(path: Path) -> None:
    assert read_scenario(path, TIMELINE).name == path.stem


def test_forty_eight_hours_from_hour_twenty_are_that() -> None:
    (effect,) = read_scenario(SAMPLES / "hub_blocked_48h.yml", TIMELINE).effects
    assert (effect.starts, effect.ends) == (6 * 24 + 20, 8 * 24 + 20)


def test_days_are_whole_and_the_last_one_belongs_to_it(tmp_path: Path) -> None:
    (effect,) = read_scenario(written(tmp_path, GOOD), TIMELINE).effects
    assert (effect.starts, effect.ends) == (48, 96)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("hub_blocked", "hub_blokced", r"s\.yml:6 effects\.0\.kind"),
        ("{location_id: DC1}", "{}", r"s\.yml:6 effects\.0: .*has to name location_id"),
        ("{location_id: DC1}", "{item_id: x}", "scope of hub_blocked may name location_id"),
        ("{location_id: DC1}}", "{location_id: DC1}, factor: 2}", "hub_blocked has no size"),
        ("hub_blocked, scope: {location_id: DC1}", "fuel_factor", "its size as `factor`"),
        ("hub_blocked, scope: {location_id: DC1}", "fuel_factor, factor: -1", "factor is -1"),
        ("hub_blocked, scope: {location_id: DC1}", "fuel_factor, days: 1", "its size as `factor`"),
        ("ends_on: 2011-12-13", "ends_on: 2011-12-01", "before it starts on 2011-12-12"),
        ("ends_on: 2011-12-13", "hours: 4", "say when"),
        ("ends_on: 2011-12-13\n", "", "say when"),
        ("title: t", "titel: t", r"s\.yml:2 titel: `titel` is no word of the grammar"),
        ("starts_on: 2011-12-12", "starts_on: soon", r"s\.yml:3 starts_on"),
        ("  - {kind: hub_blocked, scope: {location_id: DC1}}", "  []", "effects"),
        ("scenario: s", "scenario: ../s", r"s\.yml:1 scenario"),
        (GOOD, "- a\n- b\n", "start with `scenario: name`"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_with_its_line_and_field(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(ContractError, match=message):
        read_scenario(written(tmp_path, GOOD.replace(old, new)), TIMELINE)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"none\.yml: cannot be read"):
        read_scenario(tmp_path / "none.yml", TIMELINE)
