"""Studies are decisions: each is kept with all it was asked and found, asked again from that, and
what it advises is ordered under intent keys of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from models.domain import OrderLine
from models.twin.counter_measures import NOTHING
from orchestration.app import procurement
from orchestration.app.scenario_answers import Answer, Asked, Study
from orchestration.app.scenario_files import is_stress
from orchestration.app.scenario_tables import LANES, PLACES, SCENARIOS, lanes, places, scenarios
from orchestration.app.scenarios import Tell, asked_again, study
from orchestration.facts import decisions
from orchestration.home import Home
from orchestration.landing import World
from orchestration.planning.rehearsal import candidates

#: Futures that a nightly stress set meets.
STRESS_FUTURES = 30
#: The figures of a row; those that a part has no word for are empty.
FIGURES = ("before", "after", "difference", "lower", "upper", "mean_lower", "mean_upper")


def record(home: Home, study: Study, *, is_nightly: bool = False) -> None:
    """Keep a study, with what it says of lanes and of places; the same question of the same state
    is the same study, kept once, and stays nightly whoever asks it again.
    """
    kept = _path(home, study.study_id)
    if kept.exists():
        before = decisions.read(kept, rows=1)
        is_nightly |= "is_nightly" in before.columns and bool(before["is_nightly"][0])
    for table, frame in (
        (LANES, lanes(study)),
        (PLACES, places(study)),
        (SCENARIOS, scenarios(study, is_nightly)),  # last: what it names is there
    ):
        decisions.record(home.decisions, study.study_id, table, frame, as_of=study.as_of)


def _path(home: Home, study_id: str) -> Path:
    return home.decisions / SCENARIOS / f"{study_id}.parquet"


def rehearse_stress(home: Home, world: World, progress: Tell | None = None) -> list[Study]:
    """Ask and keep every stress set that lies in `scenarios` beside the world's contract: how the
    champion takes it, and whether it holds against the rivals it is rehearsed with.

    An agent is no rival here: by the time that a study is asked again it has learned more. Raises
    ContractError for a set that cannot be meant, and PublishError before anything was published.
    """
    beside = home.origin[0] if home.origin else None
    folder = beside / "scenarios" if beside and beside.is_dir() else None
    files = sorted(folder.glob("*.yml")) if folder else []
    found = []
    for path in files:
        if is_stress(path):
            rivals = candidates()
            found.append(study(home, world, [path], STRESS_FUTURES, progress, policies=rivals))
            record(home, found[-1], is_nightly=True)
    return found


@dataclass(frozen=True)
class Replayed:
    """A kept study asked again: how many figures are the same, and those that are not, each with
    what was kept and what comes out now.
    """

    study: Study
    figures: int
    differing: tuple[tuple[str, Any, Any], ...]

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "study_id": self.study.study_id,
            "figures": self.figures,
            "differing": [
                {"figure": name, "kept": kept, "now": now} for name, kept, now in self.differing
            ],
        }


def replay(home: Home, world: World, study_id: str, progress: Tell | None = None) -> Replayed:
    """Ask a kept study again, from the text that was kept and the state of its run.

    Raises ValueError for a study that is not there, and where the state is no longer published.
    """
    path = _path(home, study_id)
    if not path.exists():
        there = sorted(one.stem for one in path.parent.glob("*.parquet"))
        raise ValueError(
            f"no study {study_id} is kept; there are {', '.join(there[-10:]) or 'none'}"
        )
    kept = decisions.read(path)
    first = kept.row(0, named=True)
    said = json.loads(first["asked"])
    asked = Asked(**{**said, "policies": tuple(said["policies"])})
    made = asked_again(home, world, asked, first["futures"], first["state_run_id"], progress)
    now = _figures(scenarios(made))
    before = _figures(kept)
    names = sorted(before.keys() | now.keys())
    differing = [
        (name, before.get(name), now.get(name))
        for name in names
        if before.get(name) != now.get(name)
    ]
    return Replayed(made, len(names), tuple(differing))


def _figures(frame: pl.DataFrame) -> Mapping[str, float]:
    return {
        f"{row['scenario'] or 'now'} {row['part']} {row['name']} {figure}": row[figure]
        for row in frame.iter_rows(named=True)
        for figure in FIGURES
        if row[figure] is not None
    }


@dataclass(frozen=True)
class Promoted:
    """What promoting a scenario's measure did: the measure, its order lines, and how many of them
    were new to the ledger.
    """

    scenario: str
    measure: str
    lines: int
    new_orders: int
    document_ids: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "scenario": self.scenario,
            "measure": self.measure,
            "lines": self.lines,
            "new_orders": self.new_orders,
            "document_ids": dict(self.document_ids),
        }


def promote(home: Home, study: Study, scenario: str, by: str, measure: str = "") -> Promoted:
    """Turn the measure that a study advises for a scenario, or another one, into firm requisitions
    under intent keys of their own; promoted twice it is there once.

    Raises ValueError for a scenario or measure that the study does not have, and where there is
    nothing to order.
    """
    answers = {answer.scenario.name: answer for answer in study.answers}
    if scenario not in answers:
        raise ValueError(
            f"--promote {scenario}: no scenario asked here has that name; there are "
            f"{', '.join(answers)}"
        )
    answer = answers[scenario]
    chosen = measure or answer.best
    lines = order_lines(study, answer, chosen)
    if not lines:
        priced = ", ".join(f"{one.measure} {one.cost:+,.0f}" for one in answer.measures)
        raise ValueError(
            f"--promote {scenario}: {chosen} orders nothing; what was priced: {priced}. Name "
            "another with --measure"
        )
    with procurement.open_desk(home) as desk:
        report = desk.ledger.propose(
            lines,
            study.study_id,
            desk.now,
            by=by,
            scope=(),
            review_period=lines[0].review_period,
            currency=desk.currency,
            sales=procurement.published_sales(home),
        )
        loose = {d.document_id for d in desk.ledger.lines() if not d.is_firm}
        fresh = [name for name in report.document_ids.values() if name in loose]
        if fresh:
            desk.ledger.firm(fresh, by, desk.now)
    return Promoted(scenario, chosen, len(lines), report.new_orders, report.document_ids)


def order_lines(study: Study, answer: Answer, measure: str) -> list[OrderLine]:
    """The order lines of a measure, each with the scenario as its occasion."""
    tried = {one.measure: one for one in answer.measures}
    if measure not in tried and measure != NOTHING:
        raise ValueError(f"there is no measure '{measure}'; there are {', '.join(tried)}")
    timeline = study.twin.published.inputs.timeline
    rows = study.twin.rows.select("item_id", "location_id").rows()
    if measure not in tried:
        return []
    one = tried[measure]
    return [
        OrderLine(
            timeline.world,
            "purchase" if line.way.kind == "purchase" else "transfer",
            rows[line.row][0],
            rows[line.row][1],
            line.way.from_id,
            line.quantity,
            timeline.review_period(timeline.origin),
            timeline.shift(timeline.origin, line.arrives),
            float(line.way.unit_cost),
            {measure: line.quantity},
            f"{answer.scenario.title}. {measure.replace('_', ' ')}: {line.quantity:g} units "
            f"{line.way.name}, {one.cost:+,.0f} beside doing nothing for all of it.",
            f"scenario {answer.scenario.name} {measure}",
        )
        for line in one.lines
    ]
