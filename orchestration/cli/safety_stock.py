"""The command that says where in a network safety stock belongs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli import render, render_twin
from orchestration.cli.shell import AsJson, emit, err, result_alone

commands = typer.Typer()


@commands.command()
def place(
    network: Annotated[
        Path, typer.Argument(help="CSV file of stages and who supplies whom.", exists=True)
    ],
    out: Annotated[Path, typer.Option(help="Folder for placement.json and stages.csv.")],
    holding_rate: Annotated[
        float,
        typer.Option(min=0.0, help="What keeping a unit costs, as a share of the money in it."),
    ] = 0.25,
    seconds: Annotated[
        float, typer.Option(min=1.0, help="How long to look for a cheaper placement.")
    ] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Place safety stock in a network of stages where it costs least, and try it out."""
    from orchestration.app.stage_file import place_stock

    with result_alone(), render.status(err) as tell:
        said = place_stock(network, holding_rate, out, seconds, tell)
    emit(said, render_twin.placement(said), as_json=as_json)
