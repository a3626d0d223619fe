"""Commands that run the line, or a part of it: run, forecast, replay, rebuild, and trace with its
replay."""

from __future__ import annotations

from contextlib import redirect_stdout
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestration import STATIONS
from orchestration.cli import render, render_twin
from orchestration.cli.shell import (
    AsJson,
    AsOf,
    DataFolder,
    HomeFolder,
    WorldFolder,
    a_day,
    contract_of,
    emit,
    err,
    result_alone,
)
from orchestration.home import DEFAULT_HOME, Home, files

commands = typer.Typer()


def bring_up_to_date(
    world: Path,
    data: Path | None,
    home: Path,
    as_of: str | None,
    until: str,
    *,
    strict: bool = False,
) -> tuple[Home, dict[str, Any]]:
    """Run the line up to a station, founding the home where there is none; returns the home and the
    run's report."""
    from orchestration.runs.line import LineStopped, run_line, settings

    place = Home.found(home, contract_of(world).world)
    # dbt talks on standard output, which belongs to the result; what it says is kept in the home.
    with (
        (place.derived / "run.log").open("w", encoding="utf-8") as log,
        redirect_stdout(log),
        result_alone(log.fileno()),
        render.progress(err) as on_step,
    ):
        asked = settings(world, data, place.root, as_of, strict=strict)
        try:
            report = run_line(place, asked, until, on_step=on_step)
        except LineStopped as stop:
            from orchestration.cli import render_run

            err.print(render_run.warnings(stop.warnings))
            raise
    return place, report.as_dict()


