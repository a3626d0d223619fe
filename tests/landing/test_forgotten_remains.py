"""After `forget` no byte of the customer's id is in the home, or the command says where: broken
rows, texts, other spellings."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.app.erase_customer import forget_customer
from orchestration.home import Home
from orchestration.landing import World, land
from orchestration.landing.erase.remains import remains

WORLD = """
world: shop
currency: EUR
plan: {grain: day, review: weekly, lead_time_days: 7, absent_sales: zero}
sources:
  till:
    silo: shop
    path: tills/*.csv
    identity: row
    known_after: 1 day
    into: [sales: {item_id: item, location_id: store, event_at: day, quantity: qty, customer_id: who}]
"""
ANN = "CUST-SECRET-4711"
#: a line among good ones, and whether `forget` can take the customer out of it
LINES = {
    f"a,n,2024-03-01,1,{ANN}": True,
    f'"a,n,2024-03-01,1,{ANN}': True,
    f'a,n,2024-03-01,1,"{ANN}" x': True,
    f"a,n,2024-03-01,1,{ANN},more": True,
    f"a,n,no day,1,{ANN}": True,
    f"a\udcff,n,2024-03-01,1,{ANN}": True,
    f"a\0,n,2024-03-01,1,{ANN}": True,
    f'"a\nfor {ANN}",n,2024-03-01,1,C1': False,
    f"{ANN},n,2024-03-01,1,C1": False,
    f"a,n,2024-03-01,1, {ANN} ": False,
    f"a,n,2024-03-01,1,{ANN.lower()}": False,
}


@pytest.mark.parametrize("line", LINES)
def test_the_id_is_gone_or_it_is_said_where_it_stands(line: str, tmp_path: Path) -> None:
    world, home = tmp_path / "world", Home.found(tmp_path / "home", "shop")
    (world / "tills").mkdir(parents=True)
    (world / "world.yml").write_text(WORLD, encoding="utf-8")
    rows = [f"a{i},n,2024-03-01,1,C{i:04d}" for i in range(9)]
    rows[5:5] = [line, f"b,n,2024-03-02,1,{ANN}"]
    text = "\n".join(["item,store,day,qty,who", *rows]) + "\n"
    (world / "tills" / "1.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    contract = World.load(world)
    with home.connect() as con:
        before = land(con, contract, world, home.archive).new_rows
    found = forget_customer(home, contract, world, ANN)
    holding = [
        path.relative_to(home.root).as_posix()
        for path in home.root.rglob("*")
        if path.is_file() and ANN.lower().encode() in path.read_bytes().lower()
    ]
    assert set(holding) <= set(found.left)
    assert (found.left == []) == LINES[line]
    with home.connect() as con:
        assert con.execute("SELECT count(*) FROM raw.sales").fetchone() == (before,)


def test_a_short_number_is_not_looked_for_where_numbers_stand_everywhere(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("1,12,2024\n", encoding="utf-8")
    assert remains(tmp_path, "12") == []
    (tmp_path / "file").write_text("x 17850,1178501\n", encoding="utf-16")
    assert remains(tmp_path, "17850") == ["file"]
