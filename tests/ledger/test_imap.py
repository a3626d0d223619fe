"""Answers by mail, fetched from Debian's own dovecot: heard once however often it is fetched or cut
short, from the partner's address alone, and no mailbox holds another partner up."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain import OrderLine
from models.procurement.codec import LARGEST
from models.procurement.messages import MessageError
from orchestration.ledger import Ledger, LedgerError, Partner, mail_in
from orchestration.ledger.partners import FILE, read_partners
from orchestration.ledger.transports import base, fetch
from tests.ledger.imap_server import DOVECOT, WORDS, Imap, dovecot
from tests.ledger.test_partner_formats import FORMATS, Company

VARIABLE, OTHER, OUR_SERVER = "OUR_IMAP", "OTHER_IMAP", "mx.us.example"
real = pytest.mark.skipif(DOVECOT is None, reason="Debian's dovecot-imapd is not installed")


@pytest.fixture(scope="module")
def running() -> Iterator[Imap]:
    with dovecot() as started:
        yield started


@pytest.fixture
def box(running: Imap, monkeypatch: pytest.MonkeyPatch) -> Imap:
    """The server with an empty mailbox."""
    monkeypatch.setenv(VARIABLE, WORDS)
    running.clear()
    return running


@pytest.fixture
def partner(box: Imap, tmp_path: Path) -> Partner:
    return answering("S1", tmp_path, box.address)


def answering(name: str, folder: Path, inbox: str) -> Partner:
    """A partner that answers by mail from its own address."""
    place = str(folder / name)
    writes_from = (f"sales@{name.lower()}.example",)
    return Partner(
        name,
        place,
        "GBP",
        folder=place,
        inbox=inbox,
        inbox_secret=VARIABLE,
        writes_from=writes_from,
    )


def mail(
    *attached: tuple[str, bytes],
    sender: str = "Sales <Sales@S1.example>",
    message_id: str = "<1@s1.example>",
    kind: str = "application/octet-stream",
) -> EmailMessage:
    said = EmailMessage()
    said["From"], said["To"], said["Subject"] = sender, "buying@us.example", "Re: your order"
    said["Message-ID"] = message_id
    said.set_content("Please find attached. Kind regards")
    for name, body in attached:
        main, _, sub = kind.partition("/")
        said.add_attachment(body, maintype=main, subtype=sub, filename=name)
    return said


def bodies(partner: Partner, kind: str = "in") -> list[bytes]:
    assert partner.place is not None
    folder = partner.place / kind
    return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.exists() else []


@real
@pytest.mark.service
@pytest.mark.parametrize("form", list(FORMATS))
def test_a_conversation_goes_on_by_mail_through_the_product_s_own_command(
    form: str, box: Imap, line: Callable[..., OrderLine], tmp_path: Path
) -> None:
    terms = (
        f"  inbox: '{box.address}'\n  inbox_secret: {VARIABLE}\n  writes_from: Sales@s1.example\n"
    )
    company = Company(replace(FORMATS[form], contract=FORMATS[form].contract + terms), tmp_path)
    order = company.order(line("mug", 10), line("cup", 4, unit_cost=0.125))
    said = (FORMATS[form].answer(order), FORMATS[form].ship_notice(order))
    box.put(mail(("a.dat", said[0]), ("b.dat", said[1])))
    box.put(mail(("c.dat", said[0]), sender="Sales <sales@s1.example.org>", message_id="<e@e>"))
    heard = company.run("supplier", "receive")
    assert [(m["status"], m["facts"]) for m in heard["messages"]] == [("taken", 2)] * 2
    assert heard["left"] == [
        f"{box.address}: 1 mail from nobody that it is for (sales@s1.example.org), left unread"
    ]
    before = company.events()
    assert (before.count("acknowledged"), before.count("shipped")) == (2, 2)
    assert company.run("supplier", "receive")["messages"] == []
    assert company.events() == before and company.exceptions() == []
    assert box.unread() == 1


@real
@pytest.mark.service
@pytest.mark.parametrize(
    "sender",
    [
        "sales@s1.example <eve@evil.example>",
        '"sales@s1.example" <eve@evil.example>',
        "sales@s1.example, eve@evil.example",
        "Sales <sales@s1.example.evil.example>",
        "Sales <eve@evil.example> <sales@s1.example>",
        "(sales@s1.example)",
        "=?utf-8?q?sales=40s1=2Eexample?=",
        "",
    ],
)
def test_a_foreign_sender_is_nothing_but_a_line_that_says_so(
    sender: str, box: Imap, partner: Partner, ledger: Ledger, now: Any
) -> None:
    said = mail(("a.edi", b"ISA*")).as_bytes().split(b"\n", 1)[1]
    box.put(f"From: {sender}\n".encode() + said)
    box.put(b"From: eve@evil.example\nFrom: sales@s1.example\n" + said)
    (left,) = ledger.fetch({"S1": partner}, now)
    assert "2 mails from nobody that it is for" in left and left.endswith("left unread")
    assert bodies(partner) == [] and ledger.events() == []
    assert (box.unread(), box.flagged()) == (2, 0)


@real
@pytest.mark.service
def test_letters_and_pictures_are_left_for_a_person(box: Imap, partner: Partner) -> None:
    box.put(mail())
    picture = mail(message_id="<2@s1.example>")
    picture.add_attachment(b"GIF89a", maintype="image", subtype="gif", filename="logo.gif")
    box.put(picture)
    box.put(mail(("order.edi", b"ISA*"), message_id="<3@s1.example>"))
    lines = fetch([partner]).left
    assert [line.partition(": ")[2] for line in lines] == [
        "1 mail with nothing attached (sales@s1.example), left unread",
        "mail <2@s1.example> of S1 has nothing to take, flagged",
    ]
    assert bodies(partner) == [b"ISA*"]
    assert (box.unread(), box.flagged()) == (2, 1)
    assert len(fetch([partner]).left) == 1  # what is flagged is a person's


KILLED = """
import os, signal
from orchestration.ledger import Partner
from orchestration.ledger.transports import fetch, imap_session
imap_session.Mailbox.mark = lambda *said: os.kill(os.getpid(), signal.SIGKILL)
ends = dict(inbox={inbox!r}, inbox_secret={variable!r}, writes_from=("sales@s1.example",))
fetch([Partner("S1", {place!r}, "GBP", folder={place!r}, **ends)])
"""


@real
@pytest.mark.service
def test_a_kill_before_a_mail_is_marked_loses_and_doubles_nothing(
    box: Imap, partner: Partner, ledger: Ledger, now: Any
) -> None:
    box.put(mail(("a.edi", b"ISA*one"), ("a.edi", b"ISA*two")))
    script = KILLED.format(place=partner.folder, inbox=box.address, variable=VARIABLE)
    for _ in range(2):
        assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
        assert (sorted(bodies(partner)), box.unread()) == ([b"ISA*one", b"ISA*two"], 1)
    assert len(ledger.collect({"S1": partner}, now)) == 2  # heard while the mail is still unread
    assert fetch([partner]).missed == []
    assert (bodies(partner), len(bodies(partner, "taken")), box.unread()) == ([], 2, 0)


@real
@pytest.mark.service
def test_a_mail_that_comes_twice_is_taken_once_and_other_bytes_under_its_id_are_not_lost(
    box: Imap, partner: Partner
) -> None:
    for body in (b"ISA*one", b"ISA*one", b"ISA*other"):
        box.put(mail(("a.edi", body)))
    fetch([partner])
    assert bodies(partner) == [b"ISA*one", b"ISA*other"]
    assert box.unread() == 0


@real
@pytest.mark.service
def test_no_name_in_a_mail_becomes_a_path(box: Imap, partner: Partner, tmp_path: Path) -> None:
    names = ["../../../evil.edi", "/etc/passwd", ".hidden", "a\x00b.edi", "x" * 5_000 + ".xml"]
    for place, name in enumerate(names):
        box.put(mail(("placeholder", b"%d" % place), message_id=f"<../../{place}/x@s1.example>"))
        said = mail(("NAME", b"named %d" % place), message_id=f"<{'../' * 300}{place}@s1.example>")
        box.put(said.as_bytes().replace(b"NAME", name.encode()))
    fetch([partner])
    assert partner.place is not None
    assert {path.name for path in tmp_path.iterdir()} == {"S1"}
    found = [path.name for path in (partner.place / "in").iterdir()]
    assert len(found) == 2 * len(names) and all(len(name) < 140 for name in found)
    assert not any(set(name) - set(NAMED) for name in found)


NAMED = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-."


def nested(depth: int) -> bytes:
    head = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (place, place)
        for place in range(depth)
    )
    return b"From: sales@s1.example\r\nMessage-ID: <deep@s1.example>\r\n" + head + b"\r\nhello"


@real
@pytest.mark.service
def test_mail_beyond_the_bounds_is_a_person_s_and_the_next_is_taken(
    box: Imap, partner: Partner, ledger: Ledger, now: Any
) -> None:
    box.put(nested(900))
    box.put(mail(*[("a.edi", b"%d" % n) for n in range(50)], message_id="<parts@s1.example>"))
    box.put(mail(("a.edi", b"x" * 13_000_000), message_id="<large@s1.example>"))
    box.put(mail(("a.edi", b"y" * (LARGEST + 9)), message_id="<cut@s1.example>"))
    box.put(mail(("a.edi", b"ISA*"), message_id="<good@s1.example>"))
    for _ in range(2):
        ledger.fetch({"S1": partner}, now)
    assert sorted(map(len, bodies(partner))) == [4, LARGEST + 1]
    assert (box.unread(), box.flagged()) == (3, 3)
    said = [event.payload for event in ledger.events() if event.kind == "excepted"]
    assert sorted(one["reason"].partition(" was ")[0] for one in said) == [
        "mail <deep@s1.example>",
        "mail <large@s1.example>",
        "mail <parts@s1.example>",
    ]
    assert {one["owner"] for one in said} == {"EDI desk"}
    assert ledger.audit() == []


@real
@pytest.mark.service
def test_one_mailbox_serves_all_partners_and_a_broken_folder_of_one_holds_no_other_up(
    box: Imap, tmp_path: Path, ledger: Ledger, now: Any
) -> None:
    partners = {name: answering(name, tmp_path, box.address) for name in ("S1", "S2", "S3")}
    (tmp_path / "S1").mkdir()
    (tmp_path / "S1" / "in").symlink_to(tmp_path)
    for name in ("S1", "S2", "S3"):
        sender = f"sales@{name.lower()}.example"
        box.put(mail(("a.edi", name.encode()), sender=sender, message_id=f"<{name}>"))
    for _ in range(2):
        ledger.fetch(partners, now)
    assert [bodies(partners[name]) for name in ("S2", "S3")] == [[b"S2"], [b"S3"]]
    said = [event for event in ledger.events() if event.kind == "excepted"]
    assert [event.actor for event in said] == ["S1"] and "cannot be kept" in str(said[0].payload)
    assert (box.unread(), box.flagged()) == (1, 0)
    (tmp_path / "S1" / "in").unlink()
    ledger.fetch(partners, now)
    assert (bodies(partners["S1"]), box.unread()) == ([b"S1"], 0)


@real
@pytest.mark.service
def test_only_mail_that_our_own_server_vouches_for_is_taken_where_that_is_asked(
    box: Imap, partner: Partner
) -> None:
    asked = replace(partner, vouched_by=OUR_SERVER)
    passed = f"{OUR_SERVER}; spf=pass smtp.mailfrom=x@s1.example; dmarc=pass (p=none) header.from="
    for place, results in enumerate(
        [
            [],
            [passed.replace("dmarc=pass", "dmarc=fail") + "s1.example"],
            [passed + "evil.example"],
            [passed.replace(OUR_SERVER, "mx.evil.example") + "s1.example"],
            [f"{OUR_SERVER}; dmarc=none", passed + "s1.example"],
            [f"{OUR_SERVER}; spf=pass", passed.replace("=pass (p", "=fail (p") + "s1.example"],
            [f"{OUR_SERVER}.evil.example; dmarc=none", passed + "s1.example"],
            [f"{OUR_SERVER} 1; spf=pass", passed + "s1.example"],
        ]
    ):
        said = mail(("a.edi", b"%d" % place), message_id=f"<{place}@s1.example>")
        for result in results:
            said["Authentication-Results"] = result
        box.put(said)
    (left,) = fetch([asked]).left
    assert f"6 mails that {OUR_SERVER} does not vouch for (sales@s1.example)" in left
    assert bodies(partner) == [b"6", b"7"]
    assert fetch([partner]).left == [] and len(bodies(partner)) == 8


@real
@pytest.mark.service
def test_the_encrypted_mailbox_is_read_where_its_certificate_is_trusted(
    box: Imap, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.put(mail(("a.edi", b"ISA*")))
    encrypted = replace(partner, inbox=box.encrypted)
    (missed,) = fetch([encrypted]).missed
    assert "certificate verify failed" in missed.why
    monkeypatch.setenv("SSL_CERT_FILE", str(box.authority))
    assert fetch([replace(encrypted, inbox_secret=OTHER)]).missed[0].why.endswith("not set")
    assert fetch([encrypted]).missed == [] and bodies(partner) == [b"ISA*"]
    beyond = replace(partner, inbox=box.address.replace("127.0.0.1", "127.1"))
    (missed,) = fetch([beyond]).missed
    assert "certificate" in missed.why  # STARTTLS, and the certificate is another host's


@real
@pytest.mark.service
def test_a_mailbox_that_is_not_reached_is_an_exception_once_for_all_its_partners(
    box: Imap, tmp_path: Path, ledger: Ledger, now: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "wrong")
    partners = {name: answering(name, tmp_path, box.address) for name in ("S1", "S2")}
    for _ in range(2):
        ledger.fetch(partners, now)
    (said,) = [event for event in ledger.events() if event.kind == "excepted"]
    assert "Authentication failed" in said.payload["reason"]
    assert said.payload["reason"].endswith("(2 partners answer there)")
    monkeypatch.setenv(VARIABLE, WORDS)
    gone = answering("S1", tmp_path, box.address.replace("INBOX", "Nowhere"))
    assert "no mailbox Nowhere" in fetch([gone]).missed[0].why


@contextmanager
def scripted(*answers: bytes, pause: float = 0.0) -> Iterator[tuple[int, list[bytes]]]:
    """A server that says these lines, a command for each; what it heard."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as door:

        def talk() -> None:
            with suppress(OSError):
                client, _ = door.accept()
                with client, client.makefile("rb") as words:
                    for answer in answers:
                        for sign in answer if pause else [answer]:
                            client.sendall(bytes([sign]) if isinstance(sign, int) else sign)
                            time.sleep(pause)
                        said = words.readline()
                        heard.append(said)
                        tag = said.split(b" ")[0]
                        client.sendall(CAPABLE if b"CAPABILITY" in said else b"")
                        client.sendall(tag + b" OK done\r\n" if b"UID" not in said else b"")

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        yield door.getsockname()[1], heard
    thread.join(timeout=5)


