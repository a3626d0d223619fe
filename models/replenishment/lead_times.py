"""How long suppliers really take: the distribution of past lead times, with orders still open counted as "at least so long"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.domain import Floats, Integers


@dataclass(frozen=True)
class LeadTimes:
    """The survival estimate of one group's lead times: P(lead time = days[i]) = probability[i]; days ascending."""

    days: Floats
    probability: Floats

    @property
    def mean_days(self) -> float:
        return float(self.days @ self.probability)

    def quantile(self, level: float) -> float:
        """The smallest number of days that covers this share of orders."""
        return float(self.days[np.searchsorted(self.probability.cumsum(), level * (1 - 1e-12))])


def survival(days: Floats, is_open: np.ndarray) -> LeadTimes:
    """Kaplan and Meier's estimate from finished lead times and the ages of open orders, shape (n,) each, in days.

    Leaving open orders out would make a supplier who is late right now look punctual. What the data leave open beyond the longest
    finished order is put at the longest age seen. Raises ValueError for a negative or unknown number of days, or no row at all.
    Source: Kaplan and Meier, JASA 53, 1958.
    """
    if days.size == 0 or not np.isfinite(days).all() or (days < 0).any():
        raise ValueError("lead times need at least one order, and every age in days must be 0 or more")
    done = np.unique(days[~is_open])
    alive, probability = 1.0, []
    for day in done:
        at_risk = int((days >= day).sum())
        ended = int(((days == day) & ~is_open).sum())
        probability.append(alive * ended / at_risk)
        alive -= probability[-1]
    if alive > 1e-12:
        longest = float(days.max())
        if done.size and longest <= done[-1]:
            probability[-1] += alive
        else:
            done, probability = np.append(done, longest), [*probability, alive]
    return LeadTimes(done, np.asarray(probability))


def mix(own: LeadTimes | None, promised_days: float, pooled_lateness: LeadTimes | None, *, orders: int, trust: int = 10) -> LeadTimes:
    """A group's own record, blended with its promise plus everybody's lateness as long as its orders are few.

    pooled_lateness: distribution of actual / promised over all groups (days read as a ratio). The own record weighs
    orders / (orders + trust). With neither, the promise is taken at its word.
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
    return LeadTimes(days[order], np.concatenate([own.probability * weight, borrowed.probability * (1 - weight)])[order])


def sample_periods(groups: list[LeadTimes], days_per_period: float, samples: int, seed: int) -> Integers:
    """Sampled lead times in whole periods, (N, samples): the period in whose first step the goods are there.

    Samples are evenly spread over the distribution (stratified) and shuffled by seed, so that few of them already tell the spread.
    """
    random = np.random.default_rng(seed)
    levels = (np.arange(samples) + 0.5) / samples
    out = np.empty((len(groups), samples), dtype=np.int64)
    for i, group in enumerate(groups):
        days = group.days[np.minimum(np.searchsorted(group.probability.cumsum(), levels), group.days.size - 1)]
        out[i] = random.permutation(np.ceil(days / days_per_period - 1e-9).astype(np.int64))
    return out
