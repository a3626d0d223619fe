"""How long suppliers really take: the distribution of past lead times, with orders still open
counted as "at least so long"."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import polars as pl

from models.domain import Integers
from models.lead_time_survival import LeadTimes, survival

#: So many orders weigh as much as what is assumed without them.
TRUST = 10


def mix(
    own: LeadTimes | None,
    promised_days: float,
    pooled_lateness: LeadTimes | None,
    *,
    orders: int,
    trust: int = TRUST,
) -> LeadTimes:
    """A group's own record, blended with its promise plus everybody's lateness as long as its
    orders are few.

    pooled_lateness: distribution of actual / promised over all groups (days read as a ratio). The
    own record weighs orders / (orders + trust). With neither, the promise is taken at its word.
    """
    if pooled_lateness is None:
        borrowed = LeadTimes(np.array([promised_days]), np.ones(1))
    else:
        borrowed = LeadTimes(pooled_lateness.days * promised_days, pooled_lateness.probability)
    if own is None or orders == 0:
        return borrowed
    weight = orders / (orders + trust)
    days = np.concatenate([own.days, borrowed.days])
    order = np.argsort(days, kind="stable")
    return LeadTimes(
        days[order],
        np.concatenate([own.probability * weight, borrowed.probability * (1 - weight)])[order],
    )


def sample_periods(
    groups: list[LeadTimes], days_per_period: float, samples: int, seed: int
) -> Integers:
    """Sampled lead times in whole periods, (N, samples): the period in whose first step the goods
    are there.

    Samples are evenly spread over the distribution (stratified) and shuffled by seed, so that few
    of them already tell the spread.
    """
    random = np.random.default_rng(seed)
    levels = (np.arange(samples) + 0.5) / samples
    out = np.empty((len(groups), samples), dtype=np.int64)
    for i, group in enumerate(groups):
        days = group.days[
            np.minimum(np.searchsorted(group.probability.cumsum(), levels), group.days.size - 1)
        ]
        out[i] = random.permutation(np.ceil(days / days_per_period - 1e-9).astype(np.int64))
    return out


def expected(
    rows: pl.DataFrame, past: pl.DataFrame, days_per_period: float, samples: int, seed: int
) -> Integers:
    """What a planner should expect of the next order of every row: sampled lead times in whole
    periods, (N, S).

    rows: kind, from_id, location_id, lead_time_days (the promise; empty counts as one period).
    past: one line an order so far, kind, from_id, location_id, promised_days, days, is_open and
    ordered_at, as known when the plan is made. Orders made on another promise than today's say
    nothing of a row's own record, but count in everybody's lateness.
    """
    lateness = _lateness(past)
    groups: dict[tuple[str, str, str, float], LeadTimes] = {}
    of_row = []
    for kind, source, to, promise in _promises(rows, days_per_period):
        key = (kind, source, to, promise)
        if key not in groups:
            own = _on_the_way(past, kind, source, to, promise)
            record = None
            if len(own):
                ages, is_open = own["days"].to_numpy(), own["is_open"].to_numpy()
                record = survival(ages, is_open, least=promise)
            groups[key] = mix(record, promise, lateness, orders=len(own))
        of_row.append(groups[key])
    return sample_periods(of_row, days_per_period, samples, seed)


def _lateness(past: pl.DataFrame) -> LeadTimes | None:
    """Everybody's lateness, as actual / promised; None where fewer than two orders came, as open
    ones alone say of nobody else how late he is.

    What one order alone took says nothing of other people's orders: it counts as the next longest.
    Fewer than TRUST orders that came are blended with the promise, however many are open.
    """
    dated = past.filter(pl.col("promised_days") > 0).with_columns(
        ratio=pl.col("days") / pl.max_horizontal(pl.col("promised_days").ceil(), 1.0)
    )
    came = (
        dated.filter(~pl.col("is_open"))
        .group_by("kind", "from_id", "ordered_at")
        .agg(pl.col("ratio").max())
        .get_column("ratio")
        .sort()
    )
    if len(came) < 2:
        return None
    ratio, is_open = dated["ratio"].to_numpy(), dated["is_open"].to_numpy()
    found = survival(np.where(is_open, ratio, np.minimum(ratio, came[-2])), is_open, least=1.0)
    weight = min(len(came) / TRUST, 1.0)
    if weight == 1.0:
        return found
    days = np.append(found.days, 1.0)
    order = np.argsort(days, kind="stable")
    return LeadTimes(
        days[order], np.append(found.probability * weight, 1.0 - weight)[order], found.censored
    )


def realized(
    rows: pl.DataFrame, past: pl.DataFrame, periods: Sequence[date], days_per_period: float
) -> Integers:
    """How long an order of every row placed in each of these periods would really have taken, in
    whole periods, (N, T).

    What the order history placed nearest in time took; the promise where none was ever completed.
    past: as in `expected`, with ordered_at, looked back on from today.
    """
    instants = np.array(periods, dtype="datetime64[s]").astype(np.float64)
    groups: dict[tuple[str, str, str, float], np.ndarray] = {}
    out = np.empty((rows.height, len(periods)), dtype=np.int64)
    for i, key in enumerate(_promises(rows, days_per_period)):
        if key not in groups:
            done = _on_the_way(past, *key).filter(~pl.col("is_open")).sort("ordered_at", "days")
            days = np.full(instants.size, key[3])
            if len(done):
                placed = done["ordered_at"].to_numpy().astype("datetime64[s]").astype(np.float64)
                after = np.clip(np.searchsorted(placed, instants), 0, placed.size - 1)
                before = np.maximum(after - 1, 0)
                is_before = np.abs(placed[before] - instants) <= np.abs(placed[after] - instants)
                days = done["days"].to_numpy()[np.where(is_before, before, after)]
            groups[key] = np.ceil(days / days_per_period - 1e-9).astype(np.int64)
        out[i] = groups[key]
    return out


def _promises(rows: pl.DataFrame, days_per_period: float) -> list[tuple[str, str, str, float]]:
    promise = pl.col("lead_time_days").fill_null(days_per_period)
    return rows.select(pl.col("kind", "from_id", "location_id").fill_null(""), promise).rows()


def _on_the_way(
    past: pl.DataFrame, kind: str, source: str, to: str, promise: float
) -> pl.DataFrame:
    """The past orders of one way, made on today's promise (to the day) or on none that was written
    down."""
    is_same = (pl.col("promised_days") - promise).abs().fill_null(0.0) <= 1.0
    return past.filter(
        pl.col("kind") == kind, pl.col("from_id") == source, pl.col("location_id") == to, is_same
    )
