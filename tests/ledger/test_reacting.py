"""Between two runs: what happens re-plans what it concerns, at once, and nothing else; faster ways
are weighed in money."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest
from scipy.stats import nbinom

from models.domain import QUANTILES, OrderLine
from models.forecasting.forecast import PATH_LEVELS, Forecast
from models.procurement import x12
from models.procurement.documents import Document
from orchestration.app import procurement, publishing
from orchestration.app.event_replan import Replanned, replan, unanswered
from orchestration.facts import published_snapshots
from orchestration.facts.kept_forecasts import keep_forecast
from orchestration.home import Home
from orchestration.intake.inbox import Inbox, Message
from orchestration.landing import World

NOW, FIRST = datetime(2026, 1, 5), date(2026, 1, 5)
HORIZON, DAILY = 24, 8
WORLD = """
world: w
currency: GBP
plan: {grain: day, review: weekly, absent_sales: zero, whole_units: true}
sources: {till: {path: "*.csv", identity: row, known_after: 0 days, into: [sales: {item_id: i, location_id: l, event_at: d, quantity: q}]}}
"""
#: A centre that buys from S1 in ten days, and three shops it feeds in one to three; there are few
#: mugs, and IE has far too many cups.
LEAD = {"UK": 1, "IE": 2, "FR": 3, "DC": 10}
STOCK = {
    "mug": {"UK": 60, "IE": 60, "FR": 60, "DC": 20},
    "cup": {"UK": 60, "IE": 900, "FR": 60, "DC": 500},
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "world.yml").write_text(WORLD.replace("till: {", "till: {silo: erp, "))
    return World.load(tmp_path)


@pytest.fixture
def home(published: Path, tmp_path: Path) -> Home:
    return Home(Path(shutil.copytree(published, tmp_path / "home", symlinks=True)))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published run of two items, mug and cup, in the places above."""
    place = Home.found(tmp_path_factory.mktemp("published") / "home", "w")
    nodes, stock, ahead = [], [], []
    days = [FIRST + timedelta(days=k) for k in range(HORIZON)]
    for item in ("mug", "cup"):
        for location, lead in LEAD.items():
            centre = location == "DC"
            nodes.append(
                {
                    "item_id": item,
                    "location_id": location,
                    "role": "distribution_centre" if centre else "store",
                    "kind": "purchase" if centre else "transfer",
                    "from_id": "S1" if centre else "DC",
                    "lead_time_days": float(lead),
                    "lead_time_periods": lead,
                    "moq": 0.0,
                    "order_multiple": 1.0,
                    "unit_cost": 2.5,
                    "price": 6.0,
                    "holding_cost": 0.005,
                    "shortage_cost": 3.5,
                    "weight_kg": 0.4,
                    "freight_per_unit": 0.1,
                    "category": "kitchen",
                    "is_assumed": False,
                    "is_forecast": not centre,
                    "lead_time_working_days": None,
                    "departure_days": None,
                }
            )
            stock.append(
                {
                    "item_id": item,
                    "location_id": location,
                    "on_hand": float(STOCK[item][location]),
                    "inherited": 0.0,
                    "set_aside": 0.0,
                    "on_order": 0.0,
                    "stock_known_at": NOW,
                    "stock_as_of": NOW,
                    "is_unknown": False,
                }
            )
            if not centre:
                demand = nbinom(4, 4 / (4 + DAILY))
                levels = [(level, float(demand.ppf(level))) for level in QUANTILES] + [
                    (None, float(DAILY))
                ]
                ahead += [
                    {
                        "item_id": item,
                        "location_id": location,
                        "period_start": d,
                        "quantile": q,
                        "value": v,
                    }
                    for d in days
                    for q, v in levels
                ]
    orders = [
        {
            "order_id": "PO1",
            "line_id": "1",
            "kind": "purchase",
            "origin": "erp",
            "item_id": "cup",
            "location_id": "DC",
            "from_id": "S1",
            "quantity": 100.0,
            "due_at": datetime(2026, 1, 8),
            "due_on": date(2026, 1, 8),
        }
    ]
    forecasts = pl.DataFrame(ahead, schema_overrides={"quantile": pl.Float64}).with_columns(
        run_id=pl.lit("run 1"), as_of=pl.lit(NOW)
    )
    tables = {
        "marts.dim_item_locations": pl.DataFrame(nodes),
        "marts.dim_items": pl.DataFrame(
            {
                "item_id": ["mug", "cup"],
                "category": ["kitchen", "kitchen"],
                "shelf_life_days": [None, None],
                "is_current": [True, True],
            }
        ),
        "metrics.kpi_supplier_performance": pl.DataFrame(
            {"supplier_id": ["S1"], "due_lines": [20], "otif_share": [0.9]}
        ),
        "marts.fct_stock_positions": pl.DataFrame(stock),
        "marts.fct_open_orders": pl.DataFrame(orders),
        "decisions.forecasts": forecasts,
        "decisions.champions": pl.DataFrame(
            {"policy": ["quantile_order_up_to"], "is_champion": [True], "as_of": [NOW]}
        ),
        "raw.world": pl.DataFrame(
            {
                "world": ["w"],
                "currency": ["GBP"],
                "timezone": ["UTC"],
                "grain": ["day"],
                "now_at": [NOW],
            }
        ),
    }
    empty = {
        "decisions.limits": "run_id varchar, as_of timestamp, name varchar, resource varchar, at_most double",
        "marts.dim_locations": "location_id varchar, country varchar, region_id varchar, receiving_days varchar, capacity double, is_current boolean",
        "marts.fct_lead_times": "order_id varchar, kind varchar, from_id varchar, location_id varchar, promised_days "
        "double, "
        "ordered_at timestamp, received_at timestamp, ordered_on date, received_on date, "
        "is_censored boolean, known_at timestamp",
        "marts.dim_suppliers": (
            "supplier_id varchar, country varchar, region_id varchar, order_days varchar, working_days varchar, "
            "is_cut_off_missed boolean, is_current boolean"
        ),
        "marts.dim_holidays": (
            "day date, country varchar, region_id varchar, supplier_id varchar, location_id varchar"
        ),
        "marts.dim_lane_stops": (
            "from_id varchar, to_id varchar, mode varchar, hub_id varchar, after_days double"
        ),
        "marts.dim_successions": "item_id varchar, successor_id varchar, share double",
        "marts.dim_substitutes": "item_id varchar, substitute_id varchar, quantity double",
        "marts.dim_bills_of_materials": (
            "item_id varchar, part_id varchar, taken double, starts_on date, ends_on date"
        ),
        "marts.fct_customer_orders": (
            "item_id varchar, location_id varchar, due_on date, quantity double"
        ),
        "marts.fct_kit_demand": "item_id varchar, location_id varchar, kit_id varchar, share double",
        "marts.fct_receipts": (
            "order_id varchar, line_id varchar, item_id varchar, quantity double, event_at "
            "timestamp, is_current boolean"
        ),
        "marts.fct_constraints": "name varchar, scope varchar, value double, is_current boolean",
        "marts.fct_demand": (
            "item_id varchar, location_id varchar, period_start date, quantity double, "
            "recorded_quantity double, is_censored boolean, is_current boolean"
        ),
        "marts.dim_lanes": "from_id varchar, to_id varchar, item_id varchar, mode varchar, transit_days double, "
        "freight_per_kg double, "
        "fuel_share double, fuel_index double, is_current boolean, capacity_kg double",
        "marts.dim_supplier_terms": "item_id varchar, supplier_id varchar, from_quantity double, lead_time_days double, "
        "moq double, "
        "order_multiple double, unit_cost double, shelf_life_days double, valid_from timestamp, is_current boolean, "
        "sold_unit varchar, sold_unit_quantity double, sold_currency varchar, sold_price double",
    }
    with duckdb.connect(str(place.warehouse)) as con:
        con.execute(
            "create schema raw; create schema marts; create schema metrics; create schema decisions"
        )
        for name, frame in tables.items():
            con.register("frame", frame)
            con.execute(f"create table {name} as select * from frame")
        for name, columns in empty.items():
            con.execute(f"create table {name} ({columns})")
        lanes = (
            "('S1', 'DC', null, 'Truck', 8, 0.2, 0, 1, true, null), "
            "('S1', 'DC', null, 'Air', 2, 1.0, 0, 1, true, null)"
        )
        con.execute(f"insert into marts.dim_lanes values {lanes}")
    keep_forecast(place, "run 1", whole_forecast(FIRST))
    publishing.write_snapshot(place.warehouse, place.published, "run 1", NOW)
    return place.root


