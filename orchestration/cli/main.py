"""The command line: parse, call, print. Exit code 2 means the input has to be mended, 1 that a gate
or a check said no."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from orchestration.cli import (
    desk,
    home,
    kept,
    learn,
    limits,
    line,
    orders,
    overrides,
    place,
    quarantine,
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
for title, room in {
    "Run the line": line,
    "Ask the twin": scenarios,
    "Learn": learn,
    "Place stock": place,
    "Sources": sources,
    "Orders": orders,
    "The desk": desk,
    "The home": home,
}.items():
    for registered in room.commands.registered_commands:
        registered.rich_help_panel = title
    app.add_typer(room.commands)
app.add_typer(orders.one, name="order")
app.add_typer(orders.payments, name="payment")
app.add_typer(orders.suppliers, name="supplier")
app.add_typer(limits.commands, name="limits")
app.add_typer(quarantine.commands, name="quarantine")
app.add_typer(overrides.commands, name="override")
app.add_typer(kept.commands, name="model")
app.add_typer(tokens.commands, name="token")
app.add_typer(webhooks.commands, name="webhook")


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
