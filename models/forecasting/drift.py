"""Drift: whether a model still forecasts as well as it promised on periods it had not seen when it
was trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.forecasting import metrics

#: A model has drifted where its WAPE is this multiple of what it promised …
LOST_ACCURACY = 1.25
#: … where its bias, as a share of demand, is so much further from zero …
NEW_BIAS = 0.15
#: … or where so much less of demand than promised stays under its upper quantile.
MISSED_TAIL = 0.04
TAIL = 0.975
#: Fewer closed periods than this, over all series, say nothing yet.
LEAST_SERVED = 200


@dataclass(frozen=True)
class Drift:
    """How a model served since it was trained: closed series-periods, and WAPE, bias and P(Y <= Q)
    at TAIL over them."""

    served_periods: int
    wape: float
    bias: float
    under_tail: float

    @classmethod
    def of(
        cls, actual: NDArray[np.floating], mean: NDArray[np.floating], high: NDArray[np.floating]
    ) -> Drift | None:
        """From actual demand and the mean and TAIL quantile forecast for it, (n,) units; None
        where nothing was sold."""
        if not actual.sum():
            return None
        return cls(
            len(actual),
            metrics.wape(actual, mean),
            metrics.bias(actual, mean),
            metrics.coverage(actual, high, TAIL).at_most,
        )

    def reason(self, unseen: Mapping[str, float]) -> str | None:
        """Why the model should be trained anew, in words; None where it serves as it promised, or
        nobody knows.

        unseen: the model card's figures of that name.
        """
        if self.served_periods < LEAST_SERVED or not unseen:
            return None
        if self.wape > LOST_ACCURACY * unseen["wape"]:
            return (
                f"drift: WAPE {self.wape:.2f} on {self.served_periods:,} served periods, "
                f"{unseen['wape']:.2f} promised"
            )
        if abs(self.bias) > abs(unseen["bias"]) + NEW_BIAS:
            return (
                f"drift: bias {self.bias:+.2f} on {self.served_periods:,} served periods, "
                f"{unseen['bias']:+.2f} promised"
            )
        if self.under_tail < unseen[f"at_most_{TAIL}"] - MISSED_TAIL:
            return (
                f"drift: {self.under_tail:.1%} of {self.served_periods:,} served periods under the "
                f"{TAIL:.1%} quantile"
            )
        return None