def whole_forecast(first: date) -> Forecast:
    """Demand of a negative binomial in every shop, as the forecast station keeps it."""
    keys = [(item, place) for item in ("mug", "cup") for place in LEAD if place != "DC"]
    demand = nbinom(4, 4 / (4 + DAILY))
    levels = demand.ppf(PATH_LEVELS).astype(np.float32)
    shape = (len(keys), HORIZON)
    return Forecast(
        keys=pl.DataFrame(keys, schema=["item_id", "location_id"], orient="row"),
        period_starts=[first + timedelta(days=k) for k in range(HORIZON)],
        quantiles=PATH_LEVELS,
        values=np.broadcast_to(levels, (*shape, len(PATH_LEVELS))).copy(),
        mean=np.full(shape, DAILY, np.float32),
    )


def happen(home: Home, name: str = "1", **said: Any) -> None:
    with Inbox(home.inbox) as inbox:
        inbox.add(
            "events",
            [
                Message(
                    name,
                    json.dumps(
                        {"starts_on": "2026-01-05", "ends_on": "2026-01-25", **said}
                    ).encode(),
                )
            ],
        )


def lines(home: Home) -> list[Document]:
    with procurement.open_desk(home) as desk:
        assert desk.ledger.audit() == []
        return desk.ledger.lines()


