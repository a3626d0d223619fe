"""The procure station: its jobs hear, match and send from the published snapshot, and nothing
leaves unless a run says so."""

from __future__ import annotations

import email
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from email import policy
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader
from typer.testing import CliRunner

from models.domain import OrderLine
from models.procurement import exact_numbers, x12
from orchestration.app import procurement, publishing
from orchestration.app.goods_and_bills import BilledLine, bill
from orchestration.cli import app as shell
from orchestration.home import Home
from orchestration.ledger import Ledger, LedgerError
from orchestration.ledger.outbox import to_order
from orchestration.ledger.partners import FILE, read_partners

NOW = datetime(2026, 1, 5)
WORLD = """
world: w
currency: GBP
plan: {grain: day, absent_sales: zero}
sources:
  till: {silo: erp, path: "*.csv", identity: row, known_after: 1 day, into: [sales: {item_id: i, location_id: l, event_at: d, quantity: q}]}
"""


def publish(
    home: Home,
    receipts: tuple[tuple[Any, ...], ...] = (),
    arrived: tuple[tuple[Any, ...], ...] = (),
) -> None:
    """What a run would have published of a company with one supplier that is always late."""
    home.warehouse.unlink(missing_ok=True)
    with duckdb.connect(str(home.warehouse)) as con:
        con.execute("""
            create schema raw; create schema marts; create schema metrics;
            create table raw.world as
            select 'w' as world, 'GBP' as currency, 'UTC' as timezone, 'day' as grain,
                timestamp '2026-01-05' as now_at;
            create table marts.dim_items as select 'mug' as item_id, 'Mug, 0.3 l' as name,
                'kitchen' as category, true as is_current;
            create table marts.dim_locations as select 'DC' as location_id, 'Warehouse' as name,
                '1 Quay Road, Cork' as address, true as is_current;
            create table marts.fct_receipts (
                order_id varchar, line_id varchar, item_id varchar, quantity double,
                    event_at timestamp, is_current boolean);
            create table marts.fct_lead_times (order_id varchar, kind varchar,
                received_at timestamp, is_censored boolean);
            create table metrics.kpi_supplier_performance as select 'S9' as supplier_id,
                18 as order_lines, 0 as open_lines, 18 as due_lines, 0.0 as otif_share,
                30.0 as lead_time_mean_days, 41.0 as lead_time_p90_days;
            create table marts.dim_suppliers (supplier_id varchar, name varchar,
                payment_days double, is_current boolean);
            insert into marts.dim_suppliers values ('S1', 'Potters', 30, true);
        """)
        for row in receipts:
            con.execute("insert into marts.fct_receipts values (?, ?, ?, ?, ?, true)", row)
        for row in arrived:
            con.execute("insert into marts.fct_lead_times values (?, 'transfer', ?, false)", row)
    publishing.write_snapshot(home.warehouse, home.published, "run 1", NOW)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    place = Home.found(tmp_path / "home", "w")
    publish(place)
    return place


@pytest.fixture
def desk(home: Home) -> Iterator[procurement.Desk]:
    with procurement.open_desk(home) as opened:
        yield opened


def out(home: Home, partner: str = "S1", kind: str = "out") -> list[Path]:
    return sorted((home.state / "partners" / partner / kind).glob("*"))


def test_a_batch_that_holds_the_warehouse_does_not_hold_the_desk(
    home: Home, line: Callable[..., OrderLine]
) -> None:
    with duckdb.connect(str(home.warehouse)), procurement.open_desk(home) as desk:
        desk.ledger.propose([line("mug")], "run 1", desk.now)
        assert (desk.now, procurement.approve_and_send(desk)[1].sent) == (NOW, 1)


def test_the_desk_s_now_never_lies_before_what_it_recorded(
    desk: procurement.Desk, line: Callable[..., OrderLine]
) -> None:
    later = datetime(2026, 1, 9)
    desk.ledger.propose([line("mug")], "run 2", later)
    with procurement.open_desk(desk.home) as again:
        assert again.now == later


