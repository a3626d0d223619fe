"""Commands of a planner's desk: approve, reject, firm, cancel, send, stop, resume, replan, audit;
and what suppliers answered."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from orchestration.cli import render
from orchestration.cli.shell import (
    AsJson,
    By,
    HomeFolder,
    Reason,
    WorldFolder,
    a_day,
    contract_of,
    emit,
    err,
)
from orchestration.home import DEFAULT_HOME, Home

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from orchestration.app.procurement import Desk

#: What to look at where nothing is listed.
NONE = "`stockhouse orders --exceptions` says what a person has to see to, `run` what the plan saw"
commands = typer.Typer()
one = typer.Typer(
    no_args_is_help=True, help="One order that is under way: change it, or send its document again."
)
payments = typer.Typer(no_args_is_help=True, help="Bills that the match left to people.")
suppliers = typer.Typer(no_args_is_help=True, help="What suppliers say and how they deliver.")
Reference = Annotated[
    str, typer.Argument(help="One line: its id as `orders` prints it, or its document.")
]
References = Annotated[
    list[str],
    typer.Argument(
        help="Lines: by the id `run` and `orders` print, document, intent key or order."
    ),
]


def open_desk(home: Path) -> AbstractContextManager[Desk]:
    """A home's ledger at its Now; SQLAlchemy and Alembic are only waited for by the commands that
    open one."""
    from orchestration.app import procurement

    return procurement.open_desk(Home.open(home))


@commands.command("orders")
def list_orders(
    exceptions: Annotated[
        bool,
        typer.Option("--exceptions", help="What needs a person instead, with the money at risk."),
    ] = False,
    status: Annotated[
        list[str] | None,
        typer.Option(help="Only lines this far: requisition, approved, sent, …; may be repeated."),
    ] = None,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print the list alone, as CSV, on standard output.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List what is proposed and under way, by the id that `trace` and `approve` take."""
    from orchestration.app import order_book, worklist

    if exceptions and status:
        raise ValueError("--exceptions lists cases and no lines; leave out --status")
    if as_csv and as_json:
        raise ValueError("--csv and --json cannot both be printed")
    with open_desk(home) as desk:
        found = (
            worklist.cases_to_do(desk).select(*order_book.CASES)
            if exceptions
            else worklist.with_cases(desk, order_book.order_book(desk, status or ()))
        )
    if as_csv:
        sys.stdout.write(found.write_csv())
    else:
        title = render.count_of(len(found), "case" if exceptions else "order line")
        title += " for a person" if exceptions else ""
        draw = render.cases if exceptions else render.listing
        emit(
            {"exceptions" if exceptions else "orders": found.to_dicts()},
            draw(found, title) if len(found) else f"{title}: {NONE}",
            as_json=as_json,
        )


@commands.command()
def approve(
    references: References, by: By, home: HomeFolder = Path(DEFAULT_HOME), as_json: AsJson = False
) -> None:
    """Approve requisitions; nobody approves what they proposed."""
    from orchestration.app import procurement

    with open_desk(home) as desk:
        _emit_lines(desk, "approved", procurement.approve(desk, references, by), as_json)


