"""Commands for what a planner knows and the data do not: change the plan for a while, with a
reason."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli.shell import AsJson, By, HomeFolder, Reason, a_day, emit
from orchestration.home import DEFAULT_HOME, Home

commands = typer.Typer(
    no_args_is_help=True,
    help="What a planner knows and the data do not: change the plan for a while, with a reason.",
)


@commands.command()
def add(
    kind: Annotated[str, typer.Argument(help="demand_factor, quantity or parameter.")],
    value: Annotated[
        float,
        typer.Argument(
            help="The factor, the units to order in each review period, or the parameter's value."
        ),
    ],
    reason: Reason,
    by: By,
    scope: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=VALUE", help="item_id=22086, category=Paper; several narrow."),
    ] = None,
    parameter: Annotated[
        str | None,
        typer.Option(
            help="What to set: holding_cost, shortage_cost, unit_cost, lead_time_periods."
        ),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(
            metavar="DATE",
            callback=a_day,
            help="The last day it holds; without it, until `override expire`.",
        ),
    ] = None,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Record an override; the next plan follows it, and keeps what it would have ordered by
    itself."""
    from orchestration.facts.timeline import Timeline
    from orchestration.home.sql import frame
    from orchestration.planning import override_journal

    place = Home.open(home)
    override = override_journal.parse(kind, value, reason, scope or [], expires, parameter)
    with place.connect(read_only=True) as con:
        timeline = Timeline.read(con)
        planned = frame(con, "select * from marts.dim_item_locations")
    entry, touched = override_journal.add(
        place, planned, override, by, timeline.now_at, timeline.origin
    )
    report = entry.as_dict() | {"touches": touched}
    emit(
        report,
        (
            f"{entry.override_id} recorded: it touches {touched:,} items and locations from the "
            "next "
            "plan on"
        ),
        as_json=as_json,
    )


@commands.command("list")
def list_overrides(
    everything: Annotated[
        bool, typer.Option("--all", help="Also those that have expired.")
    ] = False,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """The overrides the next plan follows, or with --all every one there ever was."""
    from orchestration.facts.timeline import Timeline
    from orchestration.planning import override_journal

    place = Home.open(home)
    with place.connect(read_only=True) as con:
        timeline = Timeline.read(con)
    found = [
        entry
        for entry in override_journal.entries(place)
        if everything or entry.is_in_force(timeline.now_at, timeline.origin)
    ]
    shown = "\n".join(map(str, found)) or "no override is in force"
    emit({"overrides": [entry.as_dict() for entry in found]}, shown, as_json=as_json)


@commands.command()
def expire(
    override_id: Annotated[str, typer.Argument(help="An override, as `override list` names it.")],
    reason: Reason,
    by: By,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """End an override: the next plan is the system's own again; the record stays."""
    from orchestration.facts.timeline import Timeline
    from orchestration.planning import override_journal

    place = Home.open(home)
    with place.connect(read_only=True) as con:
        now = Timeline.read(con).now_at
    entry = override_journal.expire(place, override_id, by, reason, now)
    emit(
        entry.as_dict(),
        f"{override_id} has ended; the next plan no longer follows it",
        as_json=as_json,
    )
