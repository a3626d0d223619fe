"""The command line: parse, call, print. Exit code 2 means the input has to be mended, 1 that a gate or a check said no."""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.console import Console
from rich.markup import escape

from models.domain import QUANTILES
from orchestration import STATIONS
from orchestration.cli import render as show
from orchestration.cli.orders import bench, desk
from orchestration.facts import snapshots
from orchestration.facts import trace as tracing
from orchestration.facts.snapshots import PublishError
from orchestration.facts.trace import TraceError
from orchestration.home import DEFAULT_HOME, Home, HomeError
from orchestration.home import backup as safekeeping
from orchestration.landing import ContractError, World
from orchestration.landing import check as check_world

app = typer.Typer(
    name="stockhouse",
    help="An inventory lakehouse: raw extracts in, orders out. Start with `stockhouse run sample_data`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
wishes = typer.Typer(no_args_is_help=True, help="What a planner knows and the data do not: change the plan for a while, with a reason.")
app.add_typer(bench, name="quarantine")
app.add_typer(wishes, name="override")
app.add_typer(desk)
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
    except (ContractError, HomeError, PublishError, TraceError, ValueError) as error:
        _complain("error", error)
        raise typer.Exit(2) from error
    except OSError as error:
        _complain("the machine refused", error)
        raise typer.Exit(1) from error


def _complain(what: str, error: Exception) -> None:
    """One message on standard error, word for word: neither read as markup nor broken where a log is no terminal's width."""
    err.print(f"[bold red]{what}[/] {escape(str(error))}", highlight=False, soft_wrap=True)


def _emit(as_json: bool, data: dict[str, Any], table: Any) -> None:
    if as_json:
        sys.stdout.write(json.dumps(data, default=str) + "\n")
    else:
        Console(markup=False).print(table)


def _bring_up_to_date(world: Path, data: Path | None, home: Path, as_of: str | None, until: str) -> tuple[Home, dict[str, Any]]:
    from orchestration.runs.line import LineStopped, run_line, settings

    contract = World.load(world)
    place = Home.open(home, contract.world)
    # dbt talks on standard output, which belongs to the result; what it says is kept in the home.
    with (place.derived / "run.log").open("w", encoding="utf-8") as log, redirect_stdout(log), show.progress(err) as on_step:
        try:
            report = run_line(place, settings(world, data, place.root, as_of), until, on_step=on_step)
        except LineStopped as error:
            _complain("stopped", error)
            raise typer.Exit(2 if error.is_input else 1) from error
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
    send: Annotated[bool, typer.Option("--send", help="Approve and send within the limits; otherwise it ends with a dry run.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the line: land what is new, rebuild the truth, forecast, rehearse, write the orders, publish."""
    with _clear_errors():
        if until not in STATIONS:
            raise ValueError(f"there is no station '{until}'; the line is {' → '.join(STATIONS)}")
        if send and until != STATIONS[-1]:
            raise ValueError(f"--send follows the whole line; leave out --until {until}")
        place, report = _bring_up_to_date(world, data, home, as_of, until)
        if send:
            _bring_up_to_date(world, data, home, as_of, "procure")
        _emit(as_json, report, show.run_result(place, report, until))


@app.command()
def check(
    world: Annotated[Path | None, typer.Argument(help="Folder with a world.yml.")] = None,
    data: DataFolder = None,
    show_sql: Annotated[bool, typer.Option("--show-sql", help="Print the SQL the contract compiles to.")] = False,
    suggest: Annotated[list[Path] | None, typer.Option("--suggest", help="Draft a contract for these files instead.")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of world.yml, for editors, instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what would be loaded from a world, what looks wrong, and how to mend it."""
    from orchestration import intake

    with _clear_errors():
        if schema:
            sys.stdout.write(json.dumps(World.model_json_schema(), indent=1, ensure_ascii=False) + "\n")
            return
        if suggest:
            from orchestration.landing import suggest as draft

            sys.stdout.write(draft(suggest))
            return
        folder = world or Path("sample_data")
        contract = World.load(folder)
        intake.check_intake(contract)
        findings = check_world(contract, data or folder, show_sql=show_sql)
        _emit(as_json, {"findings": [finding.as_dict() for finding in findings]}, show.findings(findings))
        if any(finding.is_error for finding in findings):
            raise typer.Exit(2)


@app.command()
def pull(world: WorldFolder = Path("sample_data"), home: HomeFolder = Path(DEFAULT_HOME)) -> None:
    """Fetch what databases and APIs have new, and hand on what streams received; the next run lands it."""
    from orchestration import intake

    with _clear_errors():
        contract = World.load(world)
        inbox = Home.open(home, contract.world).inbox
        names = intake.pull(contract, inbox) + intake.drain(contract, inbox)
        Console(markup=False).print("\n".join(names) or "nothing new")


@app.command()
def receive(
    world: WorldFolder = Path("sample_data"),
    home: HomeFolder = Path(DEFAULT_HOME),
    port: Annotated[int, typer.Option(help="Port of the webhook receiver, on loopback.")] = 8340,
    push: Annotated[bool, typer.Option("--push", help="Also serve stock counts online at once, as feature view stock_now.")] = False,
) -> None:
    """Listen until stopped: message streams and signed webhooks go into the durable inbox before they are acknowledged."""
    import asyncio
    import threading

    from orchestration import intake

    with _clear_errors():
        contract = World.load(world)
        place = Home.open(home, contract.world)
        inbox = place.inbox
        intake.check_intake(contract)
        webhooks, brokers = intake.webhooks(contract), intake.brokers(contract)
        if not webhooks and not brokers:
            raise ValueError(f"world '{contract.world}' declares no stream to listen to")
        if push:
            from orchestration.serving import pushing

            pushing.check(contract)
            threading.Thread(target=pushing.follow, args=(place, contract, threading.Event()), daemon=True).start()
        if not brokers:
            intake.serve(contract, inbox, port=port)
            return
        if webhooks:
            threading.Thread(target=intake.serve, args=(contract, inbox), kwargs={"port": port}, daemon=True).start()
        asyncio.run(intake.receive(contract, inbox))


@app.command()
def forecast(
    world: WorldFolder,
    as_of: Annotated[str, typer.Option("--as-of", metavar="DATE", help="The last day that may be known.")],
    horizon: Annotated[int, typer.Option(min=1, help="How many periods to forecast.")],
    out: Annotated[Path, typer.Option(help="Parquet file to write.")],
    quantiles: Annotated[str | None, typer.Option(help="Levels between 0 and 1, separated by commas; by default the nine of M5.")] = None,
    data: DataFolder = None,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Forecast demand as a distribution for every item and location."""
    from orchestration.planning.demand import open_demand

    with _clear_errors():
        levels = _levels(quantiles)
        place, _ = _bring_up_to_date(world, data, home, as_of, "facts")
        with place.writing(), show.status(err) as tell:
            demand = open_demand(place, horizon)
            model = demand.train(demand.timeline.origin, tell)
            tell("predicting")
            ahead = demand.predict(model, demand.timeline.origin, levels).to_frame()
        _write_parquet(ahead, out)
        report = {"rows": len(ahead), "series": len(demand.series), "first_period": demand.timeline.origin, "out": str(out)}
        _emit(as_json, report, f"{len(ahead):,} rows for {len(demand.series):,} series written to {out}")


@app.command()
def replay(
    world: WorldFolder,
    start: Annotated[str, typer.Option(metavar="DATE", help="The first decision is made at the midnight beginning this day.")],
    periods: Annotated[int, typer.Option(min=1, help="How many periods to replay.")],
    out: Annotated[Path, typer.Option(help="Folder for scorecard.json, orders.parquet and replay.html.")],
    orders: Annotated[int | None, typer.Option(min=1, help="How many reviews place orders; by default all.")] = None,
    policies: Annotated[str | None, typer.Option(help="Policies separated by commas.")] = None,
    challengers: Annotated[str | None, typer.Option(help="Forecasters to try beside XGBoost: lstm, blend.")] = None,
    data: DataFolder = None,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Replay policies on history: what each would have ordered and cost, knowing only what was known."""
    from orchestration.planning import rehearsal
    from orchestration.reports import replay_report as reports

    with _clear_errors():
        first = date.fromisoformat(start)
        names = tuple(name.strip() for name in policies.split(",")) if policies else rehearsal.REPLAYED
        beside = tuple(name.strip() for name in challengers.split(",")) if challengers else ()
        rehearsal.check_policies(names, beside)
        place, _ = _bring_up_to_date(world, data, home, None, "facts")
        with place.writing(), show.status(err) as tell:
            result = rehearsal.replay_world(place, first, periods, orders=orders, policies=names, challengers=beside, progress=tell)
        reports.write_replay(result, out)
        _emit(as_json, result.scorecard(), show.scorecard(result.scorecard()))


@app.command()
def publish(world: WorldFolder = Path("sample_data"), home: HomeFolder = Path(DEFAULT_HOME), as_json: AsJson = False) -> None:
    """Publish the warehouse as it stands: a new read-only snapshot for BI, switched in one step."""
    with _clear_errors():
        place = Home.open(home, World.load(world).world)
        with place.writing():
            snapshot = snapshots.publish(place.warehouse, place.published, str(uuid.uuid4()))
        _emit(as_json, {"path": str(snapshot.path), "run_id": snapshot.run_id}, f"published {snapshot.path}")


@app.command()
def rebuild(
    world: WorldFolder = Path("sample_data"),
    data: DataFolder = None,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Recreate everything under derived/ from state/ and say whether every table came back the same."""
    with _clear_errors():
        place = Home.open(home, World.load(world).world)
        before = _hashes(place)
        with place.writing():
            place.forget_derived()
        place, report = _bring_up_to_date(world, data, home, None, "rebuild")
        after = _hashes(place)
        changed = sorted(name for name in before.keys() | after.keys() if before and before.get(name) != after.get(name))
        result = {"tables": len(after), "changed": changed, "hashes": after, "stations": report["stations"]}
        _emit(as_json, result, f"{len(after)} tables rebuilt from state/; {len(changed)} differ {', '.join(changed)}")
        if changed:
            raise typer.Exit(1)


@app.command()
def backup(out: Annotated[Path, typer.Argument(help="File to write (.tar.gz).")], home: HomeFolder = Path(DEFAULT_HOME)) -> None:
    """Copy state/ (delivered bytes, ledger, inbox, decisions) into one file."""
    with _clear_errors():
        Console(markup=False).print(f"backup written to {safekeeping.backup(Home.open(home), out)}")


@app.command()
def restore(source: Annotated[Path, typer.Argument(help="A file that `backup` wrote.")], home: HomeFolder = Path(DEFAULT_HOME)) -> None:
    """Bring a backup into an empty home; then `stockhouse rebuild WORLD` recreates the rest."""
    with _clear_errors():
        place = safekeeping.restore(source, home)
        Console(markup=False).print(f"restored world '{place.owner}' into {place.root}; next: stockhouse rebuild WORLD --home {home}")


@app.command()
def forget(
    world: WorldFolder,
    customer: Annotated[str, typer.Argument(help="The customer's id as the source writes it, such as 17850.")],
    data: DataFolder = None,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Forget a customer: a random stand-in takes their place in state/, and no number of any plan changes.

    What waits is landed first. Then every archived delivery that holds the customer is written anew, proved to land as the same rows
    but for the stand-in, and landed again. A workbook cannot be written anew and is refused by name, with nothing changed. Killed, it
    is finished by the next run. Other columns of those rows stay as they were delivered, such as a name the contract does not map.

    Not within reach: the system that handed the customer over (delete them there first, else the next export brings them back), and
    backups: make a new one and destroy the old. The next `stockhouse run` makes the marts anew; no number in them changes.
    """
    from orchestration.app.erase_customer import forget_customer

    with _clear_errors():
        contract = World.load(world)
        found = forget_customer(Home.open(home, contract.world), contract, data or world, customer)
        _emit(as_json, asdict(found), show.forgotten(found))


@app.command()
def trace(
    line: Annotated[str, typer.Argument(help="An order line, as `run` prints it or decisions.order_lines has it.")],
    home: HomeFolder = Path(DEFAULT_HOME),
    replay: Annotated[bool, typer.Option("--replay", help="Make its quantity anew from state/archive and compare.")] = False,
    world: Annotated[Path, typer.Option("--world", help="The world whose contract --replay reads by.")] = Path("sample_data"),
    as_json: AsJson = False,
) -> None:
    """Follow an order line back: decision, forecast, features, marts, raw rows, file and line."""
    with _clear_errors():
        place = Home.open(home)
        if replay:
            from orchestration.runs.line import LineStopped
            from orchestration.runs.recompute import recompute

            try:
                (again,) = recompute(place, world, [line])
            except LineStopped as error:
                raise ValueError(f"the archive no longer makes the line: {error}") from error
            _emit(as_json, again.as_dict(), str(again))
            raise typer.Exit(0 if again.is_same else 1)
        report = tracing.trace(place.warehouse, place.archive, line)
        _emit(as_json, report.as_dict(), str(report))


@app.command("serve-features")
def serve_features(
    home: HomeFolder = Path(DEFAULT_HOME),
    host: Annotated[str, typer.Option(help="Others can reach anything but loopback: that needs STOCKHOUSE_FEATURES_TOKEN.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the feature server.")] = 6566,
) -> None:
    """Serve the newest known feature values by HTTP: POST /get-online-features, until stopped."""
    from orchestration.serving.serving import serve

    with _clear_errors():
        serve(Home.open(home), host=host, port=port)


Author = Annotated[str, typer.Option("--by", help="Who says so; the record keeps the name.")]
Because = Annotated[str, typer.Option("--reason", help="Why; the explanation of every line it touches repeats it.")]


@wishes.command("add")
def add_override(
    kind: Annotated[str, typer.Argument(help="demand_factor, quantity or parameter.")],
    value: Annotated[float, typer.Argument(help="The factor, the units to order in each review period, or the parameter's value.")],
    reason: Because,
    by: Author,
    scope: Annotated[list[str] | None, typer.Option(metavar="COLUMN=VALUE", help="item_id=22086, category=Paper; several narrow.")] = None,
    parameter: Annotated[str | None, typer.Option(help="What to set: holding_cost, shortage_cost, unit_cost, lead_time_periods.")] = None,
    expires: Annotated[str | None, typer.Option(metavar="DATE", help="The last day it holds; without it, until `override expire`.")] = None,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Record an override; the next plan follows it, and keeps what it would have ordered by itself."""
    from orchestration.facts.timeline import Timeline
    from orchestration.planning import overrides as overriding

    with _clear_errors():
        place = Home.open(home)
        wanted = overriding.parse(kind, value, reason, scope or [], expires, parameter)
        with place.connect(read_only=True) as con:
            timeline = Timeline.read(con)
            planned = con.execute("select * from marts.dim_item_locations").pl()
        entry, touched = overriding.add(place, planned, wanted, by, timeline.now_at, timeline.origin)
        report = entry.as_dict() | {"touches": touched}
        _emit(as_json, report, f"{entry.override_id} recorded: it touches {touched:,} items and locations from the next plan on")


@wishes.command("list")
def list_overrides(
    everything: Annotated[bool, typer.Option("--all", help="Also those that have expired.")] = False,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """The overrides the next plan follows, or with --all every one there ever was."""
    from orchestration.facts.timeline import Timeline
    from orchestration.planning import overrides as overriding

    with _clear_errors():
        place = Home.open(home)
        with place.connect(read_only=True) as con:
            timeline = Timeline.read(con)
        found = [entry for entry in overriding.entries(place) if everything or entry.is_in_force(timeline.now_at, timeline.origin)]
        _emit(as_json, {"overrides": [entry.as_dict() for entry in found]}, "\n".join(map(str, found)) or "no override is in force")


@wishes.command("expire")
def expire_override(override_id: str, reason: Because, by: Author, home: HomeFolder = Path(DEFAULT_HOME)) -> None:
    """End an override: the next plan is the system's own again; the record stays."""
    from orchestration.planning import overrides as overriding

    with _clear_errors():
        place = Home.open(home)
        overriding.expire(place, override_id, by, reason, _now_of(place))
        Console(markup=False).print(f"{override_id} has ended; the next plan no longer follows it")


def _levels(text: str | None) -> tuple[float, ...]:
    levels = tuple(sorted({float(part) for part in text.split(",")})) if text else QUANTILES
    if not all(0 < level < 1 for level in levels):
        raise ValueError(f"quantile levels lie between 0 and 1, not {text}")
    return levels


def _write_parquet(frame: pl.DataFrame, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = out.with_name(out.name + ".writing")
    frame.write_parquet(aside)
    os.replace(aside, out)


def _hashes(place: Home) -> dict[str, str]:
    if not place.warehouse.exists():
        return {}
    with place.connect(read_only=True) as con:
        return safekeeping.table_hashes(con)


def _now_of(place: Home) -> datetime:
    from orchestration.facts.timeline import Timeline

    with place.connect(read_only=True) as con:
        return Timeline.read(con).now_at


if __name__ == "__main__":
    app()
