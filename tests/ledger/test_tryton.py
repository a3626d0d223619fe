"""A company that lives in a real Tryton: what happens there lands here, what is approved here is a
draft purchase there once, whatever is cut short, and what becomes of it there closes it here."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain import OrderLine
from models.procurement.messages import Order, OrderedLine
from orchestration.app import procurement, publishing
from orchestration.defs.land import land_ledger
from orchestration.home import Home
from orchestration.intake import pull
from orchestration.landing import World, land
from orchestration.ledger.partners import FILE, Partner, read_partners, render
from orchestration.ledger.transports import Envelope, TransportError, deliver, fetch
from tests.transform.warehouses import build, query
from tests.worlds.tryton import erp_company
from tests.worlds.tryton.cut_line import line_to
from tests.worlds.tryton.erp_company import Erp, weeks_before

MONDAY = datetime(2025, 6, 2, 9)
COMPANY = {
    "suppliers": {
        "NEAR": {"name": "Near & Co", "lead_days": 3},
        "FAR": {"name": "Far Ltd", "lead_days": 10},
    },
    "items": {
        "APPLE": {
            "name": "Apple",
            "price": "5.00",
            "cost": "3.0000",
            "supplier": "NEAR",
            "order_point": [20, 60],
        },
        "BREAD": {
            "name": "Bread",
            "price": "2.50",
            "cost": "1.0000",
            "supplier": "FAR",
            "order_point": [50, 150],
            "is_taxed": True,
        },
    },
}
SECRET = "TRYTON_PASSWORD"  # noqa: S105 - the variable's name
ANY = "PATH"  # a variable that is there
MODELS = "+fct_stock_positions +fct_receipts +fct_open_orders +fct_lead_times +dim_supplier_terms"

pytestmark = pytest.mark.xdist_group("tryton")  # founded once
needs_tryton = pytest.mark.skipif(
    not erp_company.python().exists(),
    reason="Tryton's environment is absent: `make test` sets it up, or TRYTON_PYTHON names its Python",
)


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The company after three weeks of trade, counted on Sunday night."""
    base = tmp_path_factory.mktemp("tryton")
    company = erp_company.found(base / "founded", COMPANY, datetime(2025, 5, 10, 8))
    erp = Erp(company, base / "after")
    try:
        days = weeks_before(MONDAY.date(), 3)
        for week in (days[:7], days[7:14], days[14:]):
            erp.at(datetime(week[-1].year, week[-1].month, week[-1].day, 23))
            erp.take_over({day: {"APPLE": 5, "BREAD": 8} for day in week})
        erp.count({"APPLE": 30, "BREAD": 100})
    finally:
        erp.stop()
    return base / "after"


@pytest.fixture
def erp(founded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Erp]:
    found = Erp(founded, tmp_path / "erp")
    for name, value in found.environment().items():
        monkeypatch.setenv(name, value)
    found.at(MONDAY)
    yield found
    found.stop()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.found(tmp_path / "home", "tryton")


def landed(home: Home) -> datetime:
    """Pull and land, as a run does; the Now that was reached."""
    folder = home.root.parent / "world"
    folder.mkdir(exist_ok=True)
    shutil.copy(erp_company.WORLD, folder)
    world = World.load(folder)
    pull(world, home.inbox)
    with home.connect() as con:
        report = land(con, world, folder, home.archive, inbox=home.inbox)
        land_ledger(con, home, world, report.now_at)
        assert con.execute("select * from raw.quarantine").fetchall() == []
    assert report.now_at is not None
    return report.now_at


def said_by(home: Home) -> None:
    """Pull, land and make the truth of it, and publish it, as a run does."""
    now = landed(home)
    build(home.warehouse, MODELS, verb="run")
    publishing.write_snapshot(home.warehouse, home.published, "run", now)


def stock(home: Home) -> dict[str, float]:
    return dict(query(home.warehouse, "select item_id, on_hand from marts.fct_stock_positions"))


def wanted(item: str, supplier: str, quantity: float, cost: float) -> OrderLine:
    return OrderLine(
        world="tryton",
        kind="purchase",
        item_id=item,
        location_id="WH",
        from_id=supplier,
        quantity=quantity,
        review_period=MONDAY.date(),
        due_on=date(2025, 6, 5),
        unit_cost=cost,
        parts={"expected_demand": quantity},
        reason="a test wants it",
    )