@commands.command()
def run(
    world: WorldFolder = Path("sample_data"),
    as_of: AsOf = None,
    until: Annotated[
        str,
        typer.Option(
            help=(
                "Last station to run: land, transform, features, forecast, rehearse, replenish, "
                "publish."
            )
        ),
    ] = "publish",
    data: DataFolder = None,
    home: HomeFolder = Path(DEFAULT_HOME),
    send: Annotated[
        bool,
        typer.Option(
            "--send", help="Approve and send within the limits; otherwise it ends with a dry run."
        ),
    ] = False,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Stop at a file that cannot be read; otherwise it is set aside."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run the line: land what is new, rebuild the truth, forecast, rehearse, write the orders,
    publish."""
    if until not in STATIONS:
        raise ValueError(f"there is no station '{until}'; the line is {' → '.join(STATIONS)}")
    if send and until != STATIONS[-1]:
        raise ValueError(f"--send follows the whole line; leave out --until {until}")
    place, report = bring_up_to_date(world, data, home, as_of, until, strict=strict)
    if send:
        bring_up_to_date(world, data, home, as_of, "procure", strict=strict)
    from orchestration.cli import render_run

    emit(report, render_run.run_result(place, report, until), as_json=as_json)


@commands.command()
def forecast(
    world: WorldFolder,
    as_of: Annotated[
        str,
        typer.Option(
            "--as-of", metavar="DATE", callback=a_day, help="The last day that may be known."
        ),
    ],
    horizon: Annotated[int, typer.Option(min=1, help="How many periods to forecast.")],
    out: Annotated[Path, typer.Option(help="Parquet file to write.")],
    quantiles: Annotated[
        str | None,
        typer.Option(
            help="Levels between 0 and 1, separated by commas; by default the nine of M5."
        ),
    ] = None,
    data: DataFolder = None,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Forecast demand as a distribution for every item and location."""
    from orchestration.planning.demand import open_demand

    levels = _levels(quantiles)
    place, _ = bring_up_to_date(world, data, home, as_of, "facts")
    with place.writing(), render.status(err) as tell:
        demand = open_demand(place, horizon)
        model = demand.train(demand.timeline.origin, tell)
        tell("predicting")
        ahead = demand.predict(model, demand.timeline.origin, levels).to_frame()
    with files.replacing(out) as aside:
        ahead.write_parquet(aside)
    report = {
        "rows": len(ahead),
        "series": len(demand.series),
        "first_period": demand.timeline.origin,
        "out": str(out),
    }
    emit(
        report,
        f"{render.count_of(len(ahead), 'row')} for {len(demand.series):,} series written to {out}",
        as_json=as_json,
    )


@commands.command()
def replay(
    world: WorldFolder,
    start: Annotated[
        str,
        typer.Option(
            metavar="DATE",
            callback=a_day,
            help="The first decision is made at the midnight beginning this day.",
        ),
    ],
    periods: Annotated[int, typer.Option(min=1, help="How many periods to replay.")],
    out: Annotated[
        Path, typer.Option(help="Folder for scorecard.json, orders.parquet and replay.html.")
    ],
    orders: Annotated[
        int | None, typer.Option(min=1, help="How many reviews place orders; by default all.")
    ] = None,
    policies: Annotated[str | None, typer.Option(help="Policies separated by commas.")] = None,
    challengers: Annotated[
        str | None,
        typer.Option(help="Forecasters to try beside the one that decides: lstm, blend, your own."),
    ] = None,
    data: DataFolder = None,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Replay policies on history: what each would have ordered and cost, knowing only what was
    known."""
    from orchestration.facts.kept_models import deciding_forecaster
    from orchestration.planning import rehearsal
    from orchestration.reports.replay_report import write_replay

    first = date.fromisoformat(start)
    names = tuple(name.strip() for name in policies.split(",")) if policies else rehearsal.REPLAYED
    beside = tuple(name.strip() for name in challengers.split(",")) if challengers else ()
    rehearsal.check_policies(names, beside, deciding_forecaster(Home(home)))
    place, _ = bring_up_to_date(world, data, home, None, "facts")
    with place.writing(), result_alone(), render.status(err) as tell:
        result = rehearsal.replay_world(
            place, first, periods, orders=orders, policies=names, challengers=beside, progress=tell
        )
    card = result.scorecard()
    write_replay(card, result.orders(), out)
    emit(card, render_twin.scorecard(card), as_json=as_json)


@commands.command()
def rebuild(
    world: WorldFolder = Path("sample_data"),
    data: DataFolder = None,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Recreate everything under derived/ from state/, as of the day it stood at, and say whether
    every table came back the same."""
    contract = contract_of(world)
    place = Home.open(home, contract.world)
    before, as_of = _hashes(place), _as_of(place, contract.timezone)
    with place.writing():
        place.forget_derived()
    place, report = bring_up_to_date(world, data, home, as_of, "rebuild")
    after = _hashes(place)
    changed = sorted(
        name
        for name in before.keys() | after.keys()
        if before and before.get(name) != after.get(name)
    )
    result = {
        "tables": len(after),
        "changed": changed,
        "hashes": after,
        "stations": report["stations"],
    }
    emit(
        result,
        f"{render.count_of(len(after), 'table')} rebuilt from state/; {len(changed)} not as before"
        + (f": {', '.join(changed)}" if changed else ""),
        as_json=as_json,
    )
    if changed:
        raise typer.Exit(1)


@commands.command()
def trace(
    line: Annotated[
        str,
        typer.Argument(
            help="An order line: its id as `run` and `orders` print it, its document or its order."
        ),
    ],
    home: HomeFolder = Path(DEFAULT_HOME),
    replay: Annotated[
        bool,
        typer.Option("--replay", help="Make its quantity anew from state/archive and compare."),
    ] = False,
    world: Annotated[
        Path, typer.Option("--world", help="The world whose contract --replay reads by.")
    ] = Path("sample_data"),
    rows: Annotated[int, typer.Option("--rows", min=1, help="Rows told of each table.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Follow an order line back: decision, forecast, features, marts, raw rows, file and line."""
    from orchestration.app.procurement import line_named

    place = Home.open(home)
    line = line_named(place, line)
    if replay:
        from orchestration.runs.line import LineStopped
        from orchestration.runs.recompute import recompute

        try:
            (again,) = recompute(place, world, [line])
        except LineStopped as error:
            raise ValueError(f"the line could not be made again: {error}") from error
        emit(again.as_dict(), str(again), as_json=as_json)
        raise typer.Exit(0 if again.is_same else 1)
    from orchestration.facts import trace as tracing

    with place.connect(read_only=True) as con:
        report = tracing.trace(con, place.archive, line, rows=rows)
    emit(report.as_dict(), str(report), as_json=as_json)


def _levels(text: str | None) -> tuple[float, ...]:
    from models.domain import QUANTILES

    levels = tuple(sorted({float(part) for part in text.split(",")})) if text else QUANTILES
    if not all(0 < level < 1 for level in levels):
        raise ValueError(f"quantile levels lie between 0 and 1, not {text}")
    return levels


def _as_of(place: Home, timezone: str) -> str | None:
    """The day at whose end the warehouse stands; None where the data say when Now is."""
    from orchestration.facts.timeline import day_ending_at

    if not place.warehouse.exists():
        return None
    with place.connect(read_only=True) as con:
        (now,) = con.execute("select max(now_at) from raw.world").fetchall()[0]
    day = None if now is None else day_ending_at(now, timezone)
    return None if day is None else day.isoformat()


def _hashes(place: Home) -> dict[str, str]:
    if not place.warehouse.exists():
        return {}
    from orchestration.home.archive_file import table_hashes

    with place.connect(read_only=True) as con:
        return table_hashes(con)
