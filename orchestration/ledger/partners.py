"""Whom we order from, in which format they like to hear it, and where."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import yaml

from models.procurement.codec import Codec, Writer
from models.procurement.csv_format import OURS, Contract, Table
from models.procurement.formats import CODECS
from models.procurement.messages import MessageError, Order, Party, Wording
from models.procurement.x12 import fits_envelope
from models.safe_names import LONGEST, legible, name_of
from orchestration.home.addresses import is_private
from orchestration.ledger.mail import Mail
from orchestration.ledger.store import LedgerError

US = Party("STOCKHOUSE")
EMAIL = "email"
#: Where a company says how its suppliers like to hear from it; a supplier it does not name gets a
#: folder.
FILE = "partners.yml"
#: Its entry for every supplier that it does not name.
EVERYONE = "*"
#: What it says for those too that have an entry of their own, unless that says it.
OF_ALL = ("terms", "letterhead")
#: Addresses that are the company's own ERP, where orders to a supplier become its purchases.
ERPS = ("tryton+http", "tryton+https")
#: Mailboxes of ours that partners answer to.
INBOXES = ("imaps", "imap")
MAIL_ADDRESS = re.compile(r"[^\s<>()\",:;\\@]+@[A-Za-z0-9.-]+")
#: How an ERP's transport words what has become of them.
ERP_SHEETS = Contract.of(
    {
        "answers": OURS,
        "invoices": {
            "invoice_id": "invoice",
            "order_id": "order",
            "line_id": "line",
            "item_id": "item",
            "quantity": "quantity",
            "unit_cost": "unit cost",
            "currency": "currency",
            "invoiced_on": "invoiced on",
            "total": "total",
            "charges": "charges",
        },
    }
)


@dataclass(frozen=True)
class Partner:
    """A supplier, or a location that ships to others, as the sending station knows it.

    address: a folder, where messages appear under `out`; an http(s) URL that takes a POST;
    sftp://user@host/folder, where messages are put under `out` and answers fetched from `in`;
    smtp(s)://user@host, the server that takes mail from sender to mailbox; or
    tryton+http(s)://user@host/database, our own ERP, which buys from the partner of this id.
    secret: the environment variable with the password. key_file, host_key: our private key, and
    the SFTP server's public one.
    folder: where its answers wait under `in`, put there by the partner, its gateway, or by us when
    an answer came with the response to a POST; the address where it is one.
    form: a format of models.procurement.formats, or email for a partner that reads only mail (and
    answers in X12, or in CSV). csv: how the CSV of a partner that answers so is read. party and
    ours: both ends of an envelope. mailbox: where mail goes. usage: P for production, T for test;
    answers must say the same. receipts: whether it wants a receipt (997, CONTRL) for what it sends
    us.
    inbox: a mailbox of ours that it answers to, imaps://user@host/INBOX; inbox_secret: the variable
    with its password. writes_from: the addresses that its mail comes from, its mailbox where none
    is said. vouched_by: the name under which our mail server says that DMARC passed, where only
    such mail is to be taken.
    terms: what we order on, and letterhead: who we are and where bills go, each as a line that the
    people of a partner of form email read. wording: what they read in place of ids.
    costs_in: the money the ledger's costs are in, where that may be another than the partner's
    currency.
    """

    partner_id: str
    address: str
    currency: str
    form: str = "x12"
    party: Party | None = None
    ours: Party = US
    mailbox: str = ""
    usage: Literal["P", "T"] = "P"
    receipts: bool = False
    folder: str = ""
    costs_in: str = ""
    csv: Contract | None = None
    sender: str = ""
    secret: str = ""
    key_file: str = ""
    host_key: str = ""
    inbox: str = ""
    inbox_secret: str = ""
    writes_from: tuple[str, ...] = ()
    vouched_by: str = ""
    terms: str = ""
    letterhead: str = ""
    wording: Wording = field(default_factory=Wording)

    @property
    def scheme(self) -> str:
        """What kind of address it has, such as http, sftp or tryton+https; empty for a folder."""
        scheme, found, _ = self.address.partition("://")
        return scheme if found else ""

    @property
    def place(self) -> Path | None:
        """The folder shared with the partner; None where there is none."""
        shared = self.folder or ("" if self.scheme else self.address)
        return Path(shared) if shared else None

    @property
    def their(self) -> Party:
        """The partner's end of the envelope: its own id where none was agreed."""
        return self.party or Party(self.partner_id)

    @property
    def writer(self) -> Writer:
        """How this partner is told of orders."""
        if self.form != EMAIL:
            return self.reader
        sender = self.sender or self.ours.id
        return Mail(self.mailbox or name_of(self.partner_id), sender, self.letterhead or sender)

    @property
    def reader(self) -> Codec:
        """How this partner answers."""
        if self.csv is not None:
            return Table(self.csv)
        return CODECS["x12" if self.form == EMAIL else self.form]