@needs_tryton
def test_an_order_goes_into_tryton_once_and_what_becomes_of_it_there_closes_it_here(
    erp: Erp, home: Home
) -> None:
    erp.sell({"APPLE": 3, "BREAD": 4})
    said_by(home)
    assert stock(home) == erp.on_hand() == {"APPLE": 27, "BREAD": 96}
    assert query(
        home.warehouse,
        "select item_id, supplier_id, lead_time_days, unit_cost::double from marts.dim_supplier_terms order by 1",
    ) == [("APPLE", "NEAR", 3.0, 3.0), ("BREAD", "FAR", 10.0, 1.0)]
    partners = {"*": {"address": erp.address, "secret": SECRET}}
    (home.state / "partners").mkdir(parents=True, exist_ok=True)
    (home.state / "partners" / FILE).write_text(yaml.safe_dump(partners), encoding="utf-8")

    with procurement.open_desk(home) as desk:
        plan = [wanted("APPLE", "NEAR", 40, 3.0), wanted("BREAD", "FAR", 70, 1.0)]
        desk.ledger.propose(plan, "run 1", desk.now)
        desk.ledger.approve([d.document_id for d in desk.ledger.lines()], "ann", desk.now)
        assert desk.ledger.send(desk.partners, desk.now).sent == 2
        orders = {d.item_id: d.order_id for d in desk.ledger.lines()}
    drafts = erp.purchases("draft")
    assert {p["reference"]: p["lines."][0]["quantity"] for p in drafts} == {
        orders["APPLE"]: 40.0,
        orders["BREAD"]: 70.0,
    }

    totals = {p["reference"]: p["total_amount"]["decimal"] for p in drafts}
    assert totals == {orders["APPLE"]: "120.00", orders["BREAD"]: "77.00"}  # with a tenth of tax

    erp.at(MONDAY + timedelta(hours=2))
    erp.confirm([purchase["id"] for purchase in drafts])
    (apples,) = [p for p in erp.purchases("processing") if p["reference"] == orders["APPLE"]]
    erp.at(MONDAY + timedelta(days=3))
    erp.receive(apples, apples["lines."][0]["moves"])
    erp.book_bill(apples, "RE-204")
    erp.sell({"APPLE": 1})
    said_by(home)
    assert stock(home) == erp.on_hand() == {"APPLE": 66, "BREAD": 96}
    assert query(home.warehouse, "select order_id, quantity from marts.fct_open_orders") == [
        (orders["BREAD"], 70.0)  # once, though ledger and Tryton both have it
    ]
    with procurement.open_desk(home) as desk:
        taken = procurement.poll(desk).messages
        assert {reception.status for reception in taken.values()} == {"taken"}
        assert procurement.poll(desk).messages == {}  # nothing is said twice
        assert procurement.match(desk).receipts == 1
        lines = {d.item_id: d for d in desk.ledger.lines()}
        assert lines["APPLE"].acknowledgement["quantity"] == 40.0
        assert lines["APPLE"].received == 40.0
        assert lines["APPLE"].invoices["RE-204"]["status"] == "payment_proposed"
        assert lines["BREAD"].acknowledgement["due_on"] == "2025-06-05"
        assert not lines["BREAD"].received
        assert [d for d in lines.values() if d.exceptions] == []
        assert desk.ledger.audit() == []


def order(*lines: OrderedLine, revision: int = 0) -> Order:
    return Order("SHP00000001", "NEAR", "WH", MONDAY.date(), "EUR", revision, lines)


def line(number: str, quantity: float, action: Any = "order", item: str = "APPLE") -> OrderedLine:
    return OrderedLine(number, item, quantity, 3.0, date(2025, 6, 9), action)


def envelope(said: Order, partner: Partner) -> Envelope:
    body = render(said, partner, said.revision + 1, MONDAY)
    return Envelope(said.revision + 1, partner.writer.document_type(said), said.order_id, body)


def lines_of(erp: Erp) -> list[Any]:
    """Every purchase there is: its state, and its lines by number."""
    purchases = erp.purchases("draft", "quotation", "processing", "cancelled")
    return [
        (p["state"], {row["sequence"]: row["quantity"] for row in p["lines."]}) for p in purchases
    ]


def described(folder: Path, **changes: Any) -> Partner:
    (folder / FILE).write_text(yaml.safe_dump({"*": changes}), encoding="utf-8")
    return read_partners(folder, ["NEAR"], "EUR")["NEAR"]


@needs_tryton
def test_a_call_that_is_cut_leaves_one_purchase_however_often_it_is_made_again(
    erp: Erp, tmp_path: Path
) -> None:
    with line_to(erp.port) as cut:
        address = erp.address.replace(str(erp.port), str(cut.port))
        partner = described(tmp_path, address=address, secret=SECRET)
        message = envelope(order(line("1", 5), line("2", 7, item="BREAD")), partner)
        for where in ("before", "between"):
            cut.cut = lambda method, where=where: where if method.endswith(".create") else None
            with pytest.raises(TransportError) as error:
                deliver(message, partner)
            assert not error.value.is_final
        cut.cut = lambda method: None
        deliver(message, partner)
    assert lines_of(erp) == [("draft", {1: 5.0, 2: 7.0})]

    def late() -> None:
        """A call that was taken for lost comes through after all."""
        (first,) = erp.purchases("draft")
        erp.call("purchase.purchase.copy", [first["id"]], {"reference": "SHP00000001"})

    late()
    partner = described(tmp_path, address=erp.address, secret=SECRET)
    deliver(message, partner)
    assert lines_of(erp) == [("draft", {1: 5.0, 2: 7.0})]

    change = order(
        line("1", 9, "change"), line("2", 7, "cancel", "BREAD"), line("3", 2, "add"), revision=1
    )
    for _ in range(2):
        deliver(envelope(change, partner), partner)
    assert lines_of(erp) == [("draft", {1: 9.0, 3: 2.0})]
    erp.confirm([p["id"] for p in erp.purchases("draft")])
    with pytest.raises(TransportError, match="is processing in Tryton") as error:
        deliver(envelope(order(line("1", 4, "change"), revision=2), partner), partner)
    assert error.value.is_final
    with pytest.raises(TransportError, match="is another order"):
        deliver(envelope(order(line("1", 5, item="BREAD")), partner), partner)


