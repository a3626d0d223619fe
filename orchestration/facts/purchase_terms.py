"""What orders have to obey and ways to buy and move goods: limits, minimums, prices, lanes, service
levels, shelf life, as the marts have them now."""

from __future__ import annotations

import duckdb
import polars as pl

from models.domain import SERIES, Floats
from models.procurement.unit_codes import WORDS
from models.replenishment.agreed_shares import with_other_sources
from models.replenishment.calendars import SupplyCalendar
from models.replenishment.constraints import (
    Constraint,
    room_of,
    room_on,
    unkeepable,
)
from models.replenishment.decision import Terms
from models.replenishment.supplier_minimums import SupplierMinimum
from models.replenishment.supply_options import Logistics, PriceIncrease
from orchestration.facts.timeline import DAYS_A_PERIOD, Timeline
from orchestration.home.sql import frame

#: How a planner writes that a budget is for everything.
ALL_PURCHASES = (None, "all", "purchase", "purchases")
#: Demand of a period over the last quarter, with and without the periods when the shelf was empty.
USUAL = """
    select
        item_id, location_id,
        cast(avg(quantity) as double) as known,
        cast(avg(greatest(recorded_quantity, 0)) filter (
            where quantity is not null or is_censored
        ) as double) as as_sold
    from marts.fct_demand
    where is_current and period_start < ? and period_start >= ? - interval 91 day
    group by item_id, location_id
"""
#: What a location can hold: the planner's word before the location master's.
ROOM = """
    select location_id, coalesce(any_value(said.value), any_value(place.capacity)) as capacity
    from marts.dim_locations as place
    left join marts.fct_constraints as said
        on said.name = 'capacity' and said.is_current and said.scope = place.location_id
    where place.is_current
    group by location_id
"""
#: What a unit costs from which quantity on, by supplier.
PRICES = """
    select item_id, supplier_id as from_id, from_quantity, unit_cost
    from marts.dim_supplier_terms where is_current and unit_cost is not null order by all
"""
#: How long an item keeps on arrival: the supplier's word before the item master's.
KEEPS = """
    with told as (
        select item_id, supplier_id, min(shelf_life_days) as shelf_life_days
        from marts.dim_supplier_terms where is_current group by item_id, supplier_id
    )
    select planned.item_id, planned.location_id,
        cast(coalesce(told.shelf_life_days, items.shelf_life_days) as double) as shelf_life_days
    from marts.dim_item_locations as planned
    join marts.dim_items as items on planned.item_id = items.item_id and items.is_current
    left join told on planned.kind = 'purchase' and planned.item_id = told.item_id
        and planned.from_id = told.supplier_id
"""
#: The least of a review's purchases that a supplier takes, as the planner wrote it, and what it
#: counts.
MINIMUMS = """
    with counted(name, counts) as (values ('supplier_minimum', 'value'),
        ('supplier_minimum_kg', 'weight_kg'), ('supplier_minimum_m3', 'volume_m3'),
        ('supplier_minimum_units', 'units'), ('supplier_minimum_pallets', 'pallets'))
    select said.scope as from_id, said.value, counts, coalesce(truck.value, 0) as truck_cost
    from marts.fct_constraints as said join counted using (name)
    left join marts.fct_constraints as truck
        on truck.name = 'supplier_truck_cost' and truck.is_current and truck.scope = said.scope
    where said.is_current order by all
"""
#: What else supplies each planned row that is bought: the item's other suppliers with a share, on
#: the terms of their first step, and the row's own where they name none.
OTHER_SOURCES = """
    with terms as (
        select item_id, supplier_id as from_id, lead_time_days, lead_time_working_days, moq,
            order_multiple, unit_cost,
            max(share) over (partition by item_id, supplier_id) as share
        from marts.dim_supplier_terms where is_current
        qualify row_number() over (partition by item_id, supplier_id order by from_quantity) = 1
    ),
    agreed as (select *, greatest(sum(share) over (partition by item_id), 1) as total from terms),
    others as (
        select rows.item_id, rows.location_id, terms.from_id, terms.share / terms.total as share,
            coalesce(terms.lead_time_days, rows.lead_time_days) as lead_time_days,
            terms.lead_time_days is null as is_usual_time,
            case when terms.lead_time_days is null then rows.lead_time_working_days
                else terms.lead_time_working_days end as lead_time_working_days,
            rows.lead_time_periods, coalesce(terms.moq, 0) as moq,
            coalesce(terms.order_multiple, rows.order_multiple) as order_multiple,
            coalesce(terms.unit_cost, rows.unit_cost) as unit_cost
        from marts.dim_item_locations as rows
        join agreed as terms on terms.item_id = rows.item_id and terms.from_id <> rows.from_id
        where rows.kind = 'purchase' and terms.share > 0
    )
    select * exclude (is_usual_time) replace (
            case when is_usual_time then lead_time_periods
                else ceil(lead_time_days / $days)::integer end as lead_time_periods)
    from others order by all
"""
#: What lanes can take, of the way that is used: see int_lanes_cheapest.
LANE_CAPACITY = """
    select from_id, to_id, item_id, capacity_kg from marts.dim_lanes where is_current
    qualify capacity_kg is not null and row_number() over (partition by from_id, to_id, item_id
        order by freight_per_kg nulls last, transit_days nulls last, mode) = 1
    order by all
"""
#: What the planner states under one name, by what it holds for.
STATED = "select scope, value from marts.fct_constraints where is_current and name = $name"
#: What one of each item's units holds.
UNITS = "select item_id, unit, quantity from marts.dim_item_units"
#: Prices suppliers have announced for orders of the next review: that of the first step, for which
#: everybody pays at most.
RISES = """
    select item_id, supplier_id, unit_cost, valid_from as starts_at
    from marts.dim_supplier_terms
    where not is_current and unit_cost is not null and valid_from > $now
    qualify row_number() over (partition by item_id, supplier_id order by valid_from,
        from_quantity) = 1
    order by all
"""


