"""The command line: parse, call, print. Exit code 2 means the input has to be mended, 1 that a gate
or a check said no."""

from __future__ import annotations

import inspect
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from orchestration.cli import (
    desk,
    home,
    kept_models,
    learn,
    limits,
    line,
    orders,
    overrides,
    quarantine,
    safety_stock,
    scenarios,
    sources,
    tokens,
    webhooks,
)
from orchestration.cli.shell import Guarded

app = typer.Typer(
    name="stockhouse",
    cls=Guarded,
    help=(
        "An inventory lakehouse: raw extracts in, orders out. Start with `stockhouse run "
        "sample_data`."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _in_one_line(room: typer.Typer) -> typer.Typer:
    """A room whose commands are listed by their first sentence, which breaks where the screen
    ends."""
    for registered in room.registered_commands:
        said = inspect.getdoc(registered.callback) or ""
        registered.short_help = " ".join(said.partition("\n\n")[0].split())
    return room


for title, room, groups in (
    ("Run the line", line, {}),
    ("Ask the twin", scenarios, {}),
    ("Learn", learn, {"model": kept_models.commands}),
    ("Place stock", safety_stock, {}),
    ("Sources", sources, {"quarantine": quarantine.commands}),
    (
        "Orders",
        orders,
        {
            "order": orders.one,
            "payment": orders.payments,
            "supplier": orders.suppliers,
            "override": overrides.commands,
            "limits": limits.commands,
        },
    ),
    ("The desk", desk, {"token": tokens.commands, "webhook": webhooks.commands}),
    ("The home", home, {}),
):
    for registered in room.commands.registered_commands:
        registered.rich_help_panel = title
    app.add_typer(_in_one_line(room.commands))
    for name, group in groups.items():
        app.add_typer(_in_one_line(group), name=name, rich_help_panel=title)


def _say_version(is_asked: bool) -> None:
    if is_asked:
        sys.stdout.write(f"stockhouse {version('stockhouse')}\n")
        raise typer.Exit()


@app.callback()
def stockhouse(
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_say_version, is_eager=True, help="Say which version this is."
        ),
    ] = False,
) -> None:
    """An inventory lakehouse: raw extracts in, orders out. Start with `stockhouse run
    sample_data`."""
