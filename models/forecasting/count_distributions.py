"""Distribution functions of demand with a given mean and dispersion: negative binomial for whole
units, gamma for measures.

dispersion = variance / mean. A mean of zero is the distribution that is always zero.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, gammainc, pdtr

Floats = NDArray[np.floating]

#: Above this mean a count is treated as a rounded gamma: the difference is below one unit.
LARGE = 60.0
#: Nearer to one than this, the negative binomial is taken as Poisson.
EQUAL = 1.005


def cdf(units: Floats, mean: Floats, dispersion: Floats, whole_units: bool = True) -> Floats:
    """P(Y <= units) element by element; arrays of one shape, zero below zero."""
    units, mean, dispersion = (np.asarray(a, np.float64) for a in (units, mean, dispersion))
    safe = np.maximum(mean, 1e-9)
    gamma = gammainc(
        safe / dispersion, np.maximum(units + (0.5 if whole_units else 0.0), 0.0) / dispersion
    )
    if not whole_units:
        return np.where(units < 0, 0.0, gamma)
    k = np.maximum(np.floor(units), 0.0)
    wide = np.maximum(dispersion, EQUAL)
    negative_binomial = betainc(safe / (wide - 1), k + 1, 1 / wide)
    small = np.where(dispersion > EQUAL, negative_binomial, pdtr(k, safe))
    return np.where(units < 0, 0.0, np.where(mean > LARGE, gamma, small))
