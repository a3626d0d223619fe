"""The canonical tables: every company's facts, whatever system they came from, in one vocabulary.

Each table is a DuckDB table in schema `raw`, created empty by every landing so that dbt never
changes between companies. Quantities are in the item's base unit, money in the world's currency,
times in UTC without zone.
"""

from __future__ import annotations

from dataclasses import dataclass

ID, NUMBER, TEXT, TIME, DAY, FLAG, PATH = (
    "VARCHAR",
    "DOUBLE",
    "VARCHAR",
    "TIMESTAMP",
    "DATE",
    "BOOLEAN",
    "VARCHAR[]",
)

#: Columns that every canonical row carries besides its facts: both times, and the way back to the
#: bytes it came from.
LINEAGE: dict[str, str] = {
    # when we could have known; null only while the event's period or order is still to be looked up
    "known_at": TIME,
    # the contract's `known_after`, for rows whose event_at dbt finds through a period or order
    "known_lag": "INTERVAL",
    # the source's `delivered_at`, where the contract says how to tell; breaks ties between versions
    "handed_over_at": TIME,
    "row_key": "UBIGINT",  # same key, other content = a new version of the same fact
    "row_hash": "UBIGINT",  # the content; the last tie-break
    "source_id": TEXT,  # the source's name in world.yml
    "delivery": TEXT,  # sha256 of the delivered bytes, see raw.manifest
    "row_no": "BIGINT",  # 1-based data row in the file (header not counted)
    # file inside an archive, sheet and unpivoted column, and the rule that took the row
    "part": TEXT,
}


#: Columns that name a thing besides those called `…_id`: what stands around it is no part of it.
NAMING = frozenset({"alias", "id", "supplied_from", "bills_with"})


def names_a_thing(column: str) -> bool:
    """Whether a column holds an id, which two systems have to write alike to mean one thing."""
    return column.endswith("_id") or column in NAMING


#: Columns that name a person; they are stored as a keyed hash alone, see privacy.py.
PERSONAL = frozenset({"customer_id"})


@dataclass(frozen=True)
class Table:
    """One canonical table: its columns with types, what must be there, and whether rows describe a
    state or an event."""

    columns: dict[str, str]
    required: tuple[str, ...]
    #: groups of which at least one column must be mapped, such as (event_at | period_id | order_id)
    one_of: tuple[tuple[str, ...], ...] = ()
    #: an observed event cannot be later than its delivery; plans and calendars may
    is_observed: bool = True
    #: equal content collapses to the earliest known_at
    is_state: bool = False


def _table(
    spec: dict[str, str],
    *,
    one_of: tuple[tuple[str, ...], ...] = (),
    observed: bool = True,
    state: bool = False,
) -> Table:
    required = tuple(name.rstrip("*") for name in spec if name.endswith("*"))
    return Table(
        {name.rstrip("*"): kind for name, kind in spec.items()}, required, one_of, observed, state
    )


