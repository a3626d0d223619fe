"""What a model may know, and as of when: entities, views over `features.feat_*`, and the versioned
services models ask for.

Origin-time views answer with what was known at the cutoff about the past; target-time views are
keyed also by `target_on` and answer with what was known at the cutoff about that day. Every feature
is described with its unit; the SQL is in dbt_project/models/features.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from feast import Entity, FeatureService, FeatureView, Field, Project, ValueType
from feast.types import Bool, FeastType, Float32, Int64, String, UnixTimestamp

from feature_repo.custom_views import own_views
from feature_repo.sources import WarehouseSource

PLANNING, PURCHASING = "demand-planning", "purchasing"

project = Project(
    name="stockhouse", description="what Stockhouse's models may know, and as of when"
)


def _entity(name: str, key: str, description: str, kind: ValueType = ValueType.STRING) -> Entity:
    return Entity(
        name=name, join_keys=[key], value_type=kind, description=description, owner=PLANNING
    )


item = _entity("item", "item_id", "what is sold and bought, in the world's own code")
location = _entity(
    "location",
    "location_id",
    "where stock is kept and demand happens: a store, warehouse or distribution centre",
)
supplier = _entity("supplier", "supplier_id", "who delivers to us")
lane = _entity(
    "lane", "lane_id", "a way goods travel: shipping location>receiving location, such as DC>NORTH"
)
region = _entity("region", "region_id", "the area whose weather, prices and mood a location shares")
target = _entity(
    "target",
    "target_on",
    "the day a plan or a label is about (UTC midnight)",
    ValueType.UNIX_TIMESTAMP,
)

KEY_TYPES: dict[str, FeastType] = {"target_on": UnixTimestamp}


def _view(
    name: str,
    table: str,
    entities: list[Entity],
    description: str,
    features: Mapping[str, tuple[FeastType, str, str]],
    *,
    owner: str = PLANNING,
    at_target: bool = False,
    online: bool = True,
) -> FeatureView:
    """features: {name: (type, unit, description)}. at_target: the view is about a day and found by
    when it was known alone."""
    times = (
        {"timestamp_field": "known_at"}
        if at_target
        else {"timestamp_field": "event_at", "created_timestamp_column": "known_at"}
    )
    keys = [
        Field(name=entity.join_key, dtype=KEY_TYPES.get(entity.join_key, String))
        for entity in entities
    ]
    fields = [
        Field(
            name=feature,
            dtype=kind,
            description=f"{text} [{unit}]",
            tags={"unit": unit, "owner": owner},
        )
        for feature, (kind, unit, text) in features.items()
    ]
    source = WarehouseSource(f"features.{table}", description=description, owner=owner, **times)
    return FeatureView(
        name=name,
        entities=entities,
        schema=keys + fields,
        source=source,
        online=online,
        description=description,
        owner=owner,
        tags={"owner": owner, "asset": f"features/{table}"},
    )


LAGS = (*range(1, 9), 14, 21, 28, 52, 364)
MEANS = (3, 7, 13, 28, 52, 91, 364)
DEVIATIONS = (13, 28, 91)
ZERO_SHARES = (28, 91)
PHASES = tuple(range(7))
YEAR_AGO = tuple(range(13))

demand_stats = _view(
    "demand_stats",
    "feat_demand",
    [item, location],
    (
        "level, dispersion, rhythm and intermittency of demand up to the last closed period; "
        "periods "
        "of unknown demand are masked"
    ),
    {
        f"demand_lag_{k}": (
            Float32,
            "units",
            f"demand {k} periods ago, 1 = the last closed period; null where unknown",
        )
        for k in LAGS
    }
    | {
        f"demand_mean_{n}": (
            Float32,
            "units per period",
            f"mean of the known demand of the last {n} periods",
        )
        for n in MEANS
    }
    | {
        f"demand_std_{n}": (
            Float32,
            "units per period",
            f"standard deviation of the known last {n} periods",
        )
        for n in DEVIATIONS
    }
    | {
        f"demand_zero_share_{n}": (
            Float32,
            "share",
            f"share of the known last {n} periods without demand",
        )
        for n in ZERO_SHARES
    }
    | {"demand_max_28": (Float32, "units", "largest known demand of the last 28 periods")}
    | {
        f"demand_phase_mean_{k}": (
            Float32,
            "units per period",
            f"mean of lags {7 - k}, {14 - k} .. {56 - k}",
        )
        for k in PHASES
    }
    | {
        f"demand_year_ago_{k}": (
            Float32,
            "units",
            f"demand of period {k} from this time of last year on, 0 = the next one then; null "
            "where unknown, and for days",
        )
        for k in YEAR_AGO
    }
    | {
        "demand_year_ago_mean_4": (
            Float32,
            "units per period",
            "mean of the four periods before this time of last year; null for days",
        )
    }
    | {
        "known_share_28": (Float32, "share", "share of the last 28 periods whose demand is known"),
        "periods_since_sale": (
            Float32,
            "periods",
            "closed periods since the last one with demand, 0 = the last closed period",
        ),
        "periods_since_first_sale": (
            Float32,
            "periods",
            "closed periods since the first one with demand: the age of the series",
        ),
        "demand_trend": (
            Float32,
            "ratio",
            "mean of the last 28 periods over the mean of the last 91, minus 1: above 0 demand "
            "grows; null where the longer mean is 0 or"
            " unknown",
        ),
    },
)

item_attributes = _view(
    "item_attributes",
    "feat_items",
    [item],
    "what the item master says about an item",
    {
        "category": (String, "name", "top level of the item's own hierarchy"),
        "subcategory": (String, "name", "second level of the item's own hierarchy"),
        "unit_cost": (Float32, "currency per unit", "purchase cost of one unit"),
        "weight_kg": (Float32, "kg per unit", "weight of one unit"),
    },
)

price_now = _view(
    "price_now",
    "feat_prices",
    [item, location],
    "the selling price in force",
    {
        "price": (Float32, "currency per unit", "selling price in force"),
        "relative_price": (
            Float32,
            "ratio",
            "price in force over its mean of the last 52 weeks; below 1 is cheaper than usual",
        ),
        "price_change": (Float32, "ratio", "price in force over the one before it, minus 1"),
    },
)

stock_now = _view(
    "stock_now",
    "feat_stock",
    [item, location],
    "the last stock count or in-stock flag",
    {
        "on_hand": (Float32, "units", "stock at the last count"),
        "is_in_stock": (Bool, "flag", "whether there was stock for the whole observed period"),
        "periods_since_stock_out": (
            Float32,
            "periods",
            "periods since stock was last seen empty; null where it never was",
        ),
    },
    owner=PURCHASING,
)

stock_position_now = _view(
    "stock_position_now",
    "feat_stock_positions",
    [item, location],
    "the stock position and how long it lasts",
    {
        "on_order": (Float32, "units", "units ordered and not yet received"),
        "stock_position": (
            Float32,
            "units",
            (
                "stock at the last count and units on order; null where never counted; what moved "
                "since the count is not in it"
            ),
        ),
        "cover_periods": (
            Float32,
            "periods",
            (
                "stock position over the mean demand of the last 28 periods; null where either is "
                "unknown or demand is 0"
            ),
        ),
    },
    owner=PURCHASING,
)

lane_terms = _view(
    "lane_terms",
    "feat_lanes",
    [lane],
    "the terms by which goods travel",
    {
        "transit_days": (Float32, "days", "days on the way; null where nobody states them"),
        "freight_per_kg": (
            Float32,
            "currency per kg",
            "freight of one kilogram by the cheapest way that serves all items",
        ),
        "fuel_index": (
            Float32,
            "ratio",
            "fuel price over its price when the freight was quoted; 1 where either is unknown",
        ),
    },
    owner=PURCHASING,
)

supplier_lead_times = _view(
    "supplier_lead_times",
    "feat_supplier_lead_times",
    [supplier],
    "how long a supplier takes; an open order counts as at least its age so far",
    {
        "lead_time_mean_days": (
            Float32,
            "days",
            "mean days from order to receipt, open orders censored (Kaplan-Meier, restricted mean)",
        ),
        "lead_time_p90_days": (
            Float32,
            "days",
            "days within which 90 % of lines arrive, open orders censored (Kaplan-Meier)",
        ),
        "late_share": (
            Float32,
            "share",
            "share of due lines received after their promised day or not yet received",
        ),
        "open_order_count": (Int64, "lines", "order lines not yet received"),
    },
    owner=PURCHASING,
)

SIGNALS = {
    "signal_weather": ("the signal's own unit", "last weather reading: mean temperature"),
    "signal_fuel_price": ("currency per litre or gallon", "last fuel price"),
    "signal_consumer_confidence": (
        "index points",
        "last consumer confidence or consumer price index",
    ),
    "signal_unemployment": ("percent", "last unemployment rate"),
    "signal_search_interest": ("index points", "last search interest"),
    "signal_competitor_price": ("currency per unit or ratio", "last competitor price"),
}

region_signals = _view(
    "region_signals",
    "feat_signals",
    [region],
    "signals from outside, last observation by region; null where a world lacks one",
    {name: (Float32, unit, text) for name, (unit, text) in SIGNALS.items()},
)

location_signals = _view(
    "location_signals",
    "feat_location_signals",
    [location],
    "signals from outside about one location, last observation; null where a world lacks one",
    {"competitor_distance_m": (Float32, "m", "how far away the competitor is that opened last")},
)

plan_at_target = _view(
    "plan_at_target",
    "feat_plans",
    [item, location, target],
    "what was planned for a day; no row means nothing was planned",
    {
        "promotion_count": (Int64, "promotions", "promotions planned to run that day; null = 0"),
        "event_count": (Int64, "events", "calendar events and holidays that day; null = 0"),
        "is_open": (Bool, "flag", "whether the location is planned to be open; null = as usual"),
        "planned_price": (
            Float32,
            "currency per unit",
            "price announced for that day; null = the price in force stays",
        ),
    },
    at_target=True,
)

demand_observed = _view(
    "demand_observed",
    "feat_demand_observed",
    [item, location, target],
    "the label: demand of the period that starts that day, as known at the cutoff",
    {
        "demand": (
            Float32,
            "units",
            "demand of the period; null where unknown, such as in a stock-out",
        ),
        "is_censored": (Bool, "flag", "whether sales understate demand because stock ran out"),
    },
    at_target=True,
    online=False,
)

ENTITIES = [item, location, supplier, lane, region, target]
VIEWS = [
    demand_stats,
    item_attributes,
    price_now,
    stock_now,
    stock_position_now,
    supplier_lead_times,
    lane_terms,
    region_signals,
    location_signals,
    plan_at_target,
    demand_observed,
]
#: demand_v1 keeps the features its models learnt; the trend is for people and for the decision.
TREND = ["demand_trend"]
DEMAND_V1 = [feature.name for feature in demand_stats.features if feature.name not in TREND]


def _service(
    name: str, views: list[FeatureView], description: str, owner: str = PLANNING
) -> FeatureService:
    return FeatureService(name=name, features=[*views], description=description, owner=owner)


# Feast's own command line reads module-level names alone: a service without one would be deleted by
# `feast apply`.
demand_v1 = _service(
    "demand_v1",
    [demand_stats[DEMAND_V1], item_attributes, price_now],
    "what the demand model knows at its cutoff",
)
signals_v1 = _service(
    "signals_v1",
    [region_signals, location_signals],
    "what the demand model knows of the world outside at its cutoff",
)
plans_v1 = _service("plans_v1", [plan_at_target], "what is planned for a day in the horizon")
labels_v1 = _service("labels_v1", [demand_observed], "what the demand model learns")
replenishment_v1 = _service(
    "replenishment_v1",
    [
        stock_now,
        stock_position_now,
        demand_stats[TREND],
        supplier_lead_times,
        region_signals,
        location_signals,
    ],
    "what a replenishment decision looks at besides the forecast",
    PURCHASING,
)
lanes_v1 = _service(
    "lanes_v1", [lane_terms], "how long goods are on their way, and what that costs", PURCHASING
)
SERVICES = [demand_v1, signals_v1, plans_v1, labels_v1, replenishment_v1, lanes_v1]

# … nor would it know a company's own views of the home it is asked about
if HOME := os.environ.get("STOCKHOUSE_HOME"):
    views, services = own_views(Path(HOME) / "derived" / "features", ENTITIES)
    globals().update({f"own_view_{view.name}": view for view in views})
    globals().update({f"own_service_{service.name}": service for service in services})
