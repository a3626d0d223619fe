"""A world whose surges are planted, each from one known cause, so that what an attribution says can
be checked."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
from public_worlds import World

from models.forecasting.inputs import Spec
from models.forecasting.surges import SURGE

#: Kind of surge -> the part of the attribution that should name it.
KINDS = {
    "season": "season",
    "promotion": "promotion",
    "price": "price",
    "weather": "weather",
    "search": "search",
    "macro": "macro",
    "unexplained": "unexplained",
}
FIRST = date(2024, 1, 1)
REGIONS, SHOPS, ITEMS, WEEKS = 24, 1, 4, 70
#: How many times usual demand is, in a week with each cause.
LIFT = 1.8
#: The share of weeks with each cause, and of days of the month in season (pay days: the first
#: seven).
CHANCE = 0.08
SIGNALS = {
    "weather": "signal_weather",
    "search": "signal_search_interest",
    "macro": "signal_consumer_confidence",
}


def plant(spec: Spec, weeks: int, seed: int = 0) -> tuple[World, np.ndarray]:
    """The world, and the one cause planted in each of the last `weeks` weeks per series (N, weeks):
    a kind, "none", or "several".

    A promotion or a price cut strikes one series for a week; weather, search and macro strike a
    whole region and are seen from the evening before; pay days strike all for the first seven days
    of a month; the unexplained strikes one series and is seen nowhere.
    """
    random = np.random.default_rng(seed)
    count, days = REGIONS * SHOPS * ITEMS, WEEKS * 7
    region = np.arange(count) // (SHOPS * ITEMS)
    keys = pl.DataFrame(
        {
            "item_id": [f"item{k % ITEMS}" for k in range(count)],
            "location_id": [f"shop{k // ITEMS}" for k in range(count)],
            "category": [f"kind{k % ITEMS % 2}" for k in range(count)],
        }
    )
    single = {
        kind: random.random((count, WEEKS)) < CHANCE
        for kind in ("promotion", "price", "unexplained")
    }
    single["unexplained"][:, : WEEKS - weeks] = False
    regional = {kind: (random.random((REGIONS, WEEKS)) < CHANCE)[region] for kind in SIGNALS}
    struck = {kind: np.repeat(weekly, 7, axis=1) for kind, weekly in (single | regional).items()}
    month_day = np.array([(FIRST + timedelta(days=d)).day for d in range(days)])
    pay = np.broadcast_to(month_day <= 7, (count, days))
    lifts = np.sum([hit for hit in struck.values()], axis=0) * np.log(LIFT) + pay * np.log(LIFT)
    week = np.array([1, 1, 1, 1, 1.3, 1.6, 0.8])[np.arange(days) % 7]
    rate = np.exp(random.normal(3.0, 0.5, count))[:, None] * week * np.exp(lifts)
    demand = random.negative_binomial(20, 20 / (20 + rate)).astype(np.float32)
    signals = {}
    for kind, name in SIGNALS.items():
        reading = 10 + 20.0 * struck[kind] + random.normal(0, 2, (REGIONS, days))[region]
        signals[name] = np.roll(reading, -1, axis=1)  # what the evening before already tells
        signals[name][:, -1] = np.nan
    price = np.where(struck["price"], 7.0, 10.0)
    row, column = np.repeat(np.arange(count), days), np.tile(np.arange(days), count)
    plans = pl.DataFrame(
        {
            "item_id": keys["item_id"].gather(row),
            "location_id": keys["location_id"].gather(row),
            "target_on": pl.Series([FIRST + timedelta(days=d) for d in range(days)]).gather(column),
            "promotion_count": struck["promotion"].reshape(-1).astype(np.float32),
            "planned_price": price.reshape(-1).astype(np.float32),
        }
    )
    usual_price = np.full((count, days), 10.0)
    return World(keys, demand, FIRST, plans, usual_price, signals), _causes(
        single | regional, pay, rate, weeks
    )


def _causes(
    weekly: dict[str, np.ndarray], pay: np.ndarray, rate: np.ndarray, weeks: int
) -> np.ndarray:
    """One name per series and week: what was planted and was not there the week before.

    rate: (N, days) mean demand with all causes.
    """
    season = pay.reshape(len(pay), WEEKS, 7).mean(axis=2)
    hits = weekly | {"season": season > 0.5}
    fading = {kind: np.roll(hit, 1, axis=1) for kind, hit in hits.items()}
    several = np.sum([hit for hit in hits.values()], axis=0)
    cause = np.full(several.shape, "none", dtype=object)
    for kind, hit in hits.items():
        cause[hit] = kind
    # only clean cases are scored: one cause, none the week before, no pay days or most of a week of
    # them, and more than SURGE times the mean of the week before: five pay days after two are not
    mean = rate.reshape(len(rate), WEEKS, 7).sum(axis=2)
    is_rise = mean > SURGE * np.roll(mean, 1, axis=1)
    unclean = (
        (several > 1)
        | (np.sum([hit for hit in fading.values()], axis=0) > 0)
        | ((season > 0) & (season < 0.5))
        | ((several > 0) & ~is_rise)
    )
    cause[unclean] = "several"
    return cause[:, -weeks:]
