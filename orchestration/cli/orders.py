"""What a planner's desk does, from the shell: approve, reject, firm, cancel, send, stop, resume, audit; and the quarantine bench."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestration.app import procurement as procuring
from orchestration.facts.snapshots import PublishError
from orchestration.home import DEFAULT_HOME, Home, HomeError
from orchestration.landing import ContractError, World
from orchestration.landing.load import quarantine
from orchestration.ledger import Ledger, LedgerError
from orchestration.ledger.audit import audit as audit_ledger

HomeFolder = Annotated[Path, typer.Option("--home", envvar="STOCKHOUSE_HOME", help="Where this company's lakehouse lives.")]
References = Annotated[list[str], typer.Argument(help="Documents: by id, intent key or order id.")]
By = Annotated[str, typer.Option("--by", help="Who does this; the ledger keeps the name and refuses a proposer's own approval.")]
Reason = Annotated[str, typer.Option(help="Why; the ledger keeps it.")]

desk = typer.Typer(no_args_is_help=True)
bench = typer.Typer(no_args_is_help=True, help="Rows that could not be loaded: look, mend the contract, try again.")


@contextmanager
def desk_of(home: Path) -> Iterator[procuring.Desk]:
    """The home's ledger, its Now and its partners; what the ledger refuses is told in one line, exit code 2."""
    try:
        with procuring.open_desk(Home.open(home)) as opened:
            yield opened
    except (LedgerError, HomeError, ValueError, LookupError) as error:
        say(f"error {error}", to=sys.stderr)
        raise typer.Exit(2) from error


def say(text: str, to: Any = None) -> None:
    """One line of result, or of error where `to` says so."""
    (to or sys.stdout).write(text + "\n")


@desk.command()
def approve(references: References, by: By, home: HomeFolder = Path(DEFAULT_HOME)) -> None:
    """Approve requisitions; nobody approves what they proposed."""
    with desk_of(home) as at:
        say("\n".join(at.ledger.approve(references, by, at.now, procuring.evidence(at))))


@desk.command()
def reject(references: References, by: By, reason: Reason, home: HomeFolder = Path(DEFAULT_HOME)) -> None:
    """Reject requisitions; the robot does not propose the same need again in this review period."""
    with desk_of(home) as at:
        say("\n".join(at.ledger.reject(references, by, at.now, reason)))


@desk.command()
def firm(references: References, by: By, home: HomeFolder = Path(DEFAULT_HOME)) -> None:
    """Firm requisitions: plans no longer change them, and they count in the stock position."""
    with desk_of(home) as at:
        say("\n".join(at.ledger.firm(references, by, at.now)))


@desk.command()
def cancel(references: References, by: By, reason: Reason, home: HomeFolder = Path(DEFAULT_HOME)) -> None:
    """Cancel orders and requisitions; the budget they held is released."""
    with desk_of(home) as at:
        say("\n".join(at.ledger.cancel(references, by, at.now, reason)))


@desk.command()
def send(
    really: Annotated[bool, typer.Option("--send", help="Send; without it the documents are only written as a preview.")] = False,
    home: HomeFolder = Path(DEFAULT_HOME),
) -> None:
    """Send approved orders to the suppliers; a dry run, with the requisitions in it, unless --send is given."""
    with desk_of(home) as at:
        if really:
            say(str(at.ledger.send(at.partners, at.now)))
        else:
            say("\n".join(str(path) for path in procuring.dry_run(at)) or "nothing is proposed or approved and unsent")


@desk.command()
def hear(home: HomeFolder = Path(DEFAULT_HOME)) -> None:
    """Take what suppliers answered, book the goods the company's systems report, and match their bills."""
    with desk_of(home) as at:
        for path, reception in procuring.poll(at).items():
            say(f"{path.name}: {reception.status}{': ' if reception.reason else ''}{reception.reason}")
        say(str(procuring.match(at)))


@desk.command()
def react(world: Annotated[Path, typer.Argument(help="Folder with a world.yml.")], home: HomeFolder = Path(DEFAULT_HOME)) -> None:
    """Re-plan at once what has happened since the last run concerns: late answers, short shipments, closed places, surges."""
    from orchestration.app import event_replan as reacting

    try:
        done = reacting.react(Home.open(home), World.load(world))
    except (LedgerError, HomeError, PublishError, ContractError, ValueError) as error:
        say(f"error {error}", to=sys.stderr)
        raise typer.Exit(2) from error
    if done is None:
        say("nothing has happened that was not answered")
        return
    say("\n".join(done.reasons) or "what happened is over, or was published anew")
    say("\n".join(rescue.reason for rescue in done.rescues))
    say(str(done.report))


@desk.command()
def stop(by: By, reason: Reason, home: HomeFolder = Path(DEFAULT_HOME)) -> None:
    """The kill switch: nothing is sent until `resume`, also after a restart."""
    with desk_of(home) as at:
        at.ledger.stop(by, at.now, reason)


@desk.command()
def resume(by: By, reason: Reason, home: HomeFolder = Path(DEFAULT_HOME)) -> None:
    """Let orders be sent again."""
    with desk_of(home) as at:
        at.ledger.resume(by, at.now, reason)


@desk.command()
def audit(home: HomeFolder = Path(DEFAULT_HOME)) -> None:
    """Verify every chain and every balance of the ledger, and say how far it runs by itself; exit code 1 if anything was altered."""
    url = Home.open(home).ledger_url
    found = audit_ledger(url)
    say("\n".join(found) or "every chain is intact and every balance adds up")
    if found:
        raise typer.Exit(1)
    ledger = Ledger.open(url)
    try:
        say(json.dumps(ledger.measures(), indent=1))
    finally:
        ledger.close()


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