def answered(home: Home, world: World) -> Replanned:
    assert unanswered(home, world) is not None
    done = replan(home, world)
    assert done is not None
    assert unanswered(home, world) is None
    assert replan(home, world) is None
    return done


def test_where_nothing_happened_nothing_is_done(home, world):
    assert unanswered(home, world) is None
    assert replan(home, world) is None
    assert lines(home) == []


def test_a_surge_re_plans_the_items_it_concerns_and_no_other_while_a_batch_holds_the_warehouse(
    home, world
):
    happen(home, kind="demand_factor", scope={"item_id": "cup", "location_id": "UK"}, factor=3)
    with duckdb.connect(str(home.warehouse)):
        done = answered(home, world)
    assert done.reasons == (
        "cup, UK: demand is 3 times the forecast from 2026-01-05 to 2026-01-25",
    )
    assert done.seconds is not None
    assert 0 <= done.seconds < 60
    proposed = {(d.item_id, d.location_id, d.kind): d for d in lines(home)}
    assert {item for item, _, _ in proposed} == {"cup"}
    assert proposed["cup", "UK", "transfer"].quantity > 7 * DAILY * 1.5
    assert {d.proposer for d in lines(home)} == {"reaction"}


def test_the_same_event_on_newly_published_facts_is_weighed_again_and_repeats_nothing(home, world):
    happen(home, kind="demand_factor", scope={"item_id": "mug"}, factor=2)
    answered(home, world)
    before = {d.intent_key: d.quantity for d in lines(home)}
    publishing.write_snapshot(home.warehouse, home.published, "run 2", NOW)
    again = answered(home, world)
    assert (
        again.report.new_orders,
        again.report.revised,
        again.report.withdrawn,
        again.seconds,
    ) == (0, 0, 0, None)
    assert {d.intent_key: d.quantity for d in lines(home)} == before


