"""Goods that spoil: how much of an order can still be sold in time, and what is expected to be
thrown away."""

from __future__ import annotations

import numpy as np

from models.domain import Floats, Situation
from models.replenishment.order_rounding import smallest_order


def demand_in_time(situation: Situation, life: Floats) -> Floats:
    """Demand on every path until an order placed now has to be sold: lead time + shelf life, (N,
    S).

    life: (N,) periods, infinite for goods that keep. What lies beyond the forecast is taken to go
    on at its mean rate.
    """
    paths = np.asarray(situation.paths)
    horizon = paths.shape[2]
    until = situation.lead_time + np.where(np.isfinite(life), life, 0.0)
    inside = np.arange(horizon)[None, :] < until[:, None]
    seen = np.einsum("nsh,nh->ns", paths, inside.astype(paths.dtype), dtype=np.float64)
    return seen + np.maximum(until - horizon, 0.0)[:, None] * paths.mean(axis=2, dtype=np.float64)


def sellable(situation: Situation, quantity: Floats, life: Floats) -> Floats:
    """Cut an order to what is worth its risk of spoiling: a unit more is bought while losing its
    sale would cost more than the unit.

    Newsvendor: position + order up to the fractile p / (p + c) of demand in time, c the unit cost;
    whole multiples, nothing below the smallest order. Assumes that older goods are sold first.
    """
    keeps = ~np.isfinite(life)
    economics = situation.economics
    total = economics.shortage + economics.unit_cost
    level = np.divide(economics.shortage, total, out=np.ones_like(total), where=total > 0)
    demand = np.sort(demand_in_time(situation, life), axis=1)
    rank = np.clip(
        np.ceil(level * demand.shape[1] * (1 - 1e-9)).astype(np.int64) - 1, 0, demand.shape[1] - 1
    )
    most = np.maximum(
        np.take_along_axis(demand, rank[:, None], axis=1)[:, 0] - situation.position, 0.0
    )
    step = situation.order_multiple
    whole = np.where(
        step > 0,
        np.where(step > 0, step, 1.0) * np.floor(most / np.where(step > 0, step, 1.0) + 1e-9),
        most,
    )
    cut = np.where(whole >= smallest_order(situation.moq, step), whole, 0.0)
    return np.where(keeps, quantity, np.minimum(quantity, cut))


def expected_waste(situation: Situation, quantity: Floats, life: Floats) -> Floats:
    """Units expected to spoil unsold if these quantities are ordered, (N,); 0 for goods that
    keep."""
    left = np.maximum(
        (situation.position + quantity)[:, None] - demand_in_time(situation, life), 0.0
    ).mean(axis=1)
    return np.where(np.isfinite(life), left, 0.0)