CANONICAL: dict[str, Table] = {
    "sales": _table(
        {
            "item_id*": ID,
            "location_id*": ID,
            "quantity*": NUMBER,
            "event_at": TIME,
            "period_id": ID,
            "order_id": ID,
            "line_id": ID,
            "customer_id": ID,
            "unit": TEXT,
            "unit_price": NUMBER,
            "revenue": NUMBER,
            "currency": TEXT,
            "tax_share": NUMBER,
        },
        one_of=(("event_at", "period_id", "order_id"),),
    ),
    "returns": _table(
        {
            "item_id*": ID,
            "location_id*": ID,
            "quantity*": NUMBER,
            "event_at*": TIME,
            "order_id": ID,
            "line_id": ID,
            "customer_id": ID,
            "unit": TEXT,
            "unit_price": NUMBER,
            "revenue": NUMBER,
            "currency": TEXT,
            "tax_share": NUMBER,
            "reason": TEXT,
        }
    ),
    "orders": _table(
        {
            "order_id*": ID,
            "event_at*": TIME,
            "customer_id": ID,
            "status": TEXT,
            "promised_at": TIME,
            "shipped_at": TIME,
            "delivered_at": TIME,
            # of a purchase order's header, for lines that do not say them
            "location_id": ID,
            "supplier_id": ID,
        }
    ),
    "items": _table(
        {
            "item_id*": ID,
            "name": TEXT,
            "levels": PATH,
            "supplier_id": ID,
            "pack_size": NUMBER,
            "weight_kg": NUMBER,
            "volume_m3": NUMBER,
            "unit_cost": NUMBER,
            "shelf_life_days": NUMBER,
            "holding_cost": NUMBER,
            "shortage_cost": NUMBER,
            "currency": TEXT,
        },
        observed=False,
        state=True,
    ),
    "item_units": _table(
        {"item_id*": ID, "unit*": TEXT, "quantity*": NUMBER}, observed=False, state=True
    ),
    "components": _table(
        {"item_id*": ID, "part_id*": ID, "quantity*": NUMBER}, observed=False, state=True
    ),
    # what an item is made of before it is sold, where it is taken in: its parts have its demand
    "bills_of_materials": _table(
        {
            "item_id*": ID,
            "part_id*": ID,
            "quantity*": NUMBER,
            # parts lost in making, as a share of what goes in: 0.02
            "scrap_share": NUMBER,
            "starts_at": TIME,
            "ends_at": TIME,
        },
        observed=False,
        state=True,
    ),
    # what may be sold or used in an item's place when it lacks
    "substitutes": _table(
        {
            "item_id*": ID,
            "substitute_id*": ID,
            # units of the substitute for one of the item
            "quantity": NUMBER,
            "starts_at": TIME,
            "ends_at": TIME,
        },
        observed=False,
        state=True,
    ),
    "locations": _table(
        {
            "location_id*": ID,
            "name": TEXT,
            # where goods are delivered to, on one line
            "address": TEXT,
            "region_id": ID,
            # whose public holidays close it
            "country": TEXT,
            "kind": TEXT,
            "levels": PATH,
            "supplied_from": ID,
            "capacity": NUMBER,
            # weekdays on which goods are taken in, such as `mon-thu`
            "receiving_days": TEXT,
        },
        observed=False,
        state=True,
    ),
    "assortment": _table(
        {"item_id*": ID, "location_id*": ID, "starts_at": TIME, "ends_at": TIME},
        observed=False,
        state=True,
    ),
    "suppliers": _table(
        {
            "supplier_id*": ID,
            "name": TEXT,
            "region_id": ID,
            "country": TEXT,
            "payment_days": NUMBER,
            # weekdays on which orders are taken, and the local time until which, such as `11:30`
            "order_days": TEXT,
            "order_until": TEXT,
            # weekdays on which goods are made and sent; `mon-fri` where lead times count them
            "working_days": TEXT,
        },
        observed=False,
        state=True,
    ),
    "supplier_terms": _table(
        {
            "item_id*": ID,
            "supplier_id*": ID,
            "lead_time_days": NUMBER,
            "moq": NUMBER,
            "order_multiple": NUMBER,
            "from_quantity": NUMBER,
            "unit_cost": NUMBER,
            "currency": TEXT,
            "unit": TEXT,
            # in place of lead_time_days: the supplier's working days
            "lead_time_working_days": NUMBER,
            # days goods still keep when they arrive
            "shelf_life_days": NUMBER,
            "starts_at": TIME,
            "ends_at": TIME,
            # the agreed part of what is bought of the item: 0.6; the usual supplier has the rest
            "share": NUMBER,
        },
        observed=False,
        state=True,
    ),
    "stock": _table(
        {
            "item_id*": ID,
            "location_id*": ID,
            "event_at*": TIME,
            "on_hand": NUMBER,
            "is_in_stock": FLAG,
            "unit_cost": NUMBER,
            "unit": TEXT,
            "currency": TEXT,
            "status": TEXT,
            "bin": TEXT,
            "lot": TEXT,
            "expires_at": TIME,
            # units of on_hand promised to somebody
            "reserved": NUMBER,
        },
        one_of=(("on_hand", "is_in_stock"),),
    ),
    "purchase_orders": _table(
        {
            "order_id*": ID,
            "item_id*": ID,
            "location_id": ID,
            "quantity*": NUMBER,
            "event_at": TIME,
            "line_id": ID,
            "due_at": TIME,
            "supplier_id": ID,
            "unit_cost": NUMBER,
            "currency": TEXT,
            "unit": TEXT,
            "status": TEXT,
        }
    ),
    "receipts": _table(
        {
            "item_id*": ID,
            # left out, it is that of the order it names
            "location_id": ID,
            "quantity*": NUMBER,
            "event_at*": TIME,
            "order_id": ID,
            "line_id": ID,
            "supplier_id": ID,
            "unit": TEXT,
        },
        one_of=(("location_id", "order_id"),),
    ),
    "shipments": _table(
        {
            "shipment_id*": ID,
            "from_id*": ID,
            "to_id*": ID,
            "order_id": ID,
            "line_id": ID,
            "item_id": ID,
            "quantity": NUMBER,
            "weight_kg": NUMBER,
            "mode": TEXT,
            "event_at": TIME,
            "shipped_at": TIME,
            "promised_at": TIME,
            "delivered_at": TIME,
            "freight_cost": NUMBER,
            "currency": TEXT,
            "bills_with": ID,
        }
    ),
    "transfers": _table(
        {
            "transfer_id*": ID,
            "item_id*": ID,
            "from_id*": ID,
            "to_id*": ID,
            "quantity*": NUMBER,
            "event_at*": TIME,
            "due_at": TIME,
            "received_at": TIME,
        }
    ),
    "adjustments": _table(
        {"item_id*": ID, "location_id*": ID, "delta*": NUMBER, "event_at*": TIME, "reason": TEXT}
    ),
    "lanes": _table(
        {
            "from_id*": ID,
            "to_id*": ID,
            "item_id": ID,
            "mode": TEXT,
            "transit_days": NUMBER,
            "freight_per_kg": NUMBER,
            "currency": TEXT,
            "fuel_share": NUMBER,
            "distance_km": NUMBER,
            # kilograms of CO2 equivalent for a tonne over a kilometre
            "co2_per_tonne_km": NUMBER,
            # what the orders of one review may weigh on the lane
            "capacity_kg": NUMBER,
            # weekdays on which the lane leaves
            "departure_days": TEXT,
        },
        observed=False,
        state=True,
    ),
    # hubs that goods pass on a lane without being kept there
    "lane_stops": _table(
        {"from_id*": ID, "to_id*": ID, "mode": TEXT, "hub_id*": ID, "after_days": NUMBER},
        observed=False,
        state=True,
    ),
    "prices": _table(
        {
            "item_id*": ID,
            "price*": NUMBER,
            "event_at": TIME,
            "period_id": ID,
            "location_id": ID,
            "list_price": NUMBER,
            "currency": TEXT,
            # of the net price, where the price includes it: 0.19
            "tax_share": NUMBER,
        },
        one_of=(("event_at", "period_id"),),
        observed=False,
    ),
    "promotions": _table(
        {
            "name*": TEXT,
            "starts_at*": TIME,
            "ends_at": TIME,
            "kind": TEXT,
            "value": NUMBER,
            "item_id": ID,
            "location_id": ID,
            "region_id": ID,
        },
        observed=False,
    ),
    # days on which nothing is ordered, made, sent or taken in: of one supplier, location, region or
    # country (or of a region of a country, where both are said), else of all
    "holidays": _table(
        {
            "day*": DAY,
            "name": TEXT,
            "country": TEXT,
            "region_id": ID,
            "supplier_id": ID,
            "location_id": ID,
        },
        observed=False,
        state=True,
    ),
    # what one unit of a currency is worth in the world's, from a time on
    "exchange_rates": _table(
        {"currency*": TEXT, "rate*": NUMBER, "event_at*": TIME}, observed=False, state=True
    ),
    # what takes an item's place from a time on, with its share of the demand
    "successions": _table(
        {"item_id*": ID, "successor_id*": ID, "share": NUMBER, "starts_at": TIME},
        observed=False,
        state=True,
    ),
    # what customers have ordered and not got yet
    "customer_orders": _table(
        {
            "order_id*": ID,
            "item_id*": ID,
            "location_id*": ID,
            "quantity*": NUMBER,
            "event_at*": TIME,
            "line_id": ID,
            "due_at": TIME,
            "delivered_quantity": NUMBER,
            "unit": TEXT,
            "status": TEXT,
        }
    ),
    "openings": _table({"location_id*": ID, "event_at*": TIME, "is_open*": FLAG}, observed=False),
    "calendar": _table({"period_id*": ID, "day*": DAY}, observed=False, state=True),
    "signals": _table(
        {
            "name*": TEXT,
            "event_at*": TIME,
            "value*": NUMBER,
            "region_id": ID,
            "location_id": ID,
            "item_id": ID,
            "target_on": DAY,
        },
        one_of=(("region_id", "location_id", "item_id"),),
        observed=False,
        state=True,
    ),
    "constraints": _table(
        {"name*": TEXT, "value*": NUMBER, "scope": TEXT}, observed=False, state=True
    ),
    "aliases": _table({"kind*": TEXT, "alias*": ID, "id*": ID}, observed=False, state=True),
}