@commands.command()
def reject(
    references: References,
    by: By,
    reason: Reason,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Reject requisitions; the robot does not propose the same need again in this review period."""
    with open_desk(home) as desk:
        _emit_lines(desk, "rejected", desk.ledger.reject(references, by, desk.now, reason), as_json)


@commands.command()
def firm(
    references: References, by: By, home: HomeFolder = Path(DEFAULT_HOME), as_json: AsJson = False
) -> None:
    """Firm requisitions: plans no longer change them, and they count in the stock position."""
    with open_desk(home) as desk:
        _emit_lines(desk, "firmed", desk.ledger.firm(references, by, desk.now), as_json)


@commands.command()
def cancel(
    references: References,
    by: By,
    reason: Reason,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Cancel orders and requisitions; the budget they held is released."""
    with open_desk(home) as desk:
        cancelled = desk.ledger.cancel(references, by, desk.now, reason)
        _emit_lines(desk, "cancelled", cancelled, as_json)


@commands.command()
def send(
    really: Annotated[
        bool,
        typer.Option(
            "--send", help="Send; without it the documents are only written as a preview."
        ),
    ] = False,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Send approved orders to the suppliers; a dry run, with the requisitions in it, unless --send
    is given."""
    from orchestration.app import procurement

    with open_desk(home) as desk:
        if really:
            report = desk.ledger.send(desk.partners, desk.now)
            emit(asdict(report), render.sending(report), as_json=as_json)
        else:
            paths = procurement.dry_run(desk)
            written = [str(path) for path in paths]
            unwritable = {
                str(path): path.read_text(encoding="utf-8").strip()
                for path in paths
                if path.name.endswith(".unwritable.txt")
            }
            for path, reason in unwritable.items():
                err.print(f"[yellow]warning[/] cannot be written: {escape(f'{path}: {reason}')}")
            emit(
                {"dry_run": written, "unwritable": unwritable},
                "\n".join(written) or "nothing is proposed or approved and unsent",
                as_json=as_json,
            )


@suppliers.command("receive")
def receive(home: HomeFolder = Path(DEFAULT_HOME), as_json: AsJson = False) -> None:
    """Take what suppliers answered, book the goods the company's systems report, and match their
    bills."""
    from orchestration.app import procurement

    with open_desk(home) as desk:
        heard = procurement.poll(desk)
        matched = procurement.match(desk)
    taken = {path.name: reception for path, reception in heard.messages.items()}
    said = [
        f"{name}: {one.status}{': ' if one.reason else ''}{one.reason}"
        for name, one in taken.items()
    ]
    data = {
        "messages": [{"file": name, **asdict(one)} for name, one in taken.items()],
        "left": heard.left,
        **asdict(matched),
    }
    booked = (
        f"{render.count_of(matched.receipts, 'receipt')} booked, {matched.lowered} lowered, "
        f"{render.count_of(matched.chased, 'silent supplier')} asked after"
    )
    emit(data, "\n".join([*said, *heard.left, booked]), as_json=as_json)


@suppliers.command("scorecard")
def scorecard(
    by_item: Annotated[
        bool, typer.Option("--by-item", help="One row a supplier and item.")
    ] = False,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """How soon, how reliably and at what price suppliers deliver: their record as the desk shows
    it; by item, of what this ledger ordered alone."""
    from orchestration.app.supplier_record import supplier_record

    with open_desk(home) as desk:
        found = (
            desk.ledger.scorecard(desk.now, ("supplier_id", "item_id"))
            if by_item
            else supplier_record(desk)
        )
    title = (
        f"{render.count_of(len(found), 'record')} of suppliers"
        if len(found)
        else "no supplier is known, and nothing was ever ordered by this ledger"
    )
    emit({"suppliers": found.to_dicts()}, render.listing(found, title), as_json=as_json)


@one.command("change")
def change_order(
    reference: Reference,
    by: By,
    reason: Reason,
    quantity: Annotated[
        float | None, typer.Option(help="Units wanted in all; not more than approved.")
    ] = None,
    due: Annotated[
        str | None, typer.Option(metavar="DATE", callback=a_day, help="The day it is wanted.")
    ] = None,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Order less, or for another day, of one approved line; the next sending tells the supplier."""
    with open_desk(home) as desk:
        if quantity is None and due is None:
            raise ValueError("say what changes: --quantity, --due or both")
        day = date.fromisoformat(due) if due else None
        changed = desk.ledger.change(reference, by, desk.now, quantity, day, reason)
        _emit_lines(desk, "changed", [changed], as_json)


@one.command("revive")
def revive_message(
    message: Annotated[
        int, typer.Argument(help="The number of a message that could not be delivered.")
    ],
    by: By,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Give a message that could not be delivered another life: the same bytes under the same
    control number."""
    with open_desk(home) as desk:
        desk.ledger.revive(message, by, desk.now)
    emit(
        {"revived": message},
        f"message {message} is sent again with the next sending",
        as_json=as_json,
    )


@payments.command("release")
def release_payment(
    reference: Reference,
    invoice: Annotated[str, typer.Argument(help="The supplier's invoice number.")],
    by: By,
    home: HomeFolder = Path(DEFAULT_HOME),
    as_json: AsJson = False,
) -> None:
    """Propose the payment of a bill that the three-way match left to people."""
    with open_desk(home) as desk:
        desk.ledger.release_payment(reference, invoice, by, desk.now)
    emit({"released": invoice}, f"the payment of {invoice} is proposed, by {by}", as_json=as_json)


@commands.command()
def replan(
    world: WorldFolder, home: HomeFolder = Path(DEFAULT_HOME), as_json: AsJson = False
) -> None:
    """Re-plan at once what has happened since the last run concerns: late answers, short shipments,
    closed places, surges."""
    contract = contract_of(world)
    place = Home.open(home, contract.world)
    from orchestration.app import event_replan

    done = event_replan.replan(place, contract)
    if done is None:
        emit({"news": False}, "nothing has happened that was not answered", as_json=as_json)
        return
    said = list(done.reasons) or ["what happened is over, or was published anew"]
    said += [rescue.reason for rescue in done.rescues]
    said.append(render.proposal(done.report))
    emit({"news": True, **asdict(done)}, "\n".join(said), as_json=as_json)


@commands.command()
def stop(
    by: By, reason: Reason, home: HomeFolder = Path(DEFAULT_HOME), as_json: AsJson = False
) -> None:
    """The kill switch: nothing is sent until `resume`, also after a restart."""
    with open_desk(home) as desk:
        desk.ledger.stop(by, desk.now, reason)
    emit(
        {"stopped": True, "by": by},
        f"stopped by {by}: nothing is sent until `stockhouse resume`",
        as_json=as_json,
    )


@commands.command()
def resume(
    by: By, reason: Reason, home: HomeFolder = Path(DEFAULT_HOME), as_json: AsJson = False
) -> None:
    """Let orders be sent again."""
    with open_desk(home) as desk:
        desk.ledger.resume(by, desk.now, reason)
    emit(
        {"stopped": False, "by": by},
        f"resumed by {by}: approved orders may be sent again",
        as_json=as_json,
    )


@commands.command()
def audit(
    home: HomeFolder = Path(DEFAULT_HOME),
    is_anchored: Annotated[
        bool,
        typer.Option("--anchor", help="vouch for the ledger as it is now, after a restore"),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Verify every chain, every balance and every checkpoint of the ledger, and say how far it runs
    by itself; exit code 1 if anything was altered."""
    from orchestration.ledger import Ledger
    from orchestration.ledger.audit import audit as audit_ledger
    from orchestration.ledger.checkpoints import Checkpoints

    place = Home.open(home)
    if not place.has_ledger:
        emit({"altered": []}, "nothing was ever proposed: there is no ledger yet", as_json=as_json)
        return
    if is_anchored:
        _anchor(place)
    altered = audit_ledger(place.ledger_url, Checkpoints(place.state))
    if altered:
        emit({"altered": altered}, "\n".join(altered), as_json=as_json)
        raise typer.Exit(1)
    ledger = Ledger.of(place)
    try:
        measures = ledger.measures()
    finally:
        ledger.close()
    shown = f"every chain is intact and every balance adds up\n{json.dumps(measures, indent=1)}"
    emit({"altered": [], **measures}, shown, as_json=as_json)


def _anchor(home: Home) -> None:
    from orchestration.ledger import Ledger

    ledger = Ledger.of(home)
    try:
        ledger.anchor()
    finally:
        ledger.close()


def _emit_lines(desk: Desk, done: str, document_ids: Sequence[str], as_json: bool) -> None:
    lines = {line.document_id: line for line in desk.ledger.lines()}
    said = "\n".join(render.decided(lines[one], done) for one in document_ids)
    emit({done: list(document_ids)}, said, as_json=as_json)


#: The words of the version before; they go with the next one.
commands.command("hear", hidden=True)(receive)
commands.command("react", hidden=True)(replan)
