"""What people do between two plans of a review counts in the second: money approved is spent, an
overridden line waits for it, and the first is made anew as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from orchestration.facts import published_snapshots
from orchestration.home import Home
from orchestration.home.sql import frame
from tests.line.small_shop import DAYS, write_world

BUDGET = 500
LAST = "where run_id = (select run_id from published.snapshot)"


def planned(home: Home) -> tuple[pl.DataFrame, dict[str, Any]]:
    """The newest plan's purchases, and its budget."""
    with published_snapshots.current(home.published).connect() as con:
        lines = frame(con, f"select * from decisions.order_lines {LAST} and kind = 'purchase'")
        budget = frame(con, f"select * from decisions.limits {LAST} and name = 'budget'")
    return lines, budget.row(0, named=True)


@pytest.mark.long
@pytest.mark.line
def test_approved_money_is_spent_and_an_overridden_line_waits(
    tmp_path: Path, command: Callable[..., Any]
) -> None:
    shop, at = write_world(tmp_path / "shop", DAYS, BUDGET), ("--home", tmp_path / "home")
    command("run", shop, *at)
    home = Home.open(tmp_path / "home")
    before, budget = planned(home)
    assert budget["at_most"] == BUDGET
    assert budget["used"] == pytest.approx(float(before["value"].sum()), abs=0.01)
    listed = json.loads(command("orders", *at, "--json").stdout)["orders"]
    names = {one["item_id"]: one["id"] for one in listed}
    cheap, dear = (before.sort("value").row(k, named=True) for k in (0, -1))
    moved, bought = (names[one["item_id"]] for one in (cheap, dear))

    wanted = ("override", "add", "quantity", str(cheap["quantity"] * 2), "--by", "bob")
    command(*wanted, "--scope", f"item_id={cheap['item_id']}", "--reason", "a fair", *at)
    refused = command("approve", moved, "--by", "anna", *at, code=2)
    assert "override-1 (bob: a fair) was recorded after it was planned" in refused.stderr
    command("approve", bought, "--by", "anna", *at)
    command("run", shop, *at)

    after, budget = planned(home)
    spent = float(dear["value"])
    assert budget["at_most"] == pytest.approx(BUDGET - spent, abs=0.01)
    assert budget["used"] == pytest.approx(float(after["value"].sum()), abs=0.01)
    assert spent + float(after["value"].sum()) <= BUDGET
    own = command("approve", moved, "--by", "bob", *at, code=2)
    assert "bob" in own.stderr
    command("approve", moved, "--by", "anna", *at)
    # the second is made anew with the budget that was left then and what was overridden by then,
    # the first with all of it and nothing overridden
    for line in (after.sort("value").row(-1, named=True), cheap):
        asked = ("trace", line["order_line_id"], "--replay", "--world", shop)
        again = json.loads(command(*asked, *at, "--json").stdout)
        assert again["is_same"], again
