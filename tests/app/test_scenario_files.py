"""A scenario file is read whole or refused with its file, line and field."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from orchestration.app.scenario_files import read_question, read_scenario
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
    question = read_question(path, TIMELINE)
    wanted = f"{path.stem}-001" if question.is_stress else path.stem
    assert question.scenarios[0].name == wanted


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
        ("ends_on: 2011-12-13", "hours: -4", r"s\.yml:4 hours: .*greater than 0"),
        ("DC1}}", "DC1}, probability: 1.5}", r"s\.yml:6 effects\.0\.probability"),
        ("DC1}}", "DC1}, depends_on: port}", r"s\.yml:5 effects: depends_on 'port', but no event"),
        ("DC1}}", "DC1}, name: a, depends_on: a}", "wait for each other in a circle"),
        ("DC1}}", "DC1}, hours: 3}", r"s\.yml:6 effects\.0: say when"),
        ("hub_blocked, scope: {location_id: DC1}", "new_policy", "new_policy says `policy`"),
        ("DC1}}", "DC1}, policy: min_max}", "hub_blocked has no policy"),
        (
            "hub_blocked, scope: {location_id: DC1}",
            "recall, share: 2, scope: {item_id: x}",
            "share is 2; it lies between 0 and 1",
        ),
        (GOOD, "- a\n- b\n", "start with `scenario: name`"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_with_its_line_and_field(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(ContractError, match=message):
        read_scenario(written(tmp_path, GOOD.replace(old, new)), TIMELINE)


STRESS = """stress: autumn
title: t
seed: 3
scenarios: 30
begins_within_days: 20
effects:
  - {kind: hub_blocked, scopes: [{location_id: DC1}, {location_id: UK}], hours: [12, 72]}
  - {kind: demand_factor, factor: [0.5, 2], hours: [24, 240], probability: 0.4}
"""


def test_a_stress_set_is_drawn_from_its_seed_within_its_spans(tmp_path: Path) -> None:
    path = written(tmp_path, STRESS)
    drawn = read_question(path, TIMELINE).scenarios
    assert drawn == read_question(path, TIMELINE).scenarios and len(drawn) == 30
    assert len({one.name for one in drawn}) == 30
    events = [effect for one in drawn for effect in one.effects]
    assert all(0 <= one.starts <= 20 * 24 and 12 <= one.ends - one.starts <= 240 for one in events)
    surges = [one for one in events if one.kind == "demand_factor"]
    assert 0 < len(surges) < 30 and all(0.5 <= one.size <= 2 for one in surges)
    assert {one.scope["location_id"] for one in events if one.kind == "hub_blocked"} == {
        "DC1",
        "UK",
    }
    other = written(tmp_path, STRESS.replace("seed: 3", "seed: 4"))
    assert read_question(other, TIMELINE).scenarios != drawn


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("hours: [12, 72]", "hours: [72, 12]", "hours goes from 72 to 12"),
        ("hours: [12, 72]", "hours: [0, 12]", "hours begin above 0"),
        ("{location_id: DC1}, {", "{item_id: DC1}, {", "scope of hub_blocked may name location_id"),
        ("kind: demand_factor, factor: [0.5, 2]", "kind: demand_factor", "its size as `factor`"),
        ("scenarios: 30", "scenarios: 0", r"s\.yml:4 scenarios"),
        ("seed: 3", "sead: 3", r"s\.yml:3 sead: `sead` is no word of the grammar"),
    ],
)
def test_a_stress_set_that_cannot_be_meant_is_refused(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(ContractError, match=message):
        read_question(written(tmp_path, STRESS.replace(old, new)), TIMELINE)


def test_events_have_times_chances_and_dependencies_of_their_own(tmp_path: Path) -> None:
    text = (
        GOOD
        + """  - kind: demand_factor
    factor: 2
    starts_at: 2011-12-13T06:00
    hours: 5
    probability: 0.5
    name: rush
  - {kind: fuel_factor, factor: 1.2, depends_on: rush}
"""
    )
    hub, rush, fuel = read_scenario(written(tmp_path, text), TIMELINE).effects
    assert (rush.starts, rush.ends, rush.probability) == (3 * 24 + 6, 3 * 24 + 11, 0.5)
    assert (fuel.starts, fuel.ends, fuel.after) == (hub.starts, hub.ends, "rush")
    assert fuel.where == "s.yml:13 effects.2"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"none\.yml: cannot be read"):
        read_scenario(tmp_path / "none.yml", TIMELINE)
