"""How long something takes when part of it is still going on: the one survival estimate of plans,
suppliers' records and tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.domain import Floats


@dataclass(frozen=True)
class LeadTimes:
    """The survival estimate of one group's lead times: P(lead time = days[i]) = probability[i];
    days ascending.

    censored: open orders behind it, which say only that they take longer.
    """

    days: Floats
    probability: Floats
    censored: int = 0

    @property
    def mean_days(self) -> float:
        """The expected lead time in days."""
        return float(self.days @ self.probability)

    def quantile(self, level: float) -> float:
        """The smallest number of days that covers this share of orders."""
        return float(self.days[np.searchsorted(self.probability.cumsum(), level * (1 - 1e-12))])


def survival(days: Floats, is_open: np.ndarray, least: float = 0.0) -> LeadTimes:
    """Kaplan and Meier's estimate from finished lead times and the ages of open orders, shape (n,)
    each, in days.

    Leaving open orders out would make a supplier who is late right now look punctual. What the data
    leave open beyond the longest finished order is put at the longest age seen (Efron): a lower
    bound, but a number that can be planned with, and the same that
    features.feat_supplier_lead_times serves. least: put it there at least, at what was promised:
    an order that is not due yet says nothing of how early it comes. Raises ValueError for a
    negative or unknown number of days, or no row at all. Source: Kaplan and Meier, JASA 53, 1958;
    Efron, Proceedings of the Fifth Berkeley Symposium 4, 1967.
    """
    if days.size == 0 or not np.isfinite(days).all() or (days < 0).any():
        raise ValueError(
            "lead times need at least one order, and every age in days must be 0 or more"
        )
    done = np.unique(days[~is_open])
    alive, probability = 1.0, []
    for day in done:
        at_risk = int((days >= day).sum())
        ended = int(((days == day) & ~is_open).sum())
        probability.append(alive * ended / at_risk)
        alive -= probability[-1]
    if alive > 1e-12:
        longest = max(float(days.max()), least)
        if done.size and longest <= done[-1]:
            probability[-1] += alive
        else:
            done, probability = np.append(done, longest), [*probability, alive]
    return LeadTimes(done, np.asarray(probability), int(is_open.sum()))
