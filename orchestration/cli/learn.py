"""The command that learns to replenish, and says how far from the best it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestration.cli import render
from orchestration.cli.shell import AsJson, emit, err

commands = typer.Typer()

#: Small nets wait for each other's threads more than they work: one thread.
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


@commands.command()
def learn(
    network: Annotated[
        Path | None, typer.Argument(help="Network file (YAML): nodes, costs, lead times, demand.")
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option(help="Seed of a run; several are tried and compared.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for agent.safetensors and agent.json.")
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Show the gap table that is kept in git.")
    ] = False,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="With --report: learn and measure it anew.")
    ] = False,
    problem: Annotated[
        list[str] | None, typer.Option(help="With --retrain: only this problem.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Learn to replenish a network, or show how far from the best learned policies are."""
    if report:
        found = _report(retrain, problem, seed)
        emit(found, render.gap_table(found), as_json=as_json)
        return
    if network is None or out is None:
        raise ValueError(
            "say a network file and --out DIR to learn on it, or --report for the gap table"
        )
    _use_one_thread()
    from orchestration.app.learning import SEEDS, learn_network

    with render.said(err) as tell:
        card = learn_network(network, seed or SEEDS, out, tell)
    emit(card, render.gap_table(card), as_json=as_json)


def _report(retrain: bool, names: list[str] | None, seed: list[int] | None) -> dict[str, Any]:
    if not retrain:
        from orchestration.app.gap_table import report

        return report()
    _use_one_thread()
    from orchestration.app.learning import SEEDS, SMALL
    from orchestration.app.learning import retrain as anew

    with render.said(err) as tell:
        return anew(names or SMALL, seed or SEEDS, tell)


def _use_one_thread() -> None:
    os.environ.setdefault("XLA_FLAGS", ONE_THREAD)
