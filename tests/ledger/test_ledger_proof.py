"""What is sent is what its events decided: a record altered on the way stops that document, and
nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from orchestration.ledger import Ledger, LedgerError, Partner
from orchestration.ledger.schema import documents, events, outbox


@pytest.fixture
def partners(tmp_path: Path) -> dict[str, Partner]:
    return {name: Partner(name, str(tmp_path / name), "GBP") for name in ("S1", "S2", "S3")}


def proposed(ledger: Ledger, line, now) -> None:
    ledger.propose([line("mug"), line("cup", from_id="S2")], "run 1", now)


def out(partners: dict[str, Partner], name: str) -> list[str]:
    return [path.read_text() for path in (Path(partners[name].address) / "out").glob("*")]


def accusations(ledger: Ledger) -> list[str]:
    return [
        e.payload["reason"]
        for e in ledger.events()
        if e.document_id == "INTEGRITY" and e.payload["owner"] == "internal control"
    ]


def alter(ledger: Ledger, table: sa.Table, where, **values) -> None:
    with ledger.store.locked() as connection:
        connection.execute(sa.update(table).where(where).values(**values))


@pytest.mark.parametrize(
    "values",
    [
        {"body": b"ISA*10 units became 9999~"},
        {"sha256": "0" * 64},
        {"partner_id": "S3"},
        {"control": 77},
        {"document_type": "860"},
        {"order_id": "SHP99999999"},
        {"revision": 3},
        {"lines": "{}"},
        {"lines": '{"R00000001":7}'},
        {"lines": '{"R00000002":0}'},
    ],
)
def test_a_message_that_is_not_the_one_its_events_queued_stays_here(
    values, ledger, line, now, partners
):
    proposed(ledger, line, now)
    ledger.approve_within_limits(now)
    ledger.queue(partners, now)
    alter(ledger, outbox, outbox.c.partner_id == "S1", **values)
    report = ledger.send(partners, now)
    assert (report.sent, report.dead, len(report.altered)) == (1, 1, 1)
    assert (out(partners, "S1"), out(partners, "S3"), len(out(partners, "S2"))) == ([], [], 1)
    assert len(accusations(ledger)) == 1
    assert ledger.send(partners, now).sent == 0
    assert len(accusations(ledger)) == 1
    assert ledger.audit() != []


@pytest.mark.parametrize(
    "said",
    [
        {"quantity": 500.0},
        {"unit_cost": 0.01},
        {"from_id": "S3"},
        {"item_id": "gold"},
        {"location_id": "my garage"},
        {"due_on": "2027-01-01"},
    ],
)
@pytest.mark.parametrize("moment", ["before approval", "before queueing", "before sending"])
def test_an_altered_state_stops_its_document_alone(said, moment, ledger, line, now, partners):
    proposed(ledger, line, now)
    if moment != "before approval":
        ledger.approve_within_limits(now)
    if moment == "before sending":
        ledger.queue(partners, now)
    (mug,) = [d for d in ledger.lines() if d.item_id == "mug"]
    ((text,),) = ledger.store.read(
        sa.select(documents.c.state).where(documents.c.document_id == mug.document_id)
    )
    state = json.dumps(json.loads(text) | said, sort_keys=True, separators=(",", ":"))
    alter(ledger, documents, documents.c.document_id == mug.document_id, state=state)
    approved = ledger.approve_within_limits(now)
    report = ledger.send(partners, now)
    assert (report.sent, out(partners, "S1"), out(partners, "S3")) == (1, [], [])
    if moment == "before approval":
        assert "not what its events add up to" in approved.waiting[mug.document_id][1][0]
        with pytest.raises(LedgerError, match="cannot be approved"):
            ledger.approve([mug.document_id], "ann", now)
    else:
        assert len(report.altered) == len(accusations(ledger)) == 1


def test_an_event_rewritten_in_the_database_stops_its_document(line, now, tmp_path, partners):
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    proposed(ledger, line, now)
    ledger.approve_within_limits(now)
    with ledger.store.locked() as connection:
        connection.exec_driver_sql("DROP TRIGGER events_no_update")
        old, new = '"quantity":10.0', '"quantity":99.0'
        of_mug = sa.and_(events.c.document_id == "R00000001", events.c.kind == "requested")
        connection.execute(
            sa.update(events)
            .where(of_mug)
            .values(payload=sa.func.replace(events.c.payload, old, new))
        )
    report = ledger.send(partners, now)
    assert report.sent == 1
    assert report.altered == ("document R00000001: its version 1 was altered",)
    ledger.close()
