"""What `check` ends with: what the plan can do with a contract, and what each unfed table costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.landing import World, check
from orchestration.landing.contract.canonical import CANONICAL
from orchestration.landing.load.consequences import SAID_BY, WITHOUT, consequences
from tests.landing.company import HEAD

RULE = "into: [{table}: {{{columns}}}]"


def world(folder: Path, *tables: str) -> World:
    said = HEAD.format(timezone="UTC", grain="day") + "sources:\n"
    for table in tables:
        spec = CANONICAL[table]
        names = [*spec.required, *(group[0] for group in spec.one_of)]
        columns = ", ".join(f"{name}: {name}" for name in dict.fromkeys(names))
        said += f"  {table}:\n    silo: erp\n    path: {table}.csv\n    identity: row\n"
        said += f"    known_at: told\n    {RULE.format(table=table, columns=columns)}\n"
    (folder / "world.yml").write_text(said, encoding="utf-8")
    return World.load(folder)


def test_a_world_without_a_clock_is_told_what_is_missing(tmp_path: Path) -> None:
    (said,) = consequences(world(tmp_path, "supplier_terms", "items"))
    assert said.startswith("no plan: nothing says what day it is")


def test_stock_alone_has_a_day_and_nothing_to_forecast(tmp_path: Path) -> None:
    (said,) = consequences(world(tmp_path, "stock"))
    assert "nothing is sold" in said


@pytest.mark.parametrize("table", [name for name in WITHOUT if name not in ("purchase_orders",)])
def test_feeding_a_table_takes_its_sentence_away(table: str, tmp_path: Path) -> None:
    sentence = f"no {table.replace('_', ' ')}: {WITHOUT[table]}"
    assert sentence in consequences(world(tmp_path, "sales"))
    assert sentence not in consequences(world(tmp_path, "sales", table))


def test_what_is_on_order_is_said_to_be_unknown_only_where_stock_is_counted(tmp_path: Path) -> None:
    """Without counts a full pipeline is assumed, so that nothing is ordered again."""
    sentence = f"no purchase orders: {WITHOUT['purchase_orders']}"
    assert sentence in consequences(world(tmp_path, "sales", "stock"))
    assert sentence not in consequences(world(tmp_path, "sales"))


def test_every_table_named_is_canonical() -> None:
    assert set(WITHOUT) <= set(CANONICAL)
    for pairs in SAID_BY.values():
        for other, column in pairs:
            assert column in CANONICAL[other].columns


def test_check_ends_with_it(tmp_path: Path) -> None:
    contract = world(tmp_path, "sales")
    found = check(contract, tmp_path)
    plan = [finding.message for finding in found if finding.kind == "plan"]
    assert plan == consequences(contract)
    assert [finding.kind for finding in found[-len(plan) :]] == ["plan"] * len(plan)


def test_a_table_whose_every_row_is_in_quarantine_counts_as_not_fed(tmp_path: Path) -> None:
    contract = world(tmp_path, "sales", "supplier_terms")
    (tmp_path / "sales.csv").write_text(
        "told,item_id,location_id,quantity,event_at\n2024-01-02,a,x,1,2024-01-01\n", "utf-8"
    )
    names = sorted(contract.sources["supplier_terms"].into[0]["supplier_terms"])
    for item, is_aside in (("#REF!", True), ("a", False)):
        rows = ["told," + ",".join(names)] + [
            "2024-01-02," + ",".join(one if name == "item_id" else "1" for name in names)
            for one in (item, "Total")
        ]
        (tmp_path / "supplier_terms.csv").write_text("\n".join(rows) + "\n", "utf-8")
        plan = [one.message for one in check(contract, tmp_path) if one.kind == "plan"]
        said = f"no supplier terms (every row tried is in quarantine): {WITHOUT['supplier_terms']}"
        assert (said in plan) is is_aside
        assert ("what supplier_terms say" in plan[0]) is not is_aside