def test_goods_that_the_company_s_systems_report_are_booked_once_and_do_not_land_again(
    desk: procurement.Desk, line: Callable[..., OrderLine]
) -> None:
    plan = [line("mug", 10), line("mug", 6, kind="transfer", location_id="UK", from_id="DC")]
    desk.ledger.propose(plan, "run 1", NOW)
    desk.ledger.approve_within_limits(NOW)
    bought, moved = sorted(desk.ledger.lines(), key=lambda d: d.kind)
    publish(
        desk.home,
        (
            (bought.order_id, "1", "mug", 4, datetime(2026, 1, 4)),
            ("OTHER", "1", "mug", 9, datetime(2026, 1, 4)),
        ),
        ((f"{moved.order_id}/{moved.line_id}", datetime(2026, 1, 4)),),
    )
    assert procurement.match(desk).receipts == 2
    assert procurement.match(desk).receipts == 0
    bought, moved = sorted(desk.ledger.lines(), key=lambda d: d.kind)
    assert (bought.received, bought.stage, moved.stage) == (4, "partially_received", "closed")
    assert desk.ledger.canonical_rows()["receipts"].is_empty()
    publish(desk.home, ((bought.order_id, "1", "mug", 10, datetime(2026, 1, 6)),))
    assert procurement.match(desk).receipts == 1
    assert sorted(d.received for d in desk.ledger.lines()) == [6, 10]
    assert desk.ledger.audit() == []


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(reports=st.lists(st.sampled_from([0, 4, 6, 10, 12, -2]), min_size=1, max_size=6))
def test_the_ledger_follows_what_the_company_s_systems_report_up_and_down(
    tmp_path_factory: pytest.TempPathFactory,
    line: Callable[..., OrderLine],
    reports: list[int],
) -> None:
    home = Home.found(tmp_path_factory.mktemp("home"), "w")
    publish(home)
    with procurement.open_desk(home) as desk:
        desk.ledger.propose([line("mug", 10)], "run 1", NOW)
        desk.ledger.approve_within_limits(NOW)
        (bought,) = desk.ledger.lines()
        last, fell = 0, 0
        for reported in reports:
            row = (bought.order_id, bought.line_id, "mug", reported, datetime(2026, 1, 4))
            publish(home, (row,))
            for _ in range(2):
                procurement.match(desk)
            (now,) = desk.ledger.lines()
            came = max(reported, 0)
            assert (now.received, now.open_quantity) == (came, max(10 - came, 0))
            fell, last = fell + (came < last), came
        said = desk.ledger.between(0, None, ("excepted",), 99, ())
        assert sum("company's systems" in one.payload["reason"] for one in said) == fell
        assert desk.ledger.audit() == []


def test_a_bill_waits_for_what_was_taken_back_and_one_that_is_paid_is_told(
    desk: procurement.Desk, line: Callable[..., OrderLine]
) -> None:
    desk.ledger.propose([line("mug", 10), line("cup", 10)], "run 1", NOW)
    desk.ledger.approve_within_limits(NOW)
    lines = {d.item_id: d for d in desk.ledger.lines()}

    def report(**came: float) -> None:
        rows = [
            (lines[item].order_id, lines[item].line_id, item, units, datetime(2026, 1, 4))
            for item, units in came.items()
        ]
        publish(desk.home, tuple(rows))
        procurement.match(desk)

    report(mug=10, cup=4)
    for item, name in (("mug", "I1"), ("cup", "I2")):
        billed = [BilledLine(lines[item].line_id, 10, lines[item].unit_cost)]
        bill(desk, name, lines[item].order_id, NOW.date(), billed, Decimal(0), "anna")
    report(mug=6, cup=10)
    after = {d.item_id: d for d in desk.ledger.lines()}
    assert after["mug"].invoices["I1"]["status"] == "payment_proposed"
    assert after["cup"].invoices["I2"]["status"] == "payment_proposed"
    report(cup=10)  # the receipt was booked on another order
    (mug,) = [d for d in desk.ledger.lines() if d.item_id == "mug"]
    assert (mug.received, mug.open_quantity, mug.stage) == (0, 10, "approved")
    said = desk.ledger.between(0, None, ("excepted",), 99, ())
    reasons = [one.payload["reason"] for one in said]
    assert reasons[-2:] == [
        "the company's systems report 6 units received, where they reported 10; payment of 10 is "
        "proposed already (invoice I1)",
        "the company's systems report 0 units received, where they reported 6; payment of 10 is "
        "proposed already (invoice I1)",
    ]


