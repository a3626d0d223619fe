"""The classical methods, as statsforecast computes them: ETS, Croston, and Teunter-Syntetos-Babai
for intermittent demand.

Kept apart from the plain baselines because importing statsforecast takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from statsforecast import models

from models.domain import recent_mean
from models.forecasting.baselines import Floats, Method
from models.forecasting.inputs import Spec

#: A season longer than this is too slow for ETS.
LONGEST_SEASON = 24

METHODS: dict[str, Callable[[int], Any]] = {
    "ets": lambda season: models.AutoETS(season_length=season),
    "croston": lambda season: models.CrostonClassic(),
    "tsb": lambda season: models.TSB(alpha_d=0.1, alpha_p=0.1),
}


def statistical(name: str) -> Method:
    """One of METHODS as a baseline method; unknown periods count as the series' mean, net returns
    and a series never sold as zero."""
    if name not in METHODS:
        raise ValueError(f"no method {name!r}; there are {', '.join(METHODS)}")

    def method(history: Floats, spec: Spec) -> Floats:
        seasonal = spec.season <= LONGEST_SEASON and history.shape[1] > 2 * spec.season
        filled = np.maximum(
            np.where(np.isnan(history), recent_mean(history)[:, None], history), 0.0
        )
        out = np.zeros((len(history), spec.horizon))
        for i, row in enumerate(filled):
            sold = np.flatnonzero(row)
            if sold.size:
                model = METHODS[name](spec.season if seasonal else 1)
                out[i] = model.forecast(row[sold[0] :].astype(np.float64), h=spec.horizon)["mean"]
        return np.maximum(np.nan_to_num(out), 0.0)

    return method
