"""The command that learns to replenish, and says how far from the best it is."""

from __future__ import annotations

import os
import shlex
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestration.cli import render, render_twin
from orchestration.cli.shell import AsJson, HomeFolder, contract_of, emit, err
from orchestration.home import DEFAULT_HOME, Home

commands = typer.Typer()

#: Small nets wait for each other's threads more than they work: one thread.
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
COMPANY_SEEDS = (0, 1)


@commands.command()
def learn(
    world: Annotated[
        Path | None,
        typer.Argument(help="Folder with a world.yml, or a network file (YAML)."),
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option(help="Seed of a run; several are tried and compared.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for agent.safetensors, its card agent.json and its curve learning.png; "
            "with --report, for a curve of each problem."
        ),
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Show the gap table that is kept in git.")
    ] = False,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="With --report: learn and measure it anew.")
    ] = False,
    problem: Annotated[
        list[str] | None, typer.Option(help="With --retrain or --out: only this problem.")
    ] = None,
    front: Annotated[
        bool,
        typer.Option("--front", help="Of a network file: what service costs, price by price."),
    ] = False,
    before: Annotated[
        str, typer.Option(help="Of a company: know nothing from this day on (YYYY-MM-DD).")
    ] = "",
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Learn to replenish a company or a network, or show how far from the best learned policies
    are."""
    if report:
        found = _report(retrain, problem, seed, out)
        emit(found, render_twin.gap_table(found), as_json=as_json)
    elif world is None:
        raise ValueError("say a world or a network file to learn on, or --report for the gap table")
    elif world.is_dir():
        card = _company(world, home, seed, out, before)
        judge = _judging(world, home, card)
        emit(card, render_twin.agent_card(card, judge), as_json=as_json)
    elif front:
        found = _front(world, seed, out)
        emit(found, render_twin.front(found), as_json=as_json)
    else:
        card = _network(world, seed, out)
        emit(card, render_twin.gap_table(card), as_json=as_json)


def _company(
    world: Path, home: Path, seed: list[int] | None, out: Path | None, before: str
) -> dict[str, Any]:
    contract = contract_of(world)
    at = Home.open(home, contract.world)
    from orchestration.app.company_agent import learn_company

    with render.said(err) as tell:
        card = learn_company(
            at,
            contract.world,
            seed or COMPANY_SEEDS,
            out,
            tell,
            before=date.fromisoformat(before) if before else None,
        )
    if out:
        curves = {_run(run): run["curve"] for run in card["runs"]}
        _draw(f"Agent of {contract.world}, the newest lesson", curves, out / "learning.png")
    return card


def _judging(world: Path, home: Path, card: dict[str, Any]) -> str:
    """The command that replays the agent beside the rule that decides, on what it never saw; empty
    where nothing has come since."""
    if not card["unseen_periods"]:
        return ""
    at = [] if home == Path(DEFAULT_HOME) else ["--home", str(home)]
    asked = ("--start", card["trained_until"], "--periods", str(card["unseen_periods"]))
    policies = f"{card['beside']},{card['name']}"
    return shlex.join(
        ("stockhouse", "replay", str(world), *asked, "--policies", policies, "--out", "DIR", *at)
    )


def _front(file: Path, seed: list[int] | None, out: Path | None) -> dict[str, Any]:
    if out is None:
        raise ValueError(f"say with --out where the front of {file} goes")
    _use_one_thread()
    from orchestration.app.learning import SEEDS, learn_front

    with render.said(err) as tell:
        return learn_front(file, (seed or SEEDS)[0], out, tell)


def _network(file: Path, seed: list[int] | None, out: Path | None) -> dict[str, Any]:
    if out is None:
        raise ValueError(f"say with --out where the agent for {file} goes")
    _use_one_thread()
    from orchestration.app.learning import SEEDS, learn_network

    with render.said(err) as tell:
        card = learn_network(file, seed or SEEDS, out, tell)
    _draw(file.name, _network_curves(card["runs"]), out / "learning.png")
    return card


def _report(
    retrain: bool, names: list[str] | None, seed: list[int] | None, out: Path | None
) -> dict[str, Any]:
    if retrain:
        _use_one_thread()
        from orchestration.app.learning import SEEDS, SMALL
        from orchestration.app.learning import retrain as anew

        with render.said(err) as tell:
            found = anew(names or SMALL, seed or SEEDS, tell)
    else:
        from orchestration.app.gap_table import report

        found = report()
    if out:
        if unknown := set(names or ()) - set(found["curves"]):
            raise ValueError(f"no learning curve of {', '.join(sorted(unknown))} is kept")
        for name in names or found["curves"]:
            _draw(name, _network_curves(found["curves"][name]), out / f"{name}.png")
    return found


def _network_curves(runs: list[dict[str, Any]]) -> dict[str, list[list[float]]]:
    """By run its curve; the structured policy learns first, then a net a seed."""
    first, *seeds = runs
    return {
        f"structured policy alone: {first['ended']}": first["curve"],
        **{_run(run): run["curve"] for run in seeds},
    }


def _run(run: dict[str, Any]) -> str:
    return f"seed {run['seed']}: {run['ended']}"


def _draw(title: str, curves: dict[str, list[list[float]]], file: Path) -> None:
    from orchestration.home import files
    from orchestration.reports.charts import learning_curves, png

    file.parent.mkdir(parents=True, exist_ok=True)
    files.write(file, png(learning_curves(title, curves)))


def _use_one_thread() -> None:
    os.environ.setdefault("XLA_FLAGS", ONE_THREAD)
