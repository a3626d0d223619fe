"""The audit finds one altered byte, wherever it lies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from models.procurement.documents import Event
from orchestration.ledger import Ledger, Partner, Receipt
from orchestration.ledger.audit import Fold, audit, findings
from orchestration.ledger.store import GENESIS, canonical, chain


@pytest.fixture
def busy(ledger: Ledger, line: Callable, now, tmp_path: Path) -> Ledger:
    """A ledger with a bit of everything: orders sent and cancelled, goods in, a rejected
    delivery."""
    plan = [line(item) for item in ("mug", "cup", "jar")]
    made = ledger.propose(plan, "run 1", now)
    ledger.approve_within_limits(now)
    partner = Partner("S1", str(tmp_path / "S1"), "GBP")
    ledger.send({"S1": partner}, now)
    first, second, _ = made.document_ids.values()
    ledger.cancel([first], "ann", now, "enough")
    document = next(d for d in ledger.lines() if d.document_id == second)
    ledger.record_receipts(
        [Receipt("GR1", document.order_id, document.line_id, 10, now)], "warehouse", now
    )
    ledger.receive(b"no X12 at all", partner, now)
    assert ledger.audit() == []
    return ledger


COLUMNS = {
    "events": (
        "document_id",
        "version",
        "kind",
        "actor",
        "known_at",
        "recorded_at",
        "payload",
        "previous_hash",
        "hash",
    ),
    "documents": (
        "version",
        "head",
        "stage",
        "intent_key",
        "is_live",
        "order_id",
        "from_id",
        "review_period",
        "awaits_sending",
        "state",
    ),
    "encumbrances": ("document_id", "day", "amount"),
    "outbox": (
        "partner_id",
        "control",
        "document_type",
        "order_id",
        "revision",
        "body",
        "sha256",
        "lines",
        "status",
    ),
    "inbox": ("partner_id", "body", "status", "reason"),
}


def altered(value: object) -> object:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return 1 - value if value in (0, 1) else value + 1
    if isinstance(value, bytes | memoryview):
        return bytes(value)[:-1] + b"#"
    flips = {"pending": "sent", "sent": "dead", "taken": "rejected", "rejected": "taken"}
    text = str(value)
    return flips.get(text, text[:-1] + ("x" if not text.endswith("x") else "y"))


@pytest.mark.parametrize("table", COLUMNS)
def test_one_altered_cell_is_found(busy, table):
    for column in COLUMNS[table]:
        with tampering(busy) as connection:
            key = connection.scalar(sa.text(f'SELECT min("{KEYS[table]}") FROM "{table}"'))
            where = f'WHERE "{KEYS[table]}" = :key'
            value = connection.scalar(
                sa.text(f'SELECT "{column}" FROM "{table}" {where}'), {"key": key}
            )
            connection.execute(
                sa.text(f'UPDATE "{table}" SET "{column}" = :value {where}'),
                {"value": altered(value), "key": key},
            )
            assert changes(busy, connection) != [], column
    with tampering(busy) as connection:
        assert changes(busy, connection) == [], "nothing but the guards is found where all is well"
    assert busy.audit() == []


KEYS = {
    "events": "seq",
    "documents": "document_id",
    "encumbrances": "seq",
    "outbox": "message_id",
    "inbox": "sha256",
}


@contextmanager
def tampering(ledger: Ledger) -> Iterator[sa.Connection]:
    """A connection of an intruder with full rights, who takes the triggers away; everything is
    rolled back at the end."""
    with ledger.store.engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        else:
            for name in (
                connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'")
                .scalars()
                .all()
            ):
                connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
        yield connection
        connection.rollback()


def changes(ledger: Ledger, connection: sa.Connection) -> list[str]:
    """What the audit finds beside the missing triggers, which the intruder would put back."""
    return [finding for finding in findings(connection) if not finding.startswith("the guard ")]


@pytest.mark.parametrize("table", KEYS)
def test_a_missing_row_is_found(busy, table):
    for end in ("min", "max"):
        with tampering(busy) as connection:
            connection.execute(
                sa.text(
                    f'DELETE FROM "{table}" WHERE "{KEYS[table]}" = (SELECT {end}("{KEYS[table]}") '
                    f'FROM "{table}")'
                )
            )
            assert changes(busy, connection) != []


def test_a_rewritten_chain_still_betrays_itself(busy):
    """An intruder who recomputes the hash of the event he altered breaks the next link and the
    projection."""
    with tampering(busy) as connection:
        row = connection.execute(sa.text("SELECT * FROM events WHERE seq = 1")).mappings().one()
        text = canonical({**json.loads(row["payload"]), "quantity": 9_999.0})
        event = Event._make([*(row[name] for name in Event._fields[:7]), {}])
        said = {"text": text, "hash": chain(row["previous_hash"], event, text)}
        connection.execute(
            sa.text("UPDATE events SET payload = :text, hash = :hash WHERE seq = 1"), said
        )
        assert any("chain is broken" in finding for finding in changes(busy, connection))


def test_a_missing_guard_is_found(busy):
    with busy.store.engine.connect() as connection:
        name = (
            "events_no_update" if connection.dialect.name == "sqlite" else "events_is_append_only"
        )
        connection.exec_driver_sql(
            f'DROP TRIGGER "{name}"' + ("" if connection.dialect.name == "sqlite" else " ON events")
        )
        assert any("guard" in finding for finding in findings(connection))


@pytest.mark.parametrize(
    "word",
    [b'"quantity":10.0', b"approval matrix", b"supplier", b"no X12 at all", b"2026-01-05T00:00:00"],
)
def test_one_flipped_byte_of_the_file_is_found(tmp_path, line, now, word):
    path = tmp_path / "ledger.sqlite"
    url = f"sqlite:///{path}"
    ledger = Ledger.open(url)
    ledger.propose([line()], "run 1", now, by="supplier plan")
    ledger.approve_within_limits(now)
    ledger.receive(b"no X12 at all", Partner("S1", str(tmp_path / "S1"), "GBP"), now)
    with ledger.store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    ledger.close()
    body = path.read_bytes()
    assert audit(url) == []
    places = [place for place in range(len(body)) if body.startswith(word, place)]
    assert places
    for place in places:
        broken = bytearray(body)
        broken[place + len(word) - 1] ^= 0x01
        path.write_bytes(bytes(broken))
        assert audit(url) != [], f"{word!r} at {place}"


def test_a_database_that_is_no_database_is_a_finding(tmp_path):
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"SQLite format 3\x00" + b"\x00" * 5000)
    assert audit(f"sqlite:///{path}") != []


def events_of(*said: tuple[str, str, dict]) -> list[dict]:
    """Events of one document in a chain that holds: kind, actor and payload of each."""
    rows, head = [], GENESIS
    for n, (kind, actor, payload) in enumerate(said, start=1):
        event = Event(n, "R1", n, kind, actor, "2026-01-05T00:00", "2026-01-06", payload)
        text, previous = canonical(payload), head
        head = chain(previous, event, text)
        rows.append(event._asdict() | {"payload": text, "previous_hash": previous, "hash": head})
    return rows


NEED = {
    name: "x"
    for name in ("world", "kind", "intent_key", "item_id", "location_id", "review_period", "run_id")
} | {"reason": "", "from_id": "S1", "quantity": 1.0, "due_on": "2026-01-20", "unit_cost": 1.0}
YES = {"order_id": "SHP1", "line_id": "1"}


@pytest.mark.parametrize(
    ("by", "authors", "approver", "is_found"),
    [
        ("ann", [], "bob", False),
        ("ann", [], "Ann ", True),
        ("planner", ["eve"], "eve", True),
        ("planner", ["eve"], "kim", False),
        ("approval matrix", [], "approval matrix", False),
    ],
)
def test_who_approved_what_they_moved_is_found_in_the_record(by, authors, approver, is_found):
    fold = Fold()
    rows = events_of(("requested", by, NEED | {"authors": authors}), ("approved", approver, YES))
    found = [finding for row in rows for finding in fold.take(row)]
    assert found == [f"event 2 (approved of R1): {approver} approved what they proposed"] * is_found


def test_a_gap_a_broken_link_altered_content_and_what_cannot_happen_are_told_apart():
    def audited(change):
        fold, rows = Fold(), events_of(("requested", "ann", NEED), ("firmed", "ann", YES))
        return [finding for row in change(rows) for finding in fold.take(row)]

    name = "event 2 (firmed of R1)"
    assert audited(lambda rows: rows) == []
    assert audited(lambda rows: [rows[0], rows[1] | {"seq": 3}])[0] == (
        "event 3 (firmed of R1): 2 is missing before it"
    )
    assert audited(lambda rows: rows[1:])[:2] == [
        f"{name}: 1 is missing before it",
        f"{name}: its chain is broken, it does not follow version 0",
    ]
    assert audited(lambda rows: [rows[0], rows[1] | {"payload": "{}"}]) == [
        f"{name}: its content does not give its hash, it was altered",
        f"{name}: it cannot happen: KeyError('order_id')",
    ]
    fold = Fold()
    for row in events_of(("requested", "ann", NEED), ("approved", "bob", YES)):
        assert list(fold.take(row)) == []
    assert (fold.seq, sorted(fold.digests)) == (2, [0, 1, 2])
    assert fold.entries == {} and fold.documents["R1"].approver == "bob"