@needs_tryton
def test_what_tryton_does_not_know_or_does_not_let_us_do_is_said(
    erp: Erp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner = described(tmp_path, address=erp.address, secret=SECRET)
    with pytest.raises(TransportError, match=r"no product\.product whose code is 'PEAR'") as error:
        deliver(envelope(order(line("1", 5, item="PEAR")), partner), partner)
    assert error.value.is_final
    boxes = OrderedLine("1", "APPLE", 2, 36.0, date(2025, 6, 9), "order", "CS")
    with pytest.raises(TransportError, match="pieces alone"):
        deliver(envelope(order(boxes), partner), partner)
    with pytest.raises(TransportError, match="not in Tryton any more"):
        deliver(envelope(order(line("1", 5, "change"), revision=1), partner), partner)
    monkeypatch.setenv(SECRET, "wrong")
    with pytest.raises(TransportError, match="login was answered 401"):
        deliver(envelope(order(line("1", 5)), partner), partner)
    monkeypatch.delenv(SECRET)
    with pytest.raises(TransportError, match="TRYTON_PASSWORD is not set"):
        deliver(envelope(order(line("1", 5)), partner), partner)
    assert lines_of(erp) == []


@needs_tryton
def test_a_draft_that_is_deleted_there_is_waited_for_no_more(erp: Erp, home: Home) -> None:
    erp.sell({"APPLE": 1})
    partner = described(home.root, address=erp.address, secret=SECRET)
    deliver(envelope(order(line("1", 5)), partner), partner)
    landed(home)
    drafts = [purchase["id"] for purchase in erp.purchases("draft")]
    erp.call("purchase.purchase.cancel", drafts)
    erp.call("purchase.purchase.delete", drafts)
    landed(home)
    versions = (
        "select order_id, line_id, quantity, status from raw.purchase_orders order by known_at"
    )
    assert query(home.warehouse, versions) == [
        ("SHP00000001", "1", 5.0, "open"),
        ("SHP00000001", "1", 5.0, "cancelled"),
    ]


def test_an_erp_s_entry_says_what_it_needs(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(
        "'*': {address: 'tryton+https://us@erp.example/erp', secret: ERP}\nS2: {form: edifact}\n",
        encoding="utf-8",
    )
    partners = read_partners(tmp_path, ["S1", "S2"], "EUR")
    assert partners["S1"].scheme == "tryton+https" and partners["S2"].scheme == ""
    assert partners["S1"].writer.suffix == "csv" and partners["S2"].form == "edifact"
    for words, said in (
        ("address: 'tryton+https://us@erp.example/erp'", "needs secret beside it"),
        ("address: 'tryton+https://us@erp.example/erp', secret: E, form: x12", "sheets of its own"),
        ("address: 'sap://erp.example'", "begins with one of"),
    ):
        (tmp_path / FILE).write_text(f"S1: {{{words}}}\n", encoding="utf-8")
        with pytest.raises(Exception, match=said):
            read_partners(tmp_path, ["S1"], "EUR")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "state", "lines.", "reference", "__class__"]), inner
        )
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(answers=st.lists(JSON, min_size=1, max_size=6))
def test_whoever_answers_in_tryton_s_place_is_a_partner_not_reached(answers: list[Any]) -> None:
    """The log-in is answered as it should be, what follows is anything."""
    said = [[1, "key", None], {"company": 1}, *answers]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"id": 0, "result": said.pop(0) if said else None}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as server, tempfile.TemporaryDirectory() as folder:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        address = f"tryton+http://us@127.0.0.1:{server.server_port}/erp"
        partner = replace(described(Path(folder), address=address, secret=ANY), folder=folder)
        with suppress(TransportError):  # what it has to be, if anything
            deliver(envelope(order(line("1", 5)), partner), partner)
        said[:] = [[1, "key", None], {"company": 1}, *answers]
        assert {one.partner_id for one in fetch([partner]).missed} <= {"NEAR"}
        server.shutdown()
