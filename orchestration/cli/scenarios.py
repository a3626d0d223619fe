"""The command that asks the twin "what if"."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from orchestration.app.futures_limit import LEAST_FUTURES, MOST_FUTURES
from orchestration.cli import render, render_twin
from orchestration.cli.shell import (
    AsJson,
    AsOf,
    By,
    HomeFolder,
    WorldFolder,
    contract_of,
    emit,
    err,
    result_alone,
)
from orchestration.home import DEFAULT_HOME, Home

if TYPE_CHECKING:
    from orchestration.app.scenario_answers import Study
    from orchestration.landing import World

commands = typer.Typer()


Scenarios = Annotated[
    list[Path] | None,
    typer.Option(help="Scenario or stress file (YAML); may be given several times."),
]
Out = Annotated[
    Path | None,
    typer.Option(help="Folder for report.html, study.json and tables by lane and by day."),
]
Paths = Annotated[
    int, typer.Option(help=f"Futures each scenario meets, {LEAST_FUTURES} to {MOST_FUTURES}.")
]
Policies = Annotated[
    str, typer.Option(help="Rival policies, by comma: does the champion hold against them?")
]
Together = Annotated[bool, typer.Option("--together", help="Ask for all scenarios at once too.")]
Against = Annotated[
    str, typer.Option(metavar="SCENARIO", help="Compare the others with this one of them.")
]
Demand = Annotated[
    str,
    typer.Option(
        metavar="history|FILE",
        help="Futures' demand: weeks of the past drawn at random, or a pattern (YAML); "
        "as forecast if left out.",
    ),
]
Again = Annotated[
    str, typer.Option("--replay", metavar="STUDY", help="Ask a kept study again instead.")
]
Promote = Annotated[
    str,
    typer.Option(metavar="SCENARIO", help="Order what the study advises for this scenario."),
]
Measure = Annotated[
    str, typer.Option(help="With --promote: order another measure than the one advised.")
]


@commands.command()
def simulate(
    world: WorldFolder,
    by: By,
    scenario: Scenarios = None,
    out: Out = None,
    paths: Paths = 20,
    policies: Policies = "",
    is_together: Together = False,
    against: Against = "",
    demand: Demand = "",
    as_of: AsOf = None,
    again: Again = "",
    promote: Promote = "",
    measure: Measure = "",
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Ask the twin "what if": what scenarios change in money, service and stock from what was
    published on, or known on an earlier day, and what to do about it."""
    from orchestration.app import demand_file, scenario_record, scenarios, studies

    _refuse_both(as_of=as_of, demand=demand, promote_or_again=promote or again)
    contract = contract_of(world)
    place = Home.open(home, contract.world)
    if again:
        _ask_again(place, contract, again, as_json=as_json)
    if not scenario:
        raise ValueError("name a --scenario FILE to ask, or a kept study to --replay")
    rivals = [name.strip() for name in policies.split(",") if name.strip()]
    scenarios.check_asked(paths, rivals)
    asked_of = demand_file.asked_of(demand)
    state, run_id = (place, None)
    if as_of:
        state, run_id = _state_at(place, world, date.fromisoformat(as_of), scenario)
    with result_alone(), render.status(err) as tell:
        found = scenarios.study(
            state,
            contract,
            scenario,
            paths,
            tell,
            policies=rivals,
            is_together=is_together,
            against=against,
            run_id=run_id,
            demand=asked_of,
        )
    scenario_record.record(place, found)
    studies.keep(place, found, by)
    said = found.as_dict()
    if promote:
        said["promoted"] = scenario_record.promote(place, found, promote, by, measure).as_dict()
    if out is not None:
        _write(found, said, out)
    emit(said, render_twin.study(said), as_json=as_json)


def _refuse_both(*, as_of: str | None, demand: str, promote_or_again: str) -> None:
    """Refuse options that contradict each other."""
    if as_of and promote_or_again:
        raise ValueError(
            "--as-of asks of an earlier day: it goes neither with --promote, as nothing can be "
            "ordered then, nor with --replay, which knows its own day"
        )
    if demand and promote_or_again:
        raise ValueError(
            "--demand asks of another demand than the forecast's: it goes neither with --promote, "
            "as orders follow the forecast, nor with --replay, which knows what it was asked"
        )


def _ask_again(home: Home, contract: World, study_id: str, *, as_json: bool) -> NoReturn:
    """Ask a kept study again, print what is the same, and end: 1 where anything differs."""
    from orchestration.app import scenario_record

    with result_alone(), render.status(err) as tell:
        repeated = scenario_record.replay(home, contract, study_id, tell)
    told = repeated.as_dict()
    emit(told, render_twin.replayed_study(told), as_json=as_json)
    raise typer.Exit(1 if repeated.differing else 0)


def _state_at(home: Home, world: Path, day: date, files: Sequence[Path]) -> tuple[Home, str | None]:
    """The state of an earlier day; made anew where it is not published any more, with a live line a
    step. A scenario that cannot be meant is refused before."""
    from orchestration.app.scenario_files import read_question
    from orchestration.facts.timeline import Timeline
    from orchestration.runs.past import midnight_ending, state_at

    contract = contract_of(world)
    then = Timeline.of(contract, midnight_ending(day, contract.timezone))
    for path in files:
        read_question(path, then)
    with result_alone(), render.progress(err) as on_step:
        return state_at(home, world, day, on_step)


def _write(found: Study, said: dict[str, Any], out: Path) -> None:
    from orchestration.reports.study_report import write_study

    write_study(said, found.tables(), out)
