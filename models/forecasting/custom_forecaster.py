"""A company's own way of forecasting beside ours: what it has to offer, and what makes a model of
it that the registry can keep, judge and let decide.

Whoever forecasts says a mean and quantiles for single series. The rest is learned from its own
forecasts of periods it had not seen: how it errs (so that drift is noticed), how the errors of two
periods hang together, and how wide totals spread.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import ndtri

from models.domain import QUANTILES, SERIES
from models.forecasting.backtest import observed, score
from models.forecasting.demand_model import FORM
from models.forecasting.forecast import PATH_LEVELS, Forecast
from models.forecasting.inputs import Spec
from models.forecasting.metrics import pit_of_quantiles
from models.forecasting.sample_paths import agreeing
from models.forecasting.spread_of_totals import TotalSpread, grouping, learn_spread

#: Origins that a model is judged on before it is kept, at most.
JUDGED = 8


class Trained(Protocol):
    """What a forecaster learned."""

    def predict(
        self, origins: pl.DataFrame, plans: pl.DataFrame | None, quantiles: tuple[float, ...]
    ) -> Forecast:
        """Forecast each row of `origins` (one date, in their order) over the horizon."""
        ...

    def to_bytes(self) -> bytes:
        """All it learned, so that the forecaster's `load` brings the same back."""
        ...


class Forecaster(Protocol):
    """A way of forecasting. name: how people and models of it are called, lower case with
    underscores."""

    @property
    def name(self) -> str:
        """How people ask for it."""
        ...

    def fit(
        self, origins: pl.DataFrame, labels: pl.DataFrame, plans: pl.DataFrame | None, spec: Spec
    ) -> Trained:
        """Learn from past origins and from what was asked for, as they are given to
        models.forecasting.demand_model.fit."""
        ...

    def load(self, data: bytes) -> Trained:
        """What `to_bytes` kept."""
        ...


@dataclass(frozen=True)
class OwnModel:
    """What a company's own forecaster learned, with what its unseen errors say; it stands wherever
    a DemandModel does.

    totals: the spread of totals. correlation: (H, H) of the normal scores of two periods' errors,
    None = independent.
    """

    forecaster: str
    spec: Spec
    trained: Trained
    totals: tuple[TotalSpread, ...]
    correlation: NDArray[np.float64] | None
    card: dict[str, Any]

    def predict(
        self,
        origins: pl.DataFrame,
        plans: pl.DataFrame | None = None,
        quantiles: tuple[float, ...] = QUANTILES,
    ) -> Forecast:
        """Forecast each row of `origins` (one origin date) over the horizon.

        Raises ValueError, naming the forecaster, for what is no distribution of demand.
        """
        made = checked(
            self.forecaster,
            self.trained.predict(origins, plans, quantiles),
            origins,
            quantiles,
            self.spec,
        )
        return made if self.correlation is None else replace(made, correlation=self.correlation)

    def predict_totals(
        self, made: Forecast, origins: pl.DataFrame
    ) -> dict[tuple[str, ...], Forecast]:
        """The forecasts of the totals that spec.totals names, each with its own distribution."""
        return {spread.columns: spread.forecast(made, origins) for spread in self.totals}

    def to_bytes(self) -> bytes:
        """The model as one zip: what the forecaster keeps, and model.json with the card and its
        sha256."""
        data = self.trained.to_bytes()
        correlation = None if self.correlation is None else self.correlation.tolist()
        document = {
            "forecaster": self.forecaster,
            "spec": asdict(self.spec),
            "totals": [spread.to_dict() for spread in self.totals],
            "correlation": correlation,
            "card": self.card,
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        said = json.dumps(document, sort_keys=True, indent=1, default=str).encode()
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in (("learned", data), ("model.json", said)):
                archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
        return out.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, forecaster: Forecaster) -> OwnModel:
        """Load what to_bytes wrote; bytes that are not what their sha256 says are refused."""
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            data, document = archive.read("learned"), json.loads(archive.read("model.json"))
        if hashlib.sha256(data).hexdigest() != document["sha256"]:
            raise ValueError(
                "what the forecaster learned does not match its sha256; train the model again"
            )
        correlation = document["correlation"]
        return cls(
            document["forecaster"],
            Spec.from_dict(document["spec"]),
            forecaster.load(data),
            tuple(TotalSpread.from_dict(one) for one in document["totals"]),
            None if correlation is None else np.asarray(correlation),
            document["card"],
        )


def fit_own(
    forecaster: Forecaster,
    origins: pl.DataFrame,
    labels: pl.DataFrame,
    plans: pl.DataFrame | None,
    spec: Spec,
    progress: Callable[[str], None] | None = None,
) -> OwnModel:
    """Train a company's forecaster twice: blind to the newest periods, to see how it errs there,
    and on everything.

    Frames as models.forecasting.demand_model.fit is given them. Raises ValueError where there is
    nothing to learn from, or for a forecast that is no distribution of demand.
    """
    tell = progress or (lambda _: None)
    if labels.is_empty():
        raise ValueError("no labels: there is no demand to learn from")
    tell(f"training {forecaster.name} on the older past")
    unseen = _unseen(forecaster, origins, labels, plans, spec)
    tell(f"training {forecaster.name}")
    trained = forecaster.fit(origins, labels, plans, spec)
    card = {
        "forecaster": forecaster.name,
        "method": f"{forecaster.name}, of the company's own",
        "form": FORM,
        "data_until": str(labels["target_on"].max()),
        "series": origins.select(SERIES).n_unique(),
        "features": [name for name in origins.columns if name not in (*SERIES, "origin")],
        "signals": {},
        "unseen": _scores(unseen),
        "periods_unseen": spec.horizon if unseen else 0,
    }
    totals = tuple(_spread(columns, unseen, spec) for columns in (spec.totals if unseen else ()))
    return OwnModel(forecaster.name, spec, trained, totals, _correlation(unseen), card)