def test_nothing_is_taken_back_by_a_snapshot_that_is_older_or_has_no_receipts(
    desk: procurement.Desk, line: Callable[..., OrderLine]
) -> None:
    desk.ledger.propose([line("mug", 10)], "run 1", NOW)
    desk.ledger.approve_within_limits(NOW)
    (bought,) = desk.ledger.lines()
    came = (bought.order_id, bought.line_id, "mug", 10, datetime(2026, 1, 4))
    publish(desk.home, (came,))
    assert procurement.match(desk).receipts == 1
    publish(desk.home)
    assert procurement.match(desk).lowered == 0
    publish(desk.home, ((*came[:3], 4, came[4]),))
    desk.ledger.propose([line("cup", 1)], "run 2", datetime(2026, 1, 9))
    with procurement.open_desk(desk.home) as later:
        assert procurement.match(later).lowered == 0


def test_a_supplier_known_to_fail_is_no_case_for_the_robot(
    desk: procurement.Desk, line: Callable[..., OrderLine]
) -> None:
    desk.ledger.propose([line("mug"), line("cup", from_id="S9")], "run 1", NOW)
    approved, sent = procurement.approve_and_send(desk)
    ((_, reasons),) = approved.waiting.values()
    assert (len(approved.approved), sent.sent, sent.unaddressed) == (1, 1, ())
    assert "the supplier fails with probability 95%" in reasons


def test_the_switch_holds_approvals_and_messages(
    desk: procurement.Desk, line: Callable[..., OrderLine]
) -> None:
    desk.ledger.propose([line("mug")], "run 1", NOW)
    assert desk.ledger.due() is not None
    desk.ledger.stop("ann", NOW, "a strange plan")
    assert desk.ledger.due() is None
    assert procurement.approve_and_send(desk)[1].is_stopped
    assert {d.stage for d in desk.ledger.lines()} == {"requisition"}
    desk.ledger.resume("ann", NOW, "all is well")
    assert procurement.approve_and_send(desk)[1].sent == 1
    assert desk.ledger.due() is None


def test_an_order_that_x12_cannot_say_leaves_the_reason_in_the_dry_run(
    desk: procurement.Desk, line: Callable[..., OrderLine]
) -> None:
    desk.ledger.propose([line("mug"), line("cup\x07", from_id="S2")], "run 1", NOW)
    names = sorted(path.name for path in procurement.dry_run(desk))
    assert names == ["S1-DC.edi", "S2-DC.unwritable.txt"]
    assert "control character" in out(desk.home, "S2", "dry_run")[0].read_text()


def on_paper(mail: bytes) -> str:
    """The text of the PDF in a mail, a blank for every gap."""
    parts = email.message_from_bytes(mail, policy=policy.default).iter_attachments()
    (pdf,) = [part.get_content() for part in parts if part.get_content_subtype() == "pdf"]
    pages = PdfReader(io.BytesIO(pdf)).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def test_a_supplier_that_reads_mail_reads_names_addresses_and_terms(
    desk: procurement.Desk, line: Callable[..., OrderLine]
) -> None:
    (desk.partner_folders).mkdir(parents=True)
    (desk.partner_folders / FILE).write_text(
        "S1: {form: email, terms: carriage paid}\n"
        "'*': {terms: ex works, letterhead: 'Example Ltd, 5 High Street'}\n"
    )
    desk.ledger.propose([line("mug", 1000), line("cup", 4)], "run 1", NOW)
    procurement.dry_run(desk)
    (mail,) = out(desk.home, kind="dry_run")
    said = on_paper(mail.read_bytes())
    for words in (
        "Supplier Potters S1",
        "Warehouse 1 Quay Road Cork DC",
        "Example Ltd 5 High Street",
        "mug Mug, 0.3 l 1,000 2.50 2,500.00 2026-01-",
        "Total 2,510.00 GBP",
        "Terms: payment within 30 days; carriage paid",
        "page 1 of 1",
    ):
        assert words in said, said


