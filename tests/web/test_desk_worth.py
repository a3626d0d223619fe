"""What decisions were worth is reckoned against the demand that came, and nothing is settled before
it has."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import duckdb
import polars as pl
import pytest

from models.replenishment.overrides import Override
from orchestration.app import publishing
from orchestration.app.decision_worth import decision_worth
from orchestration.app.procurement import open_desk
from orchestration.facts import decisions
from orchestration.home import Home
from orchestration.planning import override_journal
from tests.web.small_home import NOW, RUN

EARLIER, THEN = "an earlier run", datetime(2025, 12, 10)
#: Of the mug at the shop over the seventeen days from then on: n modulo 5 on day n of December.
DEMAND = sum(n % 5 for n in range(9, 9 + 10 + 7))
HOLDING, SHORTAGE, REVIEW = 0.01, 2.0, 7


def cost(position: float, ordered: float) -> float:
    left = position + ordered - DEMAND
    return HOLDING * REVIEW * max(left, 0.0) + SHORTAGE * max(-left, 0.0)


def remember(home: Home, position: float, quantity: float, system: float | None = None) -> None:
    """A plan of four weeks ago, and what people made of it where system says otherwise."""
    about = {"run_id": EARLIER, "as_of": THEN, "item_id": "mug", "location_id": "SHOP"}
    said: dict[str, list[dict[str, Any]]] = {
        "targets": [about | {"position": position, "quantity": quantity}],
        "overrides": [],
    }
    if system is not None:
        moved = {"kind": "quantity", "from_id": "DC", "unit_cost": 2.5, "quantity": quantity}
        reason = "the fair (paul, override-1)"
        said["overrides"] = [about | moved | {"system_quantity": system, "reason": reason}]
    for table, rows in said.items():
        frame = pl.DataFrame(rows, schema=decisions.DECISIONS[table])
        decisions.record(home.decisions, EARLIER, table, frame, as_of=THEN)
    with duckdb.connect(str(home.warehouse)) as con:
        decisions.load(con, home.decisions)
    publishing.write_snapshot(home.warehouse, home.published, RUN, NOW)


@pytest.mark.parametrize(("position", "quantity"), [(10.0, 8.0), (30.0, 40.0), (60.0, 0.0)])
def test_regret_is_what_the_best_quantity_would_have_saved(
    come: Any, home: Home, position: float, quantity: float
) -> None:
    assert DEMAND == 34
    remember(home, position, quantity)
    with open_desk(home) as desk:
        (month,) = decision_worth(desk).months
    best = cost(position, max(DEMAND - position, 0.0))
    assert (month.month, month.decisions) == ("2025-12", 1), "today's plan is not settled yet"
    assert month.cost == pytest.approx(cost(position, quantity))
    assert month.best == pytest.approx(best) and month.regret >= 0
    assert month.holding + month.shortage == pytest.approx(month.cost)
    assert "2025-12" in come("vera", "viewer").get("/audit/worth").text


@pytest.mark.parametrize(("ours", "system"), [(24.0, 4.0), (60.0, 24.0)])
def test_an_override_is_worth_what_the_system_s_own_quantity_would_have_cost_more(
    come: Any, home: Home, ours: float, system: float
) -> None:
    until = date(2025, 12, 31)
    scope = {"item_id": "mug", "location_id": "SHOP"}
    override = Override("quantity", ours, "the fair", scope, until)
    with duckdb.connect(str(home.warehouse), read_only=True) as con:
        planned = con.execute("select * from marts.dim_item_locations").pl()
    override_journal.add(home, planned, override, "paul", THEN, THEN.date())
    remember(home, 10.0, ours, system)
    with open_desk(home) as desk:
        found = decision_worth(desk)
    (one,) = found.overrides
    saved = cost(10.0, system) - cost(10.0, ours)
    assert (one.author, one.reason, one.lines, one.settled) == ("paul", "the fair", 1, 1)
    assert one.moved == pytest.approx((ours - system) * 2.5)
    assert one.worth == pytest.approx(saved) and (saved > 0) == (ours == 24.0)
    assert found.people == [("paul", 1, one.worth)]
    page = come("vera", "viewer").get("/audit/worth").text
    assert "the fair" in page and "paul" in page


def test_the_audit_draws_the_stairs_and_shows_the_card_of_the_model(come: Any) -> None:
    page = come("vera", "viewer").get("/audit").text
    stairs = page.split("Error by method")[1].split("</svg>")[0]
    for said in ("90 %", "70 %", "60 %", "-20 %", "-10 %"):
        assert said in stairs, said
    assert "/audit/worth" in page
