"""For the same situation the twin orders what the plan orders: limits, minimums, price breaks,
shelf lives and all."""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain import Economics
from models.replenishment.agreed_shares import Lanes, lanes_of, with_other_sources
from models.replenishment.calendars import Waits
from models.replenishment.constraints import Constraint
from models.replenishment.decision import Terms
from models.replenishment.plan import plan
from models.replenishment.policies import POLICIES
from models.replenishment.supplier_minimums import SupplierMinimum
from models.twin.network import Network
from models.twin.simulator import simulate

PERIODS, SAMPLES = 8, 60
STARTS = [date(2024, 1, 1) + timedelta(weeks=k) for k in range(PERIODS)]


def company(random: np.random.Generator, items: int = 4) -> pl.DataFrame:
    """Items of two suppliers in one centre that feeds two shops, with stock, service levels and
    goods that spoil."""
    rows: list[dict[str, Any]] = []
    for i in range(items):
        common = {
            "item_id": f"item-{i}",
            "unit_cost": 2.0 + i,
            "holding_cost": 0.05,
            "shortage_cost": 2.0,
            "lead_time_days": 14.0,
        }
        dc = {
            "location_id": "DC",
            "role": "distribution_centre",
            "kind": "purchase",
            "from_id": f"SUP-{i % 2}",
        }
        rows.append(common | dc | {"lead_time_periods": 2, "moq": 10.0, "order_multiple": 15.0})
        for shop in ("EAST", "WEST"):
            place = {"location_id": shop, "role": "store", "kind": "transfer", "from_id": "DC"}
            rows.append(
                common | place | {"lead_time_periods": 1, "moq": 0.0, "order_multiple": 1.0}
            )
    count = len(rows)
    return pl.DataFrame(rows).with_columns(
        on_hand=pl.Series(random.integers(0, 40, count).astype(float)),
        shelf_life_periods=pl.Series(np.where(random.random(count) < 0.2, 3.0, np.inf)),
        service_level=pl.Series(np.where(random.random(count) < 0.3, 0.9, 0.0)),
        weight_kg=pl.lit(0.5),
    )


