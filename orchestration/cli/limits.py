"""Commands for the limits people set: what needs whose approval, caps, budget and roles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestration.cli.orders import open_desk
from orchestration.cli.shell import AsJson, By, HomeFolder, emit
from orchestration.home import DEFAULT_HOME

if TYPE_CHECKING:
    from orchestration.app.limits import LimitsSaid

commands = typer.Typer(
    no_args_is_help=True,
    help="What people set and the robot keeps to: amounts, risk, caps, budget, roles.",
)


@commands.command()
def show(home: HomeFolder = Path(DEFAULT_HOME), as_json: AsJson = False) -> None:
    """The limits in force, and a change that waits for a second person."""
    from orchestration.app import limits as setting

    with open_desk(home) as desk:
        _emit(setting.show_limits(desk), as_json)


@commands.command("set")
def set_limits(
    by: By,
    wanted: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME=VALUE]...", help="auto_amount=2000 daily_cap=10000 …"),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="A YAML file of limits, instead or beside.")
    ] = None,
    confirm: Annotated[
        bool,
        typer.Option("--confirm", help="Confirm what another person proposed; then it counts."),
    ] = False,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Propose a change of the limits, or confirm another person's: two people, or nothing
    changes."""
    from orchestration.app import limits as setting

    with open_desk(home) as desk:
        changes = (setting.read_limits_file(file) if file else {}) | setting.parse_limits(
            wanted or []
        )
        if confirm and changes:
            raise ValueError("--confirm takes what was proposed as it is: leave the limits out")
        if not confirm and not changes:
            raise ValueError(
                "say which limit: NAME=VALUE, such as auto_amount=2000, or --file limits.yml"
            )
        done = (
            setting.confirm_limits(desk, by)
            if confirm
            else setting.propose_limits(desk, changes, by)
        )
        _emit(done, as_json)


def _emit(limits: LimitsSaid, as_json: bool) -> None:
    lines = [f"{name}: {value}" for name, value in limits.in_force.to_payload().items()]
    if limits.changes:
        lines += [
            "",
            (
                f"proposed by {limits.proposed_by}, in force once another person confirms (limits "
                "set "
                "--confirm):"
            ),
        ]
        lines += [f"{name}: {now} → {then}" for name, (now, then) in limits.changes.items()]
    emit(limits.as_dict(), "\n".join(lines), as_json=as_json)
