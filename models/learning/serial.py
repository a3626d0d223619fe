"""What no policy can beat in a chain of stations under backlog: Clark and Scarf in periodic review.

Station 0 sells, station j + 1 supplies station j, the last one draws on a supplier who never runs
out. The clock is that of models/domain.py: goods that arrive can be shipped on in the same period.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import fftconvolve
from scipy.special import ndtr

from models.domain import Floats


@dataclass(frozen=True)
class SerialOptimum:
    """The least cost a period and the echelon order-up-to levels that reach it, (J,) units."""

    cost: float
    levels: Floats


def normal_clipped(mean: float, deviation: float, step: float) -> Floats:
    """Normal demand, what falls below 0 counted as 0, on a grid of `step` units: (D,)."""
    grid = np.arange(int(np.ceil((mean + 8 * deviation) / step)) + 1)
    upper = ndtr(((grid + 0.5) * step - mean) / deviation)
    pmf = np.diff(upper, prepend=0.0)
    return np.asarray(pmf / pmf.sum())


def clark_scarf(
    pmf: Floats,
    lead_times: tuple[int, ...],
    holding: tuple[float, ...],
    shortage: float,
    *,
    step: float = 1.0,
) -> SerialOptimum:
    """Optimal echelon levels and the mean cost a period of a serial system.

    pmf: (D,) demand on a grid of `step` units. lead_times, holding: by station from the one that
    sells upward; holding is what a unit on hand costs there at the end of a period, goods on the
    way cost nothing. shortage: of a unit owed at the end of a period. Source: Clark and Scarf,
    Management Science 6(4), 1960. Raises ValueError where holding rises upstream.
    """
    echelon = np.array(holding) - np.append(holding[1:], 0.0)
    if len(lead_times) != len(holding) or (echelon < 0).any():
        raise ValueError("serial: one lead time and one holding cost a station, falling upstream")
    mean = float(np.arange(pmf.size) @ pmf) * step
    reach = (sum(lead_times) + 1) * pmf.size
    grid = np.arange(-reach, reach + 1) * step
    total = pmf
    for _ in range(lead_times[0]):
        total = fftconvolve(total, pmf)
    owed = np.maximum(-grid, 0.0)
    cost = echelon[0] * (grid - (lead_times[0] + 1) * mean)
    cost = cost + (holding[0] + shortage) * _expected(owed, total, -grid[0] / step)
    levels = [int(cost.argmin())]
    for lead, own in zip(lead_times[1:], echelon[1:], strict=True):
        below = cost[np.minimum(np.arange(grid.size), levels[-1])]
        total = np.ones(1)
        for _ in range(lead):
            total = fftconvolve(total, pmf)
        cost = own * (grid - (lead + 1) * mean) + _expected(below, total, -grid[0] / step)
        levels.append(int(cost.argmin()))
    on_the_way = sum(
        float(rate) * lead * mean for rate, lead in zip(holding[1:], lead_times[:-1], strict=True)
    )
    return SerialOptimum(float(cost.min()) - on_the_way, grid[levels])


def _expected(values: Floats, pmf: Floats, reach: float) -> Floats:
    """E f(y - D) on the grid; below it f goes on as the straight line it is there."""
    slope = values[0] - values[1]
    ahead = values[0] + slope * np.arange(pmf.size - 1, 0, -1)
    return np.asarray(fftconvolve(np.concatenate([ahead, values]), pmf, mode="valid"))
