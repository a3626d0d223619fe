"""Subscribers are told every order event, signed, in order and under one id; none keeps another
waiting, and no crash loses one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.ledger import Ledger, LedgerError, Receipt, webhooks
from orchestration.ledger.webhooks import Subscriber, notify, read_subscribers, standing
from tests.ledger.hooks import SECRET, Receiver
from tests.web.small_home import LINES, NOW, order_line


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("HOOK", SECRET)
    found = Receiver()
    yield found
    found.server.shutdown()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    found = Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite")
    yield found
    found.close()


def awake(ledger: Ledger) -> None:
    """Let every rest be over."""
    with ledger.store.locked() as connection:
        connection.execute(webhooks.webhooks.update().values(next_at="", claimed_until=""))


def test_the_life_of_an_order_is_told_once_in_order_and_signed(
    ledger: Ledger, receiver: Receiver
) -> None:
    everyone = [receiver.subscriber("erp"), receiver.subscriber("payables", "order.received")]
    ledger.propose([order_line("jug", 3)], "before anybody listened", NOW)
    notify(ledger.store, everyone)
    ledger.propose(LINES, "run", NOW, scope=[("mug", "DC")])
    line = next(d for d in ledger.lines() if d.item_id == "mug" and d.location_id == "DC")
    ledger.approve([line.document_id], "anna", NOW)
    line = next(d for d in ledger.lines() if d.document_id == line.document_id)
    ledger.record_receipts([Receipt("R1", line.order_id, line.line_id, 41.0, NOW)], "anna", NOW)
    notify(ledger.store, everyone[:1])
    about = [said for _, said in receiver.told if said["data"]["document_id"] == line.document_id]
    told = ["order.created", "order.approved", "order.received", "order.exception"]
    assert [said["type"] for said in about] == told
    assert about[1]["data"]["order_id"] == line.order_id and about[1]["data"]["actor"] == "anna"
    assert about[0]["data"]["said"]["unit_cost"] == "2.5"
    assert "jug" not in json.dumps(receiver.told)
    known = len(receiver.told)
    notify(ledger.store, everyone)
    assert receiver.types()[known:] == ["order.received"]
    assert len({name for name, _ in receiver.told}) == known
    assert [one["waiting"] for one in standing(ledger.store, everyone)] == [0, 0]


def test_what_failed_or_was_cut_off_by_a_crash_is_told_again_under_its_id(
    ledger: Ledger, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    erp = [receiver.subscriber("erp")]
    notify(ledger.store, erp)
    ledger.propose(LINES, "run", NOW)
    receiver.answer = lambda: 503
    assert "answered 503" in notify(ledger.store, erp)["erp"].trouble
    (said,) = standing(ledger.store, erp)
    assert (said["attempts"], said["waiting"]) == (1, 3) and "503" in said["last_error"]
    assert notify(ledger.store, erp) == {}  # it rests
    awake(ledger)
    receiver.answer = lambda: 200

    def die(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as dying:
        dying.setattr(webhooks, "_move", die)
        with pytest.raises(MemoryError):
            notify(ledger.store, erp)
    awake(ledger)
    assert notify(ledger.store, erp)["erp"].arrived == 3
    names = [name for name, _ in receiver.told]
    assert len(names) == 4 and names[0] == names[1] and len(set(names)) == 3


def test_a_subscriber_that_hangs_keeps_nobody_waiting(
    ledger: Ledger, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "TIMEOUT_SECONDS", 2.0)
    slow = Receiver()
    slow.answer = lambda: time.sleep(3) or 200
    both = [slow.subscriber("slow"), receiver.subscriber("erp")]
    teller = webhooks.Teller(ledger.store)
    teller.start(both)
    teller.ended(wait=True)
    for number in range(2):  # news comes while the slow one hangs
        ledger.propose([order_line("mug", 40 + number)], f"run {number}", NOW)
        began = time.monotonic()
        while len(receiver.told) <= number and time.monotonic() - began < 1.5:
            teller.start(both)
            time.sleep(0.05)
            teller.ended()
        assert len(receiver.told) == number + 1
    assert "more than 2 s" in teller.ended(wait=True)["slow"].trouble
    teller.close()
    slow.server.shutdown()


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("{url: 'http://erp.example/', secret: HOOK}", "https://"),
        ("{url: 'https://u:p@erp.example/', secret: HOOK}", "no password"),
        ("{url: 'https://erp.example/'}", "secret: VARIABLE"),
        ("{url: 'https://erp.example/', secret: 'my secret'}", "names a variable"),
        ("{url: 'https://erp.example/', secret: HOOK, events: [order.eaten]}", "order.eaten"),
    ],
)
def test_an_entry_that_cannot_be_meant_is_named(tmp_path: Path, entry: str, why: str) -> None:
    (tmp_path / "webhooks.yml").write_text(f"erp: {entry}", encoding="utf-8")
    with pytest.raises(LedgerError, match="erp.*" + why):
        read_subscribers(tmp_path)


def test_without_its_secret_nothing_is_sent(ledger: Ledger, receiver: Receiver) -> None:
    erp = [Subscriber("erp", receiver.subscriber("erp").url, "NOT_SET_HERE")]
    notify(ledger.store, erp)
    ledger.propose(LINES, "run", NOW)
    assert "NOT_SET_HERE holds no secret" in notify(ledger.store, erp)["erp"].trouble
    assert not receiver.told