def read_usual(con: duckdb.DuckDBPyConnection, nodes: pl.DataFrame, timeline: Timeline) -> Floats:
    """(N, 2) mean demand of a period of the last quarter: with stock-out periods left out, and with
    them taken at what was sold."""
    usual = frame(con, USUAL, [timeline.origin, timeline.origin])
    found = nodes.select(SERIES).join(usual, on=SERIES, how="left", maintain_order="left")
    return found.select(pl.col("known", "as_sold").fill_null(0.0)).to_numpy()


def read_limits(con: duckdb.DuckDBPyConnection) -> list[Constraint]:
    """The planner's limits on what is ordered now.

    budget: money for all purchases of a review, or for one supplier's. capacity: units a location
    can hold, of which what is there and on the way takes its part. truck_kg: what one delivery to a
    location may weigh. A lane's capacity_kg: what the orders of a review may weigh on it. Service
    levels are not limits but targets.
    """
    found = frame(
        con, "select name, scope, value from marts.fct_constraints where is_current order by all"
    ).iter_rows()
    limits = []
    for name, scope, value in found:
        place = {"location_id": scope}
        if name.startswith("budget"):
            is_all = scope in ALL_PURCHASES
            whose = name if is_all else f"{name} of {scope}"
            limits.append(Constraint(whose, value, "value", {} if is_all else {"from_id": scope}))
        elif name == "capacity":
            limits.append(Constraint(room_of(scope), value, "units", place, counts_stock=True))
        elif name == "truck_kg":
            limits.append(Constraint(f"truck to {scope}", value, "weight_kg", place))
    for start, stop, item, capacity in frame(con, LANE_CAPACITY).iter_rows():
        way = {"from_id": start, "location_id": stop} | ({"item_id": item} if item else {})
        limits.append(Constraint(room_on(start, stop, item), capacity, "weight_kg", way))
    return limits


def read_service_levels(con: duckdb.DuckDBPyConnection, rows: pl.DataFrame) -> pl.Series:
    """The service level promised for each row, empty where none is: the item's, else the
    location's, the category's, everybody's."""
    said = dict(frame(con, STATED, {"name": "service_level"}).iter_rows())
    everybody = pl.Series(["all"] * len(rows), dtype=pl.String)
    words = (rows["item_id"], rows["location_id"], rows["category"], everybody)
    return pl.select(
        pl.coalesce(
            word.cast(pl.String).replace_strict(said, default=None, return_dtype=pl.Float64)
            for word in words
        )
    ).to_series()


