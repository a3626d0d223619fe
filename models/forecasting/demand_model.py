"""Demand as a distribution, by gradient-boosted trees: one pooled model for all series and the
whole horizon.

Direct and not recursive: every target period is forecast from what is known at the origin. The mean
is trained on everything, and before that up to three times without what followed: those forecasts,
honest ones, teach the alignment to level models and the distribution.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
import xgboost as xgb

from models.domain import QUANTILES, SERIES
from models.forecasting.boosting import CHUNK, expect
from models.forecasting.calibration import Calibration
from models.forecasting.design_matrix import Base, Design, Plans
from models.forecasting.forecast import Forecast
from models.forecasting.inputs import SIGNAL_FAMILIES, Floats, Spec
from models.forecasting.level_alignment import Level, TreeTotals
from models.forecasting.rolling_origins import Blind, Training, align, closed_days
from models.forecasting.sample_paths import agreeing
from models.forecasting.seasonality import CalendarTotals
from models.forecasting.spread_of_totals import TotalSpread

#: What a kept model's parts are; another one cannot be read and is trained anew.
FORM = 5


@dataclass(frozen=True)
class DemandModel:
    """A trained forecaster of demand: give it features at an origin, it gives the distribution of
    every period ahead."""

    spec: Spec
    design: Design
    booster: xgb.Booster | None
    levels: tuple[Level, ...]
    calibration: Calibration
    totals: tuple[TotalSpread, ...]
    closed: dict[str, list[str]]
    card: dict[str, Any]

    def expected(self, origins: pl.DataFrame, plans: pl.DataFrame | None = None) -> Floats:
        """Expected units, (N, H), rows as in `origins`; all origins of one date."""
        base, planned = self.prepare(origins, plans)
        return self._expected(origins, base, planned)

    def predict(
        self,
        origins: pl.DataFrame,
        plans: pl.DataFrame | None = None,
        quantiles: tuple[float, ...] = QUANTILES,
    ) -> Forecast:
        """Forecast each row of `origins` (one origin date) over the horizon; a plan that is absent
        means nothing is planned.

        Raises ValueError where origins are empty, of several dates, or name a series twice.
        """
        base, planned = self.prepare(origins, plans)
        mean = self._expected(origins, base, planned)
        flat, horizon = mean.reshape(-1), self.spec.horizon
        values = np.empty((flat.size, len(quantiles)), np.float32)
        for start in range(0, flat.size, CHUNK):
            pair = np.arange(start, min(start + CHUNK, flat.size))
            matrix = self.design.rows(base, pair // horizon, pair % horizon, planned)
            spread = self.calibration.spread(matrix, np.maximum(flat[pair], 1e-6))
            values[pair] = self.calibration.quantiles(flat[pair], spread, quantiles)
        starts = self.spec.starts(origins["origin"][0])
        shape = (len(origins), horizon, len(quantiles))
        agreed = agreeing(values.reshape(shape), mean, quantiles, self.spec.whole_units)
        return Forecast(
            origins.select(SERIES),
            starts,
            quantiles,
            agreed,
            mean,
            self.calibration.correlation,
            self.spec.whole_units,
        )

    def predict_totals(
        self, made: Forecast, origins: pl.DataFrame
    ) -> dict[tuple[str, ...], Forecast]:
        """The forecasts of the totals that spec.totals names, each with its own distribution;
        origins: the rows `made` came from."""
        return {spread.columns: spread.forecast(made, origins) for spread in self.totals}

    def prepare(self, origins: pl.DataFrame, plans: pl.DataFrame | None) -> tuple[Base, Plans]:
        """The scaled features and plans of origins of one date; refuses none, several dates, and a
        series asked for twice."""
        if origins.is_empty():
            raise ValueError("no origins: there is no item and location to forecast")
        if origins["origin"].n_unique() > 1:
            raise ValueError(
                f"origins of {origins['origin'].n_unique()} dates; predict one origin date at a "
                "time"
            )
        twice = origins.filter(origins.select(SERIES).is_duplicated())
        if len(twice):
            raise ValueError(
                f"item {twice['item_id'][0]!r} at location {twice['location_id'][0]!r} is asked "
                "for twice at one origin"
            )
        keys = origins.select(SERIES)
        return self.design.base(origins, keys), Plans.of(plans, keys, self.spec)

    def _expected(self, origins: pl.DataFrame, base: Base, planned: Plans) -> Floats:
        horizon = self.spec.horizon
        pair = np.arange(len(origins) * horizon)
        mean = expect(
            self.booster, self.design, base, planned, pair // horizon, pair % horizon
        ).reshape(-1, horizon)
        for level in self.levels:
            mean = mean * level.factors(origins, planned, mean)
        mean = self.calibration.levelled(mean)
        return np.where(self._is_closed(origins, base, planned), np.float32(0.0), mean)

    def _is_closed(
        self, origins: pl.DataFrame, base: Base, planned: Plans
    ) -> np.ndarray[Any, np.dtype[np.bool_]]:
        horizon = self.spec.horizon
        pair = np.arange(len(origins) * horizon)
        target = base.origin[pair // horizon] + pair % horizon
        shut = (
            planned.at("is_open", base.series[pair // horizon], target, 1.0).reshape(-1, horizon)
            == 0
        )
        days = [day.strftime("%m-%d") for day in self.spec.starts(origins["origin"][0])]
        for location, closed in self.closed.items():
            hit = np.array([day in closed for day in days])
            if hit.any():
                shut |= (origins["location_id"] == location).to_numpy()[:, None] & hit[None, :]
        return np.asarray(shut)

    def to_bytes(self) -> bytes:
        """The model as one zip: XGBoost UBJ per part and model.json with the model card and each
        part's sha256; same model, same bytes."""
        boosters: dict[str, xgb.Booster | None] = {
            "mean": self.booster,
            "dispersion": self.calibration.booster,
        }
        trees = {
            i: level.model
            for i, level in enumerate(self.levels)
            if isinstance(level.model, TreeTotals)
        }
        boosters |= {
            f"level_{i}_{j}": b for i, model in trees.items() for j, b in enumerate(model.boosters)
        }
        parts = {
            f"{name}.ubj": bytes(b.save_raw("ubj")) for name, b in boosters.items() if b is not None
        }
        document = {
            "spec": asdict(self.spec),
            "design": self.design.to_dict(),
            "levels": [
                {"columns": v.columns, "strength": v.strength, **_level_document(v.model)}
                for v in self.levels
            ],
            "calibration": self.calibration.to_dict(),
            "totals": [spread.to_dict() for spread in self.totals],
            "closed": self.closed,
            "card": self.card,
            "sha256": {
                name: hashlib.sha256(content).hexdigest() for name, content in parts.items()
            },
        }
        parts["model.json"] = json.dumps(document, sort_keys=True, indent=1, default=str).encode()
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in sorted(parts.items()):
                archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
        return out.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> DemandModel:
        """Load what to_bytes wrote; a part that is not what its sha256 says is refused."""
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        document = json.loads(parts["model.json"])
        for name, expected in document["sha256"].items():
            if hashlib.sha256(parts[name]).hexdigest() != expected:
                raise ValueError(
                    f"model part {name} does not match its sha256; train the model again"
                )

        def booster(name: str) -> xgb.Booster | None:
            return (
                xgb.Booster(model_file=bytearray(parts[f"{name}.ubj"]))
                if f"{name}.ubj" in parts
                else None
            )

        design = Design.from_dict(document["design"])

        def level(i: int, v: dict[str, Any]) -> Level:
            if "calendar" in v:
                return Level(
                    tuple(v["columns"]), CalendarTotals.from_dict(v["calendar"]), v["strength"]
                )
            boosters = tuple(
                xgb.Booster(model_file=bytearray(parts[f"level_{i}_{j}.ubj"]))
                for j in range(v["bags"])
            )
            return Level(
                tuple(v["columns"]),
                TreeTotals(Design.from_dict(v["design"]), boosters),
                v["strength"],
            )

        levels = tuple(level(i, v) for i, v in enumerate(document["levels"]))
        calibration = Calibration.from_dict(document["calibration"], booster("dispersion"))
        totals = tuple(TotalSpread.from_dict(v) for v in document["totals"])
        return cls(
            design.spec,
            design,
            booster("mean"),
            levels,
            calibration,
            totals,
            document["closed"],
            document["card"],
        )


