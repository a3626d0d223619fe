"""The transactional outbox: once decided, sent once, under one control number, in order, and never
past the switch."""

from __future__ import annotations

import csv
import email
import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from models.procurement.codec import LARGEST
from orchestration.ledger import Ledger, LedgerError, Partner
from orchestration.ledger.outbox import ATTEMPTS
from orchestration.ledger.schema import metadata, outbox
from orchestration.ledger.transports import Envelope, TransportError, deliver


@pytest.fixture
def partner(tmp_path: Path) -> Partner:
    return Partner("S1", str(tmp_path / "S1"), "GBP")


@pytest.fixture
def approved(ledger: Ledger, line, now) -> Ledger:
    ledger.propose([line("mug"), line("cup")], "run 1", now)
    ledger.approve_within_limits(now)
    return ledger


def due_now(ledger: Ledger) -> None:
    with ledger.store.locked() as connection:
        connection.execute(sa.update(outbox).values(next_at="", claimed_until=""))


def messages(ledger: Ledger) -> list[sa.Row]:
    return ledger.store.read(sa.select(outbox).order_by(outbox.c.message_id))


def test_the_migrations_make_the_schema(ledger):
    with ledger.store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_one_order_a_supplier_and_its_file_is_written_once(approved, now, partner):
    first, second = approved.send({"S1": partner}, now), approved.send({"S1": partner}, now)
    assert (first.queued, first.sent, second.queued, second.sent) == (1, 1, 0, 0)
    (path,) = (Path(partner.address) / "out").iterdir()
    assert path.read_bytes() == bytes(messages(approved)[0].body)
    assert path.name.startswith("000000001-850-SHP")
    assert {document.stage for document in approved.lines()} == {"sent"}


def test_an_unknown_supplier_waits_and_is_named(approved, now):
    report = approved.send({}, now)
    assert (report.queued, report.unaddressed) == (0, ("S1",))


def test_an_order_that_x12_cannot_say_waits_and_holds_no_other_back(ledger, line, now, tmp_path):
    ledger.propose(
        [line("mug", from_id="S1"), line("cup", from_id="a supplier with a long name")],
        "run 1",
        now,
    )
    ledger.approve_within_limits(now)
    partners = {
        name: Partner(name, str(tmp_path / str(place)), "GBP")
        for place, name in enumerate(("S1", "a supplier with a long name"))
    }
    report = ledger.send(partners, now)
    assert (report.sent, len(report.unwritable)) == (1, 1)
    assert "1 to 15 characters" in report.unwritable[0]


def test_the_switch_holds_every_message_until_resumed(approved, now, partner):
    approved.stop("ann", now, "a strange plan")
    held = approved.send({"S1": partner}, now)
    assert (held.queued, held.sent, held.is_stopped) == (1, 0, True)
    approved.resume("ann", now, "explained")
    assert approved.send({"S1": partner}, now).sent == 1


def test_the_switch_stops_a_running_sender_within_a_second(url, ledger, line, now, tmp_path):
    suppliers = [f"S{i}" for i in range(40)]
    ledger.propose([line(f"item {name}", from_id=name) for name in suppliers], "run 1", now)
    ledger.approve_within_limits(now)
    partners = {name: Partner(name, str(tmp_path / name), "GBP") for name in suppliers}
    started, times = threading.Event(), []

    def slow(envelope: Envelope, partner: Partner) -> None:
        times.append(time.monotonic())
        started.set()
        time.sleep(0.05)

    other = Ledger.open(url)
    worker = threading.Thread(target=lambda: other.send(partners, now, slow))
    worker.start()
    assert started.wait(20)
    ledger.stop("ann", now, "stop")
    stopped_at = time.monotonic()
    worker.join(20)
    other.close()
    assert len(times) < len(suppliers)
    assert max(times) - stopped_at < 1


def test_a_failing_transport_is_tried_with_growing_waits_then_given_up(approved, now, partner):
    def never(envelope: Envelope, partner: Partner) -> None:
        raise TransportError("the line is down")

    waits = []
    for _ in range(ATTEMPTS):
        before = datetime.now(UTC).replace(tzinfo=None)
        approved.send({"S1": partner}, now, never)
        (message,) = messages(approved)
        waits.append((datetime.fromisoformat(message.next_at) - before).total_seconds())
        due_now(approved)
    assert message.status == "dead"
    assert all(later > sooner for sooner, later in pairwise(waits[:-1]))
    assert {document.exceptions for document in approved.lines()} == {1}
    assert approved.send({"S1": partner}, now).sent == 0
    (why,) = set(approved.unsent({"S1": partner}, now).values())
    assert "the line is down" in why and f"order revive {message.message_id}" in why
    approved.revive(message.message_id, "ann", now)
    assert approved.send({"S1": partner}, now).sent == 1
    assert approved.unsent({"S1": partner}, now) == {}
    assert messages(approved)[0].body == message.body
    assert approved.audit() == []


def test_only_dead_letters_are_revived(approved, now):
    with pytest.raises(LedgerError, match="dead letters"):
        approved.revive(1, "ann", now)


def test_a_change_never_overtakes_its_order(approved, now, partner):
    def never(envelope: Envelope, partner: Partner) -> None:
        raise TransportError("the line is down")

    approved.send({"S1": partner}, now, never)
    approved.cancel([approved.lines()[0].document_id], "ann", now, "enough")
    assert approved.send({"S1": partner}, now).sent == 0
    due_now(approved)
    assert approved.send({"S1": partner}, now).sent == 2
    names = sorted(path.name for path in (Path(partner.address) / "out").iterdir())
    assert [name[10:13] for name in names] == ["850", "860"]