def read_logistics(
    con: duckdb.DuckDBPyConnection, timeline: Timeline, calendar: SupplyCalendar | None
) -> Logistics:
    """How goods can travel and be bought now: quoted lanes, suppliers' terms, prices announced, the
    planner's duty_share, and the days of suppliers, lanes and places.

    duty_share: of price and freight, for one supplier or for all. A price rises within reach if no
    later review can still order at the old one.
    """
    lanes = frame(con, "select * from marts.dim_lanes where is_current order by all")
    terms = frame(con, "select * from marts.dim_supplier_terms where is_current order by all")
    duty = frame(con, STATED, {"name": "duty_share"}).iter_rows()
    following = timeline.shift(timeline.origin, timeline.review)
    announced = frame(con, RISES, {"now": timeline.now_at}).iter_rows()
    dated = [(key, cost, timeline.local_day(at)) for *key, cost, at in announced]
    price_increases = {
        (item, supplier): PriceIncrease(cost, day)
        for (item, supplier), cost, day in dated
        if day <= following
    }
    stops = frame(con, "select * from marts.dim_lane_stops order by all")
    days = DAYS_A_PERIOD[timeline.grain]
    today = timeline.origin
    others = con.execute("select * from marts.dim_substitutes order by all").pl()
    return Logistics.of(
        lanes, terms, days, dict(duty), price_increases, stops, calendar, today, others
    )


def read_terms(
    con: duckdb.DuckDBPyConnection, nodes: pl.DataFrame, timeline: Timeline
) -> tuple[Terms, Floats]:
    """What orders of these rows have to obey today, and the service level promised for each (0
    where none is).

    A rehearsal and a replay keep them, so that what is judged is what would be ordered. A limit
    that nobody can keep stops rows in the plan and is told there; here it is left out. A size that
    is not known takes no room.
    """
    rows = with_promises(con, nodes, timeline)
    sizes = [name for name in ("weight_kg", "volume_m3") if name in rows.columns]
    rows = rows.with_columns(pl.col(*sizes).fill_null(0.0)) if sizes else rows
    constraints, _ = unkeepable(rows, read_limits(con))
    minimums = read_minimums(con)
    breaks = frame(con, PRICES)
    terms = Terms.of(rows, price_breaks=breaks, minimums=minimums, constraints=constraints)
    return terms, rows["service_level"].fill_null(0.0).to_numpy()


def read_minimums(con: duckdb.DuckDBPyConnection) -> list[SupplierMinimum]:
    """The least of a review's purchases that each supplier takes."""
    return [SupplierMinimum(**least) for least in frame(con, MINIMUMS).iter_rows(named=True)]


def with_sources(
    con: duckdb.DuckDBPyConnection, rows: pl.DataFrame, timeline: Timeline
) -> pl.DataFrame:
    """The rows with their other sources in also_from, where suppliers have agreed shares; as they
    are where none has. rows: of dim_item_locations."""
    names = con.execute("select * from marts.dim_supplier_terms limit 0").pl().columns
    if "share" not in names:  # published before shares could be said
        return rows
    return with_other_sources(
        rows, frame(con, OTHER_SOURCES, {"days": DAYS_A_PERIOD[timeline.grain]})
    )


def with_promises(
    con: duckdb.DuckDBPyConnection, nodes: pl.DataFrame, timeline: Timeline
) -> pl.DataFrame:
    """The rows with their other sources, what a place can hold, how long goods keep there, the
    service level promised, what a place that sells and supplies others keeps for its own customers
    until the next review and, where a supplier's least order counts pallets, what one holds."""
    supplies = (pl.col("role") != "store") & pl.col("is_forecast")
    asked = pl.Series(read_usual(con, nodes, timeline)[:, 0] * timeline.review)
    nodes = nodes.with_columns(kept_back=pl.when(supplies).then(asked).otherwise(0.0))
    nodes = with_sources(con, nodes, timeline)
    rows = nodes.join(frame(con, ROOM), on="location_id", how="left", maintain_order="left")
    if any(least.counts == "pallets" for least in read_minimums(con)):
        rows = rows.join(
            pallets_of(frame(con, UNITS)), on="item_id", how="left", maintain_order="left"
        )
    rows = rows.join(frame(con, KEEPS), on=SERIES, how="left", maintain_order="left")
    periods = (pl.col("shelf_life_days") / DAYS_A_PERIOD[timeline.grain]).floor()
    return rows.with_columns(
        service_level=read_service_levels(con, rows), shelf_life_periods=periods
    )


def pallets_of(units: pl.DataFrame) -> pl.DataFrame:
    """What a pallet of each item holds (item_id, pallet_quantity), by whatever name it has."""
    names = [word for word, name in WORDS.items() if name == "pallet"]
    found = units.filter(pl.col("unit").is_in(names)).group_by("item_id")
    return found.agg(pallet_quantity=pl.col("quantity").min())