CAPABLE = b"* CAPABILITY IMAP4rev1 STARTTLS\r\n"
HELLO = b"* OK ready\r\n"


def at(port: int, folder: Path, host: str = "127.0.0.1") -> Partner:
    return replace(answering("S1", folder, f"imap://me@{host}:{port}"), inbox_secret=VARIABLE)


def test_nobody_signs_in_beyond_this_machine_before_it_is_encrypted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, WORDS)
    # a name that is not localhost may be anybody's, and this one is answered here
    for hello in (HELLO, b"* PREAUTH you are in\r\n"):
        with scripted(hello, b"", b"* 1 EXISTS\r\n", b"", b"") as (port, heard):
            (missed,) = fetch([at(port, tmp_path, "127.1")]).missed
        assert missed.why and not any(b"LOGIN" in said for said in heard)
    injected = b"A OK go on\r\n* OK injected\r\n"
    with scripted(HELLO, b"", injected, b"") as (port, heard):
        assert fetch([at(port, tmp_path, "127.1")]).missed
    assert not any(b"LOGIN" in said for said in heard)


def test_a_server_that_announces_a_bomb_is_not_listened_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, WORDS)
    bomb = b"* 1 FETCH (UID 1 BODY[] {99999999999999}\r\n"
    with scripted(HELLO, b"", b"", bomb) as (port, _):
        (missed,) = fetch([at(port, tmp_path)]).missed
    assert "more than a mail may have" in missed.why