@dataclass(frozen=True)
class _Unseen:
    """One origin that the early model had not seen: its rows, what it said, and what came, (N, H)
    with NaN unknown."""

    origins: pl.DataFrame
    made: Forecast
    actual: NDArray[np.float32]


def _unseen(
    forecaster: Forecaster,
    origins: pl.DataFrame,
    labels: pl.DataFrame,
    plans: pl.DataFrame | None,
    spec: Spec,
) -> list[_Unseen]:
    """Forecasts of the newest origins whose horizon is over, by a model that knows nothing from the
    first of them on; none where the past is too short."""
    end = int(spec.index(labels["target_on"]).max()) + 1
    days = origins["origin"].unique().sort()
    over = days.filter(pl.Series(spec.index(days) + spec.horizon <= end))
    judged = over.tail(min(JUDGED, len(over) // 2))
    if judged.is_empty():
        return []
    known = pl.col("target_on") < judged[0]
    early = forecaster.fit(
        origins.filter(pl.col("origin") < judged[0]), labels.filter(known), plans, spec
    )
    out = []
    for day in judged:
        here = origins.filter(pl.col("origin") == day)
        made = checked(
            forecaster.name, early.predict(here, plans, PATH_LEVELS), here, PATH_LEVELS, spec
        )
        actual = observed(labels, here.select(SERIES), day, spec)
        out.append(_Unseen(here, made, np.maximum(actual, 0.0)))
    return out


def _scores(unseen: Sequence[_Unseen]) -> dict[str, float]:
    """The figures of all unseen forecasts taken together; empty where there are none."""
    if not unseen:
        return {}
    made = unseen[0].made
    whole = Forecast(
        pl.concat([one.made.keys for one in unseen]),
        made.period_starts,
        made.quantiles,
        np.concatenate([one.made.values for one in unseen]),
        np.concatenate([one.made.mean for one in unseen]),
    )
    return score(whole, np.concatenate([one.actual for one in unseen]))


def _spread(columns: tuple[str, ...], unseen: Sequence[_Unseen], spec: Spec) -> TotalSpread:
    return learn_spread(
        columns,
        [one.made.mean for one in unseen],
        [one.actual for one in unseen],
        [grouping(one.origins, columns)[1] for one in unseen],
        spec.whole_units,
        spec.seed,
    )


def _correlation(unseen: Sequence[_Unseen]) -> NDArray[np.float64] | None:
    """How the errors of two periods hang together, (H, H): the correlation of their normal scores
    over complete rows, by how far apart they lie; None where too little is known."""
    scores = [pit_of_quantiles(one.actual, one.made.values, one.made.quantiles) for one in unseen]
    if not scores:
        return None
    pit = np.concatenate(scores)
    normal = ndtri(np.clip(pit[np.isfinite(pit).all(axis=1)], 1e-3, 1 - 1e-3))
    if len(normal) < 30 or normal.shape[1] < 2:
        return None
    normal = normal - normal.mean(axis=0)
    horizon = normal.shape[1]
    variance = float((normal**2).mean())
    if variance <= 0:
        return None
    apart = [
        float((normal[:, : horizon - k] * normal[:, k:]).mean()) / variance for k in range(horizon)
    ]
    lag = np.abs(np.subtract.outer(np.arange(horizon), np.arange(horizon)))
    eigen, vectors = np.linalg.eigh(np.asarray(apart)[lag])
    raw = (vectors * np.clip(eigen, 1e-6, None)) @ vectors.T  # a correlation again
    scale = np.sqrt(np.diag(raw))
    return cast("NDArray[np.float64]", raw / np.outer(scale, scale))


def checked(
    name: str, made: Forecast, origins: pl.DataFrame, quantiles: tuple[float, ...], spec: Spec
) -> Forecast:
    """The forecast, where it is a distribution of demand for these rows; else ValueError says what
    it is not. Quantiles too high for the mean are taken down, as ours are."""
    wrong = _wrong(made, origins, quantiles, spec)
    if wrong:
        raise ValueError(f"the forecaster {name!r} {wrong}")
    values = agreeing(made.values, made.mean, quantiles, spec.whole_units)
    return replace(made, values=values, whole_units=spec.whole_units)


def _wrong(
    made: Forecast, origins: pl.DataFrame, quantiles: tuple[float, ...], spec: Spec
) -> str | None:
    if not made.keys.select(SERIES).equals(origins.select(SERIES)):
        return "has to answer the series it was asked for, in their order"
    if made.period_starts != spec.starts(origins["origin"][0]):
        return f"has to forecast the {spec.horizon} periods from the origin on"
    if made.quantiles != quantiles:
        return f"has to give the quantiles it was asked for: {', '.join(map(str, quantiles))}"
    for what, array in (("mean", made.mean), ("quantile", made.values)):
        if not np.isfinite(array).all() or (array < 0).any():
            bad = int(np.argwhere(~np.isfinite(array) | (array < 0))[0][0])
            item, location = origins.select(SERIES).row(bad)
            return f"gives a {what} that is no demand for item {item!r} at location {location!r}"
    if (np.diff(made.values, axis=2) < 0).any():
        return "gives quantiles that fall where their level rises"
    return None
