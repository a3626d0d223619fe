"""Whom we order from, and how they like to hear it: X12, or an e-mail with the order as CSV and
PDF."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import yaml

from models.names import LONGEST, legible, name_of
from models.procurement import edi
from models.procurement.messages import MessageError, Order, OrderedLine
from models.procurement.x12 import Party, fits_envelope, number
from orchestration.ledger.store import LedgerError

COLUMNS = ("line", "action", "item", "quantity", "unit cost", "value", "due on")
US = Party("STOCKHOUSE")
PAGE = 40  # lines on one page of paper
#: How a text begins that a spreadsheet does not show but reckon.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
#: Where a company says how its suppliers like to hear from it; a supplier it does not name gets a
#: folder.
FILE = "partners.yml"


@dataclass(frozen=True)
class Partner:
    """A supplier, or a location that ships to others, as the sending station knows it.

    address: a folder, where messages appear under `out`, or an http(s) URL that takes a POST.
    folder: where its answers wait under `in`, put there by the partner, its gateway, or by us when
    an answer came with the response to a POST; the address where it is one.
    form: x12, or email for a partner that reads only mail. party and ours: both ends of an X12
    envelope. mailbox: where mail goes. usage: P for production, T for test; answers must say the
    same. receipts: whether it wants a 997 for what it sends us.
    costs_in: the money the ledger's costs are in, where that may be another than the partner's
    currency.
    """

    partner_id: str
    address: str
    currency: str
    form: Literal["x12", "email"] = "x12"
    party: Party | None = None
    ours: Party = US
    mailbox: str = ""
    usage: Literal["P", "T"] = "P"
    receipts: bool = False
    folder: str = ""
    costs_in: str = ""

    @property
    def is_online(self) -> bool:
        """Whether messages leave by HTTP."""
        return self.address.startswith(("http://", "https://"))

    @property
    def place(self) -> Path | None:
        """The folder shared with the partner; None where there is none."""
        shared = self.folder or ("" if self.is_online else self.address)
        return Path(shared) if shared else None

    @property
    def their(self) -> Party:
        """The partner's end of the envelope: its own id where none was agreed."""
        return self.party or Party(self.partner_id)

    @property
    def suffix(self) -> str:
        """The file ending of what this partner is sent."""
        return "edi" if self.form == "x12" else "eml"


