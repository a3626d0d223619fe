"""Commands for those who subscribed to order events."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import typer

from orchestration.cli.orders import open_desk
from orchestration.cli.shell import AsJson, HomeFolder, emit
from orchestration.home import DEFAULT_HOME

commands = typer.Typer(
    no_args_is_help=True,
    help="Whoever subscribed to order events in state/webhooks.yml; an open desk tells them.",
)


@commands.command("list")
def list_subscribers(home: HomeFolder = Path(DEFAULT_HOME), as_json: AsJson = False) -> None:
    """List who subscribed, how many events wait for each, and what keeps them."""
    from orchestration.app import webhook_watch

    with open_desk(home) as desk:
        found = webhook_watch.subscribers(desk.home, desk.ledger)
    lines = [
        f"{one['name']}  {one['url']}  {one['waiting']} waiting"
        + (f"; {one['last_error']}, again at {one['next_at'][:19]}" if one["last_error"] else "")
        for one in found
    ]
    nobody = f"nobody subscribed: {home}/state/webhooks.yml says who is told of what"
    emit({"subscribers": found}, "\n".join(lines) or nobody, as_json=as_json)


@commands.command("send")
def send_events(home: HomeFolder = Path(DEFAULT_HOME), as_json: AsJson = False) -> None:
    """Tell subscribers what waits for them now."""
    from orchestration.app import webhook_watch

    with open_desk(home) as desk:
        told = webhook_watch.notify(desk.home, desk.ledger)
    lines = [
        f"{name}: {one.arrived} told{'; ' + one.trouble if one.trouble else ''}"
        for name, one in told.items()
    ]
    data = {"told": {name: asdict(one) for name, one in told.items()}}
    emit(data, "\n".join(lines) or "nothing waits to be told", as_json=as_json)
    if any(one.trouble for one in told.values()):
        raise typer.Exit(1)