def _level_document(model: CalendarTotals | TreeTotals) -> dict[str, Any]:
    if isinstance(model, CalendarTotals):
        return {"calendar": model.to_dict()}
    return {"design": model.design.to_dict(), "bags": len(model.boosters)}


def fit(
    origins: pl.DataFrame,
    labels: pl.DataFrame,
    plans: pl.DataFrame | None,
    spec: Spec,
    progress: Callable[[str], None] | None = None,
    *,
    worth: Mapping[str, float] | None = None,
) -> DemandModel:
    """Train on past origins and what was then observed.

    origins: one row per item, location and origin (first period to be forecast) with demand_v1's
    features, every series of a date together. labels: item_id, location_id, target_on, demand (null
    = unknown: never trained on; below zero counts as zero).
    plans: item_id, location_id, target_on and plan features, or None. progress is told what is
    being done. worth: by family of signals, what an earlier training found it to save (0: nothing,
    it is left out); left out, they are tried.
    """
    return fit_past(Training.of(origins, labels, plans, spec), progress, worth=worth)


def fit_past(
    past: Training,
    progress: Callable[[str], None] | None = None,
    *,
    worth: Mapping[str, float] | None = None,
) -> DemandModel:
    """Train on a past that is laid out; progress and worth as of `fit`."""
    tell, spec = progress or (lambda _: None), past.spec
    if worth is None:
        if past.design.signals:
            tell("trying the signals on the newer past")
        worth = past.worth_of_signals()
    past = past.without_signals(
        [name for family, saved in worth.items() if not saved for name in SIGNAL_FAMILIES[family]]
    )
    tell("training on the older past")
    blind = [Blind.trained(one) for one in past.earlier()]
    tell("aligning with the totals")
    blind, levels = align(past, blind)
    tell("calibrating on the newer past")
    honest = [forecast for one in blind for forecast in one.honest()]
    calibration = past.calibrate(honest)
    tell("training on everything known")
    booster = past.bottom(past.end)
    card = {
        "method": "XGBoost, pooled, direct",
        "form": FORM,
        "data_until": str(past.until),
        "series": len(past.keys),
        "features": list(past.design.columns),
        "signals": dict(worth),
        "alignment": {" x ".join(level.columns): level.strength for level in levels},
        "unseen": calibration.scores,
        "periods_unseen": (past.end - past.since) * len(blind),
    }
    return DemandModel(
        spec,
        past.design,
        booster,
        levels,
        calibration,
        past.totals(honest, calibration),
        closed_days(past.demand, past.keys, spec),
        card,
    )