def test_no_mailbox_takes_longer_than_its_time_however_it_drips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, WORDS)
    monkeypatch.setattr(base, "TIMEOUT_SECONDS", 0.7)
    began = time.monotonic()
    with scripted(HELLO * 50, pause=0.2) as (port, _), scripted(b"* OK ") as (silent, _):
        slow = [
            replace(at(port, tmp_path), partner_id="A"),
            replace(at(silent, tmp_path), partner_id="B"),
        ]
        missed = fetch(slow).missed
    assert time.monotonic() - began < 8
    assert [one.partner_id for one in missed] == ["A", "B"]
    assert all("not done within 0.7 s" in one.why for one in missed)


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        ("inbox: 'pop3://a.example', inbox_secret: A, writes_from: a@b.example", "imaps:// or"),
        ("inbox: 'imaps://a.example', writes_from: a@b.example", "needs inbox_secret"),
        ("inbox: 'imaps://a.example', inbox_secret: A", "writes_from is a list of mail"),
        ("inbox: 'imaps://a.example', inbox_secret: A, writes_from: [1]", "list of mail"),
        ("writes_from: a@b.example", "are for an inbox"),
        ('inbox: "imaps://a.example/\\r\\nx", inbox_secret: A, writes_from: a@b.example', "line"),
    ],
)
def test_an_inbox_that_cannot_be_fetched_from_is_refused(
    terms: str, why: str, tmp_path: Path
) -> None:
    (tmp_path / FILE).write_text(f"S1: {{{terms}}}\n")
    with pytest.raises(LedgerError, match=f"partner S1.*{why}"):
        read_partners(tmp_path, ["S1"], "GBP")


