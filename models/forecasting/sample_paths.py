"""Sample paths of demand: drawn from quantiles and a mean, so that both are theirs again, and
hanging together over time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float32]

#: How much of the step from one level to the next its stretch of levels keeps on average: a
#: straight line keeps a half, a stair that
#: rises at once or at the end all or nothing. Within these bounds the steps are bent before the
#: tail is, within the wider ones after.
USUAL_BEND, WIDEST_BEND = (0.25, 0.75), (0.005, 0.995)
#: Series whose paths are drawn at a time.
BLOCK = 2048


def draw(
    *,
    keys: Sequence[str],
    values: Floats,
    mean: Floats,
    quantiles: tuple[float, ...],
    correlation: NDArray[np.float64] | None,
    whole_units: bool,
    samples: int,
    seed: int,
) -> Floats:
    """Draw demand paths, (N, samples, H) units: a Gaussian copula over the periods with these
    quantiles and this mean as margins.

    The demand of a window is the sum along a path, so it is composed and not added up from
    quantiles. A series is drawn by its key, so its paths are the same whichever others are
    forecast beside it; each normal draw is used with both signs.

    keys: N names. values: (N, H, Q) units at the Q quantiles. mean: (N, H) units. correlation:
    (H, H) of the normal scores of two periods' errors, None = independent.
    """
    horizon = mean.shape[1]
    root = _root(np.eye(horizon) if correlation is None else correlation).T.astype(np.float32)
    out = np.empty((len(keys), samples, horizon), np.float32)
    half = (samples + 1) // 2
    for start in range(0, len(keys), BLOCK):
        block = slice(start, min(start + BLOCK, len(keys)))
        drawn = np.stack(
            [_of_series(key, seed).random((2, half, horizon), np.float32) for key in keys[block]]
        )
        normal = ndtri(np.clip(drawn[:, 0], 1e-7, 1 - 1e-7)) @ root
        uniform = ndtr(np.concatenate([normal, -normal], axis=1)[:, :samples])
        units = Margins.of(values[block], mean[block], quantiles).at(uniform)
        # up or down by chance, so that the mean stays; at a level that was forecast there is
        # nothing to round
        if whole_units:
            rounding = np.concatenate([drawn[:, 1], 1 - drawn[:, 1]], axis=1)[:, :samples]
            units = np.floor(units + np.clip(rounding, 0.0, 1 - 1e-6))
        out[block] = units
    return out


def _root(correlation: NDArray[np.float64]) -> NDArray[np.float64]:
    """A square root of the correlation, (H, H), rows of length one."""
    eigen, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.clip(eigen, 0.0, None))
    return np.asarray(root / np.sqrt((root**2).sum(axis=1, keepdims=True)))


@dataclass(frozen=True)
class Margins:
    """The quantile functions of n series and H periods: levels and values with zero before them,
    how steps are bent, and the tail.

    levels: (Q + 1,). values: (n, H, Q + 1) units. bend: (n, H), the power of the way from one level
    to the next. tail: (n, H), what is expected beyond the last level. scale: (n, H), one unless the
    quantiles allow no such mean.
    """

    levels: NDArray[np.float64]
    values: NDArray[np.float64]
    bend: NDArray[np.float64]
    tail: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def of(cls, values: Floats, mean: Floats, quantiles: tuple[float, ...]) -> Margins:
        """The margins with these quantiles, (n, H, Q) units, whose mean is (n, H) `mean`."""
        levels = np.concatenate([[0.0], quantiles])
        steps = np.concatenate([np.zeros((*mean.shape, 1)), values], axis=2, dtype=np.float64)
        width, beyond = np.diff(levels), 1 - levels[-1]
        # the mean if every step came at the end of its stretch
        least = steps[:, :, :-1] @ width + beyond * steps[:, :, -1]
        rise, expected = np.diff(steps, axis=2) @ width, mean.astype(np.float64)
        tail = (
            (steps[:, :, -1] - steps[:, :, -2]) / np.log((1 - levels[-2]) / beyond)
            if len(levels) > 2
            else np.zeros_like(expected)
        )

        def kept(tail: NDArray[np.float64], bounds: tuple[float, float]) -> NDArray[np.float64]:
            return np.clip(
                (expected - least - beyond * tail) / np.where(rise > 0, rise, 1.0), *bounds
            )

        share = kept(tail, USUAL_BEND)
        tail = np.maximum((expected - least - share * rise) / beyond, 0.0)
        share = kept(tail, WIDEST_BEND)
        area = least + share * rise + beyond * tail
        return cls(
            levels,
            steps,
            1 / share - 1,
            tail,
            np.where(area > 0, expected / np.where(area > 0, area, 1.0), 1.0),
        )

    def at(self, uniform: NDArray[np.floating]) -> NDArray[np.floating]:
        """Demand (n, S, H) units at uniform (n, S, H)."""
        series, horizon, width = self.values.shape
        step = np.clip(np.searchsorted(self.levels, uniform) - 1, 0, width - 2)
        cell = (np.arange(series)[:, None] * horizon + np.arange(horizon)) * width
        low = self.values.reshape(-1)[cell[:, None, :] + step]
        rise = self.values.reshape(-1)[cell[:, None, :] + step + 1] - low
        share = np.clip((uniform - self.levels[step]) / np.diff(self.levels)[step], 0.0, 1.0)
        units = low + rise * share ** self.bend[:, None, :]
        above = uniform > self.levels[-1]
        far = np.log((1 - self.levels[-1]) / np.maximum(1 - uniform, 1e-9))
        units += np.where(above, far * self.tail[:, None, :], 0.0)
        return np.asarray(units * self.scale[:, None, :])


def agreeing(
    values: Floats, mean: Floats, quantiles: tuple[float, ...], whole_units: bool
) -> Floats:
    """Quantiles (N, H, Q) that a distribution with this mean, (N, H), can have: those too high for
    it are taken down in proportion."""
    levels = np.asarray(quantiles)
    weight = np.append(np.diff(levels), 1 - levels[-1])
    steps = values.astype(np.float64)
    # the mean if every step came as late in its stretch as paths bend it at most (see Margins)
    rise = np.diff(steps, axis=2, prepend=0.0) @ np.diff(levels, prepend=0.0)
    least = steps @ weight + WIDEST_BEND[0] * rise
    too_high = least > mean
    factor = np.divide(mean, least, out=np.ones_like(least), where=too_high)[:, :, None]
    lowered = values * factor
    return np.where(factor < 1, np.floor(lowered) if whole_units else lowered, values).astype(
        np.float32
    )


def _of_series(name: str, seed: int) -> np.random.Generator:
    """The random numbers of a series, by its name and the seed alone."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return np.random.Generator(
        np.random.SFC64(np.random.SeedSequence([seed, int.from_bytes(digest, "little")]))
    )
