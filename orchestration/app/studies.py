"""The shelf of "what if": scenario files of the world and of the desk, and the studies made of
them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from models.safe_names import name_of
from orchestration.app import scenario_record
from orchestration.app.home_context import timeline_of, world_of
from orchestration.app.scenario_answers import Study
from orchestration.app.scenario_files import read_question, read_scenario
from orchestration.app.scenarios import study
from orchestration.errors import StockhouseError
from orchestration.home import Home, files
from orchestration.reports.study_report import REPORT, write_study

#: Names in its tables, texts even where they look like numbers.
KEYS = ("item_id", "location_id", "from_id", "node_id")
#: What a study says about itself beside its answers.
ABOUT = "about.json"


@dataclass(frozen=True)
class ScenarioFile:
    """One scenario on the shelf: its file, what it says, and why it cannot be run now (or '')."""

    name: str
    path: Path
    title: str
    text: str
    is_ours: bool
    trouble: str


@dataclass(frozen=True)
class StudyMade:
    """One study that was made: who asked, when, of which run, and its answers (study.json)."""

    study_id: str
    by: str
    made_at: datetime
    said: dict[str, Any]


def scenario_files(home: Home) -> list[ScenarioFile]:
    """The scenarios that can be asked: those beside the world's contract, and the desk's own."""
    timeline, found = timeline_of(home), []
    origin = home.origin
    folders = [(_own(home), True)]
    if origin is not None:
        beside = origin[0] if origin[0].is_dir() else origin[0].parent
        folders.append((beside / "scenarios", False))
    for folder, is_ours in folders:
        for path in sorted(folder.glob("*.yml")):
            text = path.read_text(encoding="utf-8", errors="replace")
            try:
                asked = read_question(path, timeline)
            except (ValueError, StockhouseError) as error:
                found.append(ScenarioFile(path.stem, path, path.stem, text, is_ours, str(error)))
                continue
            title = asked.title
            ends = max(effect.ends for one in asked.scenarios for effect in one.effects)
            trouble = "it was over before the first planned period" if ends <= 0 else ""
            found.append(ScenarioFile(path.stem, path, title, text, is_ours, trouble))
    return found


def write_scenario(
    home: Home,
    title: str,
    kind: str,
    scope: dict[str, str],
    word: str,
    size: float | None,
    first: date,
    last: date,
) -> Path:
    """Put a scenario of one effect on the shelf. Raises ContractError or ValueError, with nothing
    kept, for one that cannot be meant."""
    if not title.strip():
        raise ValueError("give the scenario a title")
    name = name_of(title.strip().lower().replace(" ", "_"))[:40].strip("_.-")
    name = "".join(sign if sign.isalnum() and sign.isascii() else "_" for sign in name) or "what_if"
    effect: dict[str, Any] = {"kind": kind, "scope": scope}
    if word and size is not None:
        effect[word] = size
    said = {
        "scenario": name,
        "title": title.strip(),
        "starts_on": first,
        "ends_on": last,
        "effects": [effect],
    }
    text = yaml.safe_dump(said, sort_keys=False, allow_unicode=True)
    draft, target = _own(home) / f".{name}.draft", _own(home) / f"{name}.yml"
    files.write(draft, text)
    try:
        read_scenario(draft, timeline_of(home))
        if target.exists():
            raise ValueError(f"there is a scenario '{name}' already: give this one another title")
        files.write(target, text)
    finally:
        draft.unlink(missing_ok=True)
    return target


def run_study(
    home: Home, names: Sequence[str], futures: int, by: str, tell: Callable[[str], None]
) -> str:
    """Ask the twin, and put its answers on the shelf; returns the study's id."""
    chosen = [one for one in scenario_files(home) if one.name in names]
    if not chosen:
        raise ValueError("choose at least one scenario")
    made = study(home, world_of(home), [one.path for one in chosen], futures, tell)
    scenario_record.record(home, made)
    keep(home, made, by)
    return made.study_id


def keep(home: Home, made: Study, by: str) -> None:
    """Put a study on the shelf, where the desk lists it, whoever asked it and wherever; one asked
    again stays whose it was."""
    at = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
    folder = _shelf(home) / name_of(made.study_id)
    if not (folder / ABOUT).exists():
        files.write(folder / ABOUT, json.dumps({"by": by, "made_at": at}))
    write_study(made.as_dict(), made.tables(), folder)


def promote(home: Home, study_id: str, scenario: str, by: str, tell: Callable[[str], None]) -> str:
    """Order what a study advises for a scenario: it is asked again, word for word, and its measure
    becomes firm requisitions; says what was ordered.

    Raises ValueError where its answers have changed since, or there is nothing to order.
    """
    again = scenario_record.replay(home, world_of(home), study_id, tell)
    if again.differing:
        raise ValueError("the study's answers are others today: start it anew, and order from that")
    done = scenario_record.promote(home, again.study, scenario, by)
    lines = f"{done.lines} line{'' if done.lines == 1 else 's'}"
    return f"{done.measure.replace('_', ' ')}: {lines}, {done.new_orders} of them new"


def studies(home: Home) -> list[StudyMade]:
    """Every study on the shelf, the newest first."""
    paths = _shelf(home).glob("*/study.json")
    made = [_read(path.parent) for path in paths]
    return sorted(made, key=lambda one: one.made_at, reverse=True)


def study_made(home: Home, study_id: str) -> StudyMade:
    """One study. Raises LookupError for an unknown one."""
    folder = _shelf(home) / name_of(study_id)
    if not (folder / "study.json").exists():
        raise LookupError(study_id)
    return _read(folder)


def table(home: Home, study_id: str, name: str) -> pl.DataFrame:
    """A table of a study. Raises LookupError for an unknown one."""
    there = (_shelf(home) / name_of(study_id)).glob("*.csv")
    path = next((path for path in there if path.stem == name), None)
    if path is None:
        raise LookupError(name)
    return pl.read_csv(path, schema_overrides=dict.fromkeys(KEYS, pl.String))


def report(home: Home, study_id: str) -> str:
    """The report of a study, a page of its own. Raises LookupError for an unknown one."""
    path = _shelf(home) / name_of(study_id) / REPORT
    if not path.exists():
        raise LookupError(study_id)
    return path.read_text(encoding="utf-8")


def _read(folder: Path) -> StudyMade:
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    said = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    return StudyMade(said["study_id"], about["by"], datetime.fromisoformat(about["made_at"]), said)


def _shelf(home: Home) -> Path:
    return home.derived / "studies"


def _own(home: Home) -> Path:
    return home.state / "scenarios"
