"""A contract that says something else from one day on: the next run counts by it, from the marts to
the rehearsal and the orders, though no new file has come."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from orchestration.facts.published_snapshots import FILE

WORLD = """
world: shop
currency: EUR
plan: {grain: day, review: weekly, lead_time_days: 7, absent_sales: zero}
sources:
  till:
    silo: erp
    path: till.csv
    key: [day, article]
    known_after: 0 days
    into: [sales: {item_id: article, location_id: "'main'", event_at: day, quantity: pieces}]
  counts:
    silo: erp
    path: counts.csv
    key: [day, article]
    known_after: 0 days
    into: [stock: {item_id: article, location_id: "'main'", event_at: day, on_hand: pieces}]
"""
FIRST, DAYS, ARTICLES = date(2024, 1, 1), 210, ("mug", "cup")
DECIDED = {
    "sold": "select sum(quantity) from marts.fct_demand",
    "lead time": "select max(lead_time_days) from marts.dim_item_locations",
    "rehearsals": "select count(distinct settings) from decisions_history.champions",
    "models": "select count(distinct model) from decisions_history.models",
    "units": "select sum(quantity) from decisions.order_lines",
}


def decided(home: Path) -> dict[str, float]:
    with duckdb.connect(str(home / "derived/published/current" / FILE), read_only=True) as con:
        return {name: con.execute(sql).fetchall()[0][0] for name, sql in DECIDED.items()}


@pytest.mark.long
@pytest.mark.line
def test_what_a_contract_says_now_is_what_the_next_run_counts_by(
    tmp_path: Path, command: Callable[..., Any]
) -> None:
    random = np.random.default_rng(5)
    sales, counts = ["day,article,pieces"], ["day,article,pieces"]
    for day in (FIRST + timedelta(days=k) for k in range(DAYS)):
        sales += [f"{day},{article},{random.poisson(4)}" for article in ARTICLES]
    counts += [f"{FIRST + timedelta(days=DAYS)},{article},10" for article in ARTICLES]
    (tmp_path / "till.csv").write_text("\n".join(sales) + "\n", encoding="utf-8")
    (tmp_path / "counts.csv").write_text("\n".join(counts) + "\n", encoding="utf-8")
    contract, home = tmp_path / "world.yml", tmp_path / "home"
    contract.write_text(WORLD, encoding="utf-8")
    command("run", tmp_path, "--home", home)
    before = decided(home)
    changed = WORLD.replace("lead_time_days: 7", "lead_time_days: 28")
    changed = changed.replace("quantity: pieces", "quantity: 3 * pieces::int")
    contract.write_text(changed, encoding="utf-8")
    assert "till read anew" in command("run", tmp_path, "--home", home).stdout
    after = decided(home)
    assert (before["lead time"], after["lead time"]) == (7, 28)
    for what in ("rehearsals", "models"):
        assert (before[what], after[what]) == (1, 2), what
    assert after["sold"] == 3 * before["sold"]
    assert after["units"] > 3 * before["units"]
