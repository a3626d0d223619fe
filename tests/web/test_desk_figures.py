"""A figure means the same wherever the desk shows it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from typing import Any

import polars as pl
import pytest
from markupsafe import escape

from models.procurement.approval import Limits
from models.replenishment.plan_exceptions import figure
from models.safe_names import name_of
from orchestration.app import limits, procurement, studies, supplier_answers
from orchestration.app.items import item_list, item_page
from orchestration.app.order_book import CASES, order_book
from orchestration.app.order_card import find_line, order_card
from orchestration.app.scenario_answers import SHELF_WORDS, trust_in_words
from orchestration.app.scenarios import read_calibration
from orchestration.app.supplier_answers import Reply
from orchestration.app.supplier_record import supplier_record
from orchestration.app.today import today
from orchestration.app.worklist import WORKED, cases_to_do, money_at_risk
from orchestration.facts import decisions
from orchestration.home import Home
from orchestration.ledger import Ledger, Receipt
from orchestration.planning.plan import UNREHEARSED
from orchestration.web.translation import LANGUAGES, Words
from tests.twin.one_study import study
from tests.web.small_home import LINES, NOW, RUN, order_line


def cases(*rows: tuple[str, str, str, float | None]) -> pl.DataFrame:
    said = [
        {"case_id": f"{k}", "item_id": item, "location_id": place, "kind": kind}
        | {"value_at_risk": value}
        for k, (item, place, kind, value) in enumerate(rows)
    ]
    return pl.DataFrame(said, schema=CASES | WORKED)


@pytest.mark.parametrize(
    ("rows", "stake"),
    [
        ([], 0.0),
        ([("a", "x", "late", 7.0), ("a", "x", "cut", 9.0)], 9.0),
        ([("a", "x", "late", 7.0), ("a", "y", "late", 9.0)], 16.0),
        ([("a", "x", "late", None), ("a", "x", "cut", 9.0), ("b", "x", "cut", None)], 9.0),
        ([("", "", "message", 3.0), ("", "", "message", 4.0)], 7.0),
    ],
)
def test_an_item_and_place_is_at_risk_once(rows: list[Any], stake: float) -> None:
    assert money_at_risk(cases(*rows)) == stake


def test_the_money_at_risk_is_one_sum_on_every_page(come: Any, home: Home) -> None:
    with procurement.open_desk(home) as desk:
        stake = money_at_risk(cases_to_do(desk))
        assert today(desk).value_at_risk == stake > 0
    anna = come("anna")
    assert f"{stake:,.0f} at risk" in anna.get("/exceptions").text
    assert f'<div class="figure">{stake:,.0f}</div>' in anna.get("/").text


def test_a_risk_is_the_same_on_every_page(come: Any, home: Home) -> None:
    anna = come("anna")
    with procurement.open_desk(home) as desk:
        told = {(row["item_id"], row["location_id"]): row["risk"] for row in today(desk).risks}
        listed = {
            (row["item_id"], row["location_id"]): row["risk"]
            for row in item_list(home, "", "", "", "risk", 1).rows
        }
        assert told and told.items() <= listed.items()
        stakes = [row["value_at_risk"] for row in today(desk).risks]
        assert stakes == sorted(stakes, reverse=True)
        for (item, place), risk in told.items():
            rows = item_page(desk, item, place).places
            (row,) = (row for row in rows if row["location_id"] == place)
            assert row["risk"] == risk <= row["risk_without"]
    assert "with the orders" in anna.get("/").text and "30 %" in anna.get("/").text
    assert "with the orders" in anna.get("/items").text and "30 %" in anna.get("/items").text


def test_the_page_of_a_place_shows_the_demand_it_feeds(come: Any) -> None:
    page = come("vera", "viewer").get("/items/mug?place=DC").text
    assert page.count('class="chart"') == 2 and "Of DC, SHOP together." in page
    assert "never counted" not in page and "No forecast" not in page


def test_a_case_of_all_that_is_planned_is_about_no_item_called_all(come: Any, home: Home) -> None:
    held = decisions.latest(home.decisions, "exceptions")
    assert held is not None
    everything = UNREHEARSED.row(0, named=True) | held.select("run_id", "as_of").row(0, named=True)
    more = pl.DataFrame([everything], schema=held.schema)
    decisions.record(home.decisions, RUN, "exceptions", pl.concat([held, more]), as_of=NOW)
    anna = come("anna")
    page = anna.get("/exceptions").text
    assert "Every item and place" in page and "all · all" not in page
    case = re.findall(r'href="/exceptions/([^"]+)">Every item', page)[0]
    assert "/items/all" not in anna.get(f"/exceptions/{case}").text


def test_what_is_known_beside_demand_is_marked_in_its_chart(come: Any, home: Home) -> None:
    with procurement.open_desk(home) as desk:
        chart = item_page(desk, "mug", "SHOP").chart
    (signal,) = chart.signals
    assert (signal["day"], signal["value"]) == (date(2025, 12, 21), 30.0) and signal["off"] > 4
    assert [mark["name"] for mark in chart.marks] == ["Sale"]
    assert sum(row["is_censored"] for row in chart.past) == 1
    page = come("vera", "viewer").get("/items/mug?place=SHOP").text
    assert "Weather rain mm" in page and "(21 Dec)" in page and "Sale" in page
    drawn = page.split('class="chart"')[1].split("</svg>")[0]
    for colour in ("chart-2", "grid", "chart-bad", "band-1", "band-2", "chart-1"):
        assert f"var(--{colour})" in drawn, colour


def test_nobody_has_no_page_as_a_supplier(come: Any) -> None:
    anna = come("anna")
    page = anna.get("/suppliers").text
    assert "Potter" in page and "implicit" not in page and ">None<" not in page
    assert anna.post("/suppliers/S1/link").status_code == 200
    for nobody in ("implicit%20supplier", "S99"):
        assert anna.post(f"/suppliers/{nobody}/link").status_code == 404


def test_no_page_says_none_for_what_is_not_known(come: Any) -> None:
    anna = come("anna")
    for path in ("/", "/exceptions", "/orders", "/items", "/items/mug", "/suppliers", "/results"):
        shown = re.sub(r"<[^>]*>", "\n", anna.get(path).text)
        assert not re.search(r"^(None|nan|null)\b", shown, re.M), path


def test_money_and_units_are_listed_to_the_coin_and_no_binary_dust(home: Home) -> None:
    dust = order_line("pen", 0.1 + 0.2)
    ledger = Ledger.of(home)
    ledger.propose([*LINES, replace(dust, unit_cost=2888.4)], RUN, NOW)
    ledger.close()
    with procurement.open_desk(home) as desk:
        (line,) = order_book(desk).filter(item_id="pen").to_dicts()
        listed = order_book(desk).write_csv() + cases_to_do(desk).write_csv()
    assert (line["quantity"], line["value"]) == (0.3, 866.52)
    assert not re.search(r"\d\.\d{5}", listed)


def test_a_reason_writes_numbers_as_people_do() -> None:
    rows = pl.DataFrame({"units": [1032.0, 12.5, 0.1 + 0.2, -4.0]})
    assert rows.select(figure("units"))["units"].to_list() == ["1032", "12.5", "0.3", "-4"]


def test_a_question_stands_on_the_shelf_under_its_own_title(home: Home) -> None:
    assert home.origin is not None
    beside = home.origin[0] / "scenarios"
    beside.mkdir(exist_ok=True)
    (beside / "winter.yml").write_text(
        "stress: winter\ntitle: What a winter may bring\nscenarios: 6\nbegins_within_days: 3\n"
        "effects:\n  - {kind: fuel_factor, factor: [1.1, 1.4], hours: [24, 48]}\n",
        encoding="utf-8",
    )
    try:
        (found,) = (one for one in studies.scenario_files(home) if one.name == "winter")
        assert found.title == "What a winter may bring" and not found.trouble
    finally:
        (beside / "winter.yml").unlink()


def test_the_chart_of_an_order_shows_what_is_still_to_come_of_it_whatever_its_state(
    home: Home,
) -> None:
    def chart_of(line_id: str) -> list[dict[str, Any]]:
        with procurement.open_desk(home) as desk:
            card = order_card(desk, line_id)
            line, stock = card.line, card.chart.stock
        to_come = line.quantity if line.stage == "requisition" else line.open_quantity
        for row in stock:
            is_due = row["day"].isoformat() >= line.due_on[:10]
            assert row["with"] - row["without"] == pytest.approx(to_come if is_due else 0)
        return stock

    with procurement.open_desk(home) as desk:
        (mug,) = [d for d in desk.ledger.lines() if d.item_id == "mug" and d.kind == "purchase"]
    name, seen = mug.document_id, []
    seen.append(chart_of(name))
    assert seen[0][-1]["without"] == pytest.approx(40 + 5 - 20 * 2)
    with procurement.open_desk(home) as desk:
        procurement.approve(desk, [name], "anna")
    seen.append(chart_of(name))
    with procurement.open_desk(home) as desk:
        desk.ledger.send(desk.partners, desk.now)
    seen.append(chart_of(name))
    with procurement.open_desk(home) as desk:
        order, line = (find_line(desk, name).order_id, find_line(desk, name).line_id)
        supplier_answers.answer(desk, "S1", order, [Reply(line, 30, date(2026, 1, 12))])
    promised = chart_of(name)
    assert promised[-1]["with"] == seen[0][-1]["with"] - 10
    with procurement.open_desk(home) as desk:
        came = Receipt("WE1", order, line, 12.0, desk.now)
        desk.ledger.record_receipts([came], "anna", desk.now)
    partly = chart_of(name)
    assert partly[-1]["with"] == promised[-1]["with"]
    assert partly[-1]["without"] == promised[-1]["without"] + 12
    assert seen == [seen[0]] * 3
    with procurement.open_desk(home) as desk:
        desk.ledger.cancel([name], "anna", desk.now, "not needed")
    assert chart_of(name)[-1]["with"] == partly[-1]["without"]


def test_every_page_says_the_one_mode_of_the_machine_and_what_it_would_approve(
    come: Any, home: Home
) -> None:
    anna = come("anna")
    with procurement.open_desk(home) as desk:
        told = limits.autonomy(desk)
        names = [line.document_id for line in desk.ledger.lines()]
    said = f"Auto is on: of {told.waiting} waiting lines the machine may approve {told.alone}"
    assert said in anna.get("/").text and said in anna.get("/limits").text
    assert "need nobody" not in anna.get("/").text
    assert all("orders_to_send" in anna.get(f"/orders/{name}").text for name in names)
    with procurement.open_desk(home) as desk:
        desk.ledger.propose_limits(Limits(maturity="suggest"), "anna", desk.now)
        desk.ledger.confirm_limits("bob", desk.now)
        assert limits.autonomy(desk) == replace(told, maturity="suggest")
    for page in ("/", "/limits"):
        assert "a person says yes to every line" in anna.get(page).text
    assert "orders_to_send" not in anna.get(f"/orders/{names[0]}").text
    with procurement.open_desk(home) as desk:
        desk.ledger.propose_limits(Limits(daily_cap=90.0), "anna", desk.now)
        desk.ledger.confirm_limits("bob", desk.now)
        capped = limits.autonomy(desk)
        done, _ = procurement.approve_and_send(desk)
        assert len(done.approved) == capped.alone < told.alone
        assert limits.autonomy(desk).approved == capped.alone


def test_a_class_of_items_has_a_mode_of_its_own_and_a_record_that_speaks_for_it(
    come: Any, home: Home
) -> None:
    anna, bert = come("anna", "approver"), come("bert", "approver")
    with procurement.open_desk(home) as desk:
        names = {(d.item_id, d.kind): d.document_id for d in desk.ledger.lines()}
        procurement.approve(desk, [names["cup", "purchase"]], "anna")
        desk.ledger.reject([names["mug", "purchase"]], "anna", desk.now, "no")
        records = {one.item_class: one for one in limits.class_records(desk)}
        assert (records["AX"].refused, records["AX"].agreement) == (1, 0.0)
        assert (records["BY"].agreed, records["BY"].agreement) == (1, 1.0)
        assert (records["CZ"].waiting, records["CZ"].money) == (1, 8 * 2.5)
    anna.get("/limits")
    now = {name: str(v) for name, v in Limits().to_payload().items() if isinstance(v, int | float)}
    said = now | {"maturity": "suggest", "class.CZ": "auto", "asking_categories": ""}
    preview = anna.post("/limits", to="preview", **said)
    assert "Class maturity: CZ" in preview.text
    assert anna.post("/limits", to="propose", **said).status_code == 200
    bert.get("/limits")
    assert bert.post("/limits/confirm").status_code == 200
    for page in ("/", "/limits"):
        assert (
            "by class CZ auto: of 1 waiting lines the machine may approve 1" in anna.get(page).text
        )
    with procurement.open_desk(home) as desk:
        done, _ = procurement.approve_and_send(desk)
        assert done.approved == (names["mug", "transfer"],)
    assert anna.get("/api/v1/limits").json()["in_force"]["class_maturity"] == {"CZ": "auto"}


def test_a_supplier_has_one_record_and_what_is_not_known_of_it_is_a_dash(
    come: Any, home: Home
) -> None:
    with procurement.open_desk(home) as desk:
        names = [d.document_id for d in desk.ledger.lines() if d.kind == "purchase"]
        procurement.approve(desk, names, "anna")
        (own,) = desk.ledger.scorecard(desk.now).to_dicts()
        (record,) = supplier_record(desk).to_dicts()
    assert (own["lead_time_mean_days"], own["lead_time_p90_days"], own["otif"]) == (None,) * 3
    assert (record["lines"], record["lead_time_mean_days"], record["otif"]) == (9, 10.0, 0.75)
    shown = come("anna").get("/suppliers").text
    assert record["risk"] == pytest.approx(3 / 10) and "30 %" in shown
    assert shown.count("75 %") == 1


def test_goods_between_the_places_of_a_chart_are_in_it_once(home: Home) -> None:
    """A transfer that is approved leaves one place and comes to the other."""
    with procurement.open_desk(home) as desk:
        (line,) = [d for d in desk.ledger.lines() if d.kind == "transfer"]
        before = item_page(desk, "mug").chart.stock
        at_shop = item_page(desk, "mug", "SHOP").chart.stock
        procurement.approve(desk, [line.document_id], "anna")
        assert item_page(desk, "mug").chart.stock[-1] == before[-1]
        after = item_page(desk, "mug", "SHOP").chart.stock
        assert after[-1]["with"] == at_shop[-1]["with"] + line.quantity


@pytest.mark.parametrize("language", LANGUAGES)
def test_how_far_the_twin_can_be_trusted_is_said_in_the_same_words_wherever_it_is_asked(
    come: Any, home: Home, language: str
) -> None:
    anna = come("anna")
    anna.get(f"/language/{language}?next=/")
    errors = read_calibration(home, NOW)
    assert errors is not None and errors.height == 2
    words = Words.of(language, "")
    said = escape(trust_in_words(errors, words, words.share))
    assert f">{said}<" in anna.get("/scenarios/calibration").text
    page = anna.get("/scenarios/a").text
    kept = pl.DataFrame(study()[0]["trust"]["classes"])
    assert escape(trust_in_words(kept, words, words.share)) in page
    assert page.count(f">{escape(words('not to be trusted'))}<") == 1
    if language == "en":
        assert "do not trust answers about CZ at SHOP (30" in said
    errors = errors.with_columns(is_trusted=True)
    assert trust_in_words(errors).endswith("within 20% for every class and place.")
    assert trust_in_words(None) == trust_in_words(errors.clear())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("share", "called"), [(0.0, "lost"), (0.5, "not_met_in_time")])
def test_a_study_says_what_spoils_and_what_waits_in_the_reader_s_words(
    come: Any, home: Home, language: str, share: float, called: str
) -> None:
    path = home.derived / "studies" / name_of("a") / "study.json"
    said = json.loads(path.read_text("utf-8")) | {"waiting_share": share}
    path.write_text(json.dumps(said), "utf-8")
    anna = come("anna")
    anna.get(f"/language/{language}?next=/")
    page, words = anna.get("/scenarios/a").text, Words.of(language, "")
    for term in (called, "spoiled", "margin"):
        assert f"<td>{words.term(term)}</td>" in page
    assert f"<td>{words.term('lost')}</td>" in page or share
    assert words(SHELF_WORDS, units=words.number(4321), dated=words.number(1234)) in page
    assert "s_spoilage.csv" in page and anna.get("/scenarios/a/s_spoilage.csv").status_code == 200
