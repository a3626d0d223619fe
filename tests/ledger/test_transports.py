"""SFTP and mail against real servers on loopback: told once however often it is sent, heard once
however often it is fetched, and no server holds another partner up."""

from __future__ import annotations

import asyncio
import email
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from aiosmtpd.controller import Controller

from models.domain import OrderLine
from models.procurement.messages import Invoice
from orchestration.ledger import Ledger, LedgerError, Partner
from orchestration.ledger.partners import FILE, read_partners
from orchestration.ledger.transports import Envelope, Fetched, TransportError, base, deliver, fetch
from tests.ledger.test_slow_partners import never, server

ORDER = Envelope(7, "850", "SHP1", b"ISA*...")
WORDS, VARIABLE, OTHER = "correct horse", "ACME_SFTP", "ACME_OTHER"


class _Door(asyncssh.SSHServer):
    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("stockhouse", WORDS)


@contextmanager
def sftp_server(root: Path) -> Iterator[tuple[str, str]]:
    """An SFTP server over a folder: its address, and its public key."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    loop, port = asyncio.new_event_loop(), Future[int]()

    async def listen() -> None:
        door = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=_Door,
            server_host_keys=[key],
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(root).encode()),
        )
        port.set_result(door.get_port())

    loop.create_task(listen())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    public = key.export_public_key().decode().strip()
    yield f"sftp://stockhouse@127.0.0.1:{port.result(timeout=10)}/shop", public
    loop.call_soon_threadsafe(loop.stop)
    thread.join(timeout=10)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    place = tmp_path / "theirs" / "shop"
    place.mkdir(parents=True)
    return place


@pytest.fixture
def partner(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Partner]:
    monkeypatch.setenv("ACME_SFTP", WORDS)
    with sftp_server(shop.parent) as (address, key):
        yield Partner(
            "S1", address, "GBP", folder=str(tmp_path / "ours"), secret=VARIABLE, host_key=key
        )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_message_lies_at_the_partner_s_whole_and_once(partner: Partner, shop: Path) -> None:
    for _ in range(2):
        deliver(ORDER, partner)
    assert names(shop / "out") == ["000000007-850-SHP1.edi"]
    assert (shop / "out" / "000000007-850-SHP1.edi").read_bytes() == ORDER.body


def test_what_waits_at_the_partner_s_is_fetched_once_and_nothing_is_lost(
    partner: Partner, shop: Path, tmp_path: Path
) -> None:
    assert fetch([partner]) == Fetched()  # it has no such folder yet
    (shop / "in").mkdir()
    (shop / "in" / "a.edi").write_bytes(b"first")
    (shop / "in" / ".b.edi").write_bytes(b"still being written")
    (shop / "in" / "c.edi").symlink_to("/etc/passwd")
    (shop / "in" / "d").mkdir()
    assert fetch([partner]) == Fetched()
    (shop / "in" / "a.edi").write_bytes(b"second, of the same name")
    assert fetch([partner]) == fetch([partner]) == Fetched()
    bodies = {path.read_bytes() for path in (tmp_path / "ours" / "in").iterdir()}
    assert bodies == {b"first", b"second, of the same name"}
    assert names(shop / "in") == [".b.edi", "c.edi", "d"]
    assert names(shop / "taken") == ["a.edi"]


def test_only_the_server_with_the_known_key_and_the_right_password_is_talked_to(
    partner: Partner, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    with pytest.raises(TransportError, match=r"[Hh]ost key"):
        deliver(ORDER, replace(partner, host_key=other))
    with pytest.raises(TransportError, match="ACME_OTHER is not set"):
        deliver(ORDER, replace(partner, secret=OTHER))
    monkeypatch.setenv("ACME_SFTP", "wrong")
    with pytest.raises(TransportError, match=r"[Pp]ermission denied"):
        deliver(ORDER, partner)
    assert names(shop) == []


class Mailbox:
    """A mail server's own hands: it keeps what comes, and refuses one mailbox."""

    def __init__(self) -> None:
        self.mail: list[Any] = []

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.mail.append(envelope)
        return "250 OK"


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, str]]:
    kept = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    door = Controller(kept, hostname="127.0.0.1", port=port)
    door.start()
    yield kept, f"smtp://127.0.0.1:{port}"
    door.stop()