def folder_partners(partner_ids: Iterable[str], folder: Path, currency: str) -> dict[str, Partner]:
    """Partners nobody described, each with a folder of its own: X12 where the id fits on an
    envelope, e-mail otherwise."""
    standing = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    found = {}
    for name in sorted(set(partner_ids)):
        place = str(folder / _folder_name(name, standing))
        form = "x12" if fits_envelope(name) else EMAIL
        found[name] = Partner(name, place, currency, form, folder=place, costs_in=currency)
    return found


def _folder_name(partner_id: str, standing: Collection[str]) -> str:
    """The partner's name, or the spelling that its folder had before names were given, where such a
    folder stands."""
    before = quote(partner_id, safe=" ", errors="replace")
    is_usable = before in standing and before.strip(".") and len(before) <= LONGEST
    return before if is_usable and before != FILE else name_of(partner_id)


def read_partners(folder: Path, partner_ids: Iterable[str], currency: str) -> dict[str, Partner]:
    """The partners a company described in `folder/partners.yml`, and a folder under it for every
    other one.

    The file maps a partner's id to what differs: {S01: {address: "https://edi.example/in", party:
    {id: ACME, qualifier: ZZ}, usage: T}}; what differs for whoever it does not name stands under
    "*", whose terms and letterhead are for all. Raises LedgerError naming the entry that cannot be
    read.
    """
    partners, file = folder_partners(partner_ids, folder, currency), folder / FILE
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8")) or {} if file.exists() else {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LedgerError(f"{file} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise LedgerError(f"{file}: it must map partner ids to what differs for them")
    everyone = content.pop(EVERYONE, None) or {}
    for name in partners if everyone else ():
        partners[name] = _described(partners[name], everyone, f"{file}, partner {EVERYONE}")
    is_said = isinstance(everyone, Mapping)
    shared = {word: everyone[word] for word in OF_ALL if word in everyone} if is_said else {}
    for name, changes in content.items():
        usual = folder_partners([str(name)], folder, currency)[str(name)]
        said = {**shared, **changes} if isinstance(changes, Mapping) else changes
        partners[str(name)] = _described(usual, said, f"{file}, partner {name}")
    _check_senders(partners.values(), file)
    return partners


def _check_senders(partners: Iterable[Partner], file: Path) -> None:
    """Refuse two partners whose mail could not be told apart."""
    whose: dict[tuple[str, str], str] = {}
    for partner in partners:
        for address in partner.writes_from if partner.inbox else ():
            other = whose.setdefault((partner.inbox, address), partner.partner_id)
            if other != partner.partner_id:
                both = f"{other} and {partner.partner_id}"
                raise LedgerError(f"{file}: {both} both write from {address} to one inbox")


def _described(usual: Partner, changes: Any, where: str) -> Partner:
    """A partner with what its entry changes. Raises LedgerError for a word or value no partner
    has."""
    ours = ("partner_id", "costs_in", "wording")
    words = [f.name for f in fields(Partner) if f.name not in ours]
    if not isinstance(changes, Mapping) or (
        unknown := [word for word in changes if word not in words]
    ):
        raise LedgerError(
            f"{where}: {unknown if isinstance(changes, Mapping) else changes!r} is not understood; "
            f"words: {', '.join(words)}"
        )
    settings = dict(changes)
    if str(settings.get("address", "")).partition("://")[0] in ERPS:
        settings = {"form": "csv"} | settings
    for end in ("party", "ours"):
        if end in settings:
            try:
                settings[end] = Party(**settings[end])
            except TypeError as error:
                raise LedgerError(f"{where}: {end} is {{id: …, qualifier: …}}") from error
    if "writes_from" in settings:
        settings["writes_from"] = _addresses(settings["writes_from"], where)
    try:
        settings |= {"csv": Contract.of(settings["csv"])} if "csv" in settings else {}
    except MessageError as error:
        raise LedgerError(f"{where}, csv: {error}") from error
    partner = replace(usual, **settings)
    if partner.scheme in ERPS:
        if settings.keys() & {"csv"} or partner.form != "csv":
            raise LedgerError(f"{where}: an ERP has sheets of its own, leave form and csv out")
        partner = replace(partner, csv=ERP_SHEETS)
    if partner.csv is not None and partner.form not in ("csv", EMAIL):
        raise LedgerError(f"{where}: csv is for partners of form csv or email")
    if (
        partner.form not in (*CODECS, EMAIL)
        or partner.usage not in ("P", "T")
        or not isinstance(partner.receipts, bool)
    ):
        forms = ", ".join((*CODECS, EMAIL))
        raise LedgerError(f"{where}: form is one of {forms}, usage P or T, receipts true or false")
    _check_texts(partner, where)
    _check_address(partner, where)
    return _with_inbox(partner, where)


