"""What a planner's desk does, from the shell: approve, reject, firm, cancel, send, stop, resume, audit; and the quarantine bench."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestration.home import DEFAULT_HOME, Home, HomeError
from orchestration.landing import World, quarantine
from orchestration.ledger import Ledger, LedgerError
from orchestration.ledger.audit import audit as audit_ledger
from orchestration.ledger.partners import folder_partners

HomeFolder = Annotated[Path, typer.Option("--home", envvar="STOCKHOUSE_HOME", help="Where this company's lakehouse lives.")]
References = Annotated[list[str], typer.Argument(help="Documents: by id, intent key or order id.")]
By = Annotated[str, typer.Option("--by", help="Who does this; the ledger keeps the name and refuses a proposer's own approval.")]
Reason = Annotated[str, typer.Option(help="Why; the ledger keeps it.")]

desk = typer.Typer(no_args_is_help=True)
bench = typer.Typer(no_args_is_help=True, help="Rows that could not be loaded: look, mend the contract, try again.")


@contextmanager
def ledger_of(home: Path) -> Iterator[tuple[Ledger, datetime, Home]]:
    """The home's ledger and its Now; what the ledger refuses is told in one line, exit code 2."""
    from orchestration.timeline import Timeline

    try:
        place = Home.open(home)
        with place.connect(read_only=True) as con:
            now = Timeline.read(con).now_at
        ledger = Ledger.open(place.ledger_url)
        try:
            yield ledger, now, place
        finally:
            ledger.close()
    except (LedgerError, HomeError, ValueError, LookupError) as error:
        say(f"error {error}", to=sys.stderr)
        raise typer.Exit(2) from error


def say(text: str, to: Any = None) -> None:
    """One line of result, or of error where `to` says so."""
    (to or sys.stdout).write(text + "\n")


@desk.command()
def approve(references: References, by: By, home: HomeFolder = Path(DEFAULT_HOME)) -> None:
    """Approve requisitions; nobody approves what they proposed."""
    with ledger_of(home) as (ledger, now, _):
        say("\n".join(ledger.approve(references, by, now)))


@desk.command()
def reject(references: References, by: By, reason: Reason, home: HomeFolder = Path(DEFAULT_HOME)) -> None:
    """Reject requisitions; the robot does not propose the same need again in this review period."""
    with ledger_of(home) as (ledger, now, _):
        say("\n".join(ledger.reject(references, by, now, reason)))


@desk.command()
def firm(references: References, by: By, home: HomeFolder = Path(DEFAULT_HOME)) -> None:
    """Firm requisitions: plans no longer change them, and they count in the stock position."""
    with ledger_of(home) as (ledger, now, _):
        say("\n".join(ledger.firm(references, by, now)))


@desk.command()
def cancel(references: References, by: By, reason: Reason, home: HomeFolder = Path(DEFAULT_HOME)) -> None:
    """Cancel orders and requisitions; the budget they held is released."""
    with ledger_of(home) as (ledger, now, _):
        say("\n".join(ledger.cancel(references, by, now, reason)))


@desk.command()
def send(
    really: Annotated[bool, typer.Option("--send", help="Send; without it the documents are only written as a preview.")] = False,
    home: HomeFolder = Path(DEFAULT_HOME),
) -> None:
    """Send approved orders to the suppliers' folders; a dry run unless --send is given."""
    with ledger_of(home) as (ledger, now, place):
        suppliers = sorted({str(document.from_id) for document in ledger.lines() if document.kind == "purchase"})
        with place.connect(read_only=True) as con:
            currency = con.execute("select currency from raw.world").fetchone()
        partners = folder_partners(suppliers, place.state / "partners", currency[0] if currency else "EUR")
        if really:
            say(str(ledger.send(partners, now)))
        else:
            say("\n".join(str(path) for path in ledger.preview(partners, now)) or "nothing is approved and unsent")


@desk.command()
def stop(by: By, reason: Reason, home: HomeFolder = Path(DEFAULT_HOME)) -> None:
    """The kill switch: nothing is sent until `resume`, also after a restart."""
    with ledger_of(home) as (ledger, now, _):
        ledger.stop(by, now, reason)


@desk.command()
def resume(by: By, reason: Reason, home: HomeFolder = Path(DEFAULT_HOME)) -> None:
    """Let orders be sent again."""
    with ledger_of(home) as (ledger, now, _):
        ledger.resume(by, now, reason)


@desk.command()
def audit(home: HomeFolder = Path(DEFAULT_HOME)) -> None:
    """Verify every chain and every balance of the ledger; exit code 1 if anything was altered."""
    found = audit_ledger(Home.open(home).ledger_url)
    say("\n".join(found) or "every chain is intact and every balance adds up")
    if found:
        raise typer.Exit(1)


@bench.command("list")
def list_rows(source: Annotated[str | None, typer.Option(help="Only this source.")] = None, home: HomeFolder = Path(DEFAULT_HOME)) -> None:
    """The open rows: file, row number, column, value and the rule they broke."""
    with Home.open(home).connect(read_only=True) as con:
        for row in quarantine.list(con, source).iter_rows(named=True):
            say(json.dumps(row, default=str))


@bench.command()
def show(quarantine_id: str, home: HomeFolder = Path(DEFAULT_HOME)) -> None:
    """One row with its raw text."""
    with Home.open(home).connect(read_only=True) as con:
        say(json.dumps(quarantine.show(con, quarantine_id), default=str, indent=1))


@bench.command()
def retry(world: Path, source: str | None = None, home: HomeFolder = Path(DEFAULT_HOME)) -> None:
    """Read the open rows again with the contract as it is now."""
    contract = World.load(world)
    place = Home.open(home, contract.world)
    with place.writing(), place.connect() as con:
        say(str(quarantine.retry(con, contract, place.archive, source)))


@bench.command()
def discard(quarantine_ids: list[str], home: HomeFolder = Path(DEFAULT_HOME)) -> None:
    """Give rows up on purpose; they stay on record as discarded."""
    place = Home.open(home)
    with place.writing(), place.connect() as con:
        say(str(quarantine.discard(con, place.archive, quarantine_ids)))