def test_a_clock_set_back_does_not_strand_a_message(approved, now, partner):
    approved.queue({"S1": partner}, now)
    with approved.store.locked() as connection:
        connection.execute(
            sa.update(outbox).values(
                next_at="2031-01-01T00:00:00.000000", claimed_until="2031-01-01T00:00:00.000000"
            )
        )
    assert approved.send({"S1": partner}, now).sent == 1


def test_workers_side_by_side_send_each_message_once(url, ledger, line, now, tmp_path):
    suppliers = [f"S{i}" for i in range(12)]
    ledger.propose([line(f"item {name}", from_id=name) for name in suppliers], "run 1", now)
    ledger.approve_within_limits(now)
    partners = {name: Partner(name, str(tmp_path / name), "GBP") for name in suppliers}
    ledger.queue(partners, now)
    seen: list[str] = []

    def work() -> None:
        own = Ledger.open(url)
        own.send(partners, now, lambda envelope, partner: seen.append(partner.partner_id))
        own.close()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert sorted(seen) == sorted(suppliers)
    assert ledger.audit() == []


def test_planners_side_by_side_open_one_requisition_a_need(url, ledger, line, now):
    plan = [line(f"item {i}") for i in range(20)]
    reports = []

    def work(name: str) -> None:
        own = Ledger.open(url)
        reports.append(own.propose(plan, name, now))
        own.approve_within_limits(now)
        own.close()

    workers = [threading.Thread(target=work, args=(f"planner {i}",)) for i in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert sum(report.new_orders for report in reports) == len(plan) == len(ledger.lines())
    assert ledger.audit() == []


def test_a_dry_run_writes_files_and_not_one_event(ledger, line, now, partner):
    ledger.propose([line("mug"), line("cup")], "run 1", now)
    before = ledger.events()
    (path,) = ledger.preview({"S1": partner}, now)
    assert path.parent.name == "dry_run"
    assert path.read_text().count("PO1*") == 2
    assert ledger.preview({"S1": partner}, now) == [path]
    assert ledger.events() == before


def test_a_supplier_with_e_mail_gets_csv_and_pdf(approved, now, tmp_path):
    partner = Partner("S1", str(tmp_path / "S1"), "GBP", form="email", mailbox="orders@s1.example")
    approved.send({"S1": partner}, now)
    (path,) = (Path(partner.address) / "out").iterdir()
    mail = email.message_from_bytes(path.read_bytes(), policy=default)
    parts = {
        part.get_content_type(): part.get_payload(decode=True) for part in mail.iter_attachments()
    }
    rows = list(csv.DictReader(io.StringIO(parts["text/csv"].decode())))
    assert [(row["item"], row["quantity"], row["value"]) for row in rows] == [
        ("mug", "10", "25.00"),
        ("cup", "10", "25.00"),
    ]
    assert parts["application/pdf"].startswith(b"%PDF-")
    assert mail["To"] == "orders@s1.example"


@contextmanager
def door(status: int, body: bytes = b"", kind: str = "text/plain") -> Iterator[str]:
    """A partner's door that answers every POST alike; its URL."""

    class Door(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *said):
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "final"), [(503, False), (429, False), (404, True), (302, True)]
)
def test_an_http_refusal_is_retried_only_where_that_can_help(status, final):
    with door(status) as url, pytest.raises(TransportError, match=str(status)) as caught:
        deliver(Envelope(1, "850", "SHP1", b"ISA"), Partner("S1", url, "GBP"))
    assert caught.value.is_final is final


@pytest.mark.parametrize(("kind", "waiting"), [("application/edi-x12", 1), ("text/html", 0)])
def test_an_answer_that_comes_with_the_response_waits_with_the_others_once(kind, waiting, tmp_path):
    with door(200, b"ISA*answer", kind) as url:
        partner = Partner("S1", url, "GBP", folder=str(tmp_path / "S1"))
        for _ in range(2):  # a resend brings the same answer
            deliver(Envelope(7, "850", "SHP1", b"ISA"), partner)
    answers = list((tmp_path / "S1" / "in").glob("*"))
    assert [path.read_bytes() for path in answers] == [b"ISA*answer"] * waiting


def test_an_endless_answer_is_cut_where_it_is_too_large_to_be_read(tmp_path):
    with door(200, b"x" * (LARGEST + 100_000), "application/edi-x12") as url:
        deliver(
            Envelope(7, "850", "SHP1", b"ISA"),
            Partner("S1", url, "GBP", folder=str(tmp_path / "S1")),
        )
    (answer,) = (tmp_path / "S1" / "in").iterdir()
    assert LARGEST < answer.stat().st_size < LARGEST + 100_000


def test_a_door_that_is_shut_or_a_full_disk_is_no_crash(tmp_path):
    with pytest.raises(TransportError):
        deliver(Envelope(1, "850", "SHP1", b"ISA"), Partner("S1", "http://127.0.0.1:9/", "GBP"))
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(TransportError):
        deliver(Envelope(1, "850", "SHP1", b"ISA"), Partner("S1", str(tmp_path / "file"), "GBP"))