#: What names one row of a table that says how things are: one source says one thing of it at a
#: time.
GRAINS: dict[str, tuple[str, ...]] = {
    "items": ("item_id",),
    "locations": ("location_id",),
    "suppliers": ("supplier_id",),
    "supplier_terms": ("item_id", "supplier_id", "from_quantity", "starts_at"),
    "exchange_rates": ("currency", "event_at"),
    "successions": ("item_id", "successor_id"),
    "item_units": ("item_id", "unit"),
    "components": ("item_id", "part_id"),
    "bills_of_materials": ("item_id", "part_id", "starts_at"),
    "substitutes": ("item_id", "substitute_id"),
    "orders": ("order_id",),
    "lanes": ("from_id", "to_id", "item_id", "mode"),
    "constraints": ("name", "scope"),
    "aliases": ("kind", "alias"),
    "stock": ("item_id", "location_id", "event_at", "bin", "lot", "status"),
    "purchase_orders": ("order_id", "line_id", "item_id", "location_id"),
    "customer_orders": ("order_id", "line_id", "item_id", "location_id"),
}
#: Tables whose rows of one grain may be parts of one thing: they are added up, and a person is
#: told unless the contract says `several: sum`, or `several: newest`, where they are versions.
ADDED_UP = ("stock", "purchase_orders", "customer_orders")
#: What several rows of one grain may be declared to be: parts of it, or versions of it.
SEVERAL = ("sum", "newest")