def shared(rows: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
    """Some items of the centre bought from another supplier too, or from two, each with lots, a
    lead time and a price of its own."""
    bought = rows.filter(
        (pl.col("kind") == "purchase") & pl.Series(random.random(rows.height) < 0.6)
    )
    others = [
        row
        | {
            "from_id": f"OTHER-{k}",
            "share": float(random.choice([0.2, 0.4])),
            "lead_time_periods": int(random.integers(1, 4)),
            "moq": float(random.integers(0, 12)),
            "order_multiple": float(random.integers(1, 8)),
            "unit_cost": row["unit_cost"] * 1.1,
        }
        for row in bought.to_dicts()
        for k in range(int(random.integers(1, 3)))
    ]
    schema = rows.schema | {"share": pl.Float64}
    return with_other_sources(rows, pl.DataFrame(others, schema=schema))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 99_999),
    st.sampled_from(sorted(POLICIES)),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_the_twin_orders_what_the_plan_orders(
    seed: int, policy: str, is_late: bool, is_dated: bool, is_shared: bool
) -> None:
    random = np.random.default_rng(seed)
    rows = company(random)
    rows = shared(rows, random) if is_shared else rows
    is_shop = (rows["role"] == "store").to_numpy()
    sells = is_shop | (random.random(rows.height) < 0.5)
    kept_back = np.where(sells & ~is_shop, 5.0, 0.0)
    rows = rows.with_columns(kept_back=pl.Series(kept_back))
    paths = (random.poisson(5.0, (rows.height, SAMPLES, PERIODS)) * sells[:, None, None]).astype(
        np.float32
    )
    history = random.poisson(5.0, (rows.height, 30)) * sells[:, None].astype(float)
    coming = random.integers(0, 6, (rows.height, 3)).astype(float)
    rows = rows.with_columns(on_order=pl.Series(coming.sum(axis=1)))
    lanes = lanes_of(rows)
    late = random.integers(1, 4, (lanes.height, SAMPLES)) if is_late else None
    # what calendars of suppliers and places add to lead times, and to how long orders have to last
    longer, gap = (random.integers(0, 2, lanes.height) * is_dated for _ in range(2))
    waits = lanes.with_columns(pl.col("lead_time_periods") + pl.Series(longer), gap=pl.Series(gap))
    dated = with_other_sources(waits[: rows.height], waits[rows.height :])
    limits = [
        Constraint("budget", float(random.integers(20, 400))),
        Constraint(
            "capacity of EAST",
            float(random.integers(20, 300)),
            "units",
            {"location_id": "EAST"},
            counts_stock=True,
        ),
        Constraint("truck to WEST", 12.0, "weight_kg", {"location_id": "WEST"}),
    ]
    steps = {
        "item_id": "item-1",
        "from_id": "SUP-1",
        "from_quantity": [0.0, 60.0],
        "unit_cost": [3.0, 2.6],
    }
    breaks, minimums = (
        pl.DataFrame(steps),
        [SupplierMinimum("SUP-0", float(random.integers(0, 200)))],
    )

    made = plan(
        dated,
        paths,
        STARTS,
        POLICIES[policy],
        world="tea",
        history=history,
        pipeline=coming,
        lead_time_paths=None if late is None else by_row(rows, late + longer[:, None]),
        constraints=limits,
        price_breaks=breaks,
        minimums=minimums,
    )
    planned = {(x.item_id, x.location_id, x.from_id): x.quantity for x in made.lines}

    zero, where = np.zeros(rows.height), Lanes.of(rows)
    economics = Economics(
        *(rows[name].to_numpy() for name in ("holding_cost", "shortage_cost", "unit_cost")), zero
    )
    terms = Terms.of(rows, price_breaks=breaks, minimums=minimums, constraints=limits)
    network = Network(
        lanes["lead_time_periods"].to_numpy(),
        economics,
        terms.sources,
        moq=lanes["moq"].to_numpy(),
        order_multiple=lanes["order_multiple"].to_numpy(),
        **({} if where is None else {"to": where.to, "share": where.share}),
    )
    due = np.concatenate([zero[:, None], coming], axis=1)
    simulated = simulate(
        network,
        POLICIES[policy],
        np.zeros((rows.height, 1)),
        rows["on_hand"].to_numpy(),
        pipeline=due if where is None else where.shared(due),
        history=history,
        forecaster=lambda t: paths,
        lead_time_paths=late,
        terms=terms,
        service_level=rows["service_level"].to_numpy(),
        waits=Waits(longer[:, None], gap[:, None]) if is_dated else None,
    )
    named = lanes.select("item_id", "location_id", "from_id").rows()
    sent = simulated.shipped[:, 0].tolist()
    assert {name: units for name, units in zip(named, sent, strict=True) if units} == planned
    total = made.explanations.select("item_id", "location_id", "quantity").rows()
    for item, place, units in total:
        parts = [n for name, n in planned.items() if name[:2] == (item, place)]
        assert sum(parts) == units
    for line in made.lines:
        assert math.fsum(line.parts.values()) == line.quantity


def by_row(rows: pl.DataFrame, took: np.ndarray) -> np.ndarray:
    """The slowest of each row's lanes."""
    where = Lanes.of(rows)
    return took if where is None else where.longest(took)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 99_999), st.sampled_from(sorted(POLICIES)))
def test_terms_that_ask_nothing_change_nothing(seed: int, policy: str) -> None:
    random = np.random.default_rng(seed)
    rows = company(random)
    count = rows.height
    plain = Terms.plain(Terms.of(rows).sources, rows["unit_cost"].to_numpy())
    economics = Economics(
        np.full(count, 0.1), np.ones(count), rows["unit_cost"].to_numpy(), np.zeros(count)
    )
    network = Network(
        rows["lead_time_periods"].to_numpy(),
        economics,
        plain.sources,
        moq=rows["moq"].to_numpy(),
        order_multiple=rows["order_multiple"].to_numpy(),
    )
    demand = random.poisson(3.0, (count, 8)).astype(float)
    paths = random.poisson(3.0, (count, 40, PERIODS)).astype(np.float32)

    def run(terms: Terms | None) -> Any:
        return simulate(
            network,
            POLICIES[policy],
            demand,
            rows["on_hand"].to_numpy(),
            history=demand[:, ::-1],
            forecaster=lambda t: paths,
            terms=terms,
        )

    quick, stepped = run(None), run(plain)
    assert (quick.requested == stepped.requested).all() and (quick.shipped == stepped.shipped).all()
