"""Commands for rows that could not be loaded: look, mend the contract, try again, or give them
up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli import render
from orchestration.cli.shell import AsJson, HomeFolder, WorldFolder, contract_of, emit
from orchestration.home import DEFAULT_HOME, Home

commands = typer.Typer(
    no_args_is_help=True, help="Rows that could not be loaded: look, mend the contract, try again."
)
Source = Annotated[str | None, typer.Option("--source", help="Only this source.")]


@commands.command("list")
def list_rows(
    source: Source = None, home: HomeFolder = Path(DEFAULT_HOME), as_json: AsJson = False
) -> None:
    """The open rows, one JSON object a line: file, row as a spreadsheet numbers it (file_row),
    column, value and the rule they broke."""
    from orchestration.landing import quarantine

    with Home.open(home).connect(read_only=True) as con:
        rows = quarantine.list(con, source).to_dicts()
    emit(
        {"rows": rows},
        "\n".join(json.dumps(row, default=str) for row in rows) or "nothing is in quarantine",
        as_json=as_json,
    )


@commands.command()
def show(
    quarantine_id: Annotated[str, typer.Argument(help="A row, as `quarantine list` names it.")],
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """One row with its raw text."""
    from orchestration.landing import quarantine

    with Home.open(home).connect(read_only=True) as con:
        row = quarantine.show(con, quarantine_id)
    emit(row, json.dumps(row, default=str, indent=1), as_json=as_json)


@commands.command()
def retry(
    world: WorldFolder,
    source: Source = None,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Read the open rows again with the contract as it is now."""
    from orchestration.landing import quarantine

    contract = contract_of(world)
    place = Home.open(home, contract.world)
    with place.writing(), place.connect() as con:
        done = quarantine.retry(con, contract, place.archive, source)
    emit(
        done,
        f"{render.count_of(done['retried'], 'row')} loaded; {done['open']} still open",
        as_json=as_json,
    )


@commands.command()
def discard(
    quarantine_ids: Annotated[
        list[str], typer.Argument(help="Rows, as `quarantine list` names them.")
    ],
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Give rows up on purpose; they stay on record as discarded."""
    from orchestration.landing import quarantine

    place = Home.open(home)
    with place.writing(), place.connect() as con:
        count = quarantine.discard(con, place.archive, quarantine_ids)
    emit({"discarded": count}, f"{render.count_of(count, 'row')} discarded", as_json=as_json)