#: The world's own settings, one row in `raw.world`: dbt reads the grain, the calendar and Now from
#: here and needs no variables.
#: How often the door has become stricter to a table since homes were first founded: what it let
#: pass before is read anew, and set aside with its rows.
STRICTER = {"constraints": 1}

WORLD_COLUMNS: dict[str, str] = {
    # ISO weekday, 1 = Monday
    "world": TEXT,
    "currency": TEXT,
    "timezone": TEXT,
    "grain": TEXT,
    "week_starts_on": "INTEGER",
    "review_days": "INTEGER",
    "decide_on": "INTEGER",
    "orders_leave_at": TEXT,  # local time, HH:MM
    "lead_time_days": NUMBER,
    "lead_time_periods": "INTEGER",
    "absent_sales": TEXT,
    "is_whole_units": FLAG,
    "holding_per_year": NUMBER,
    "holding_per_unit_period": NUMBER,
    "shortage_margin": NUMBER,
    "shortage_per_unit": NUMBER,
    "unmet": TEXT,
    "waiting_share": NUMBER,  # of unmet demand, where it waits
    "has_assumed_economics": FLAG,
    "now_at": TIME,  # UTC; rows known later are not read by any station of this run
    # UTC; how far the facts themselves are believed: Now where nobody asked for a day
    "newest_at": TIME,
    # UTC; sales, returns and stock from before it are not believed, see now.py; null where all are
    "begins_at": TIME,
    # rules whose several rows of one grain are declared parts, as `wms/stock`
    "added_up": PATH,
}
