"""The state a plan or a replay starts from: stock on hand and what is on the way, as the records
say or as it has to be assumed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.domain import Floats, Integers, recent_mean

#: Without stock records every policy starts alike, with so many review intervals of mean demand on
#: hand and a full pipeline.
ASSUMED_COVER = 1.4


@dataclass(frozen=True)
class Opening:
    """The state at a midnight: units on hand (N,) and open orders (N, K), column k due at period k.

    on_hand is what the records say: below zero where they contradict themselves, NaN where goods
    moved but nobody ever counted.
    """

    on_hand: Floats
    due: Floats
    is_assumed: bool

    def on_the_shelf(self) -> Floats:
        """The stock a twin can start from: what cannot be, or is not known, counts as an empty
        shelf."""
        return np.nan_to_num(self.on_hand).clip(0.0)


def assumed_opening(
    history: Floats, *, sources: Integers, lead_time: Integers, review: int
) -> Opening:
    """A start for worlds, or years, without stock records: the same cover for every row, in
    proportion to recent demand.

    history: (N, T) demand, NaN unknown. sources: (N,) the row that ships, -1 a supplier; a centre
    covers what it feeds.
    lead_time: (N,) whole periods.
    """
    span = max(8, 13 // review) * review
    mean = recent_mean(history, span)
    below = mean.copy()
    children = np.flatnonzero(sources >= 0)
    np.add.at(below, sources[children], mean[children])
    due = np.zeros((len(mean), int(lead_time.max(initial=1))))
    for k in range(0, due.shape[1], review):
        due[:, k] = np.where(k < lead_time, np.round(below * review), 0.0)
    return Opening(np.round(below * review * ASSUMED_COVER), due, is_assumed=True)
