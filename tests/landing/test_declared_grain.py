"""Several rows of one thing at one time: parts, versions, or a question that is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.expectations import GATES
from orchestration.landing.contract.errors import ContractError
from orchestration.landing.load.contract_trial import check
from orchestration.landing.readers.contract_draft import suggest
from tests.landing.company import Company
from tests.transform.warehouses import build, query

SALES = """
sources:
  tills:
    silo: pos
    path: sales.csv
    key: [ticket]
    known_after: 1 day
    into: [sales: {item_id: item, location_id: shop, event_at: '"day"', quantity: qty}]
  counts:
    silo: wms
    path: stock*.csv
    KEY
    known_at: told
    into:
      - stock: {item_id: item, location_id: shop, event_at: '"day"', on_hand: pieces SEVERAL}
"""
TILLS = "ticket,item,shop,day,qty\nT1,a,s,2024-01-02,1\n"
COUNTS = (
    "item,shop,bin,day,told,pieces\n"
    "a,s,A,2024-01-01,2024-01-01 08:00,20\n"
    "a,s,B,2024-01-01,2024-01-01 12:00,300\n"
    "a,s,C,2024-01-01,2024-01-01 17:00,40\n"
)
KEYS = ("key: [item, shop, bin, day]", "identity: row")


def company(folder: Path, several: str = "", key: str = KEYS[0]) -> Company:
    said = f", several: {several}" if several else ""
    made = Company(folder, SALES.replace("KEY", key).replace(" SEVERAL", said))
    made.write("sales.csv", TILLS)
    made.write("stock.csv", COUNTS)
    return made


def asked(made: Company) -> list[dict[str, object]]:
    """The rows that the gate asks about."""
    law = next(law for law in GATES["raw_in"].laws if law.name == "stock_say_one_thing_at_a_time")
    return made.con.sql(law.broken_by.format(batch="raw.stock")).pl().to_dicts()


def on_hand(made: Company) -> list[tuple[float, bool]]:
    """Every version of the count in the marts, in the order in which they were known."""
    made.con.close()
    build(made.folder / "warehouse.duckdb", "+fct_stock", "run")
    versions = "select on_hand, is_current from marts.fct_stock order by known_at"
    return query(made.folder / "warehouse.duckdb", versions)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    ("several", "is_asked", "counts"),
    [
        ("", True, [(20, False), (320, False), (360, True)]),
        ("sum", False, [(20, False), (320, False), (360, True)]),
        ("newest", False, [(20, False), (300, False), (40, True)]),
    ],
)
def test_rows_of_one_grain_are_what_the_contract_says_or_are_asked_about(
    key: str, several: str, is_asked: bool, counts: list[tuple[float, bool]], tmp_path: Path
) -> None:
    made = company(tmp_path, several, key)
    made.land()
    assert bool(asked(made)) is is_asked
    ((loaded, aside),) = made.con.sql(
        "select sum(rows_loaded), sum(rows_quarantined) from raw.manifest where source_id='counts'"
    ).fetchall()
    assert (loaded, aside) == (3, 0)
    warned = [one for one in check(made.world, made.data) if "several: sum" in one.message]
    assert bool(warned) is is_asked
    assert on_hand(made) == counts


def test_versions_that_are_equally_new_are_set_aside_with_their_rows(tmp_path: Path) -> None:
    made = company(tmp_path, "newest")
    made.write("stock.csv", COUNTS.replace("17:00", "12:00"))
    made.land()
    kept = made.con.sql("select row_no, rule from raw.quarantine order by 1").fetchall()
    assert [row for row, _ in kept] == [2, 3]
    assert made.con.sql("select on_hand from raw.stock").fetchall() == [(20,)]


def test_a_recount_under_another_key_is_asked_about_whenever_it_is_known(tmp_path: Path) -> None:
    made = company(tmp_path, key="identity: row")
    made.write("stock.csv", COUNTS.partition("a,s,B")[0])
    made.land()
    assert not asked(made)
    made.write("stock_2.csv", COUNTS.replace("01-01 17:00", "01-09 17:00"))
    made.land()
    assert [row["rows_added_up"] for row in asked(made)] == [3]


def test_equal_rows_of_a_later_delivery_are_told_too(tmp_path: Path) -> None:
    made = company(tmp_path, key="identity: row")
    made.land()
    made.write("stock_2.csv", COUNTS + COUNTS.splitlines()[1] + "\n")
    assert any("stock_2.csv count once, 1 left out" in said for said in made.land().doubts)


@pytest.mark.parametrize(
    ("table", "word", "said"),
    [
        ("stock", "all", "none of sum, newest"),
        ("sales", "sum", "means nothing in `sales`"),
    ],
)
def test_a_word_that_is_none_is_refused(table: str, word: str, said: str, tmp_path: Path) -> None:
    made = company(tmp_path)
    rule = f"- {table}: {{item_id: item, location_id: shop, several: {word}, "
    contract = (made.data / "world.yml").read_text(encoding="utf-8")
    old = f"{table}: {{item_id: item, location_id: shop, "
    made.data.joinpath("world.yml").write_text(
        contract.replace(old, rule.removeprefix("- ")), encoding="utf-8"
    )
    with pytest.raises(ContractError, match=said):
        _ = made.world


def test_a_draft_asks_what_rows_of_one_grain_are(tmp_path: Path) -> None:
    path = tmp_path / "stock.csv"
    path.write_text(
        "article,warehouse,zone,count_date,on_hand\nA,W,N,2024-01-01,3\nA,W,S,2024-01-01,5\n"
    )
    assert "# several: sum   # 2 rows share article, warehouse, count_date" in suggest([path])
    path.write_text("article,warehouse,count_date,on_hand\nA,W,2024-01-01,3\n")
    assert "several" not in suggest([path])
