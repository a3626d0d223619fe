"""Demand that is known by name: what customers have ordered already, beside what is forecast."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.domain import Floats, Situation, recent_mean
from models.replenishment.stock_projection import remembering


def consumed(paths: Floats, due: Floats, overdue: Floats) -> Floats:
    """Sampled demand with customers' open orders in it, (N, S, H), as a twin has to serve it.

    paths: (N, S, H) forecast. due: (N, H) units that customers wait for in each period: they are
    part of what the forecast expected of it, so that a period asks for the greater of the two.
    overdue: (N,) units they should have by now; no forecast of days to come counts them, so the
    first period asks for them besides.
    """
    if not due.any() and not overdue.any():
        return paths
    asked = np.maximum(paths, due[:, None, :].astype(paths.dtype))
    asked[:, :, 0] += overdue[:, None].astype(paths.dtype)
    return asked


def beyond_forecast(situation: Situation) -> Floats:
    """(N,) units that customers have ordered within the window and the forecast does not count:
    what is overdue, and what is more than the mean expected of its period."""
    overdue, due = situation.customer_orders[:, 0], situation.customer_orders[:, 1:]
    if situation.paths is None:
        usual = np.repeat(recent_mean(situation.history)[:, None], due.shape[1], axis=1)
    else:
        due = due[:, : situation.paths.shape[2]]
        usual = situation.paths[:, :, : due.shape[1]].mean(axis=1, dtype=np.float64)
    until = situation.lead_time + situation.interval
    inside = np.arange(due.shape[1])[None, :] < until[:, None]
    beyond: Floats = overdue + np.where(inside, np.maximum(due - usual, 0.0), 0.0).sum(axis=1)
    return beyond


def set_aside(situation: Situation) -> tuple[Situation, Floats]:
    """The situation without the stock and the deliveries that customers' orders take, and the
    units that are still lacking for them, (N,): they have to be ordered, as these customers wait.
    """
    rest = beyond_forecast(situation)
    taken = np.minimum(np.maximum(situation.on_hand, 0.0), rest)
    rest, pipeline = rest - taken, situation.pipeline.astype(np.float64)
    for column in range(pipeline.shape[1]):
        coming = np.minimum(pipeline[:, column], rest)
        pipeline[:, column] -= coming
        rest = rest - coming
    left = remembering(replace(situation, on_hand=situation.on_hand - taken, pipeline=pipeline))
    return left, rest
