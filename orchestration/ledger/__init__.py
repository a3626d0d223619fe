"""The ledger: the transactional store where needs become orders, exactly once, inside limits people
set.

Every function here is one transaction: it happens, or it does not. `now` is the home's Now (naive
UTC); wall time is kept beside it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sa

from models.domain import OrderLine
from models.procurement.actors import PLANNER, REACTION
from models.procurement.approval import Evidence, Limits
from models.procurement.documents import Document, Event
from models.procurement.matching import Tolerance
from models.procurement.messages import Invoice
from models.procurement.scorecard import observe, scorecard
from models.procurement.supplier_sale_terms import Sale
from orchestration.home import Home
from orchestration.ledger import (
    approvals_and_limits,
    audit,
    folder_intake,
    idempotent_requests,
    inbox,
    outbox,
    preview,
    proposals,
    receipts_and_reminders,
    rows_for_landing,
    transports,
)
from orchestration.ledger.approvals_and_limits import ApprovalReport, signed
from orchestration.ledger.checkpoints import Checkpoints
from orchestration.ledger.idempotent_requests import Request
from orchestration.ledger.inbox import Reception
from orchestration.ledger.outbox import SendReport
from orchestration.ledger.partners import Partner
from orchestration.ledger.proposals import ProposalReport
from orchestration.ledger.receipts_and_reminders import Receipt
from orchestration.ledger.schema import events
from orchestration.ledger.schema import outbox as outbox_table
from orchestration.ledger.store import PATIENCE, LedgerError, StaleError, Store, Unit
from orchestration.ledger.unsent_orders import unsent

__all__ = [
    "ApprovalReport",
    "Ledger",
    "LedgerError",
    "Partner",
    "ProposalReport",
    "Receipt",
    "Reception",
    "Request",
    "SendReport",
    "StaleError",
]

TOLERANCE = Tolerance()
#: Who moved a line's quantity by an override, by item and location.
Authors = Mapping[tuple[str, str], Collection[str]]
Sales = Mapping[tuple[str, str], Sale]
_NEWEST = sa.select(events.c.seq, events.c.recorded_at).order_by(events.c.seq.desc()).limit(1)
#: The desk's own document about what happened between runs and was answered.
REACTIONS = "REACTIONS"


class Ledger:
    """Documents under an intent key, from requisition to payment proposal, in SQLite or
    PostgreSQL."""

    def __init__(self, store: Store) -> None:
        self.store = store
        #: What a reader that stays open made of it, and of which state: see snapshot_queries.
        self.kept: dict[str, tuple[object, Any]] = {}

    @classmethod
    def open(
        cls, url: str, checkpoints: Checkpoints | None = None, patience: float = PATIENCE
    ) -> Ledger:
        """The ledger at a database URL (sqlite:///path/ledger.sqlite or postgresql://…), created or
        migrated as needed; its checkpoints beside it, or where they are kept."""
        return cls(Store(url, checkpoints, patience))

    @classmethod
    def of(cls, home: Home, patience: float = PATIENCE) -> Ledger:
        """A home's ledger, wherever it lives; its checkpoints are in the home. patience: seconds to
        wait for another writer."""
        return cls.open(home.ledger_url, Checkpoints(home.state), patience)

    def close(self) -> None:
        """Give every connection back."""
        self.store.engine.dispose()

    def asked(self, request: Request) -> Ledger:
        """The same ledger for one request of a script: what it writes next happens once, see
        Store.writing."""
        mine = Ledger(self.store.asked(request))
        mine.kept = self.kept
        return mine

    def done(self, request: Request) -> list[Event] | None:
        """The events a request made when it happened, in order; None where it has not. Raises
        OtherRequestError where its key was used for another one."""
        with self.store.engine.connect() as connection:
            span = idempotent_requests.span_of(connection, request)
        return None if span is None else self.between(*span)

    def remember(self, now: datetime) -> None:
        """Keep that this ledger's request was heard, where what it asks for is written elsewhere.
        Raises RepeatedError where it was heard before."""
        with self.store.writing(now):
            pass

    def between(
        self,
        after: int,
        last: int | None = None,
        kinds: Collection[str] = (),
        limit: int = 10_000,
        document_ids: Collection[str] = (),
    ) -> list[Event]:
        """Events of some kinds and documents after a sequence number, up to another or the end, in
        order; nothing named is any."""
        query = sa.select(*(events.c[name] for name in Event._fields)).where(events.c.seq > after)
        if last is not None:
            query = query.where(events.c.seq <= last)
        if kinds:
            query = query.where(events.c.kind.in_(sorted(kinds)))
        if document_ids:
            query = query.where(events.c.document_id.in_(sorted(document_ids)))
        rows = self.store.read(query.order_by(events.c.seq).limit(limit))
        return [Event._make((*row[:7], json.loads(row[7]))) for row in rows]

    def propose(
        self,
        lines: Sequence[OrderLine],
        run_id: str,
        now: datetime,
        by: str = PLANNER,
        scope: Collection[tuple[str, str]] | None = None,
        review_period: date | None = None,
        authors: Authors | None = None,
        currency: str = "",
        sales: Sales | None = None,
    ) -> ProposalReport:
        """Record a plan as requisitions: new needs open one, changed ones revise it, dropped ones
        withdraw it; see proposals.propose."""
        with self.store.writing(now) as unit:
            return proposals.propose(
                unit, lines, run_id, by, scope, review_period, authors, currency, sales
            )

    def replan(
        self,
        lines: Sequence[OrderLine],
        run_id: str,
        now: datetime,
        *,
        scope: Collection[tuple[str, str]],
        review_period: date,
        said: Mapping[str, Any],
        authors: Authors | None = None,
        currency: str = "",
        sales: Sales | None = None,
    ) -> tuple[ProposalReport, datetime]:
        """Record what was re-planned because of something that happened, and what that was, in one
        step; and when (naive UTC)."""
        with self.store.writing(now) as unit:
            report = proposals.propose(
                unit, lines, run_id, REACTION, scope, review_period, authors, currency, sales
            )
            event = unit.add(unit.open(REACTIONS), "reacted", REACTION, said)
            return report, datetime.fromisoformat(event.recorded_at)

    def last_replan(self) -> dict[str, Any]:
        """What the last event replan answered, empty before the first."""
        with self.store.engine.connect() as connection:
            said = approvals_and_limits.last(connection, REACTIONS)
        return json.loads(said["payload"]) if said else {}

    def received_at(self) -> dict[str, str]:
        """When the ledger last heard of a document from outside (recorded_at, ISO text), by
        document id."""
        heard = sa.select(events.c.document_id, sa.func.max(events.c.recorded_at)).where(
            events.c.kind.in_(("acknowledged", "shipped"))
        )
        return {
            document_id: at
            for document_id, at in self.store.read(heard.group_by(events.c.document_id))
        }

    def first_times(self, kinds: Collection[str]) -> dict[str, dict[str, str]]:
        """The Now (ISO text, UTC) of the first event of each of these kinds, by document id and
        kind."""
        query = sa.select(events.c.document_id, events.c.kind, sa.func.min(events.c.known_at))
        query = query.where(events.c.kind.in_(kinds))
        found: dict[str, dict[str, str]] = {}
        for document_id, kind, at in self.store.read(
            query.group_by(events.c.document_id, events.c.kind)
        ):
            found.setdefault(document_id, {})[kind] = at
        return found

    def approve_within_limits(
        self, now: datetime, evidence: Mapping[str, Evidence] | None = None
    ) -> ApprovalReport:
        """Approve what the matrix lets through without a person; evidence by document id."""
        with self.store.writing(now) as unit:
            return approvals_and_limits.approve_within_limits(unit, evidence or {})

    def within_limits(
        self, now: datetime, evidence: Mapping[str, Evidence]
    ) -> tuple[list[Document], int]:
        """What the matrix would let through now were it on auto (with modes by class: as they are),
        and how many lines would wait for people all the same; nothing is written."""
        with self.store.engine.connect() as connection:
            unit = Unit(connection, now)
            limits = approvals_and_limits.limits_in_force(connection)
            if not limits.class_maturity:
                limits = limits.changed({"maturity": "auto"})
            alone, waiting = approvals_and_limits.within_limits(unit, evidence, limits)
            return alone, len(waiting)

    def approve(
        self,
        references: Sequence[str],
        by: str,
        now: datetime,
        evidence: Mapping[str, Evidence] | None = None,
        seen: Mapping[str, int] | None = None,
        note: str = "",
    ) -> list[str]:
        """Approve lines (document ids, intent keys or order ids) as a named person; all of them or
        none."""
        with self.store.writing(now, seen) as unit:
            return approvals_and_limits.approve(unit, references, signed(by), evidence or {}, note)

    def evidence(self, now: datetime) -> dict[str, Evidence]:
        """What earlier orders say about the open requisitions: usual quantities and supplier risks,
        for the approval matrix."""
        return receipts_and_reminders.evidence(self.lines(), now.date())

    def scorecard(self, now: datetime, by: tuple[str, ...] = ("supplier_id",)) -> pl.DataFrame:
        """How soon, how reliably and at what price suppliers delivered what this ledger ordered;
        see scorecard.scorecard."""
        return scorecard(observe(self.lines(), now.date()), by)

    def reject(
        self,
        references: Sequence[str],
        by: str,
        now: datetime,
        reason: str,
        seen: Mapping[str, int] | None = None,
    ) -> list[str]:
        """Say no to requisitions; their need is not proposed again in its review period."""
        with self.store.writing(now, seen) as unit:
            return approvals_and_limits.reject(unit, references, signed(by), reason)

    def firm(
        self,
        references: Sequence[str],
        by: str,
        now: datetime,
        seen: Mapping[str, int] | None = None,
    ) -> list[str]:
        """Fix requisitions: no later plan revises or withdraws them, and they count in the stock
        position."""
        with self.store.writing(now, seen) as unit:
            return approvals_and_limits.firm(unit, references, signed(by))

    def cancel(
        self,
        references: Sequence[str],
        by: str,
        now: datetime,
        reason: str,
        seen: Mapping[str, int] | None = None,
    ) -> list[str]:
        """Call off approved lines and release their budget; the next sending tells a supplier that
        knows them."""
        with self.store.writing(now, seen) as unit:
            return approvals_and_limits.cancel(unit, references, signed(by), reason)

    def change(
        self,
        reference: str,
        by: str,
        now: datetime,
        quantity: float | None = None,
        due_on: date | None = None,
        reason: str = "",
        seen: Mapping[str, int] | None = None,
    ) -> str:
        """Order less, or for another day, of one approved line; the next sending tells the
        supplier."""
        with self.store.writing(now, seen) as unit:
            return approvals_and_limits.change(
                unit, reference, signed(by), quantity, due_on, reason
            )

    def work(
        self,
        cases: Mapping[str, Mapping[str, Any]],
        by: str,
        now: datetime,
        seen: Mapping[str, int] | None = None,
    ) -> None:
        """Say what became of cases: {case id: {status, owner, until, reason, about}}, all or none
        of them."""
        with self.store.writing(now, seen) as unit:
            for case_id, said in cases.items():
                unit.add(unit.open(case_id), "worked", signed(by), said)

    def worked(self) -> dict[str, dict[str, Any]]:
        """What was last said of every case, with by, at and version, by case id."""
        columns = (events.c.document_id, events.c.actor, events.c.recorded_at, events.c.version)
        query = sa.select(*columns, events.c.payload).where(events.c.kind == "worked")
        return {
            case_id: {**json.loads(payload), "by": by, "at": at, "version": version}
            for case_id, by, at, version, payload in self.store.read(query.order_by(events.c.seq))
        }

    def questions(self) -> list[Event]:
        """What messages, goods and silence left for a person to look at, in order of seq; the
        payload says owner and reason."""
        query = sa.select(*(events.c[name] for name in Event._fields))
        asked = query.where(events.c.kind.in_(("chased", "excepted"))).order_by(events.c.seq)
        return [Event._make((*row[:7], json.loads(row[7]))) for row in self.store.read(asked)]

    def history(
        self,
        kinds: Collection[str] = (),
        document_ids: Collection[str] = (),
        actor: str = "",
        limit: int = 100,
        skip: int = 0,
    ) -> list[Event]:
        """Events of some kinds, documents and actor, the newest first; nothing named is any."""
        query = sa.select(*(events.c[name] for name in Event._fields))
        if kinds:
            query = query.where(events.c.kind.in_(sorted(kinds)))
        if document_ids:
            query = query.where(events.c.document_id.in_(sorted(document_ids)))
        if actor:
            query = query.where(events.c.actor == actor)
        rows = self.store.read(query.order_by(events.c.seq.desc()).limit(limit).offset(skip))
        return [Event._make((*row[:7], json.loads(row[7]))) for row in rows]

    def age(self) -> tuple[int, str]:
        """How many events there are, and when the last one was recorded (ISO text, UTC)."""
        found = self.store.read(_NEWEST)
        return (found[0].seq, found[0].recorded_at) if found else (0, "")

    def mail(self) -> dict[str, int]:
        """How many messages of the outbox are pending, sent and dead."""
        query = sa.select(outbox_table.c.status, sa.func.count()).group_by(outbox_table.c.status)
        return {status: count for status, count in self.store.read(query)}

    def stop(self, by: str, now: datetime, reason: str) -> None:
        """Turn the kill switch on: nothing is sent any more, also after a restart, until somebody
        resumes."""
        with self.store.writing(now) as unit:
            unit.add(
                unit.open(approvals_and_limits.SWITCH),
                "stopped",
                signed(by),
                {"reason": reason},
            )

    def resume(self, by: str, now: datetime, reason: str) -> None:
        """Turn the kill switch off."""
        with self.store.writing(now) as unit:
            unit.add(
                unit.open(approvals_and_limits.SWITCH),
                "resumed",
                signed(by),
                {"reason": reason},
            )

    def is_stopped(self) -> bool:
        """Whether the kill switch is on."""
        with self.store.engine.connect() as connection:
            return approvals_and_limits.is_stopped(connection)

    def propose_limits(
        self,
        limits: Limits,
        by: str,
        now: datetime,
        seen: Mapping[str, int] | None = None,
    ) -> None:
        """Propose another approval matrix, cap, budget or roles; it counts once a second person has
        confirmed it."""
        with self.store.writing(now, seen) as unit:
            unit.add(
                unit.open(approvals_and_limits.LIMITS),
                "limits_proposed",
                signed(by),
                limits.to_payload(),
            )

    def confirm_limits(
        self,
        by: str,
        now: datetime,
        seen: Mapping[str, int] | None = None,
    ) -> Limits:
        """Confirm proposed limits as a second person; they are in force from now on, and on the
        record."""
        with self.store.writing(now, seen) as unit:
            return approvals_and_limits.confirm_limits(unit, signed(by))

    def proposed_limits(self) -> tuple[Limits, str] | None:
        """The limits that wait for a second person, and who proposed them."""
        with self.store.engine.connect() as connection:
            return approvals_and_limits.proposed_limits(connection)

    def limits(self) -> Limits:
        """The limits in force."""
        with self.store.engine.connect() as connection:
            return approvals_and_limits.limits_in_force(connection)

    def send(
        self,
        partners: Mapping[str, Partner],
        now: datetime,
        hand_over: outbox.Deliver = transports.deliver,
    ) -> SendReport:
        """Write a message for every order its supplier has still to hear of, and send what is due;
        partners by supplier id."""
        queued = self.queue(partners, now)
        sent = outbox.dispatch(self.store, partners, now, hand_over)
        return replace(
            sent,
            queued=queued.queued,
            unaddressed=queued.unaddressed,
            unwritable=queued.unwritable,
            altered=queued.altered + sent.altered,
        )

    def queue(self, partners: Mapping[str, Partner], now: datetime) -> SendReport:
        """Write the messages and send none: what is decided is in the outbox, under its control
        numbers."""
        with self.store.writing(now) as unit:
            return outbox.queue(unit, partners)

    def preview(self, partners: Mapping[str, Partner], now: datetime) -> list[Path]:
        """A dry run: the messages a sending would make, requisitions included, as files under each
        partner's `dry_run` folder."""
        return preview.preview(self.store, partners, now)

    def unsent(self, partners: Mapping[str, Partner], now: datetime) -> dict[str, str]:
        """Why approved lines stay unsent until a person does something, by document id."""
        return unsent(self.store, partners, now)

    def revive(self, message_id: int, by: str, now: datetime) -> None:
        """Give a dead letter another life, with the same bytes and control number."""
        with self.store.writing(now) as unit:
            outbox.revive(unit, message_id, signed(by))

    def receive(
        self, body: bytes, partner: Partner, now: datetime, tolerance: Tolerance = TOLERANCE
    ) -> Reception:
        """Take what a partner sent, in its format: kept, then taken or rejected; the same bytes
        again change nothing."""
        return inbox.receive(self.store, body, partner, now, tolerance)

    def bill(
        self, invoice: Invoice, body: bytes, partner: Partner, by: str, now: datetime
    ) -> Reception:
        """Take a partner's bill as a person hands it in: kept as it came (body), then matched as
        one of the partner's messages would be."""
        with self.store.writing(now) as unit:
            told = inbox.Told((invoice,), signed(by))
            return inbox.take(unit, body, partner, TOLERANCE, told=told)

    def collect(
        self, partners: Mapping[str, Partner], now: datetime, tolerance: Tolerance = TOLERANCE
    ) -> dict[Path, Reception]:
        """Take every file waiting in the partners' `in` folders."""
        return dict(folder_intake.collect(self.store, partners, now, tolerance))

    def fetch(self, partners: Mapping[str, Partner], now: datetime) -> list[str]:
        """Bring what waits at the partners' own servers and in our mailboxes into their folders
        here; who is not reached is an exception of the EDI desk, once. Returns lines about mail
        that was left for a person."""
        fetched = transports.fetch(partners.values())
        for missed in fetched.missed:
            partner = partners[missed.partner_id]
            folder_intake.miss(self.store, partner, missed.why, now, missed.mail)
        return fetched.left

    def waiting_mail(self, partners: Mapping[str, Partner]) -> list[Path]:
        """The files that wait in the partners' `in` folders, in the order they will be taken."""
        return [path for partner in partners.values() for path in folder_intake.waiting(partner)]

    def due(self) -> str | None:
        """What may leave now, as a text that changes with every event and attempt; None where
        nothing may, or the switch is on."""
        with self.store.engine.connect() as connection:
            return None if approvals_and_limits.is_stopped(connection) else outbox.due(connection)

    def record_receipts(
        self, receipts: Sequence[Receipt], by: str, now: datetime, tolerance: Tolerance = TOLERANCE
    ) -> int:
        """Book goods in, purchases and transfers alike; returns how many receipts were news."""
        with self.store.writing(now) as unit:
            return receipts_and_reminders.record(unit, receipts, by, tolerance)

    def lower_receipts(
        self, receipts: Sequence[Receipt], by: str, now: datetime, tolerance: Tolerance = TOLERANCE
    ) -> int:
        """Take back what the company's systems no longer report as received, a case for a person
        each; returns how many lines were lowered."""
        with self.store.writing(now) as unit:
            return receipts_and_reminders.lower(unit, receipts, by, tolerance)

    def release_payment(
        self,
        reference: str,
        invoice_id: str,
        by: str,
        now: datetime,
        seen: Mapping[str, int] | None = None,
    ) -> None:
        """Propose the payment of an invoice the match left to people, within that person's level,
        the cap and the budget."""
        with self.store.writing(now, seen) as unit:
            approvals_and_limits.release_payment(unit, reference, invoice_id, signed(by))

    def chase(self, now: datetime, after: timedelta = timedelta(days=2)) -> list[str]:
        """Raise an exception for every sent line whose supplier has not answered in time; returns
        their ids."""
        with self.store.writing(now) as unit:
            return receipts_and_reminders.chase(unit, after)

    def measures(self) -> dict[str, Any]:
        """Counts by stage, straight-through share, decision-to-sent latency, exceptions and
        encumbered money."""
        return receipts_and_reminders.measures(self.lines())

    def audit(self) -> list[str]:
        """Everything that is wrong with this ledger, in words; an empty list is a clean bill."""
        with self.store.engine.connect() as connection:
            return list(audit.findings(connection, self.store.checkpoints))

    def anchor(self) -> None:
        """Vouch for the ledger as it is now, in place of every checkpoint taken before."""
        if self.store.checkpoints:
            with self.store.engine.connect() as connection:
                self.store.checkpoints.anchor(connection)

    def events(self) -> list[Event]:
        """Every event, in order of seq."""
        return [event for event, _ in self.store.chained()]

    def clock(self, now: datetime, newest: datetime | None) -> datetime:
        """The time to record at: the home's Now, and not before what was recorded already, as far
        as that is believed.

        newest: how far the home's own facts reach; a time beyond it was once told by a wrong year,
        and is over with it.
        """
        last = self.store.read(sa.select(sa.func.max(events.c.known_at)))[0][0]
        recorded = datetime.fromisoformat(last) if last else now
        return max(now, min(recorded, newest) if newest else recorded)

    def lines(self) -> list[Document]:
        """Every order line's present state, in order of document id."""
        return self.store.lines()

    def canonical_rows(
        self, timezone: str = "UTC", newest: datetime | None = None
    ) -> dict[str, pl.DataFrame]:
        """Orders and receipts as canonical rows of source `ledger`, from firming or approval
        onward; see rows_for_landing.canonical_rows."""
        return rows_for_landing.canonical_rows(self.store.chained(), timezone, newest)