@pytest.mark.parametrize(
    ("change", "lacks"),
    [
        ("drop table marts.dim_successions", "dim_successions"),
        ("alter table marts.fct_stock_positions drop column set_aside", "set_aside"),
        ("alter table marts.dim_supplier_terms drop column sold_unit", "sold_unit"),
    ],
)
def test_what_was_published_before_a_mart_was_made_asks_for_a_run(home, world, change, lacks):
    happen(home, kind="demand_factor", scope={"item_id": "mug"}, factor=2)
    with duckdb.connect(str(home.warehouse)) as con:
        con.execute(change)
    publishing.write_snapshot(home.warehouse, home.published, "run 1", NOW)
    with pytest.raises(
        published_snapshots.PublishError, match=rf"{lacks}.* `stockhouse run` publishes"
    ):
        replan(home, world)
    assert lines(home) == []


def test_a_closed_centre_is_passed_by_where_that_is_worth_its_money(home, world):
    happen(home, kind="location_closed", scope={"location_id": "DC"}, ends_on="2026-01-18")
    done = answered(home, world)
    [
        print(d.item_id, d.kind, d.from_id, d.location_id, d.quantity, d.due_on, d.reason)
        for d in lines(home)
    ]
    extra = {
        d.location_id: d for d in lines(home) if d.intent_key.count("|") == 5 and d.item_id == "cup"
    }
    assert {d.from_id for d in extra.values()} == {"IE"}  # the shop with more than it needs
    assert set(extra) == {"UK", "FR"}
    assert all(rescue.saving > 0 for rescue in done.rescues)
    assert "from IE's surplus: costs" in extra["UK"].reason
    regular = [d for d in lines(home) if d.kind == "transfer" and d.from_id == "DC"]
    assert all(d.due_on > "2026-01-18" for d in regular)


def ordered(home: Home, line: Callable[..., OrderLine], quantity: float = 600) -> Document:
    """One line of mugs, ordered and sent, that the shops will live on."""
    with procurement.open_desk(home) as desk:
        said = {"quantity": quantity, "review_period": FIRST, "due_on": date(2026, 1, 15)}
        desk.ledger.propose([line("mug", **said)], "run 1", NOW)
        assert procurement.approve_and_send(desk)[1].sent == 1
        (document,) = desk.ledger.lines()
    return document


def answer(home: Home, order: Document, code: str, units: float, day: str) -> None:
    said = [
        ["BAK", "00", "AD", order.order_id, "20260105"],
        ["PO1", order.line_id, x12.number(order.quantity), "EA", "2.5", "", "VP", "mug"],
        ["ACK", code, x12.number(units), "EA", "067", day],
    ]
    with procurement.open_desk(home) as desk:
        partner = desk.partners["S1"]
        body = x12.write("855", "PR", said, partner.their, partner.ours, 1, NOW).encode()
        assert desk.ledger.receive(body, partner, NOW).status == "taken"


def test_a_late_answer_buys_faster_only_what_is_worth_it_and_never_the_same_need_twice(
    home, world, line
):
    order = ordered(home, line)
    assert unanswered(home, world) is None
    answer(home, order, "IA", order.quantity, "20260128")
    done = answered(home, world)
    assert done.reasons == (
        f"mug of order {order.order_id} is late: due 2026-01-28, asked for 2026-01-15",
    )
    assert done.seconds is not None
    assert done.seconds < 60
    documents = {d.document_id: d for d in lines(home)}
    assert documents[order.document_id].stage == "acknowledged"
    assert documents[order.document_id].quantity == order.quantity
    more, faster = sorted(
        (d for d in documents.values() if d.intent_key.startswith(order.intent_key + "|")),
        key=lambda d: d.intent_key,
    )
    assert (more.from_id, more.due_on, more.reason.endswith("units more than were ordered.")) == (
        "S1",
        "2026-01-15",
        True,
    )
    # by air: four days instead of ten
    assert (faster.from_id, faster.due_on) == ("S1", "2026-01-09")
    assert "by Air from S1: costs" in faster.reason
    with procurement.open_desk(home) as desk:
        procurement.approve_and_send(desk)
        happen(home, kind="demand_factor", scope={"item_id": "cup"}, factor=1.1)
        answered(home, world)
        keys = [
            d.intent_key for d in desk.ledger.lines() if d.item_id == "mug" and d.kind == "purchase"
        ]
    assert sorted(keys) == sorted([order.intent_key, more.intent_key, faster.intent_key])


