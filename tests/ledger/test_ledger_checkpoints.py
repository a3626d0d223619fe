"""Whoever may write to the database, and knows how hashes are made, is still seen: the checkpoints
lie outside, signed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from models.procurement.documents import Document, Event, apply
from orchestration.ledger import Ledger, Receipt
from orchestration.ledger.audit import audit
from orchestration.ledger.checkpoints import NOTHING, Checkpoints
from orchestration.ledger.store import GENESIS, canonical, chain, projection

Row = tuple[str, str, str, str, str, str]
COLUMNS = "document_id, kind, actor, known_at, recorded_at, payload"


@pytest.fixture
def database(tmp_path: Path, line: Callable, now) -> Path:
    """A SQLite ledger with an order received and the kill switch thrown."""
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    made = ledger.propose([line("mug"), line("cup")], "run 1", now)
    ledger.approve(list(made.document_ids.values()), "ann", now)
    document = ledger.lines()[0]
    ledger.record_receipts(
        [Receipt("GR1", document.order_id, document.line_id, 10, now)], "warehouse", now
    )
    ledger.stop("kim", now, "fraud suspected")
    assert ledger.audit() == []
    ledger.close()
    return tmp_path / "ledger.sqlite"


def rewrite(database: Path, change: Callable[[Row], Row | None]) -> None:
    """All of the ledger anew, with every hash, balance and projection right, and the guards put
    back."""
    con = sqlite3.connect(database)
    guards = con.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in guards:
        con.execute(f'DROP TRIGGER "{name}"')
    rows = con.execute(f"SELECT {COLUMNS} FROM events ORDER BY seq").fetchall()
    for table in ("events", "documents", "encumbrances"):
        con.execute(f"DELETE FROM {table}")
    documents: dict[str, Document] = {}
    heads: dict[str, tuple[int, str]] = {}
    kept = [row for row in map(change, rows) if row is not None]
    for seq, (name, kind, actor, known, recorded, payload) in enumerate(kept, 1):
        document = documents.setdefault(name, Document(name))
        version, previous = heads.get(name, (0, GENESIS))
        said = json.loads(payload)
        event = Event(seq, name, version + 1, kind, actor, known, recorded, said)
        head, held = chain(previous, event, canonical(said)), document.encumbered
        apply(document, event)
        heads[name] = (version + 1, head)
        if document.encumbered != held:
            entry = (seq, name, known[:10], document.encumbered - held)
            con.execute("INSERT INTO encumbrances VALUES (?, ?, ?, ?)", entry)
        con.execute(
            f"INSERT INTO events VALUES ({', '.join('?' * 10)})",
            (*event[:7], canonical(said), previous, head),
        )
    for name, document in documents.items():
        row = projection(document, *heads[name])
        con.execute(
            f"INSERT INTO documents ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
            list(row.values()),
        )
    for _, sql in guards:
        con.execute(sql)
    con.commit()
    con.close()


ATTACKS: dict[str, Callable[[Row], Row | None]] = {
    "the kill switch never thrown": lambda row: None if row[0] == "SWITCH" else row,
    "another approver": lambda row: (*row[:2], "bob" if row[1] == "approved" else row[2], *row[3:]),
    "more goods than came": lambda row: (
        *row[:5],
        row[5].replace('"quantity":10.0', '"quantity":2000.0') if row[1] == "received" else row[5],
    ),
    "another time": lambda row: (*row[:4], "2020-01-01T00:00:00.000000", row[5]),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_a_ledger_rewritten_with_all_its_hashes_is_found(database, attack):
    rewrite(database, attack)
    found = audit(f"sqlite:///{database}")
    assert len(found) == 1
    assert "checkpoint" in found[0]


def test_rewriting_the_same_is_no_finding(database):
    rewrite(database, lambda row: row)
    assert audit(f"sqlite:///{database}") == []


def test_what_is_written_after_the_forgery_does_not_hide_it(database, line, now):
    rewrite(database, ATTACKS["the kill switch never thrown"])
    ledger = Ledger.open(f"sqlite:///{database}")
    ledger.propose([line("jar"), line("jug")], "run 2", now)
    assert any("checkpoint" in found for found in ledger.audit())
    ledger.close()


def test_a_kill_before_the_first_note_of_an_event_leaves_a_ledger_that_is_vouched_for(
    tmp_path, line, now, monkeypatch
):
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    with monkeypatch.context() as killed:
        killed.setattr(Checkpoints, "take", lambda *_, **__: None)
        ledger.propose([line("mug")], "run 1", now)
    assert ledger.audit() == []
    ledger.propose([line("cup")], "run 2", now)
    assert ledger.audit() == []
    ledger.close()


@pytest.mark.parametrize("name", ["checkpoints.jsonl", "ledger.key"])
def test_removing_the_notes_or_their_key_is_found_and_a_person_can_vouch_anew(
    database, line, now, name
):
    database.with_name(name).unlink()
    ledger = Ledger.open(f"sqlite:///{database}")
    ledger.propose([line("jar")], "run 2", now)  # the work goes on; the finding stays
    assert ledger.audit() != []
    ledger.anchor()
    assert ledger.audit() == []
    ledger.propose([line("jug")], "run 3", now)
    assert ledger.audit() == []
    ledger.close()


def test_a_note_without_the_key_s_signature_is_found(database):
    path = database.with_name("checkpoints.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    forged = {**json.loads(lines[0]), "signature": "0" * 64}
    path.write_bytes(json.dumps(forged).encode() + b"\n" + b"".join(lines[1:]))
    (said,) = [found for found in audit(f"sqlite:///{database}") if "not signed" in found]
    assert said.startswith("checkpoint 1 in ")


def test_a_note_that_a_kill_cut_short_is_written_over(database, line, now):
    path = database.with_name("checkpoints.jsonl")
    path.write_bytes(path.read_bytes() + b'{"seq": 12, "dig')
    url = f"sqlite:///{database}"
    assert audit(url) == []
    ledger = Ledger.open(url)
    ledger.propose([line("jar")], "run 2", now)
    assert ledger.audit() == []
    ledger.close()
    assert path.read_bytes().count(b"\n") == len(path.read_bytes().splitlines())


def test_the_key_from_the_environment_leaves_nothing_to_steal(tmp_path, line, now, monkeypatch):
    monkeypatch.setenv("STOCKHOUSE_LEDGER_KEY", "correct horse battery staple")
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    ledger.propose([line()], "run 1", now)
    assert ledger.audit() == []
    assert not (tmp_path / "ledger.key").exists()
    monkeypatch.setenv("STOCKHOUSE_LEDGER_KEY", "another")
    assert any("not signed" in found for found in ledger.audit())
    ledger.close()


def test_key_and_notes_are_their_owner_s_alone(database):
    for name in ("ledger.key", "checkpoints.jsonl"):
        assert database.with_name(name).stat().st_mode & 0o077 == 0


def test_emptied_guards_are_found(database):
    con = sqlite3.connect(database)
    names = con.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for (name,) in names:
        con.execute(f'DROP TRIGGER "{name}"')
        con.execute(f'CREATE TRIGGER "{name}" BEFORE DELETE ON inbox BEGIN SELECT 1; END')
    con.commit()
    con.close()
    assert len(audit(f"sqlite:///{database}")) == len(names)


def test_a_ledger_on_a_server_keeps_its_notes_where_its_home_says(ledger, line, now, tmp_path):
    url = ledger.store.engine.url.render_as_string(hide_password=False)
    elsewhere = Ledger.open(url, Checkpoints(tmp_path / "notes"))
    elsewhere.anchor()
    elsewhere.propose([line()], "run 1", now)
    assert elsewhere.audit() == []
    assert (tmp_path / "notes" / "checkpoints.jsonl").exists()
    assert audit(url, Checkpoints(tmp_path / "notes")) == []
    elsewhere.close()


def test_the_first_note_makes_its_folder_its_owner_s_alone(tmp_path):
    notes = Checkpoints(tmp_path / "a" / "notes")
    notes.found()
    notes.found()
    (note,) = notes.path.read_text("utf-8").splitlines()
    assert (json.loads(note)["seq"], json.loads(note)["digest"]) == (0, NOTHING)
    assert notes.folder.stat().st_mode & 0o077 == 0
    assert list(notes.findings({0: NOTHING}, 0)) == []
    (cut,) = notes.findings({}, -1)
    assert "the ledger had 0 events and has -1: its tail was cut off" in cut
