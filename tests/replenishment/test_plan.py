"""Laws of the plan: reasons that add up, bad input that stops one item only, locations that draw on
their distribution centre."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Literal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.replenishment.plan import Constraint, Override, Plan, plan
from models.replenishment.policies import POLICIES, QuantileOrderUpTo
from models.replenishment.supplier_minimums import SupplierMinimum

STARTS = [date(2024, 1, 1) + timedelta(weeks=k) for k in range(6)]


def company(items: int = 4, seed: int = 0) -> tuple[pl.DataFrame, np.ndarray, np.ndarray]:
    """Items bought from two suppliers into one distribution centre that feeds two locations."""
    random = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for i in range(items):
        common = {
            "item_id": f"item-{i}",
            "lead_time_days": 14.0,
            "unit_cost": 2.0 + i,
            "price": 5.0 + i,
            "holding_cost": 0.05,
            "shortage_cost": 2.0,
            "weight_kg": 0.5,
            "freight_per_unit": 0.1,
            "category": "tea",
            "is_assumed": False,
            "on_order": 0.0,
        }
        rows.append(
            common
            | {
                "location_id": "DC",
                "role": "distribution_centre",
                "kind": "purchase",
                "from_id": f"SUP-{i % 2}",
                "lead_time_periods": 2,
                "moq": 10.0,
                "order_multiple": 15.0,
                "on_hand": float(random.integers(0, 40)),
            }
        )
        for location in ("EAST", "WEST"):
            rows.append(
                common
                | {
                    "location_id": location,
                    "role": "store",
                    "kind": "transfer",
                    "from_id": "DC",
                    "lead_time_periods": 1,
                    "moq": 0.0,
                    "order_multiple": 1.0,
                    "on_hand": float(random.integers(0, 9)),
                }
            )
    frame = pl.DataFrame(rows)
    is_store = (frame["role"] == "store").to_numpy()
    paths = random.poisson(5.0, (frame.height, 100, 6)) * is_store[:, None, None]
    history = random.poisson(5.0, (frame.height, 60)) * is_store[:, None]
    return frame, paths.astype(np.float32), history.astype(float)


def planned(
    rows: pl.DataFrame,
    paths: np.ndarray,
    history: np.ndarray | None = None,
    policy: str = "quantile_order_up_to",
    **more: Any,
) -> Plan:
    return plan(rows, paths, STARTS, POLICIES[policy], world="tea", history=history, **more)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 9999), st.sampled_from(sorted(POLICIES)), st.floats(0, 600))
def test_parts_of_every_line_add_up_exactly_to_its_quantity(
    seed: int, policy: str, budget: float
) -> None:
    rows, paths, history = company(seed=seed)
    result = planned(rows, paths, history, policy, constraints=[Constraint("budget", budget)])
    for line in result.lines:
        assert sum(line.parts.values()) == line.quantity
        assert math.fsum(line.parts.values()) == line.quantity
        assert line.quantity == int(line.quantity) and line.quantity > 0
    assert sum(line.value for line in result.lines if line.kind == "purchase") <= budget + 1e-6


def test_numbers_in_the_reason_add_up_with_a_pencil() -> None:
    for line in planned(*company(seed=3)).lines:
        sum_, result = line.reason.split(",", 1)[0].split(" = ")
        terms = sum_.replace(" - ", " + -").split(" + ")
        numbers = [float(term.split()[0].replace(",", "")) for term in terms]
        assert sum(numbers) == pytest.approx(float(result)), line.reason


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 9999))
def test_transfers_of_an_item_never_exceed_what_its_distribution_centre_has(seed: int) -> None:
    rows, paths, history = company(seed=seed)
    on_hand = {
        row["item_id"]: row["on_hand"]
        for row in rows.iter_rows(named=True)
        if row["location_id"] == "DC"
    }
    sent: dict[str, float] = {}
    for line in planned(rows, paths, history).lines:
        if line.kind == "transfer":
            sent[line.item_id] = sent.get(line.item_id, 0.0) + line.quantity
        else:
            assert line.quantity % 15 == 0 and line.quantity >= 15
    assert all(quantity <= on_hand[item] for item, quantity in sent.items())


def test_the_same_plan_twice_is_the_same_plan_under_the_same_intent_keys() -> None:
    rows, paths, history = company(seed=5)
    first, second = planned(rows, paths, history), planned(rows, paths, history)
    assert first.lines == second.lines
    assert len({line.intent_key for line in first.lines}) == len(first.lines)
    assert first.explanations.equals(second.explanations)


def test_due_dates_follow_the_clock_and_legacy_quantities_stand_beside() -> None:
    rows, paths, history = company(seed=5)
    result = planned(rows, paths, history)
    for line in result.lines:
        assert line.due_on == STARTS[2 if line.kind == "purchase" else 1]
        assert line.review_period == STARTS[0]
    beside = result.explanations.select("eoq_reorder_point_quantity", "min_max_quantity")
    assert beside.null_count().row(0) == (0, 0) and beside.sum().row(0) > (0, 0)
    without = planned(rows, paths).explanations.select(
        "eoq_reorder_point_quantity", "min_max_quantity"
    )
    assert without.null_count().row(0) == (rows.height, rows.height)


BAD = {
    "negative_stock": {"on_hand": -3.0},
    "unknown_stock": {"on_hand": None},
    "missing_cost": {"unit_cost": None},
    "negative_cost": {"holding_cost": -1.0},
    "no_supplier": {"from_id": None},
    "unknown_lead_time": {"lead_time_periods": None},
    "moq_above_capacity": {"capacity": 12.0},
    "impossible_service_level": {"service_level": 1.0},
}


@pytest.mark.parametrize("kind", sorted(BAD))
def test_bad_input_stops_one_item_and_the_plan_for_the_rest_stands(kind: str) -> None:
    rows, paths, history = company(seed=2)
    rows = rows.with_columns(
        capacity=pl.lit(None, dtype=pl.Float64), service_level=pl.lit(None, dtype=pl.Float64)
    )
    spoilt = (pl.col("item_id") == "item-1") & (pl.col("location_id") == "DC")
    ((column, value),) = BAD[kind].items()
    broken = rows.with_columns(
        pl.when(spoilt)
        .then(pl.lit(value, dtype=rows.schema[column]))
        .otherwise(column)
        .alias(column)
    )
    whole, rest = planned(rows, paths, history), planned(broken, paths, history)
    found = rest.exceptions.filter(pl.col("location_id") == "DC")
    assert found["kind"].to_list() == [kind] and found["severity"].to_list() == ["error"]
    # Its locations cannot be supplied by a distribution centre that is not planned.
    left_out = rest.exceptions.filter(pl.col("kind") == "shipping_location_left_out")
    assert left_out["location_id"].to_list() == ["EAST", "WEST"]
    assert rest.lines == [line for line in whole.lines if line.item_id != "item-1"]


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from(["moq", "order_multiple", "unit_cost", "demand"]),
    st.integers(0, 2),
    st.floats(1e12, 1e15),
    st.floats(50, 600),
)
def test_an_absurd_figure_of_one_item_takes_nothing_of_what_the_others_share(
    of: str, item: int, figure: float, budget: float
) -> None:
    rows, paths, history = company(items=3, seed=2)
    rows = rows.with_columns(holding_cost=pl.lit(0.05), shortage_cost=pl.lit(2.0))
    spoilt = (rows["item_id"] == f"item-{item}").to_numpy()
    others, limits = ~spoilt, {"constraints": [Constraint("budget", budget)]}
    alone = planned(rows.filter(others), paths[others], history[others], **limits)
    if of == "demand":
        paths = np.where(spoilt[:, None, None] & (paths > 0), np.float32(figure), paths)
    else:
        is_bought = spoilt & (rows["location_id"] == "DC").to_numpy()
        told = pl.when(pl.Series(is_bought)).then(pl.lit(figure)).otherwise(of)
        rows = rows.with_columns(told.alias(of))
    beside = planned(rows, paths, history, **limits)
    assert beside.lines == alone.lines
    found = beside.exceptions.filter(pl.col("kind") == "beyond_any_order")
    assert set(found["item_id"]) <= {f"item-{item}"}
    assert len(beside.exceptions.filter(pl.col("item_id") == f"item-{item}"))


def test_a_forecast_that_is_no_number_goes_to_the_exception_list() -> None:
    rows, paths, history = company(seed=2)
    paths[4, 0, 0] = np.nan
    result = planned(rows, paths, history)
    assert result.exceptions.select("item_id", "location_id", "kind").rows() == [
        ("item-1", "EAST", "no_forecast")
    ]
    assert all((line.item_id, line.location_id) != ("item-1", "EAST") for line in result.lines)


def test_a_transfer_from_a_place_that_does_not_stock_the_item_is_an_exception() -> None:
    rows, paths, _ = company(items=1)
    keep = (rows["location_id"] != "DC").to_numpy()
    result = planned(rows.filter(pl.col("location_id") != "DC"), paths[keep])
    assert result.lines == []
    assert result.exceptions["kind"].unique().to_list() == ["no_shipping_stock"]


def test_a_purchase_said_to_arrive_at_once_is_planned_but_listed() -> None:
    rows, paths, _ = company(items=1)
    result = planned(rows.with_columns(lead_time_days=pl.lit(0.0)), paths)
    assert result.exceptions.select("kind", "severity").rows() == [("zero_lead_time", "warning")]
    assert result.lines


def test_a_binding_constraint_is_priced_and_its_scope_respected() -> None:
    rows, paths, history = company(seed=5)
    rows = rows.with_columns(
        on_hand=pl.when(pl.col("location_id") == "DC").then(0.0).otherwise("on_hand")
    )
    limit = Constraint("budget of SUP-0", 60.0, scope={"from_id": "SUP-0"})
    free, bound = planned(rows, paths, history), planned(rows, paths, history, constraints=[limit])
    kept = bound.limits.row(0, named=True)
    assert kept["name"] == "budget of SUP-0" and kept["shadow_price"] > 0
    assert (kept["resource"], kept["at_most"]) == ("value", 60.0) and kept["wanted"] > 60.0
    assert [line for line in bound.lines if line.from_id == "SUP-1"] == [
        line for line in free.lines if line.from_id == "SUP-1"
    ]
    spent = sum(line.value for line in bound.lines if line.from_id == "SUP-0")
    assert spent <= 60 < sum(line.value for line in free.lines if line.from_id == "SUP-0")


def test_a_limit_nobody_can_keep_stops_only_what_it_is_about() -> None:
    rows, paths, history = company(seed=5)
    free = planned(rows, paths, history)
    broken = planned(
        rows,
        paths,
        history,
        constraints=[Constraint("budget of SUP-0", -1.0, scope={"from_id": "SUP-0"})],
    )
    errors = broken.exceptions.filter(pl.col("kind") == "infeasible_limit")
    assert errors["item_id"].to_list() == ["item-0", "item-2"] and set(errors["location_id"]) == {
        "DC"
    }
    assert broken.lines == [line for line in free.lines if line.item_id in ("item-1", "item-3")]


def test_an_item_whose_weight_nobody_knows_cannot_be_loaded_and_is_listed() -> None:
    rows, paths, history = company(seed=5)
    light = rows.with_columns(
        weight_kg=pl.when(pl.col("item_id") == "item-1").then(None).otherwise("weight_kg")
    )
    found = planned(
        light,
        paths,
        history,
        constraints=[Constraint("truck", 1e6, "weight_kg", {"location_id": "EAST"})],
    ).exceptions
    assert found.select("item_id", "location_id", "kind").rows() == [
        ("item-1", "EAST", "unknown_size")
    ]


def test_a_line_the_limits_left_nothing_of_says_which_of_them_conflict() -> None:
    rows, paths, history = company(items=1)
    rows = rows.with_columns(
        on_hand=pl.when(pl.col("location_id") == "DC").then(0.0).otherwise("on_hand")
    )
    limits = [Constraint("budget", 29.0), Constraint("dock", 1e6, "units", {"location_id": "DC"})]
    # the smallest order is 15 units at 2.00
    result = planned(rows, paths, history, constraints=limits)
    assert result.lines == []
    found = result.exceptions.row(0, named=True)
    assert (found["kind"], found["severity"]) == ("cut_by_limits", "warning")
    assert (
        "the smallest order of 15 and budget cannot all be kept" in found["reason"]
        and "dock" not in found["reason"]
    )


def test_a_supplier_who_is_often_late_gets_a_buffer_of_its_own_and_one_beyond_the_forecast_is_listed() -> (
    None
):
    rows, paths, history = company(seed=4)
    promised = np.repeat(rows["lead_time_periods"].to_numpy()[:, None], 100, axis=1)
    late = promised + (np.arange(100) % 2) * (rows["location_id"] == "DC").to_numpy()[:, None]
    sure, unsure = (
        planned(rows, paths, history, lead_time_paths=lead) for lead in (promised, late)
    )
    assert (sure.explanations["lead_time_noise"] == 0).all()
    at_dc = unsure.explanations.filter(pl.col("location_id") == "DC")
    assert at_dc["lead_time_noise"].sum() > 0
    assert sure.exceptions.is_empty() and unsure.exceptions.is_empty()
    once = promised + 40 * (np.arange(100) == 0)
    assert planned(rows, paths, history, lead_time_paths=once).exceptions.is_empty()
    never = planned(rows, paths, history, lead_time_paths=late + 40 * (late > promised))
    assert set(never.exceptions["kind"]) == {"lead_time_beyond_forecast"}
    assert (
        never.exceptions["reason"][0]
        == "50.0 % of such orders take longer than the 5 periods the forecast reaches: counted as 5"
    )
    word = Override(
        "parameter", 2.0, "new contract", scope={"location_id": "DC"}, parameter="lead_time_periods"
    )
    at_its_word = planned(rows, paths, history, lead_time_paths=late, overrides=[word])
    assert quantities(at_its_word) == quantities(sure)


def test_every_row_has_its_target_and_a_promised_service_level_raises_it() -> None:
    rows, paths, history = company(seed=4)
    cheap = rows.with_columns(shortage_cost=pl.lit(0.2))
    plain = planned(cheap, paths, history).explanations
    kept = planned(cheap.with_columns(service_level=pl.lit(0.97)), paths, history).explanations
    assert (kept["order_up_to"] >= plain["order_up_to"]).all() and (kept["service_floor"] > 0).any()
    assert (kept["safety_stock"] - plain["safety_stock"] - kept["service_floor"]).abs().max() < 1e-6
    assert (kept["implied_shortage_cost"] > 0.2).all() and (
        plain["promised_service_level"] == 0
    ).all()
    assert (kept["economic_service_level"] == plain["economic_service_level"]).all()


def test_a_lower_price_is_paid_where_it_is_reached_bought_up_to_where_it_saves_and_dropped_where_money_is_short() -> (
    None
):
    rows, paths, history = company(seed=5)
    rows = rows.with_columns(
        on_hand=pl.when(pl.col("location_id") == "DC").then(0.0).otherwise("on_hand")
    )
    plain = planned(rows, paths, history)
    usual = next(
        line for line in plain.lines if line.item_id == "item-1" and line.location_id == "DC"
    )
    steps = {
        "item_id": "item-1",
        "from_id": usual.from_id,
        "from_quantity": [10.0, usual.quantity + 15.0],
        "unit_cost": [3.0, 2.4],
    }
    result = planned(rows, paths, history, price_breaks=pl.DataFrame(steps))
    raised = next(
        line for line in result.lines if line.item_id == "item-1" and line.location_id == "DC"
    )
    assert (raised.quantity, raised.unit_cost, raised.parts["price_break"]) == (
        usual.quantity + 15.0,
        2.4,
        15.0,
    )
    assert "15 raised to a lower price" in raised.reason
    assert [line for line in result.lines if line.item_id != "item-1"] == [
        line for line in plain.lines if line.item_id != "item-1"
    ]
    purse = Constraint("budget", 3.0 * usual.quantity, scope={"item_id": "item-1"})
    tight = planned(rows, paths, history, price_breaks=pl.DataFrame(steps), constraints=[purse])
    assert (
        sum(
            line.value
            for line in tight.lines
            if line.item_id == "item-1" and line.kind == "purchase"
        )
        <= purse.at_most
    )


def bought(result: Plan, supplier: str) -> float:
    return sum(line.value for line in result.lines if line.from_id == supplier)


def test_below_a_supplier_s_minimum_more_is_bought_or_nothing_whichever_costs_less_and_the_other_supplier_is_left_alone() -> (
    None
):
    rows, paths, history = company(seed=5)
    rows = rows.with_columns(
        on_hand=pl.when(pl.col("location_id") == "DC").then(0.0).otherwise("on_hand")
    )
    plain = planned(rows, paths, history)
    wanted = bought(plain, "SUP-0")
    reached = planned(rows, paths, history, minimums=[SupplierMinimum("SUP-0", wanted + 50)])
    assert wanted + 50 <= bought(reached, "SUP-0") < wanted + 150 and reached.exceptions.is_empty()
    assert any(line.parts.get("supplier_minimum", 0) > 0 for line in reached.lines)
    dear = rows.with_columns(holding_cost=pl.lit(1.0))
    waits = planned(dear, paths, history, minimums=[SupplierMinimum("SUP-0", 5000.0)])
    assert bought(waits, "SUP-0") == 0 and set(waits.exceptions["kind"]) == {
        "below_supplier_minimum"
    }
    assert "takes no order below 5,000" in waits.exceptions["reason"][0]
    for result, free in ((reached, plain), (waits, planned(dear, paths, history))):
        assert [line for line in result.lines if line.from_id == "SUP-1"] == [
            line for line in free.lines if line.from_id == "SUP-1"
        ]
        for row in result.explanations.iter_rows(named=True):
            assert row["quantity"] == int(row["quantity"])


@pytest.mark.parametrize("counts", ["pallets", "volume_m3"])
def test_a_least_order_in_pallets_or_room_is_filled_with_whatever_items_there_are(
    counts: Literal["pallets", "volume_m3"],
) -> None:
    rows, paths, history = company(seed=5)
    rows = rows.with_columns(
        on_hand=pl.when(pl.col("location_id") == "DC").then(0.0).otherwise("on_hand"),
        volume_m3=pl.lit(0.02),
        # a pallet holds 50 of every item but one, of which nobody knows it
        pallet_quantity=pl.when(pl.col("item_id") != rows["item_id"][0]).then(50.0),
    )
    said = SupplierMinimum("SUP-0", 20.0, counts)
    made = planned(rows, paths, history, minimums=[said])
    use = dict(zip(rows["item_id"], said.floor(rows).use, strict=True))
    reached = sum(
        line.quantity * use[line.item_id] for line in made.lines if line.from_id == "SUP-0"
    )
    waits = "takes no order below 20 " + {"pallets": "pallets", "volume_m3": "m³"}[counts]
    assert reached >= 20 - 1e-9 or waits in made.exceptions["reason"][0]
    few = planned(rows, paths, history, minimums=[replace(said, value=0.1)])
    free = planned(rows, paths, history)
    assert [replace(line, reason="") for line in few.lines] == [
        replace(line, reason="") for line in free.lines
    ]
    told = [line.reason for line in few.lines if line.from_id == "SUP-0"]
    assert told and all("takes no order below 0.1 " in reason for reason in told)
    unknown = rows.with_columns(pallet_quantity=pl.lit(None), volume_m3=pl.lit(None))
    waiting = planned(unknown, paths, history, minimums=[said])
    assert not any(line.from_id == "SUP-0" for line in waiting.lines)
    assert "nothing that counts towards it" in waiting.exceptions["reason"][0]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 99), st.floats(40, 400), st.floats(0, 400))
def test_a_truck_is_filled_up_where_that_costs_less_than_its_empty_part(
    seed: int, holds: float, price: float
) -> None:
    """What is bought goes in whole trucks or stays as it was; dearer trucks are never emptier, none
    is begun to fill another, and free ones are not filled at all."""
    rows, paths, history = company(seed=seed)
    rows = rows.with_columns(
        on_hand=pl.when(pl.col("location_id") == "DC").then(0.0).otherwise("on_hand")
    )

    def units(truck_cost: float) -> float:
        truck = SupplierMinimum("SUP-0", 1.0, "units", truck_cost, holds)
        made = planned(rows, paths, history, minimums=[truck])
        return sum(line.quantity for line in made.lines if line.from_id == "SUP-0")

    free, paid, dear = units(0.0), units(price), units(1e6)
    assert free <= paid <= dear
    assert np.ceil(free / holds - 1e-9) == np.ceil(dear / holds - 1e-9)
    lot = rows["order_multiple"].max()
    assert dear == free or dear > np.ceil(free / holds - 1e-9) * holds - lot  # type: ignore[operator]


def test_a_minimum_and_a_budget_that_exclude_each_other_are_named_together() -> None:
    rows, paths, history = company(seed=5)
    rows = rows.with_columns(
        on_hand=pl.when(pl.col("location_id") == "DC").then(0.0).otherwise("on_hand")
    )
    wanted = bought(planned(rows, paths, history), "SUP-0")
    purse = Constraint("budget of SUP-0", wanted, scope={"from_id": "SUP-0"})
    result = planned(
        rows, paths, history, minimums=[SupplierMinimum("SUP-0", wanted + 50)], constraints=[purse]
    )
    assert bought(result, "SUP-0") == 0 < bought(result, "SUP-1")
    reason = result.exceptions.filter(pl.col("kind") == "below_supplier_minimum")["reason"][0]
    assert "the least order of SUP-0" in reason and "budget of SUP-0" in reason


def test_what_would_spoil_is_not_bought_and_what_keeps_is_left_alone() -> None:
    rows, paths, history = company(seed=5)
    rows = rows.with_columns(
        on_hand=pl.when(pl.col("location_id") == "DC").then(0.0).otherwise(0.0),
        holding_cost=pl.lit(0.001),
    )
    spoils = rows.with_columns(shelf_life_periods=pl.when(pl.col("item_id") == "item-1").then(1.0))
    plain, fresh = planned(rows, paths, history), planned(spoils, paths, history)
    assert [line for line in fresh.lines if line.item_id != "item-1"] == [
        line for line in plain.lines if line.item_id != "item-1"
    ]
    cut = fresh.explanations.filter(pl.col("item_id") == "item-1")
    whole = plain.explanations.filter(pl.col("item_id") == "item-1")
    assert (cut["shelf_life"] <= 0).all() and cut["shelf_life"].sum() < 0
    assert (cut["quantity"] <= whole["quantity"]).all() and cut["expected_waste"].sum() > 0
    assert plain.explanations["expected_waste"].sum() == 0
    for line in fresh.lines:
        assert sum(line.parts.values()) == line.quantity
    never = planned(
        rows.with_columns(shelf_life_periods=pl.lit(0.0), moq=pl.lit(900.0)), paths, history
    )
    assert never.lines == [] and set(never.exceptions["kind"]) == {"outlives_shelf_life"}


def test_shapes_that_do_not_fit_are_refused() -> None:
    rows, paths, _ = company()
    with pytest.raises(ValueError, match="paths has 11 rows for 12"):
        planned(rows, paths[1:])
    with pytest.raises(ValueError, match="6 period starts"):
        planned(rows, paths[:, :, :5])
    with pytest.raises(ValueError, match="weight_tonnes"):
        planned(rows, paths, constraints=[Constraint("truck", 1.0, resource="weight_tonnes")])  # type: ignore[arg-type]


def test_calibration_is_named_in_the_explanation() -> None:
    rows, paths, _ = company(seed=1)
    tuned = plan(rows, paths, STARTS, QuantileOrderUpTo(scale=0.3), world="tea").explanations
    plain = plan(rows, paths, STARTS, QuantileOrderUpTo(scale=1.0), world="tea").explanations
    assert (tuned["calibration"] < 0).any() and (plain["calibration"] == 0).all()


def quantities(result: Plan) -> dict[tuple[str, str], float]:
    return {
        (row["item_id"], row["location_id"]): row["quantity"]
        for row in result.explanations.iter_rows(named=True)
    }


@pytest.mark.parametrize(
    "override",
    [
        Override("demand_factor", 1.5, "fair in town", scope={"item_id": "item-2"}),
        Override("quantity", 45.0, "last call", scope={"item_id": "item-2", "location_id": "DC"}),
        Override(
            "parameter", 9.0, "key account", scope={"item_id": "item-2"}, parameter="shortage_cost"
        ),
    ],
)
def test_an_override_changes_the_plan_by_exactly_what_its_part_says_and_reverts_when_it_expires(
    override: Override,
) -> None:
    rows, paths, history = company(seed=4)
    rows = rows.with_columns(
        on_hand=pl.when(pl.col("location_id") == "DC").then(60.0).otherwise("on_hand")
    )
    plain = planned(rows, paths, history)
    changed = planned(rows, paths, history, overrides=[override])
    before, after = quantities(plain), quantities(changed)
    moved = {key: after[key] - before[key] for key in before if after[key] != before[key]}
    assert moved and {item for item, _ in moved} == {"item-2"}
    for row in changed.explanations.iter_rows(named=True):
        assert row["override"] == moved.get((row["item_id"], row["location_id"]), 0.0)
        assert row["system_quantity"] == before[row["item_id"], row["location_id"]]
    for line in changed.lines:
        assert sum(line.parts.values()) == line.quantity
        assert (override.reason in line.reason) == bool(
            line.item_id == "item-2" and (override.kind != "quantity" or line.location_id == "DC")
        )
    assert (
        planned(rows, paths, history, overrides=[replace(override, expires_on=STARTS[0])]).lines
        == changed.lines
    )
    assert (
        planned(
            rows,
            paths,
            history,
            overrides=[replace(override, expires_on=STARTS[0] - timedelta(days=1))],
        ).lines
        == plain.lines
    )


def test_a_constraint_comes_before_an_override() -> None:
    rows, paths, history = company(seed=4)
    much = Override(
        "quantity", 3000.0, "buy it all", scope={"item_id": "item-1", "location_id": "DC"}
    )
    budget = [Constraint("budget", 200.0)]
    result = planned(rows, paths, history, overrides=[much], constraints=budget)
    assert sum(line.value for line in result.lines if line.kind == "purchase") <= 200.0
    # What the system would have done is what it does: limits and short distribution centres
    # included.
    alone = planned(rows, paths, history, constraints=budget)
    assert (
        result.explanations["system_quantity"].to_list() == alone.explanations["quantity"].to_list()
    )


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"kind": "demand_factor", "value": -1.0}, "must be a number, 0 or more"),
        ({"kind": "parameter", "value": 1.0}, "name the parameter"),
        (
            {"kind": "quantity", "value": 1.0, "scope": {"colour": "red"}},
            "'colour', which is no column",
        ),
        (
            {"kind": "parameter", "value": 1.0, "parameter": "category"},
            "'category' is no numeric column",
        ),
    ],
)
def test_an_override_that_makes_no_sense_is_refused(bad: dict[str, Any], message: str) -> None:
    rows, paths, history = company(items=1)
    with pytest.raises(ValueError, match=message):
        planned(rows, paths, history, overrides=[Override(reason="why", **bad)])


def test_a_row_s_target_is_what_it_expects_and_its_buffers_and_says_its_class() -> None:
    rows, paths, history = company(seed=4)
    took = np.repeat(rows["lead_time_periods"].to_numpy()[:, None], 100, axis=1)
    took = took + (np.arange(100) % 2) * (rows["location_id"] == "DC").to_numpy()[:, None]
    told = planned(
        rows.with_columns(service_level=pl.lit(0.99)), paths, history, lead_time_paths=took
    ).explanations
    buffers = (
        "demand_noise",
        "lead_time_noise",
        "calibration",
        "service_floor",
        "lost_before_arrival",
    )
    expected = told["expected_demand"] + sum(told[name] for name in buffers)
    assert told["order_up_to"].to_list() == pytest.approx(expected.to_list())
    assert (told["safety_stock"] + told["expected_demand"]).to_list() == pytest.approx(
        told["order_up_to"].to_list()
    )
    assert all(told[name].abs().sum() > 0 for name in buffers)
    assert set("".join(told["item_class"].to_list())) <= set("ABCXYZ")
    assert told["item_class"].str.len_chars().unique().to_list() == [2]
    assert (told["window"] == rows["lead_time_periods"] + 1 + (rows["location_id"] == "DC")).all()
    assert (told["promised_service_level"] == 0.99).all() and (told["expected_waste"] == 0).all()


def test_a_plan_of_nothing_has_the_columns_of_any_plan() -> None:
    rows, paths, history = company()
    nothing = planned(rows.with_columns(on_hand=pl.lit(None, pl.Float64)), paths, history)
    full = planned(rows, paths, history)
    assert (nothing.lines, nothing.gap, full.gap) == ([], 0.0, 0.0)
    assert nothing.exceptions.select("item_id", "location_id").n_unique() == rows.height
    for name in ("explanations", "limits", "alternatives"):
        empty, usual = getattr(nothing, name), getattr(full, name)
        assert empty.is_empty()
        assert {column: usual.schema.get(column) for column in empty.columns} == dict(empty.schema)


def test_what_was_hidden_by_stock_outs_is_a_part_of_its_own_row_also_beside_bad_ones() -> None:
    rows, paths, history = company()
    rows = rows.with_columns(
        on_hand=pl.when(pl.arange(pl.len()) == 1).then(-1.0).otherwise("on_hand")
    )
    share = np.linspace(0.5, 1.0, rows.height)
    told = planned(rows, paths, history, as_sold=share).explanations
    assert told.height == rows.height - 1
    whole = told["expected_demand"] + told["censoring"]
    assert told["expected_demand"].to_list() == pytest.approx(
        (whole * np.delete(share, 1)).to_list()
    )
    plain = planned(rows, paths, history).explanations
    assert (plain["censoring"] == 0).all()
    assert plain["expected_demand"].to_list() == pytest.approx(whole.to_list())


def test_the_wait_for_the_next_order_takes_its_part_of_what_a_forecast_reaches() -> None:
    rows, paths, history = company()
    took = np.repeat(rows["lead_time_periods"].to_numpy()[:, None], 100, axis=1)
    took[:, :50] = 4
    assert planned(rows, paths, history, lead_time_paths=took).exceptions.is_empty()
    held = rows.with_columns(gap=pl.when(pl.arange(pl.len()) == 1).then(2).otherwise(1))
    out = planned(held, paths, history, lead_time_paths=took).exceptions
    assert out.select("item_id", "location_id", "reason").rows() == [
        (
            "item-0",
            "EAST",
            "50.0 % of such orders take longer than the 3 periods the forecast reaches: counted as 3",
        )
    ]