def test_a_dry_run_leaves_nothing_of_who_is_no_supplier_any_more(
    desk: procurement.Desk, line: Callable[..., OrderLine]
) -> None:
    """What such a one was really sent stays."""
    desk.ledger.propose([line("mug")], "run 1", NOW)
    for name in ("dry_run", "out"):
        (desk.partner_folders / "S9" / name).mkdir(parents=True)
        (desk.partner_folders / "S9" / name / "S9-DC.edi").write_text("an older order")
    assert [path.name for path in procurement.dry_run(desk)] == ["S1-DC.edi"]
    assert not out(desk.home, "S9", "dry_run")
    assert len(out(desk.home, "S9", "out")) == 1


def test_what_is_reckoned_is_asked_for_in_digits_that_a_message_has(
    desk: procurement.Desk, line: Callable[..., OrderLine]
) -> None:
    third = replace(line("cup", 0.1 + 0.2, from_id="S2"), unit_cost=8.18382499 / 12)
    desk.ledger.propose([line("mug"), third], "run 1", NOW)
    names = sorted(path.name for path in procurement.dry_run(desk))
    assert names == ["S1-DC.edi", "S2-DC.edi"]
    (asked,) = [d for d in desk.ledger.lines() if d.item_id == "cup"]
    assert asked.quantity == 0.3
    assert asked.unit_cost == pytest.approx(8.18382499 / 12, rel=1e-13)
    older = replace(asked, order_id="o", line_id="1", unit_cost=0.6819854166666667)
    partner = read_partners(desk.home.state, ["S2"], "GBP")["S2"]
    (told,) = to_order([older], [older], partner, 0, NOW.date()).lines
    assert exact_numbers.text(told.unit_cost) == "0.68198541666667", (
        "an older version's line goes too"
    )
    again = desk.ledger.propose([line("mug"), third], "run 2", NOW)
    assert (again.unchanged, again.revised) == (2, 0), "the same plan asks for the same"


@given(st.floats(1e-6, 1e12))
def test_every_amount_has_a_number_near_it_that_a_message_can_state(value: float) -> None:
    told = exact_numbers.stated(value)
    assert Decimal(exact_numbers.text(told)) == Decimal(repr(told))
    assert told == pytest.approx(value, rel=1e-8) and exact_numbers.stated(told) == told


def test_partners_are_as_the_company_describes_them(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(
        "S1: {address: 'https://edi.example/in', party: {id: ACME}, usage: T}\nS3: {form: email, "
        "mailbox: a@b.example}\n"
    )
    partners = read_partners(tmp_path, ["S1", "S2"], "GBP")
    assert (partners["S1"].address, partners["S1"].their.id, partners["S1"].usage) == (
        "https://edi.example/in",
        "ACME",
        "T",
    )
    assert partners["S2"].address == str(tmp_path / "S2")
    assert (partners["S3"].form, partners["S3"].mailbox) == ("email", "a@b.example")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("S1: {adress: x}", r"partner S1: \['adress'\] is not understood"),
        ("S1: nonsense", "partner S1: 'nonsense' is not understood"),
        ("S1: {party: {name: ACME}}", "party is"),
        ("S1: {form: fax}", "form is one of"),
        ("- S1", "must map partner ids"),
        ("S1: {", "is no YAML"),
    ],
)
def test_a_description_nobody_can_read_is_refused_with_its_place(
    tmp_path: Path, text: str, word: str
) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(LedgerError, match=word):
        read_partners(tmp_path, ["S1"], "GBP")


