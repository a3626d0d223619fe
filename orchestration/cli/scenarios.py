"""The command that asks the twin "what if"."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli import render
from orchestration.cli.shell import AsJson, HomeFolder, WorldFolder, emit, err
from orchestration.home import DEFAULT_HOME, Home
from orchestration.landing import World

commands = typer.Typer()


@commands.command()
def simulate(
    world: WorldFolder,
    scenario: Annotated[
        list[Path], typer.Option(help="Scenario file (YAML); may be given several times.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for study.json and tables by lane and by day.")],
    paths: Annotated[int, typer.Option(help="Futures that each scenario meets, at most 200.")] = 20,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Ask the twin "what if": what scenarios change in money, service and stock from what was
    published on."""
    from orchestration.app.scenarios import study
    from orchestration.reports.study_report import write_study

    contract = World.load(world)
    with render.status(err) as tell:
        found = study(Home.open(home, contract.world), contract, scenario, paths, tell)
    write_study(found.as_dict(), found.tables(), out)
    emit(found.as_dict(), render.study(found.as_dict()), as_json=as_json)
