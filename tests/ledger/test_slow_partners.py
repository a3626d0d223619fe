"""No partner keeps another waiting: the whole exchange has one bound, and who is slow rests until
the next sending."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from orchestration.ledger import Partner, outbox
from orchestration.ledger.transports import Envelope, TransportError, base, deliver

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def drip_body(client: socket.socket) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    drip_head(client)


def drip_head(client: socket.socket) -> None:
    for sign in b"HTTP/1.1 200 OK of a server that is never done":
        client.sendall(bytes([sign]))
        time.sleep(0.2)


def never(client: socket.socket) -> None:
    time.sleep(5)


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A door that reads a message and answers as it likes."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def one(client: socket.socket) -> None:
            with client, suppress(OSError):  # the caller hangs up, which is what is tested
                client.recv(65536)
                answer(client)

        def loop() -> None:
            while True:
                try:
                    client, _ = door.accept()
                except OSError:
                    return
                threading.Thread(target=one, args=(client,), daemon=True).start()

        threading.Thread(target=loop, daemon=True).start()
        yield f"http://127.0.0.1:{door.getsockname()[1]}/in"


@pytest.mark.parametrize("answer", [drip_body, drip_head, never])
def test_an_exchange_ends_in_its_time_however_slowly_the_partner_drips(answer, monkeypatch):
    monkeypatch.setattr(base, "TIMEOUT_SECONDS", 0.7)
    began = time.monotonic()
    with server(answer) as url, pytest.raises(TransportError, match=r"0\.7 s|Timeout"):
        deliver(Envelope(1, "850", "SHP1", b"ISA"), Partner("S1", url, "GBP"))
    assert time.monotonic() - began < 2


def test_a_partner_that_does_not_answer_holds_the_queue_once_and_not_for_each_of_its_orders(
    ledger, line, now, monkeypatch
):
    monkeypatch.setattr(base, "TIMEOUT_SECONDS", 0.5)
    reached: list[float] = []

    def quick(client: socket.socket) -> None:
        reached.append(time.monotonic())
        client.sendall(OK)

    plan = [line("mug", from_id="A", location_id=f"L{place}") for place in range(6)]
    ledger.propose([*plan, line("cup", from_id="B")], "run 1", now)
    ledger.approve_within_limits(now)
    with server(never) as slow, server(quick) as fast:
        began = time.monotonic()
        report = ledger.send({"A": Partner("A", slow, "GBP"), "B": Partner("B", fast, "GBP")}, now)
    assert (report.sent, report.waiting) == (1, 6)
    assert reached[0] - began < 2


def test_a_partner_that_takes_its_time_with_each_message_rests_when_its_patience_is_used_up(
    ledger, line, now, monkeypatch
):
    monkeypatch.setattr(outbox, "PATIENCE", 0.1)
    plan = [line("mug", from_id="A", location_id=f"L{place}") for place in range(4)]
    ledger.propose([*plan, line("cup", from_id="B")], "run 1", now)
    ledger.approve_within_limits(now)
    partners = {name: Partner(name, "", "GBP") for name in "AB"}
    seen: list[str] = []

    def leisurely(envelope: Envelope, partner: Partner) -> None:
        seen.append(partner.partner_id)
        time.sleep(0.06 if partner.partner_id == "A" else 0)

    report = ledger.send(partners, now, leisurely)
    assert (sorted(seen), report.sent, report.waiting) == (["A", "A", "B"], 3, 2)
    assert ledger.send(partners, now, leisurely).sent == 2
