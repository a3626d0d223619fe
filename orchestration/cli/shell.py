"""What every command shares: its options, one way to say a result, and one way to say what went
wrong."""

from __future__ import annotations

import json
import os
import pwd
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from models.procurement.actors import person
from orchestration.errors import ErrorReport, translate

if TYPE_CHECKING:
    from orchestration.landing import World

err = Console(stderr=True)
PIPE_WIDTH = 180


def _user() -> str:
    """Who is logged in, as the system knows it; a variable of the environment says nothing about
    that."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError as error:
        raise ValueError(
            f"user {os.getuid()} has no name on this machine: say who does this, with --by"
        ) from error


def _actor(name: str) -> str:
    """The one spelling of who acts; what no person is called is refused."""
    return person(name)


WorldFolder = Annotated[Path, typer.Argument(help="Folder with a world.yml.")]
HomeFolder = Annotated[
    Path,
    typer.Option("--home", envvar="STOCKHOUSE_HOME", help="Where this company's lakehouse lives."),
]
DataFolder = Annotated[
    Path | None,
    typer.Option("--data", help="Root of the world's paths; by default the world's own folder."),
]


def contract_of(world: Path) -> World:
    """A world's contract; what reads one is imported only by the commands that need it."""
    from orchestration.landing import World

    return World.load(world)


@contextmanager
def result_alone(aside: int = 2) -> Iterator[None]:
    """Standard output is the result's: what compiled libraries write there while they work (HiGHS
    does, whatever it is told) goes to standard error, or to the open file of that number."""
    sys.stdout.flush()
    ours = os.dup(1)
    os.dup2(aside, 1)
    try:
        yield
    finally:
        os.dup2(ours, 1)
        os.close(ours)


def a_day(text: str | None) -> str | None:
    """What was typed for a day, where it is one; else the command is refused before it begins."""
    if text is not None:
        try:
            date.fromisoformat(text)
        except ValueError as error:
            raise typer.BadParameter(f"'{text}' is no day: write it as 2026-01-31") from error
    return text


AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="DATE",
        callback=a_day,
        help="Look no further than the end of this day.",
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the result alone, as JSON, on standard output.")
]
By = Annotated[
    str,
    typer.Option(
        "--by",
        default_factory=_user,
        callback=_actor,
        help="Who does this, by default you; the record keeps the name.",
    ),
]
Reason = Annotated[str, typer.Option("--reason", help="Why; the record keeps it.")]


class Guarded(TyperGroup):
    """A group of commands of which none ends in a traceback for what a person can mend."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; an error that has a translation becomes one message on standard error and
        its exit code."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            report = translate(error)
            if report is None:
                raise
            complain(report)
            raise typer.Exit(report.exit_code) from error


def complain(report: ErrorReport) -> None:
    """One message on standard error, word for word: neither read as markup nor broken where a log
    is no terminal's width."""
    err.print(
        f"[bold red]{report.label}[/] {escape(report.message)}", highlight=False, soft_wrap=True
    )


def emit(data: Any, shown: Any, *, as_json: bool) -> None:
    """Print a result: as JSON for a machine, for a person as lines of text, word for word, or as
    what Rich draws."""
    if as_json:
        sys.stdout.write(json.dumps(data, default=str) + "\n")
    elif isinstance(shown, str):
        sys.stdout.write(shown + "\n")
    else:
        # a file or a pipe has no width: tables are drawn wide enough that no cell is cut
        Console(
            markup=False,
            width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else PIPE_WIDTH,
        ).print(shown)
