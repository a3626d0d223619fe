"""The command line: parse, call, print. Exit code 2 means the input has to be mended, 1 that a gate or a check said no."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from orchestration import show
from orchestration.home import DEFAULT_HOME, Home, HomeError
from orchestration.landing import ContractError, World
from orchestration.landing import check as check_world
from orchestration.line import LineStopped, run_line, settings

app = typer.Typer(
    name="stockhouse",
    help="An inventory lakehouse: raw extracts in, orders out. Start with `stockhouse run sample_data`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
err = Console(stderr=True)

WorldFolder = Annotated[Path, typer.Argument(help="Folder with a world.yml.")]
HomeFolder = Annotated[Path, typer.Option("--home", envvar="STOCKHOUSE_HOME", help="Where this company's lakehouse lives.")]
DataFolder = Annotated[Path | None, typer.Option("--data", help="Root of the world's paths; by default the world's own folder.")]
AsOf = Annotated[str | None, typer.Option("--as-of", metavar="DATE", help="Look no further than the end of this day.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result alone, as JSON, on standard output.")]


@contextmanager
def _clear_errors() -> Iterator[None]:
    """Bad input gets one clear message and exit code 2; a stopped run the stopping reason and exit code 1."""
    try:
        yield
    except (ContractError, HomeError, ValueError) as error:
        err.print(f"[bold red]error[/] {error}", highlight=False)
        raise typer.Exit(2) from error
    except LineStopped as error:
        err.print(f"[bold red]stopped[/] {error}", highlight=False)
        raise typer.Exit(2 if error.is_input else 1) from error


def _emit(as_json: bool, data: dict[str, Any], table: Any) -> None:
    if as_json:
        sys.stdout.write(json.dumps(data, default=str) + "\n")
    else:
        Console().print(table)


def _bring_up_to_date(world: Path, data: Path | None, home: Path, as_of: str | None, until: str) -> tuple[Home, dict[str, Any]]:
    contract = World.load(world)
    place = Home.open(home, contract.world)
    with show.progress(err) as on_step:
        report = run_line(place, settings(world, data, place.root, as_of), until, on_step=on_step)
    return place, report.as_dict()


@app.command()
def run(
    world: WorldFolder = Path("sample_data"),
    as_of: AsOf = None,
    until: Annotated[
        str, typer.Option(help="Last station to run: land, transform, features, forecast, rehearse, replenish, publish.")
    ] = "publish",
    data: DataFolder = None,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Run the line: land what is new, rebuild the truth, forecast, rehearse, write the orders, publish."""
    with _clear_errors():
        place, report = _bring_up_to_date(world, data, home, as_of, until)
        _emit(as_json, report, show.run_result(place, report, until))


@app.command()
def check(
    world: Annotated[Path | None, typer.Argument(help="Folder with a world.yml.")] = None,
    data: DataFolder = None,
    show_sql: Annotated[bool, typer.Option("--show-sql", help="Print the SQL the contract compiles to.")] = False,
    suggest: Annotated[list[Path] | None, typer.Option("--suggest", help="Draft a contract for these files instead.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what would be loaded from a world, what looks wrong, and how to mend it."""
    with _clear_errors():
        if suggest:
            from orchestration.landing import suggest as draft  # noqa: PLC0415 - only this branch drafts

            sys.stdout.write(draft(suggest))
            return
        folder = world or Path("sample_data")
        findings = check_world(World.load(folder), data or folder, show_sql=show_sql)
        _emit(as_json, {"findings": [finding.as_dict() for finding in findings]}, show.findings(findings))
        if any(finding.is_error for finding in findings):
            raise typer.Exit(2)


if __name__ == "__main__":
    app()