def folder_partners(partner_ids: Iterable[str], folder: Path, currency: str) -> dict[str, Partner]:
    """Partners nobody described, each with a folder of its own: X12 where the id fits on an
    envelope, e-mail otherwise."""
    standing = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    found = {}
    for name in sorted(set(partner_ids)):
        place = str(folder / _folder_name(name, standing))
        form: Literal["x12", "email"] = "x12" if fits_envelope(name) else "email"
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
    {id: ACME, qualifier: ZZ}, usage: T}}. Raises LedgerError naming the entry that cannot be read.
    """
    partners, file = folder_partners(partner_ids, folder, currency), folder / FILE
    try:
        said = yaml.safe_load(file.read_text(encoding="utf-8")) or {} if file.exists() else {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LedgerError(f"{file} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(said, dict):
        raise LedgerError(f"{file}: it must map partner ids to what differs for them")
    for name, changes in said.items():
        usual = folder_partners([str(name)], folder, currency)[str(name)]
        partners[str(name)] = _described(usual, changes, f"{file}, partner {name}")
    return partners


def _described(usual: Partner, changes: Any, where: str) -> Partner:
    """A partner with what its entry changes. Raises LedgerError for a word or value no partner
    has."""
    words = [f.name for f in fields(Partner) if f.name not in ("partner_id", "costs_in")]
    if not isinstance(changes, Mapping) or (
        unknown := [word for word in changes if word not in words]
    ):
        raise LedgerError(
            f"{where}: {unknown if isinstance(changes, Mapping) else changes!r} is not understood; "
            f"words: {', '.join(words)}"
        )
    said = dict(changes)
    for end in ("party", "ours"):
        if end in said:
            try:
                said[end] = Party(**said[end])
            except TypeError as error:
                raise LedgerError(f"{where}: {end} is {{id: …, qualifier: …}}") from error
    partner = replace(usual, **said)
    if (
        partner.form not in ("x12", "email")
        or partner.usage not in ("P", "T")
        or not isinstance(partner.receipts, bool)
    ):
        raise LedgerError(f"{where}: form is x12 or email, usage P or T, receipts true or false")
    texts = [partner.address, partner.currency, partner.mailbox, partner.folder]
    texts += [
        text for party in (partner.their, partner.ours) for text in (party.id, party.qualifier)
    ]
    if odd := [text for text in texts if not isinstance(text, str) or not text.isprintable()]:
        raise LedgerError(
            f"{where}: {odd[0]!r} is no line of text; write it in quotes, on one line"
        )
    return partner


def render(order: Order, partner: Partner, control: int, at: datetime) -> bytes:
    """The bytes a partner is sent, once and for all: a resend repeats them.

    Raises MessageError where the partner's format cannot say the order, or its money is not the one
    the order was reckoned in.
    """
    if partner.costs_in not in ("", partner.currency):
        raise MessageError(
            f"its costs are in {partner.costs_in} and {legible(partner.partner_id)} is paid in "
            f"{partner.currency}, and no rate between them is known"
        )
    try:
        if partner.form == "x12":
            return edi.write(
                order, partner.ours, partner.their, control, at, partner.usage
            ).encode()
        return _mail(order, partner, control, at)
    except UnicodeEncodeError as error:
        raise MessageError(
            "an id in it is no text that can be written (a lone surrogate)"
        ) from error


def _mail(order: Order, partner: Partner, control: int, at: datetime) -> bytes:
    title = f"Purchase order {order.order_id}" + (
        f", change {order.revision}" if order.revision else ""
    )
    mail = EmailMessage()
    mail["Subject"], mail["To"] = title, partner.mailbox or name_of(partner.partner_id)
    mail["From"], mail["Date"] = partner.ours.id, format_datetime(at)
    mail["Message-ID"] = f"<{order.order_id}.{control}@{name_of(partner.ours.id).lower()}>"
    mail.set_content(
        f"{title}: {len(order.lines)} lines, {order.currency}. Please answer with this number and "
        "the line numbers.\n"
    )
    mail.add_attachment(
        table(order).encode(), maintype="text", subtype="csv", filename=f"{order.order_id}.csv"
    )
    mail.add_attachment(
        paper(order, title), maintype="application", subtype="pdf", filename=f"{order.order_id}.pdf"
    )
    mail.set_boundary(f"{order.order_id}-{control}")
    return mail.as_bytes()


def rows(lines: Sequence[OrderedLine]) -> Iterator[tuple[str, ...]]:
    """The lines as people read them."""
    for line in lines:
        value = f"{line.quantity * line.unit_cost:.2f}"
        yield (
            line.line_id,
            line.action,
            line.item_id,
            number(line.quantity),
            number(line.unit_cost),
            value,
            line.due_on.isoformat(),
        )


def table(order: Order) -> str:
    """The order as CSV, one line a row; a text that a spreadsheet would reckon as a formula begins
    with an apostrophe."""
    text = io.StringIO()
    shown = (
        [f"'{cell}" if cell.startswith(FORMULA) else cell for cell in row]
        for row in rows(order.lines)
    )
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *shown])
    return text.getvalue()


def paper(order: Order, title: str) -> bytes:
    """The order as a PDF, forty lines a page."""
    # seconds to import, and few suppliers want paper
    from matplotlib.backends.backend_pdf import PdfPages  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    shown = [[legible(cell, 40) for cell in row] for row in rows(order.lines)]
    total = sum(line.quantity * line.unit_cost for line in order.lines)
    whom, where = legible(order.supplier_id, 40), legible(order.location_id, 40)
    pages = [shown[start : start + PAGE] for start in range(0, len(shown), PAGE)]
    file = io.BytesIO()
    with PdfPages(file, metadata={"Title": title, "CreationDate": None}) as pdf:
        for place, page in enumerate(pages, start=1):
            figure = Figure(figsize=(8.27, 11.69))
            figure.text(0.08, 0.95, title, size=15, weight="bold")
            head = (
                f"to {whom}    deliver to {where}    {order.ordered_on}    page {place} of "
                f"{len(pages)}"
            )
            figure.text(0.08, 0.925, head, size=9, parse_math=False)
            axes = figure.add_axes((0.08, 0.06, 0.84, 0.85))
            axes.set_axis_off()
            drawn = axes.table(
                cellText=page,
                colLabels=COLUMNS,
                loc="upper center",
                cellLoc="right",
                edges="horizontal",
            )
            drawn.auto_set_font_size(False)
            drawn.set_fontsize(8)
            for cell in drawn.get_celld().values():
                cell.get_text().set_parse_math(False)  # an id may have dollar signs
            if place == len(pages):
                figure.text(0.92, 0.04, f"total {total:,.2f} {order.currency}", size=10, ha="right")
            pdf.savefig(figure)
    return file.getvalue()
