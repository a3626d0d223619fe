"""One need, one order: what a plan, its repetition and its successor do to the ledger."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from orchestration.ledger import Ledger, LedgerError


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