@pytest.mark.parametrize("form", ["email", "edifact", "ubl", "csv", "x12"])
def test_an_order_leaves_as_mail_and_a_resend_is_known_for_one(
    form: str,
    mailbox: tuple[Mailbox, str],
    ledger: Ledger,
    line: Callable[..., OrderLine],
    now: Any,
) -> None:
    kept, address = mailbox
    ends = {"mailbox": "sales@acme.example", "sender": "buying@stockhouse.example"}
    partner = Partner("S1", address, "GBP", form, **ends)
    ledger.propose([line("mug")], "run 1", now)
    ledger.approve_within_limits(now)
    assert ledger.send({"S1": partner}, now).sent == 1
    (sent,) = kept.mail
    assert (sent.mail_from, sent.rcpt_tos) == (partner.sender, [partner.mailbox])
    mail = email.message_from_bytes(sent.content)
    (attached, *_) = [part for part in mail.walk() if part.get_filename()]
    assert b"mug" in attached.get_payload(decode=True)
    assert mail["Message-ID"] and mail["To"] == partner.mailbox
    if form != "email":  # a message of its own that travels as an attachment
        for _ in range(2):
            deliver(ORDER, partner)
        again = [email.message_from_bytes(one.content)["Message-ID"] for one in kept.mail[1:]]
        assert again == [again[0]] * 2


def test_a_mailbox_that_is_not_there_is_final_and_a_silent_server_is_not(
    mailbox: tuple[Mailbox, str],
) -> None:
    partner = Partner("S1", mailbox[1], "GBP", mailbox="nobody@a.example", sender="us@b.example")
    with pytest.raises(TransportError, match="550") as refused:
        deliver(ORDER, partner)
    assert refused.value.is_final
    with pytest.raises(TransportError) as unreached:
        deliver(ORDER, replace(partner, address="smtp://127.0.0.1:9"))
    assert not unreached.value.is_final


@pytest.mark.parametrize("scheme", ["sftp", "smtp", "smtps", "http"])
def test_no_server_takes_longer_than_its_time(
    scheme: str, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "TIMEOUT_SECONDS", 0.7)
    began = time.monotonic()
    with server(never) as url:
        slow = replace(
            partner,
            address=url.replace("http", scheme),
            mailbox="a@a.example",
            sender="b@b.example",
            secret="",
        )
        with pytest.raises(TransportError):
            deliver(ORDER, slow)
    assert time.monotonic() - began < 3


def test_partners_are_fetched_beside_each_other_and_who_is_not_reached_is_told_once(
    partner: Partner,
    shop: Path,
    ledger: Ledger,
    now: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(base, "TIMEOUT_SECONDS", 1.0)
    (shop / "in").mkdir()
    (shop / "in" / "a.edi").write_bytes(b"ISA")
    with server(never) as url:
        slow = {
            name: replace(partner, partner_id=name, address=url.replace("http", "sftp"))
            for name in ("A", "B", "C", "D")
        }
        began = time.monotonic()
        for _ in range(2):
            ledger.fetch({**slow, "S1": partner}, now)
    assert time.monotonic() - began < 4  # two rounds of one second each, not eight
    assert len(names(tmp_path / "ours" / "in")) == 1
    said = [event for event in ledger.events() if event.kind == "excepted"]
    assert {event.payload["owner"] for event in said} == {"EDI desk"}
    assert sorted(event.actor for event in said) == ["A", "B", "C", "D"]
    assert ledger.audit() == []


def test_the_partners_that_the_guide_describes_can_be_read(tmp_path: Path) -> None:
    guide = (Path(__file__).resolve().parents[2] / ".github/USING.md").read_text(encoding="utf-8")
    (said,) = re.findall(r"```yaml partners\n(.*?)```", guide, flags=re.DOTALL)
    (tmp_path / FILE).write_text(said)
    partners = read_partners(tmp_path, [], "GBP")
    assert [partner.form for partner in partners.values()] == ["edifact", "ubl", "email", "csv"]
    (note,) = re.findall(r"```csv credit\n(.*?)```", guide, flags=re.DOTALL)
    (credit,) = partners["S04"].reader.read(note.encode()).messages
    assert isinstance(credit, Invoice) and credit.credits == "RE-204"
    (line,) = credit.lines
    assert (line.quantity, line.unit_cost) == (9, 4)


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        ("address: 'ftp://a.example'", "begins with one of http://"),
        ("address: 'sftp://a.example'", "needs host_key beside it"),
        ("address: 'smtp://a.example', mailbox: a@b.example", "needs sender beside it"),
        ("address: 'tryton+http://me@erp.lan/db', secret: PW", r"it is tryton\+https://"),
        ("form: csv, csv: {answers: {order_id: a}}", "csv: answers: quantity is missing"),
        ("form: x12, csv: {delimiter: ';'}", "csv is for partners of form csv or email"),
    ],
)
def test_a_description_that_cannot_work_is_refused_with_its_place(
    tmp_path: Path, terms: str, why: str
) -> None:
    (tmp_path / FILE).write_text(f"S1: {{{terms}}}\n")
    with pytest.raises(LedgerError, match=f"partner S1.*{why}"):
        read_partners(tmp_path, ["S1"], "GBP")
