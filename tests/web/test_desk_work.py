"""What people do at the desk happens exactly once, by whom it should, and stands in the record."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from orchestration.app import order_book, order_card, procurement, publishing
from orchestration.app.worklist import worklist
from orchestration.facts import decisions
from orchestration.home import Home
from orchestration.ledger import Ledger
from orchestration.ledger.audit import audit
from orchestration.planning import override_journal
from orchestration.web.views import MOST, Views
from tests.web.small_home import NOW, RUN, order_line


def lines(home: Home, **wanted: Any) -> list[Any]:
    ledger = Ledger.of(home)
    found = [d for d in ledger.lines() if all(getattr(d, k) == v for k, v in wanted.items())]
    ledger.close()
    return found


def events(home: Home, kind: str) -> list[Any]:
    ledger = Ledger.of(home)
    found = [event for event in ledger.events() if event.kind == kind]
    ledger.close()
    return found


def the_line(home: Home, item: str = "mug", kind: str = "purchase") -> str:
    return str(lines(home, item_id=item, kind=kind)[0].document_id)


def test_a_double_click_a_second_tab_and_the_back_button_approve_once(
    come: Any, home: Home
) -> None:
    anna, line = come("anna", "approver"), the_line(home)
    path = f"/orders/{line}"
    anna.get(path)
    for _ in range(3):  # the same form again: the same answer, nothing more
        answer = anna.post(f"{path}/decide", to="approve", reason="agreed by phone")
        assert answer.status_code == 200 and "Approved" in answer.text
    stale = anna.post(f"{path}/decide", to="approve", intent="another tab", reason="me too")
    assert stale.status_code == 409
    assert "Somebody was faster" in stale.text and "me too" in stale.text
    (approved,) = events(home, "approved")
    assert (approved.actor, approved.payload["note"]) == ("anna", "agreed by phone")
    anna.get("/orders")
    for _ in range(2):
        assert anna.post("/send").status_code == 200
    ledger = Ledger.of(home)
    assert ledger.mail() == {"sent": 1}
    assert ledger.lines()[0].stage == "sent"
    ledger.close()
    assert len(events(home, "queued")) == 1
    assert audit(home.ledger_url) == []
    shown = anna.get("/audit").text
    assert "agreed by phone" in shown and "intact" in anna.get("/audit?check=1").text


def test_a_planner_may_not_approve_and_a_reason_is_asked_for(come: Any, home: Home) -> None:
    paul, line = come("paul", "planner"), the_line(home)
    paul.get(f"/orders/{line}")
    for to in ("approve", "reject"):
        assert paul.post(f"/orders/{line}/decide", to=to, reason="x").status_code == 403
    anna = come("anna", "approver")
    anna.get(f"/orders/{line}")
    assert anna.post(f"/orders/{line}/decide", to="reject").status_code == 422
    assert not events(home, "approved") and not events(home, "rejected")


def test_ticked_lines_are_approved_all_or_none(come: Any, home: Home) -> None:
    anna = come("anna", "approver")
    anna.get("/orders")
    ids = [str(d.document_id) for d in lines(home)]
    Ledger.of(home).firm([ids[1]], "bert", NOW)  # somebody was faster with one of them
    answer = anna.post("/orders", to="approve", line=ids)
    assert answer.status_code == 409 and not events(home, "approved")
    anna.get("/orders")
    assert anna.post("/orders", to="approve", line=ids).status_code == 200
    assert len(events(home, "approved")) == 3
    nothing = anna.post("/orders", to="approve", intent="next")
    assert nothing.status_code == 422


def test_whoever_overrode_a_line_cannot_approve_it(come: Any, home: Home) -> None:
    anna, line = come("anna", "approver"), the_line(home)
    anna.get(f"/orders/{line}")
    said = {"quantity": "77", "expires_on": "2026-02-01", "reason": "the fair is in town"}
    assert anna.post(f"/orders/{line}/decide", to="change", **said).status_code == 200
    (entry,) = override_journal.entries(home)
    assert (entry.author, entry.override.value) == ("anna", 77.0)
    assert entry.override.expires_on == date(2026, 2, 1)
    authors = {("mug", "DC"): {"anna"}}
    ledger = Ledger.of(home)
    ledger.propose([order_line("mug", 77)], "next run", NOW, authors=authors)
    ledger.close()
    publishing.write_snapshot(home.warehouse, home.published, "next run")
    anna.get(f"/orders/{line}")
    answer = anna.post(f"/orders/{line}/decide", to="approve")
    assert answer.status_code == 422 and "separation of duties" in answer.text
    bert = come("bert", "approver")
    bert.get(f"/orders/{line}")
    done = bert.post(f"/orders/{line}/decide", to="approve")
    assert done.status_code == 200, done.text


def test_the_parts_of_an_order_card_add_up_to_its_quantity(home: Home) -> None:
    with procurement.open_desk(home) as desk:
        for line in desk.ledger.lines():
            card = order_card.order_card(desk, line.document_id)
            assert card.plan is not None
            assert sum(size for _, size in card.parts) == card.plan["quantity"] == line.quantity


def test_a_case_is_taken_snoozed_and_closed_and_comes_back_with_the_next_plan(
    come: Any, home: Home
) -> None:
    paul = come("paul", "planner")
    page = paul.get("/exceptions")
    assert "&lt;b&gt;wanted&lt;/b&gt;" in page.text and "<b>wanted" not in page.text
    first, second = (said.rpartition("=")[0] for said in paul.hidden("seen"))
    assert paul.post("/exceptions", to="in work", case=[first, second]).status_code == 200
    stale = paul.post("/exceptions", to="done", case=[first], reason="old", intent="other tab")
    assert stale.status_code == 409
    paul.get(f"/exceptions/{first}")
    assert paul.post(f"/exceptions/{first}", to="done", reason="all is well").status_code == 200
    paul.get(f"/exceptions/{second}")
    asleep = paul.post(f"/exceptions/{second}", to="snoozed", reason="later", until="2030-01-01")
    assert asleep.status_code == 422 and "later" in asleep.text
    asleep = paul.post(f"/exceptions/{second}", to="snoozed", reason="later", until="2026-01-09")
    assert asleep.status_code == 200
    with procurement.open_desk(home) as desk:
        state = {row["case_id"]: row for row in worklist(desk).to_dicts()}
    assert (state[first]["status"], state[second]["status"]) == ("done", "snoozed")
    assert state[first]["owner"] == "" and state[second]["until"] == "2026-01-09"
    held = decisions.latest(home.decisions, "exceptions")
    assert held is not None
    again = held.with_columns(run_id=held["run_id"].str.replace(RUN, "the next run"))
    decisions.record(home.decisions, "the next run", "exceptions", again, as_of=NOW)
    with procurement.open_desk(home) as desk:
        (back,) = worklist(desk).filter(case_id=first).to_dicts()
    assert back["status"] == "open" and back["came_back"]
    assert audit(home.ledger_url) == []


def test_a_case_in_work_has_a_day_by_which_it_is_settled(come: Any, home: Home) -> None:
    paul = come("paul", "planner")
    paul.get("/exceptions")
    case = paul.hidden("seen")[0].rpartition("=")[0]
    paul.get(f"/exceptions/{case}")
    late = paul.post(f"/exceptions/{case}", to="in work", reason="I ask", until="2026-01-04")
    assert late.status_code == 422 and "is over" in late.text and "I ask" in late.text
    paul.post(f"/exceptions/{case}", to="in work", reason="I ask", until="2026-01-06")
    with procurement.open_desk(home) as desk:
        (row,) = worklist(desk).filter(case_id=case).to_dicts()
    assert (row["due"], row["is_overdue"], row["until"]) == ("2026-01-06", False, "")
    assert "6 Jan 2026" in paul.get(f"/exceptions/{case}").text
    assert "6 Jan 2026" not in paul.get("/exceptions?due=1").text
    known = Ledger.of(home)
    known.work({case: {"status": "in work", "owner": "paul", "due": "2025-12-30"}}, "paul", NOW)
    known.close()
    assert 'class="tag bad">30 Dec 2025' in paul.get("/exceptions?due=1").text
    assert paul.get("/exceptions?due=1").text.count("data-row") == 1


def test_a_view_is_its_keepers_own_and_keeps_the_filters_alone(come: Any, home: Home) -> None:
    paul, vera = come("paul", "planner"), come("vera", "viewer")
    paul.get("/exceptions?q=mug&status=all&page=1&done=case")
    assert paul.hidden("query") == ["q=mug&status=all&page=1&done=case"]
    kept = paul.post("/views", on="/exceptions", query=paul.hidden("query"), view=" My  <b>mugs ")
    assert kept.status_code == 200 and str(kept.url.query, "ascii") == "q=mug&status=all"
    assert "<b>My &lt;b&gt;mugs</b>" in paul.get("/exceptions").text
    assert "mugs" not in vera.get("/exceptions").text and "mugs" not in paul.get("/orders").text
    paul.get("/exceptions")
    for name, on in (("x" * 41, "/exceptions"), (" ", "/exceptions"), ("all", "//evil.example")):
        odd = paul.post("/views", on=on, query="", view=name, intent=name)
        assert odd.status_code == 422, name
    views = Views(home)
    for n in range(MOST - 1):
        views.keep("paul", "/exceptions", f"view {n}", "")
    with pytest.raises(ValueError, match="drop one first"):
        views.keep("paul", "/exceptions", "one more", "")
    paul.post("/views", on="/exceptions", view="My <b>mugs", to="drop")
    assert "mugs" not in paul.get("/exceptions").text and len(views.of("paul", "/exceptions")) == 19


def test_a_deferred_line_sleeps_among_the_exceptions(come: Any, home: Home) -> None:
    paul, line = come("paul", "planner"), the_line(home)
    paul.get(f"/orders/{line}")
    said = {"until": "2026-01-08", "reason": "the price falls"}
    assert paul.post(f"/orders/{line}/decide", to="defer", **said).status_code == 200
    assert "the price falls" in paul.get("/exceptions?status=snoozed").text
    assert "the price falls" not in paul.get("/exceptions").text


def test_an_approved_order_that_cannot_be_sent_is_a_case_until_it_can(home: Home) -> None:
    described = home.state / "partners" / "partners.yml"
    described.parent.mkdir(parents=True, exist_ok=True)
    described.write_text("S1: {currency: JPY}\n", encoding="utf-8")
    line = the_line(home)

    with procurement.open_desk(home) as desk:
        desk.ledger.approve([line], "anna", desk.now)

    def unsent(*, is_sent: bool) -> list[dict[str, Any]]:
        with procurement.open_desk(home) as desk:
            assert desk.ledger.send(desk.partners, desk.now).sent == is_sent
            return worklist(desk).filter(pl.col("kind") == "order_not_sent").to_dicts()

    (case,) = unsent(is_sent=False)
    assert (case["id"], case["item_id"], case["severity"]) == (line, "mug", "error")
    assert case["value_at_risk"] == 40 * 2.5 and "S1 is paid in JPY" in case["reason"]
    described.write_text("S1: {format: fax}\n", encoding="utf-8")
    with procurement.open_desk(home) as desk:
        found = worklist(desk)
    assert "partners.yml" in found.filter(pl.col("kind") == "order_not_sent")["reason"].item()
    assert found.height > 1, "what else needs a person is seen all the same"
    described.unlink()
    assert unsent(is_sent=True) == []


def test_exports_are_no_formulas_to_a_spreadsheet(come: Any) -> None:
    anna = come("anna")
    for path in ("/orders.csv", "/exceptions.csv"):
        content = anna.get(path).text
        assert "'=cmd()" in content and ",=cmd()" not in content, path


def test_limits_count_once_a_second_person_confirms_what_they_saw(come: Any, home: Home) -> None:
    anna, bert = come("anna", "approver"), come("bert", "approver")
    anna.get("/limits")
    said = {
        "maturity": "suggest",
        "auto_amount": "50",
        "buyer_amount": "25000",
        "manager_amount": "100000",
        "usual_factor": "3",
        "least_complete": "0.6",
        "worst_risk": "0.5",
        "asking_categories": "Kitchen, Toys",
        "approvers": "",
    }
    preview = anna.post("/limits", to="preview", **said)
    assert preview.status_code == 200 and "What it would change" in preview.text
    assert not events(home, "limits_proposed")
    assert anna.post("/limits", to="propose", **said).status_code == 200
    anna.get("/limits")
    own = anna.post("/limits/confirm")
    assert own.status_code == 422 and "another person" in own.text
    bert.get("/limits")
    anna.get("/limits")
    changed = {**said, "auto_amount": "60", "to": "propose"}
    assert anna.post("/limits", **changed).status_code == 200
    assert bert.post("/limits/confirm").status_code == 409  # it is not what bert saw
    bert.get("/limits")
    assert bert.post("/limits/confirm").status_code == 200
    now = Ledger.of(home).limits()
    assert (now.maturity, now.auto_amount) == ("suggest", 60.0)
    assert now.asking_categories == ("Kitchen", "Toys")
    broken = bert.client.post(
        "/limits",
        data={"token": bert.hidden("token")[0], "intent": "file", "to": "propose"},
        files={"sheet": ("limits.xlsx", b"PK not a workbook")},
    )
    assert broken.status_code == 422 and "workbook" in broken.text


def test_a_limit_of_the_plan_is_read_from_form_or_workbook_and_a_broken_one_is_said(
    come: Any, home: Home
) -> None:
    from io import BytesIO

    from openpyxl import Workbook

    anna, bert = come("anna", "approver"), come("bert", "approver")
    page = anna.get("/limits").text
    assert "6 Jan 2026 (R1)" in page, "blackout days of the books"

    def send(content: bytes, intent: str) -> Any:
        own = {name: anna.hidden(name)[0] for name in ("token", "seen")}
        data = own | {"to": "propose", "intent": intent}
        return anna.client.post("/limits/plan", data=data, files={"book": ("b.xlsx", content)})

    for broken, said in ((b"PK no workbook", "workbook"), (b"", "is no number")):
        assert said in (answer := send(broken, said)).text and answer.status_code == 422
    book, file = Workbook(), BytesIO()
    for row in (("Planner", None, None), ("Budget", "all", 100), ("capacity", "DC", "many")):
        book.active.append(row)
    book.save(file)
    odd = send(file.getvalue(), "odd")
    assert odd.status_code == 422 and "capacity DC is a number" in odd.text
    book.active.cell(3, 3).value = 70
    book.active.append(("notes", "of the planner", "are none"))
    file = BytesIO()
    book.save(file)
    assert send(file.getvalue(), "good").status_code == 200
    assert "Capacity DC" in (shown := bert.get("/limits").text) or "capacity DC" in shown
    assert "What it does to the plan" in shown
    assert bert.post("/limits/confirm").status_code == 200
    assert Ledger.of(home).limits().plan == {"capacity DC": 70.0}, "the budget held already"
    assert bert.get("/limits").text.count("70") >= 1
    assert come("vera", "viewer").get("/limits").status_code == 200


def test_the_kill_switch_holds_everything_back(come: Any, home: Home) -> None:
    paul, anna, line = come("paul", "planner"), come("anna", "approver"), the_line(home)
    paul.get("/limits")
    assert paul.post("/limits/switch", to="stop", reason="prices look odd").status_code == 200
    assert paul.post("/limits/switch", to="resume", reason="x", intent="n").status_code == 403
    anna.get(f"/orders/{line}")
    anna.post(f"/orders/{line}/decide", to="approve")
    anna.get("/orders")
    held = anna.post("/send")
    assert held.status_code == 422 and "kill switch" in held.text
    assert "sent" not in Ledger.of(home).mail()
    anna.get("/limits")
    assert anna.post("/limits/switch", to="resume", reason="checked").status_code == 200
    anna.get("/orders")
    assert anna.post("/send").status_code == 200
    assert Ledger.of(home).mail() == {"sent": 1}


def test_an_override_is_recorded_once_and_ended_with_a_reason(come: Any, home: Home) -> None:
    paul = come("paul", "planner")
    paul.get("/overrides?item_id=mug&location_id=DC")
    assert paul.page.text.count('value="mug"') == 1
    said = {"kind": "demand_factor", "value": "1.5", "reason": "a fair", "expires_on": "2026-02-01"}
    wide = paul.post("/overrides", to="record", **said)
    assert wide.status_code == 422 and "a fair" in wide.text
    for _ in range(2):
        answer = paul.post("/overrides", to="record", item_id="mug", **said)
        assert answer.status_code == 200
    (entry,) = override_journal.entries(home)
    paul.get("/overrides")
    assert paul.post(f"/overrides/{entry.override_id}/end", reason="it rained").status_code == 200
    assert override_journal.entries(home)[0].ended_by == "paul"
    assert "it rained" not in paul.get("/overrides").text


def test_a_suppliers_answer_enters_as_an_855_would(come: Any, home: Home, app: Any) -> None:
    from tests.web.browsing import Browser

    anna = come("anna", "approver")
    anna.get("/orders?kind=purchase")
    ids = [str(d.document_id) for d in lines(home, kind="purchase")]
    anna.post("/orders", to="approve", line=ids)
    anna.get("/orders")
    anna.post("/send")
    anna.get("/suppliers")
    made = anna.post("/suppliers/S1/link")
    link = made.text.split("<code>")[1].split("</code>")[0].removeprefix("http://127.0.0.1:8321")
    potter = Browser(app)
    page = potter.get(link)
    assert page.status_code == 200 and "Blue mug" in page.text and "Potter" in page.text
    mug = lines(home, item_id="mug", kind="purchase")[0]
    cup = lines(home, item_id="cup")[0]
    fields = {
        "order_id": mug.order_id,
        f"quantity.{mug.line_id}": "25",
        f"due.{mug.line_id}": "2026-01-20",
        f"quantity.{cup.line_id}": "0",
        f"due.{cup.line_id}": "2026-01-15",
        "reason": "the kiln is broken",
    }
    too_many = potter.post(link, **{**fields, f"quantity.{mug.line_id}": "99"})
    assert too_many.status_code == 422 and "kiln" in too_many.text
    for _ in range(2):
        assert potter.post(link, **fields).status_code == 200
    mug, cup = lines(home, item_id="mug", kind="purchase")[0], lines(home, item_id="cup")[0]
    assert (mug.confirmed, mug.due_on, mug.stage) == (25.0, "2026-01-20", "acknowledged")
    assert cup.ended == "refused"
    assert {event.actor for event in events(home, "acknowledged")} == {"S1"}
    assert len(events(home, "heard")) == 1
    assert "confirmed short" in anna.get("/exceptions").text
    assert potter.get(link[:-4] + "AAAA").status_code == 404
    assert audit(home.ledger_url) == []


@pytest.mark.parametrize("path", ["/orders?page=-1&sort=x", "/items?page=9999999999&sort=drop"])
def test_an_odd_address_shows_a_page(come: Any, path: str) -> None:
    assert come("vera", "viewer").get(path).status_code == 200


def test_a_plan_that_leaves_nothing_to_a_person_clears_the_list_of_the_plan_before(
    home: Home,
) -> None:
    with procurement.open_desk(home) as desk:
        before = order_book.open_cases(desk)
    assert not before.is_empty()
    held = decisions.latest(home.decisions, "exceptions")
    assert held is not None
    decisions.record(home.decisions, "the next run", "exceptions", held.clear(), as_of=NOW)
    with procurement.open_desk(home) as desk:
        assert order_book.open_cases(desk).is_empty()
        cases = worklist(desk)
    assert not set(before["kind"]) & set(cases["kind"])