def test_two_partners_whose_mail_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    same = "{inbox: 'imaps://a.example', inbox_secret: A, writes_from: [x@a.example, b@B.example]}"
    (tmp_path / FILE).write_text(f"S1: {same}\nS2: {same.replace('x@', 'y@')}\n")
    with pytest.raises(LedgerError, match=r"S1 and S2 both write from b@b.example"):
        read_partners(tmp_path, ["S1"], "GBP")


PIECES = [
    b"From: a@b.example\n",
    b"Content-Type: multipart/mixed; boundary=x\n",
    b"Content-Type: message/rfc822\n",
    b"Content-Type: text/csv; charset=utf-16\n",
    b"Content-Disposition: attachment; filename*=utf-9''%ff%00\n",
    b"Content-Transfer-Encoding: base64\n",
    b"Content-Transfer-Encoding: uuencode\n",
    b"begin 666 a\n",
    b"\n",
    b"--x\n",
    b"--x--\n",
    b"SVNBKg==\n",
    b"\x00\xff",
    b"=?utf-8?b?////?=",
]


@settings(max_examples=400)
@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=20), max_size=60).map(b"".join))
def test_whatever_a_mail_holds_it_is_taken_apart_or_refused(body: bytes) -> None:
    said = mail_in.head(body)
    assert mail_in.sender(said) in ("", "a@b.example") or b"@" in body
    mail_in.is_vouched(said, OUR_SERVER)
    mail_in.is_letter(said)
    try:
        found = mail_in.attached(body)
    except MessageError as error:
        assert str(error)
    else:
        assert all(suffix and isinstance(one, bytes) for suffix, one in found)
