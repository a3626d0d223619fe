"""One need, one order: what a plan, its repetition and its successor do to the ledger."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from models.procurement.supplier_sale_terms import Sale
from orchestration.ledger import Ledger, LedgerError
from orchestration.ledger.schema import documents
from orchestration.ledger.store import GENESIS, StaleError, canonical, chain


def stages(ledger: Ledger) -> dict[str, str]:
    return {document.item_id: document.stage for document in ledger.lines()}


def test_same_plan_twice_creates_no_second_order(ledger, line, now):
    plan = [line("mug"), line("cup", kind="transfer", from_id="DC", location_id="UK")]
    first = ledger.propose(plan, "run 1", now)
    second = ledger.propose(plan, "run 2", now)
    assert (first.new_orders, second.new_orders, second.revised, second.unchanged) == (2, 0, 0, 2)
    assert first.document_ids == second.document_ids
    assert len(ledger.events()) == 2


def test_a_re_plan_revises_the_unfirmed_requisition(ledger, line, now):
    ledger.propose([line(quantity=10)], "run 1", now)
    report = ledger.propose([line(quantity=12)], "run 2", now)
    assert (report.new_orders, report.revised) == (0, 1)
    assert [document.quantity for document in ledger.lines()] == [12]


def test_a_re_plan_withdraws_what_it_no_longer_contains(ledger, line, now):
    ledger.propose([line("mug"), line("cup")], "run 1", now)
    report = ledger.propose([line("mug")], "run 2", now)
    assert report.withdrawn == 1
    assert stages(ledger) == {"mug": "requisition", "cup": "withdrawn"}
    assert ledger.propose([line("mug"), line("cup")], "run 3", now).new_orders == 1


def test_a_plan_of_the_next_period_withdraws_stale_requisitions_but_no_later_ones(
    ledger, line, now
):
    later = date(2026, 1, 12)
    ledger.propose([line("mug"), line("cup", review_period=date(2026, 1, 19))], "run 1", now)
    ledger.propose([line("mug", review_period=later)], "run 2", now + timedelta(days=7))
    by_period = {document.review_period: document.stage for document in ledger.lines()}
    assert by_period == {
        "2026-01-05": "withdrawn",
        "2026-01-12": "requisition",
        "2026-01-19": "requisition",
    }


def test_a_plan_without_a_line_withdraws_what_its_period_asked_for(ledger, line, now):
    ledger.propose([line("mug"), line("cup", review_period=date(2026, 1, 12))], "run 1", now)
    assert ledger.propose([], "run 2", now).withdrawn == 0
    assert ledger.propose([], "run 3", now, review_period=date(2026, 1, 5)).withdrawn == 1
    assert stages(ledger) == {"mug": "withdrawn", "cup": "requisition"}


def test_a_plan_for_some_items_leaves_the_others_alone(ledger, line, now):
    ledger.propose([line("mug"), line("cup"), line("jar")], "run 1", now)
    ledger.propose([line("mug", 11)], "surge", now, scope=[("mug", "DC"), ("jar", "DC")])
    assert stages(ledger) == {"mug": "requisition", "cup": "requisition", "jar": "withdrawn"}


@pytest.mark.parametrize("step", ["firm", "approve"])
def test_firmed_and_approved_orders_survive_re_plans(ledger, line, now, step):
    made = ledger.propose([line("mug", 10)], "run 1", now)
    getattr(ledger, step)(list(made.document_ids.values()), "ann", now)
    other = ledger.propose([line("mug", 99)], "run 2", now)
    without = ledger.propose([line("cup")], "run 3", now)
    assert (other.new_orders, other.revised, other.kept, without.withdrawn) == (0, 0, 1, 0)
    assert [document.quantity for document in ledger.lines() if document.item_id == "mug"] == [10]


@pytest.mark.parametrize("step", ["reject", "cancel"])
def test_what_a_person_refused_is_not_proposed_again(ledger, line, now, step):
    made = ledger.propose([line()], "run 1", now)
    if step == "cancel":
        ledger.approve_within_limits(now)
    getattr(ledger, step)(list(made.document_ids.values()), "ann", now, "enough on the shelf")
    again = ledger.propose([line()], "run 2", now)
    assert (again.new_orders, again.kept) == (0, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"quantity": 0},
        {"quantity": -1},
        {"quantity": float("inf")},
        {"unit_cost": -0.5},
        {"unit_cost": float("nan")},
    ],
)
def test_a_plan_that_cannot_be_ordered_is_refused_whole(ledger, line, now, change):
    with pytest.raises(LedgerError, match=r"mug.*not recorded"):
        ledger.propose([line("cup"), line("mug", **change)], "run 1", now)
    assert ledger.events() == []


def test_a_plan_that_asks_twice_for_one_need_is_refused(ledger, line, now):
    with pytest.raises(LedgerError, match="asks twice"):
        ledger.propose([line(), line(quantity=3)], "run 1", now)


def test_canonical_rows_count_from_approval_and_lose_what_was_cancelled(ledger, line, now):
    plan = [
        line("mug"),
        line("cup", 7, kind="transfer", from_id="DC", location_id="UK"),
        line("jar"),
    ]
    made = ledger.propose(plan, "run 1", now)
    assert all(frame.is_empty() for frame in ledger.canonical_rows().values())
    ids = {key.split("|")[2]: document for key, document in made.document_ids.items()}
    ledger.approve([ids["mug"], ids["cup"]], "ann", now)
    ledger.cancel([ids["mug"]], "ann", now, "the supplier moved")
    rows = ledger.canonical_rows()
    purchases = rows["purchase_orders"].sort("handed_over_at")
    assert purchases["item_id"].to_list() == ["mug", "mug"]
    assert purchases["quantity"].to_list() == [10, 0]
    assert purchases["row_key"].n_unique() == 1
    assert set(purchases["source_id"]) == {"ledger"}
    assert purchases["due_at"][0] == datetime(2026, 1, 20)
    transfer = rows["transfers"].row(0, named=True)
    assert (transfer["from_id"], transfer["to_id"], transfer["quantity"], transfer["known_at"]) == (
        "DC",
        "UK",
        7,
        now,
    )


def test_a_firmed_requisition_counts_in_the_position(ledger, line, now):
    made = ledger.propose([line()], "run 1", now)
    ledger.firm(list(made.document_ids.values()), "ann", now)
    assert ledger.canonical_rows()["purchase_orders"]["quantity"].to_list() == [10]


def test_orders_recorded_in_a_wrong_year_are_known_and_open_once_now_is_mended(ledger, line, now):
    """The clock of a wrong year is over with it: what was ordered then counts as ordered, and is
    not ordered twice."""
    wrong = now.replace(year=now.year + 18)
    ledger.propose([line("mug")], "run 1", wrong)
    ledger.approve_within_limits(wrong)
    (order,) = ledger.canonical_rows(newest=now)["purchase_orders"].to_dicts()
    assert (order["known_at"], order["event_at"]) == (now, now)
    assert ledger.clock(now, now) == now
    later = now + timedelta(days=3)
    ledger.propose([line("cup")], "run 2", ledger.clock(later, later))
    (order,) = ledger.canonical_rows(newest=later + timedelta(days=9))["purchase_orders"].to_dicts()
    assert order["known_at"] == later, "known no later than what was recorded after it"


def test_an_earlier_day_asked_for_does_not_turn_the_ledger_s_clock_back(ledger, line, now):
    ledger.propose([line("mug")], "run 1", now)
    assert ledger.clock(now - timedelta(days=30), now) == now


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"quantity": 1e12 + 1}, "1e.12 at 2.5 is more than anybody orders"),
        ({"quantity": 5e11, "unit_cost": 2.5}, "5e.11 at 2.5 is more than anybody orders"),
        ({"item_id": "x" * 600}, "an id in it is longer than 600 characters"),
        ({"from_id": "x" * 601}, "an id in it is longer than 600 characters"),
        ({"item_id": "a\x00b"}, "has a sign no ledger keeps"),
        ({"from_id": "a\ud800"}, "has a sign no ledger keeps"),
    ],
)
def test_what_no_ledger_can_keep_is_refused_and_named(ledger, line, now, change, why):
    with pytest.raises(LedgerError, match=why):
        ledger.propose([line("cup"), line(**change)], "run 1", now)
    assert ledger.events() == []


def test_the_largest_order_the_longest_ids_and_what_costs_nothing_are_kept(ledger, line, now):
    longest = line("x" * (600 - len(line("").intent_key)), from_id="s" * 600)
    plan = [line("much", 1e12, unit_cost=1.0), longest, line("gift", unit_cost=0.0)]
    assert ledger.propose(plan, "run 1", now).new_orders == 3
    assert {document.quantity for document in ledger.lines()} == {1e12, 10.0}


def test_a_requisition_says_all_that_its_line_does_and_no_more(ledger, line, now):
    asked = line("mug", 1 / 3, unit_cost=2 / 3, kind="transfer", from_id="DC", location_id="UK")
    sales = {("mug", "DC"): Sale("case", 5.0), ("cup", "S1"): Sale("case", 5.0)}
    plan = [asked, line("cup"), line("jar")]
    made = ledger.propose(
        plan,
        "run 1",
        now,
        "bob",
        authors={("jar", "DC"): ["eve", "ann"]},
        currency="EUR",
        sales=sales,
    )
    said = {event.payload["item_id"]: event.payload for event in ledger.events()}
    assert {event.actor for event in ledger.events()} == {"bob"}
    assert made.document_ids == {one.intent_key: f"R0000000{n}" for n, one in enumerate(plan, 1)}
    assert said["mug"] == {
        "world": "w",
        "kind": "transfer",
        "intent_key": asked.intent_key,
        "item_id": "mug",
        "location_id": "UK",
        "from_id": "DC",
        "quantity": 0.33333333333333,
        "unit_cost": 0.66666666666667,
        "due_on": "2026-01-20",
        "review_period": "2026-01-05",
        "reason": asked.reason,
        "parts": {"expected_demand": 1 / 3},
        "run_id": "run 1",
        "currency": "EUR",
    }
    assert said["cup"]["sale"] == Sale("case", 5.0).to_payload() and "authors" not in said["cup"]
    assert said["jar"]["authors"] == ["ann", "eve"] and "sale" not in said["jar"]
    again = ledger.propose(plan, "run 2", now, "bob", authors={("jar", "DC"): ["ann"]}, sales=sales)
    assert (again.unchanged, again.revised) == (3, 0)
    more = ledger.propose(plan, "run 3", now, "bob", authors={("jar", "DC"): ["kim"]}, sales=sales)
    assert (more.unchanged, more.revised) == (2, 1)
    assert "currency" not in ledger.events()[-1].payload


@pytest.mark.parametrize(
    "change", [{"from_id": "S2"}, {"due_on": date(2026, 2, 1)}, {"unit_cost": 9.0}]
)
def test_any_other_term_revises_and_another_reason_does_not(ledger, line, now, change):
    ledger.propose([line()], "run 1", now)
    assert ledger.propose([line(reason="other words")], "run 2", now).unchanged == 1
    assert ledger.propose([line(**change)], "run 3", now).revised == 1


def test_a_plan_withdraws_in_its_own_world_alone_and_says_why(ledger, line, now):
    ledger.propose([line("mug"), line("cup", world="v")], "run 1", now)
    assert ledger.propose([line("jar")], "run 2", now).withdrawn == 1
    assert stages(ledger) == {"mug": "withdrawn", "cup": "requisition", "jar": "requisition"}
    last = ledger.events()[-1]
    assert (last.kind, last.payload["run_id"]) == ("withdrawn", "run 2")
    assert last.payload["reason"] == "the newer plan does not need it"


def test_what_changed_since_it_was_looked_at_is_not_decided(ledger, line, now):
    (name,) = ledger.propose([line()], "run 1", now).document_ids.values()
    assert ledger.store.versions([name, "R9"]) == {name: 1, "R9": 0}
    ledger.store.check({name: 1, "R9": 0})
    ledger.propose([line(quantity=3)], "run 2", now)
    for seen in ({name: 1}, {name: 3}, {"R9": 1}):
        with pytest.raises(StaleError, match="has changed since you opened it"):
            ledger.store.check(seen)
        with pytest.raises(StaleError), ledger.store.writing(now, seen):
            pass
    with ledger.store.writing(now, {name: 2}) as unit:
        first = unit.create("R")
        unit.add(first, "worked", " ann ", {"b": 1, "a": "ü"})
        with pytest.raises(LedgerError, match="nobody is named for 'worked'"):
            unit.add(first, "worked", "  ", {})
        with pytest.raises(LedgerError, match=f"{name} is requisition: it cannot be changed now"):
            unit.add(unit.open(name), "changed", "ann", {})
        assert unit.open(first.document_id) is first and unit.open(name) is unit.open(name)
    event, head = list(ledger.store.chained())[-1]
    assert (event.document_id, event.seq, event.version, event.actor) == ("R00000003", 3, 1, "ann")
    assert event.known_at == "2026-01-05T00:00:00.000000" and len(event.recorded_at) == 26
    assert canonical(event.payload) == '{"a":"ü","b":1}'
    assert chain(GENESIS, event, canonical(event.payload)) == head
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical({"a": float("nan")})


def test_many_documents_are_read_as_few_are(ledger, line, now, monkeypatch):
    monkeypatch.setattr("orchestration.ledger.store.CHUNK", 2)
    plan = [line(f"item {n}") for n in range(5)]
    names = list(ledger.propose(plan, "run 1", now).document_ids.values())
    assert ledger.propose(plan, "run 2", now).unchanged == 5
    assert ledger.store.versions(names) == dict.fromkeys(names, 1)
    with ledger.store.writing(now) as unit:
        found = unit.read_in(documents.c.document_id, names, documents.c.document_id != names[0])
        assert [one.document_id for one in found] == names[1:]
        authors = {("item 3", "DC"): ["eve"]}
    ledger.propose(plan, "run 3", now, authors=authors)
    assert ledger.propose(plan, "run 4", now, authors=authors).unchanged == 5