def _check_texts(partner: Partner, where: str) -> None:
    """Refuse what is no text, or has signs in it that nobody sees."""
    texts = [partner.address, partner.currency, partner.mailbox, partner.folder]
    texts += [partner.sender, partner.secret, partner.key_file, partner.host_key]
    texts += [partner.inbox, partner.inbox_secret, partner.vouched_by]
    texts += [partner.terms, partner.letterhead]
    texts += [
        text for party in (partner.their, partner.ours) for text in (party.id, party.qualifier)
    ]
    if odd := [text for text in texts if not isinstance(text, str) or not text.isprintable()]:
        raise LedgerError(
            f"{where}: {odd[0]!r} is no line of text; write it in quotes, on one line"
        )


def _addresses(said: Any, where: str) -> tuple[str, ...]:
    """Mail addresses as they are compared: in lower case."""
    listed = [said] if isinstance(said, str) else said
    if not isinstance(listed, list) or not all(
        isinstance(one, str) and MAIL_ADDRESS.fullmatch(one) for one in listed
    ):
        raise LedgerError(f"{where}: writes_from is a list of mail addresses")
    return tuple(one.lower() for one in listed)


def _with_inbox(partner: Partner, where: str) -> Partner:
    """A partner with the addresses that its mail comes from. Raises LedgerError for an inbox that
    cannot be fetched from."""
    if not partner.inbox:
        if partner.inbox_secret or partner.writes_from or partner.vouched_by:
            raise LedgerError(f"{where}: inbox_secret, writes_from and vouched_by are for an inbox")
        return partner
    if partner.inbox.partition("://")[0] not in INBOXES:
        kinds = " or ".join(f"{scheme}://" for scheme in INBOXES)
        raise LedgerError(f"{where}: its inbox begins with {kinds}")
    if not partner.inbox_secret:
        raise LedgerError(f"{where}: an inbox needs inbox_secret beside it")
    writes_from = partner.writes_from or _addresses([partner.mailbox], where)
    return replace(partner, writes_from=writes_from)


def _check_address(partner: Partner, where: str) -> None:
    """Refuse an address of a kind nobody knows, and one that lacks what its kind needs."""
    needed = {"": (), "http": (), "https": (), "sftp": ("host_key",)}
    needed |= dict.fromkeys(("smtp", "smtps"), ("sender", "mailbox"))
    needed |= dict.fromkeys(ERPS, ("secret",))
    if partner.scheme not in needed:
        kinds = ", ".join(f"{scheme}://" for scheme in needed if scheme)
        raise LedgerError(f"{where}: its address is a folder, or begins with one of {kinds}")
    if missing := [word for word in needed[partner.scheme] if not getattr(partner, word)]:
        raise LedgerError(
            f"{where}: an address of {partner.scheme}:// needs {missing[0]} beside it"
        )
    if partner.scheme in ERPS and not is_private(partner.address):
        raise LedgerError(
            f"{where}: {partner.scheme}:// would send the password in the clear; beyond this "
            "machine it is tryton+https://"
        )


def render(order: Order, partner: Partner, control: int, at: datetime) -> bytes:
    """The bytes a partner is sent, once and for all: a resend repeats them.

    Raises MessageError where the partner's format cannot say the order, or its money is neither the
    one the order was reckoned in nor that of the partner's terms.
    """
    if partner.currency not in (order.currency, partner.costs_in):
        raise MessageError(
            f"its costs are in {order.currency} and {legible(partner.partner_id)} is paid in "
            f"{partner.currency}, and no rate between them is known"
        )
    try:
        return partner.writer.write(order, partner.ours, partner.their, control, at, partner.usage)
    except UnicodeEncodeError as error:
        raise MessageError(
            "an id in it is no text that can be written (a lone surrogate)"
        ) from error