def test_a_desk_in_the_shell_does_what_one_in_a_browser_does(
    home: Home, line: Callable[..., OrderLine]
) -> None:
    ledger = Ledger.open(home.ledger_url)
    mug, cup = ledger.propose(
        [line("mug"), line("cup", from_id="S9")], "run 1", NOW
    ).document_ids.values()

    def run(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(shell, [*words, "--home", str(home.root)])
        assert done.exit_code == code, done.output
        return done.output

    told = f"{mug} approved: 10 of mug from S1 to DC, due 2026-01-20\n"
    assert run("approve", mug, "--by", "ann") == told
    assert "R99 is no order line" in run("reject", "R99", "--by", "ann", "--reason", "no", code=2)
    run("reject", cup, "--by", "ann", "--reason", "a supplier that fails")
    assert "S1-DC.edi" in run("send")
    run("stop", "--by", "ann", "--reason", "a strange plan")
    assert "the kill switch held orders back" in run("send", "--send")
    run("resume", "--by", "ann", "--reason", "all is well")
    assert ", 1 sent" in run("send", "--send")
    assert "0 receipts booked" in run("supplier", "receive")
    said = run("audit")
    assert "every chain is intact" in said
    assert '"straight_through_share": 0.0' in said  # a hand was needed
    assert "median_decision_to_sent_seconds" in said
    with ledger.store.locked() as connection:
        connection.exec_driver_sql(
            "UPDATE documents SET from_id = 'S2' WHERE document_id = ?", (mug,)
        )
    assert "is not what its events add up to" in run("audit", code=1)
    ledger.close()


@pytest.fixture
def station(home: Home, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Run the procure job's assets on the home, and read the figures they leave."""
    from orchestration.defs import procure
    from orchestration.defs.resources import Lakehouse

    (tmp_path / "world.yml").write_text(WORLD)
    lakehouse = Lakehouse(world=str(tmp_path), home=str(home.root))

    def run(**config: Any) -> dict[str, Any]:
        assets = [
            procure.poll,
            procure.match,
            procure.send,
            dg.AssetSpec(["ledger", "requisitions"]),
        ]
        said = {"ops": {"procure__send": {"config": config}}}
        done = dg.materialize(assets, resources={"lakehouse": lakehouse}, run_config=said)
        return {
            name: value.value
            for e in done.get_asset_materialization_events()
            for name, value in e.materialization.metadata.items()
        }

    return run


def test_a_run_sends_only_where_it_says_so_and_hears_what_comes_back(
    home: Home, station: Callable[..., dict[str, Any]], line: Callable[..., OrderLine]
) -> None:
    ledger = Ledger.open(home.ledger_url)
    ledger.propose([line("mug")], "run 1", NOW)
    shown = station()
    assert (
        shown["is_sending"],
        shown["dry_run_files"],
        len(out(home)),
        len(out(home, kind="dry_run")),
    ) == (False, 1, 0, 1)
    assert {d.stage for d in ledger.lines()} == {"requisition"}
    assert station(send=True)["sent"] == 1
    assert (len(out(home)), out(home, kind="dry_run")) == (1, [])
    (order,) = ledger.lines()
    partner = read_partners(home.state / "partners", ["S1"], "GBP")["S1"]
    said = [
        ["BAK", "00", "AD", order.order_id, "20260105"],
        ["PO1", "1", "10", "EA", "2.5", "", "VP", "mug"],
        ["ACK", "IA", "10", "EA"],
    ]
    (home.state / "partners" / "S1" / "in").mkdir()
    (home.state / "partners" / "S1" / "in" / "1.edi").write_text(
        x12.write("855", "PR", said, partner.their, partner.ours, 1, NOW)
    )
    (home.state / "partners" / "S1" / "in" / ".2.edi").write_text("still being written")
    heard = station(send=True)
    assert (heard["taken"], heard["rejected"], heard["sent"]) == (1, 0, 0)
    assert heard["straight_through_share"] == 1.0
    assert [d.stage for d in ledger.lines()] == ["acknowledged"]
    assert ledger.audit() == []
    ledger.close()


def test_every_sensor_is_off_until_somebody_starts_it() -> None:
    from orchestration.defs.automation import automation

    sensors = {sensor.name: sensor.default_status for sensor in automation().sensors or []}
    assert {"supplier_messages", "goods_and_bills", "orders_to_send"} <= sensors.keys()
    assert set(sensors.values()) == {dg.DefaultSensorStatus.STOPPED}
