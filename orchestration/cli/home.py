"""Commands about a home as a whole: publish it, keep it safe, draw it, serve it, and forget a
customer in it."""

from __future__ import annotations

import sys
import uuid
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestration.cli import render
from orchestration.cli.shell import (
    AsJson,
    DataFolder,
    HomeFolder,
    WorldFolder,
    a_day,
    contract_of,
    emit,
    err,
)
from orchestration.home import DEFAULT_HOME, Home

if TYPE_CHECKING:
    from orchestration.reports.dashboard.reference import Command

commands = typer.Typer()


@commands.command()
def publish(
    world: WorldFolder = Path("sample_data"),
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Publish the warehouse as it stands: a new read-only snapshot for BI, switched in one step."""
    from orchestration.app import publishing

    place = Home.open(home, contract_of(world).world)
    with place.writing():
        snapshot = publishing.publish(place, str(uuid.uuid4()))
    emit(
        {"path": str(snapshot.path), "run_id": snapshot.run_id},
        f"published {snapshot.path}",
        as_json=as_json,
    )


@commands.command("export-raw")
def export_raw(
    out: Annotated[Path, typer.Argument(help="Folder to write; an export there is replaced.")],
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Write what landing wrote as Parquet, listed in a manifest, for `dbt build --target spark`."""
    from orchestration.facts import raw_files

    place = Home.open(home)
    with place.writing():
        tables = raw_files.export(place.warehouse, out)
    shown = f"{sum(tables.values()):,} rows of {len(tables)} tables written to {out}"
    emit({"path": str(out), "tables": tables}, shown, as_json=as_json)


@commands.command("metrics")
def ask_metrics(
    names: Annotated[
        list[str] | None, typer.Argument(help="Metrics, such as turns; none lists them all.")
    ] = None,
    by: Annotated[
        str, typer.Option(help="What to take them by: month, category, location_id, … by commas.")
    ] = "",
    since: Annotated[
        str | None, typer.Option(callback=a_day, help="Only weeks that begin on this day or later.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(callback=a_day, help="Only weeks that begin up to this day.")
    ] = None,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print the rows alone, as CSV, on standard output.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ask the published metrics at any grain: `stockhouse metrics turns fill_rate --by month`."""
    import polars as pl

    from orchestration.facts import published_snapshots

    snapshot = published_snapshots.current(Home.open(home).published)
    from orchestration.defs.resources import PROJECT
    from orchestration.reports.metrics import Semantics

    semantics = Semantics.load(PROJECT.manifest_path.with_name("semantic_manifest.json"))
    if not names:
        told = [{"metric": name, "what": what} for name, what in sorted(semantics.metrics.items())]
        found, title = pl.DataFrame(told), f"metrics, by {', '.join(semantics.groups)}"
    else:
        days = [datetime.fromisoformat(day) if day else None for day in (since, until)]
        groups = [name.strip() for name in by.split(",") if name.strip()]
        found, title = semantics.ask(snapshot, names, groups, *days), ", ".join(names)
    if as_csv:
        sys.stdout.write(found.write_csv())
    else:
        emit({"metrics": found.to_dicts()}, render.listing(found, title), as_json=as_json)


@commands.command()
def backup(
    out: Annotated[Path, typer.Argument(help="File to write (.tar.gz; encrypted: .tar.gz.age).")],
    home: HomeFolder = Path(DEFAULT_HOME),
    encrypt_to: Annotated[
        list[str] | None,
        typer.Option(help="A public key of age (age1…) or SSH that may open it; repeat for more."),
    ] = None,
    with_key: Annotated[
        bool, typer.Option(help="With the key that customers are hashed with; encrypted alone.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Copy state/ (delivered bytes, ledger, inbox, decisions), and a ledger in PostgreSQL, into one
    file.

    Encrypted, it opens by `restore --identity FILE` or any tool that knows age. The key that
    customers are hashed with is in it only if asked for: a copy of the key stays with your user,
    under ~/.local/state/stockhouse/keys.
    """
    from orchestration.app import home_backup

    written = home_backup.backup(Home.open(home), out, encrypt_to or (), with_key=with_key)
    emit({"path": str(written)}, f"backup written to {written}", as_json=as_json)


@commands.command()
def restore(
    source: Annotated[Path, typer.Argument(help="A file that `backup` wrote.")],
    home: HomeFolder = Path(DEFAULT_HOME),
    identity: Annotated[
        Path | None,
        typer.Option(help="The file of the private key that opens it, of age-keygen or SSH."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring a backup into an empty home; then `stockhouse rebuild WORLD` recreates the rest."""
    from orchestration.app import home_backup

    place = home_backup.restore(source, home, identity)
    shown = (
        f"restored world '{place.owner}' into {place.root}; next: stockhouse rebuild WORLD --home "
        f"{home}"
    )
    emit({"world": place.owner, "home": str(place.root)}, shown, as_json=as_json)


@commands.command()
def forget(
    world: WorldFolder,
    customer: Annotated[
        str, typer.Argument(help="The customer's id as the source writes it, such as 17850.")
    ],
    data: DataFolder = None,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Forget a customer: a random stand-in takes their place in state/, and no number of any plan
    changes.

    What waits is landed first. Then every archived delivery that holds the customer is written
    anew, proved to land as the same rows but for the stand-in, and landed again. A workbook cannot
    be written anew and is refused by name, with nothing changed. Killed, it is finished by the next
    run. Other columns of those rows stay as they were delivered, such as a name the contract does
    not map: files in which the id still stands, as that or in another spelling, are named, and the
    exit code is 1.

    Not within reach: the system that handed the customer over (delete them there first, else the
    next export brings them back), and backups: make a new one and destroy the old. The next
    `stockhouse run` makes the marts anew; no number in them changes.
    """
    from orchestration.app.erase_customer import forget_customer

    contract = contract_of(world)
    found = forget_customer(Home.open(home, contract.world), contract, data or world, customer)
    emit(asdict(found), render.forgotten(found), as_json=as_json)
    if found.left:
        raise typer.Exit(1)


@commands.command()
def docs(
    ctx: typer.Context, home: HomeFolder = Path(DEFAULT_HOME), as_json: AsJson = False
) -> None:
    """Draw what a home knows as pages in derived/docs that open from disk: dashboard, reference,
    dbt docs and gates."""
    from orchestration.reports.dashboard.site import write_site

    index = write_site(Home.open(home), offered(ctx.find_root().command))
    emit({"path": str(index)}, str(index), as_json=as_json)


def offered(group: Any, *above: str) -> list[Command]:
    """Every command of a group that is not hidden, with its groups' names before its own."""
    from orchestration.reports.dashboard.reference import Command

    found: list[Command] = []
    for name, one in group.commands.items():
        if hasattr(one, "commands"):
            found += offered(one, *above, name)
        elif not one.hidden:
            said = " ".join((one.help or "").split("\n\n")[0].split())
            options = [
                (
                    " ".join([*param.opts, *param.secondary_opts])
                    if param.param_type_name == "option"
                    else (param.metavar or param.name.upper()),
                    getattr(param, "help", None) or "",
                )
                for param in one.params
                if param.name != "help"
            ]
            found.append(Command(" ".join((*above, name)), said, options))
    return found


@commands.command("serve-features")
def serve_features(
    home: HomeFolder = Path(DEFAULT_HOME),
    host: Annotated[
        str,
        typer.Option(
            help="Others can reach anything but loopback: that needs STOCKHOUSE_FEATURES_TOKEN."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the feature server.")] = 6566,
) -> None:
    """Serve the newest known feature values by HTTP: POST /get-online-features, until stopped."""
    place = Home.open(home)
    from orchestration.serving.serving import serve

    serve(place, host=host, port=port, progress=partial(err.print, highlight=False))
