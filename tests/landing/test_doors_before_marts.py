"""What would break a law of the marts is refused at the door, one row at a time: a mart that meets
it stops the line for all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestration.landing.contract import world
from orchestration.landing.contract.canonical import CANONICAL, NUMBER
from orchestration.landing.load import rule_sql
from orchestration.landing.load.rule_sql import NOT_NEGATIVE, SHARES
from tests.landing.company import Company

MARTS = Path(__file__).resolve().parents[2] / "dbt_project" / "models" / "marts"
NUMBERS = {
    column
    for table in CANONICAL.values()
    for column, kind in table.columns.items()
    if kind == NUMBER
}
#: Columns whose mart holds what was reckoned: what comes in of that name may be below zero.
RECKONED = {"on_hand"}


def ranges() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every range that stops the line where a mart's column leaves it."""
    for file in sorted(MARTS.glob("*.yml")):
        for model in yaml.safe_load(file.read_text(encoding="utf-8")).get("models", ()):
            for column in model["columns"]:
                for test in column.get("data_tests", ()):
                    law = test.get("accepted_range") if isinstance(test, dict) else None
                    if law and law.get("config", {}).get("severity") != "warn":
                        yield column["name"], law["arguments"]


def test_a_number_that_a_mart_refuses_is_refused_at_the_door() -> None:
    limits = [(name, law) for name, law in ranges() if name in NUMBERS - RECKONED]
    assert len(limits) > 15
    low = {name for name, law in limits if float(law.get("at_least", -1)) >= 0}
    assert low - NOT_NEGATIVE == set()
    assert {name for name, law in limits if law.get("at_most") == 1} - SHARES == set()


TERMS = """
sources:
  terms:
    silo: sheets
    path: terms.csv
    key: [item]
    known_at: date '2024-01-01'
    into:
      - supplier_terms: {item_id: item, supplier_id: who, moq: least, order_multiple: by, unit_cost: cost}
      - successions: {item_id: item, successor_id: next, share: part, when: next is not null}
"""


LIMITS = """
sources:
  limits:
    silo: sheets
    path: limits.csv
    key: [name, scope]
    known_at: date '2024-01-01'
    into: [constraints: {name: name, scope: scope, value: value}]
"""


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("service_level", ["0", "0.95", "0.9999"], ["1", "95", "-0.1"]),
        ("duty_share", ["0", "0.12", "1"], ["12", "-0.1"]),
        ("budget", ["0", "5000"], ["-1"]),
        ("capacity", ["0", "95"], ["-1"]),
    ],
)
def test_a_limit_that_none_can_be_is_set_aside_and_the_others_hold(
    name: str, good: list[str], bad: list[str], tmp_path: Path
) -> None:
    made = Company(tmp_path, LIMITS)
    rows = "".join(f"{name},{k},{value}\n" for k, value in enumerate([*good, *bad]))
    made.write("limits.csv", "name,scope,value\n" + rows)
    made.land()
    kept = made.rows("select value from raw.constraints order by row_no")
    assert [value for (value,) in kept] == [float(value) for value in good]
    aside = made.rows("select value, rule from raw.quarantine order by row_no")
    assert [float(value) for value, _ in aside] == [float(value) for value in bad]
    assert all(rule.startswith("is n") for _, rule in aside)


def test_a_home_from_before_a_door_was_stricter_sets_aside_what_it_let_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Company(tmp_path, LIMITS)
    made.write("limits.csv", "name,scope,value\nservice_level,a,95\nservice_level,b,0.9\n")
    with monkeypatch.context() as before:
        before.setattr(rule_sql, "_checks_of_limits", list)
        before.delitem(world.STRICTER, "constraints")
        made.land()
        assert made.rows("select count(*) from raw.constraints") == [(2,)]
    report = made.land()
    assert report.read_anew == ["limits"]
    assert made.rows("select scope, value from raw.constraints") == [("b", 0.9)]
    ((value, rule),) = made.rows("select value, rule from raw.quarantine")
    assert float(value) == 95 and "0.95 for 95 %" in rule
    assert made.land().read_anew == []


BOOKED = """
sources:
  dock:
    silo: erp
    path: dock.csv
    key: [slip]
    known_after: 0 days
    into:
      - receipts: {item_id: item, location_id: "'DC'", order_id: po, quantity: units, event_at: day}
"""


def test_goods_sent_back_to_their_supplier_land(tmp_path: Path) -> None:
    made = Company(tmp_path, BOOKED)
    made.write("dock.csv", "slip,item,po,units,day\n1,a,P1,10,2024-01-02\n2,a,P1,-4,2024-01-09\n")
    made.land()
    assert made.rows("select sum(quantity), count(*) from raw.receipts") == [(6.0, 2)]


@pytest.mark.parametrize(
    ("row", "column", "rule"),
    [
        ("b,S,-5,1,4,,", "moq", "is negative"),
        ("b,S,5,-12,4,,", "order_multiple", "is negative"),
        ("b,S,5,1,-4,,", "unit_cost", "is negative"),
        ("b,S,5,1,4,c,60", "share", "is no share between 0 and 1"),
    ],
)
def test_one_impossible_term_is_set_aside_and_the_others_land(
    row: str, column: str, rule: str, tmp_path: Path
) -> None:
    made = Company(tmp_path, TERMS)
    made.write("terms.csv", f"item,who,least,by,cost,next,part\na,S,1,1,4,d,0.6\n{row}\n")
    made.land()
    ((found, said, place),) = made.rows("select column_name, rule, row_no from raw.quarantine")
    assert (found, place) == (column, 2) and said.startswith(rule)
    assert made.rows("select item_id from raw.successions") == [("a",)]
