"""A script's request happens once, and a ledger is copied whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from orchestration.ledger import Ledger, LedgerError
from orchestration.ledger.copying import copy, holds
from orchestration.ledger.idempotent_requests import (
    OtherRequestError,
    RepeatedError,
    Request,
    span_of,
)
from orchestration.ledger.schema import requests


def test_a_request_is_named_by_asker_and_key_and_known_by_all_it_says() -> None:
    one = Request.of("ann", "k1", "t1", b"POST", b"/orders")
    assert one == Request.of("ann", "k1", "t1", b"POST", b"/orders")
    assert replace(one, token_id="t" + "2") == Request.of("ann", "k1", "t2", b"POST", b"/orders")
    others = [
        Request.of("ann", "k2", "t1", b"POST", b"/orders"),
        Request.of("annk", "1", "t1", b"POST", b"/orders"),  # no two names run into one
        Request.of("ben", "k1", "t1", b"POST", b"/orders"),
    ]
    assert len({one.request_id, *(other.request_id for other in others)}) == 4
    assert {other.fingerprint for other in others} == {one.fingerprint}
    said = [(b"POST/orders",), (b"POST/", b"orders"), (b"POST", b"/orders", b"")]
    told = {Request.of("ann", "k1", "t1", *parts).fingerprint for parts in said}
    assert len(told | {one.fingerprint}) == 4


def test_it_is_kept_with_what_it_did_and_refused_the_second_time(
    ledger: Ledger, line: Callable, now: datetime
) -> None:
    request = Request.of("ann", "k1", "t1", b"plan")
    ledger.propose([line("cup")], "run 0", now)
    store = ledger.store.asked(request)
    assert ledger.store.request is None
    with store.writing(now) as unit:
        for name in ("A", "B"):
            unit.add(unit.open(name), "worked", "ann", {})
    (row,) = ledger.store.read(sa.select(requests))
    kept = row._asdict()
    assert kept.pop("recorded_at") == unit.recorded_at
    assert kept == {
        "request_id": request.request_id,
        "fingerprint": request.fingerprint,
        "token_id": "t1",
        "after_seq": 1,
        "last_seq": 3,
    }
    with (
        pytest.raises(RepeatedError, match="has happened already") as repeated,
        store.writing(now) as again,
    ):
        again.add(again.open("C"), "worked", "ann", {})
    assert repeated.value.span == (1, 3)
    other = ledger.store.asked(Request.of("ann", "k1", "t1", b"another plan"))
    with (
        pytest.raises(OtherRequestError, match=f"used on {unit.recorded_at[:10]} for another"),
        other.writing(now),
    ):
        pass
    assert len(ledger.events()) == 3
    with ledger.store.locked() as connection:
        assert span_of(connection, request) == (1, 3)
        assert span_of(connection, Request.of("ann", "k2", "t1", b"plan")) is None


def test_a_copy_holds_all_that_happened_and_leaves_a_used_ledger_alone(
    tmp_path: Path, line: Callable, now: datetime
) -> None:
    here, there = (f"sqlite:///{tmp_path / name / 'ledger.sqlite'}" for name in ("a", "b"))
    ledger = Ledger.open(here)
    ledger.propose([line("mug"), line("cup")], "run 1", now)
    assert copy(here, there) == 2
    assert holds(there, here) and holds(here, there)
    ledger.propose([line("jar")], "run 2", now)
    assert not holds(there, here) and holds(here, there)
    with pytest.raises(LedgerError, match="has events already; it was left as it is"):
        copy(here, there)
    again = Ledger.open(there)
    assert [event.document_id for event in again.events()] == ["R00000001", "R00000002"]
    assert [one.item_id for one in again.lines()] == ["mug", "cup"]
    again.close()
    ledger.close()
    nothing = f"sqlite:///{tmp_path / 'c' / 'ledger.sqlite'}"
    Ledger.open(nothing).close()
    assert holds(here, nothing) and not holds(nothing, here)
