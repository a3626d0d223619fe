"""The echelon view: a distribution centre decides for everything downstream of it, not for the transfers it happens to see.

Two levels: a node is supplied by a supplier (-1) or by a node that itself is supplied by a supplier.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array

from models.domain import Floats, Integers, Situation
from models.replenishment.legacy import recent_mean
from models.replenishment.projection import rows_of


def check_tree(supplied_from: Integers) -> None:
    """Refuse anything but a two-level tree: ValueError names the first node whose supplier is itself supplied by a node."""
    children = np.flatnonzero(supplied_from >= 0)
    last = supplied_from[children].max(initial=-1)
    if last >= supplied_from.size:
        raise ValueError(f"supplied_from points at node {last}, but there are only {supplied_from.size} nodes")
    deep = children[supplied_from[supplied_from[children]] >= 0]
    if deep.size:
        middle = supplied_from[deep[0]]
        raise ValueError(f"node {deep[0]} is supplied by node {middle}, which another node supplies: only two levels are planned")


def echelon_view(situation: Situation, supplied_from: Integers) -> Situation:
    """The situation with every distribution centre's row lifted to its echelon; all other rows unchanged.

    Stock: its own + on hand and on the way downstream. Demand and paths: the sum of its locations' (and its own). Lead time: the
    supplier's + the longest lane, so that the window is supplier lead + lane + review. Shortage cost: the mean of its locations',
    weighted by demand. Unknown demand of one location counts as that location's recent mean.
    """
    children = np.flatnonzero(supplied_from >= 0)
    if not children.size:
        return situation
    parents, slot = np.unique(supplied_from[children], return_inverse=True)
    below = csr_array((np.ones(children.size), (slot, np.arange(children.size))), shape=(parents.size, children.size))
    child, parent = rows_of(situation, children), rows_of(situation, parents)

    on_hand = situation.on_hand.astype(np.float64)
    on_hand[parents] += below @ child.position
    history = situation.history
    if history.shape[1]:
        history = history.copy()
        filled = np.where(np.isnan(child.history), recent_mean(child.history, 26)[:, None], child.history)
        history[parents] = below @ filled + np.nan_to_num(parent.history)
    paths = situation.paths
    if paths is not None and child.paths is not None:
        paths = paths.copy()
        summed = below @ child.paths.reshape(children.size, -1)
        paths[parents] += summed.reshape(parents.size, *paths.shape[1:]).astype(paths.dtype)

    lead_time = situation.lead_time.copy()
    lane = np.zeros(parents.size, dtype=lead_time.dtype)
    np.maximum.at(lane, slot, child.lead_time)
    lead_time[parents] += lane
    sampled = situation.lead_time_paths
    if sampled.size:
        sampled = sampled.copy()
        longest = np.zeros((parents.size, sampled.shape[1]), dtype=sampled.dtype)
        np.maximum.at(longest, slot, child.lead_time_paths)
        sampled[parents] += longest

    weight = _weights(child)
    shortage = situation.economics.shortage.astype(np.float64)
    shortage[parents] = (below @ (weight * child.economics.shortage)) / (below @ weight)
    return replace(
        situation, on_hand=on_hand, history=history, paths=paths, lead_time=lead_time, lead_time_paths=sampled,
        economics=replace(situation.economics, shortage=shortage),
    )  # fmt: skip


def _weights(child: Situation) -> Floats:
    if child.paths is not None:
        mean = child.paths.mean(axis=(1, 2), dtype=np.float64)
    else:
        mean = recent_mean(child.history, 26) if child.history.shape[1] else np.zeros(child.on_hand.shape)
    return np.maximum(mean, 1e-9)  # a location that sells nothing yet still has a say where no other does