def test_an_answer_in_time_and_in_full_is_no_event(home, world, line):
    order = ordered(home, line)
    answer(home, order, "IA", order.quantity, "20260114")
    assert unanswered(home, world) is None


@pytest.mark.parametrize(
    ("code", "units", "word"),
    [("IQ", 150.0, "confirmed short: 150 of 600"), ("IR", 0.0, "was refused: 600 units")],
)
def test_what_a_supplier_leaves_out_is_planned_anew(home, world, line, code, units, word):
    order = ordered(home, line)
    answer(home, order, code, units, "20260115")
    done = answered(home, world)
    assert word in done.reasons[0]
    assert any(
        d.item_id == "mug" and d.document_id != order.document_id and d.stage == "requisition"
        for d in lines(home)
    )


def test_an_extra_that_is_no_longer_wanted_is_withdrawn(home, world):
    happen(home, kind="location_closed", scope={"location_id": "DC"}, ends_on="2026-01-18")
    answered(home, world)
    assert any(d.intent_key.count("|") == 5 and d.stage == "requisition" for d in lines(home))
    later = datetime(2026, 1, 20)
    with duckdb.connect(str(home.warehouse)) as con:
        con.execute("update raw.world set now_at = ?", [later])
        con.execute(
            "update decisions.forecasts set run_id = 'run 2', period_start = period_start + 15"
        )
    keep_forecast(home, "run 2", whole_forecast(later.date()))
    publishing.write_snapshot(home.warehouse, home.published, "run 2", later)
    answered(home, world)
    assert not [d for d in lines(home) if d.intent_key.count("|") == 5 and d.stage == "requisition"]


def test_an_event_that_cannot_be_meant_is_on_record_and_changes_no_order(home, world):
    happen(home, kind="demand_factor", factor=-1)
    done = answered(home, world)
    assert done.reasons == (
        "message 1 of events cannot be acted on: factor is -1; it lies between 0 and 100",
    )
    assert (done.items, lines(home)) == (0, [])


def test_messages_of_other_kinds_are_no_events(home, world):
    with Inbox(home.inbox) as inbox:
        inbox.add(
            "till",
            [
                Message("1", b'{"kind": "sale", "item": "mug"}'),
                Message("2", b'{"kind": '),
                Message("3", b'["kind"]'),
            ],
        )
    assert unanswered(home, world) is None


def test_a_delay_of_one_of_two_suppliers_with_shares_replans_the_orders_of_both(home, world):
    with duckdb.connect(str(home.warehouse)) as con:
        for name in ("share", "lead_time_working_days"):
            con.execute(f"alter table marts.dim_supplier_terms add column {name} double")
        terms = (
            "(item_id, supplier_id, from_quantity, lead_time_days, moq, order_multiple, unit_cost, "
            "share, is_current)"
        )
        con.execute(
            f"insert into marts.dim_supplier_terms {terms} values "
            "('mug', 'S1', 0, 10, 0, 1, 2.5, 0.6, true), ('mug', 'S2', 0, 8, 0, 12, 3, 0.4, true)"
        )
    publishing.write_snapshot(home.warehouse, home.published, "run 2", NOW)
    happen(home, kind="lead_time_delay", scope={"supplier_id": "S2"}, days=6)
    answered(home, world)
    usual = [d for d in lines(home) if d.kind == "purchase" and "faster" not in d.intent_key]
    bought = {d.from_id: d for d in usual}
    assert (len(usual), set(bought)) == (2, {"S1", "S2"})
    assert {d.item_id for d in lines(home)} == {"mug"}
    assert {name: d.due_on for name, d in bought.items()} == {
        "S1": "2026-01-15",
        "S2": "2026-01-19",
    }
    whole = sum(d.quantity for d in bought.values())
    assert bought["S2"].quantity % 12 == 0
    assert bought["S2"].quantity == pytest.approx(0.4 * whole, abs=12)
    assert bought["S2"].intent_key == f"{bought['S1'].intent_key}|also from S2"
