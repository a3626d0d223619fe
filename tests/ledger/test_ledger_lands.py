"""What procurement learns comes in with the next run, through the same door as everything else:
orders, receipts, lateness."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pytest

from models.procurement import x12
from orchestration.app import procurement, publishing
from orchestration.defs.land import land_ledger
from orchestration.home import Home
from orchestration.landing import World
from orchestration.ledger import Receipt
from tests.transform.warehouses import at, build, make_warehouse, query

MONDAY, LATER = datetime(2024, 1, 8), datetime(2024, 2, 5)
WORLD = """
world: w
currency: GBP
plan: {grain: day, absent_sales: zero}
sources:
  till: {silo: erp, path: "*.csv", identity: row, known_after: 1 day, into: [sales: {item_id: i, location_id: l, event_at: d, quantity: q}]}
"""


def warehouse(home: Home, now: datetime) -> None:
    """One item, one centre, one shop, as their systems would have landed by now."""
    before = at("2023-12-01")
    tables = {
        "items": [{"item_id": "mug", "supplier_id": "S1", "known_at": before}],
        "locations": [
            {"location_id": "DC", "kind": "distribution_centre", "known_at": before},
            {"location_id": "UK", "kind": "store", "supplied_from": "DC", "known_at": before},
        ],
        "suppliers": [{"supplier_id": "S1", "name": "S1", "known_at": before}],
        "supplier_terms": [
            {
                "item_id": "mug",
                "supplier_id": "S1",
                "lead_time_days": 7.0,
                "from_quantity": 0.0,
                "unit_cost": 2.5,
                "known_at": before,
            }
        ],
        "sales": [
            {"item_id": "mug", "location_id": "UK", "quantity": 3.0, "event_at": at("2024-01-05")}
        ],
        "stock": [
            {"item_id": "mug", "location_id": place, "on_hand": 40.0, "event_at": at("2024-01-07")}
            for place in ("DC", "UK")
        ],
    }
    home.warehouse.unlink(missing_ok=True)
    make_warehouse(home.warehouse, {"world": "w", "timezone": "UTC", "now_at": now}, tables)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    place = Home.found(tmp_path / "home", "w")
    (tmp_path / "world.yml").write_text(WORLD)
    return place


def test_orders_and_late_receipts_land_and_become_stock_lead_times_and_the_supplier_s_record(
    home, tmp_path, line
):
    warehouse(home, MONDAY)
    week = {"review_period": date(2024, 1, 8), "due_on": date(2024, 1, 15)}
    plan = [
        line("mug", 10, **week),
        line("mug", 4, kind="transfer", location_id="UK", from_id="DC", **week),
    ]
    with procurement.open_desk(home) as desk:
        desk.ledger.propose(plan, "run 1", desk.now)
        assert procurement.approve_and_send(desk)[1].sent == 2
        bought, moved = sorted(desk.ledger.lines(), key=lambda d: d.kind)
        partner = desk.partners["S1"]
        said = [
            ["BAK", "00", "AD", bought.order_id, "20240108"],
            ["PO1", "1", "10", "EA", "2.5", "", "VP", "mug"],
            ["ACK", "IA", "10", "EA"],
        ]
        desk.ledger.receive(
            x12.write("855", "PR", said, partner.their, partner.ours, 1, MONDAY).encode(),
            partner,
            MONDAY,
        )
        late = [
            Receipt("GR1", bought.order_id, "1", 6, datetime(2024, 1, 22)),
            Receipt("GR2", bought.order_id, "1", 4, datetime(2024, 1, 24)),
            Receipt("GR3", moved.order_id, "1", 4, datetime(2024, 1, 10)),
        ]
        desk.ledger.record_receipts(late, "warehouse", LATER)
        desk.ledger.propose(
            [line("mug", 5, review_period=date(2024, 2, 5), due_on=date(2024, 2, 12))],
            "run 2",
            LATER,
        )
        (again,) = [d for d in desk.ledger.lines() if d.stage == "requisition"]
        # it was late, so a person decides
        assert procurement.evidence(desk)[again.document_id].supplier_risk > 0.5
        desk.ledger.approve([again.document_id], "ann", LATER)
        (coming,) = [d for d in desk.ledger.lines() if d.open_quantity]
    warehouse(home, LATER)
    with home.connect() as con:
        for _ in range(2):  # a second run lands nothing twice
            land_ledger(con, home, World.load(tmp_path), LATER)
    build(
        home.warehouse,
        "+fct_stock_positions +fct_lead_times +fct_receipts +kpi_supplier_performance",
        verb="run",
    )

    open_orders = query(
        home.warehouse, "select order_id, origin, quantity from marts.fct_open_orders"
    )
    assert open_orders == [(coming.order_id, "ledger", 5.0)]
    stock = dict(
        query(
            home.warehouse, "select location_id, (on_hand, on_order) from marts.fct_stock_positions"
        )
    )
    assert stock == {"DC": (40 + 10 - 4, 5), "UK": (40 + 4, 0)}
    times = query(
        home.warehouse,
        (
            "select kind, promised_days, actual_days from marts.fct_lead_times where not "
            "is_censored "
            "order by 1"
        ),
    )
    assert times == [("purchase", 7.0, 16.0), ("transfer", 7.0, 2.0)]
    assert query(
        home.warehouse,
        "select due_lines, otif_share, lead_time_mean_days from metrics.kpi_supplier_performance",
    ) == [(1, 0.0, 16.0)]

    publishing.write_snapshot(home.warehouse, home.published, "run 3", LATER)
    with procurement.open_desk(home) as desk:
        # its own receipts came back to it, and it knows them
        assert procurement.match(desk).receipts == 0
        assert desk.ledger.audit() == []
