"""The approval matrix: every rule raises the level, none lowers it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.procurement.approval import AUTOMATIC, BUYER, DIRECTOR, MANAGER, Evidence, Limits, judge


@pytest.mark.parametrize(
    ("quantity", "evidence", "limits", "level", "word"),
    [
        (10, Evidence(), Limits(), AUTOMATIC, ""),
        (10, Evidence(), Limits(maturity="suggest"), BUYER, "maturity"),
        (10, Evidence(), Limits(maturity="shadow"), BUYER, "shadow"),
        (
            10,
            Evidence(item_class="AX"),
            Limits(class_maturity={"AX": "suggest"}),
            BUYER,
            "class AX",
        ),
        (10, Evidence(item_class="CZ"), Limits(class_maturity={"AX": "suggest"}), AUTOMATIC, ""),
        (
            10,
            Evidence(item_class="CZ"),
            Limits("shadow", class_maturity={"CZ": "auto"}),
            AUTOMATIC,
            "",
        ),
        (10, Evidence(), Limits("suggest", class_maturity={"CZ": "auto"}), BUYER, "suggest"),
        (6_000, Evidence(), Limits(), BUYER, "exceeds"),
        (30_000, Evidence(), Limits(), MANAGER, "buyer's"),
        (300_000, Evidence(), Limits(), DIRECTOR, "manager's"),
        (10, Evidence(usual_quantity=3), Limits(), BUYER, "3.3 times the usual 3"),
        (10, Evidence(usual_quantity=4), Limits(), AUTOMATIC, ""),
        (10, Evidence(completeness=0.2), Limits(), BUYER, "only 20%"),
        (10, Evidence(supplier_risk=0.8), Limits(), MANAGER, "80%"),
        (
            10,
            Evidence(category="batteries"),
            Limits(asking_categories=("batteries",)),
            BUYER,
            "batteries",
        ),
    ],
)
def test_each_rule_asks_for_its_level(quantity, evidence, limits, level, word):
    verdict = judge("purchase", quantity, 1.0, evidence, limits)
    assert verdict.level == level
    assert word in "; ".join(verdict.reasons)


def test_a_transfer_spends_nothing():
    assert judge("transfer", 1e6, 100.0, Evidence(), Limits()).is_automatic


@given(st.floats(0, 1e7), st.floats(0, 1e7))
def test_a_larger_line_never_needs_less_authority(one, other):
    small, large = sorted((one, other))
    assert (
        judge("purchase", small, 1.0, Evidence(), Limits()).level
        <= judge("purchase", large, 1.0, Evidence(), Limits()).level
    )


def test_limits_survive_their_record():
    limits = Limits(approvers={"ann": 2}, asking_categories=("a", "b"), daily_cap=10.5)
    limits = limits.changed({"class_maturity": {"AX": "shadow"}})
    assert Limits.from_payload(limits.to_payload()) == limits
    of_before = {name: said for name, said in limits.to_payload().items() if "class" not in name}
    assert Limits.from_payload(of_before).class_maturity == {}
