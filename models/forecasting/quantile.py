"""Demand as a distribution, by gradient-boosted trees: one pooled model for all series and the whole horizon.

Direct and not recursive: every target period is forecast from what is known at the origin. The mean is trained twice, once
without the latest periods: those forecasts, honest ones, teach the alignment to level models and the distribution.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import xgboost as xgb

from models.domain import QUANTILES, SERIES
from models.forecasting.boosting import BOTTOM, CHUNK, expect, sample, train
from models.forecasting.calibration import Calibration, calibrate, uncalibrated
from models.forecasting.design import COLUMNS, Base, Design, Plans
from models.forecasting.forecast import Forecast
from models.forecasting.inputs import LABEL, Floats, Panel, Spec, locate, panels, series_keys
from models.forecasting.levels import STRENGTHS, Level, alignment, forecast_totals, train_level
from models.forecasting.totals import TotalSpread, grouping, learn_spread

#: Periods held out to learn how forecasts err: so many more than the horizon, and as a share of history at most.
HOLDOUT = {"day": 28, "week": 20, "month": 8}
HOLDOUT_SHARE = 0.35
#: Training rows of the early model, as a share of the final one's.
EARLY_SHARE = 0.5
#: Forecasts to learn the distribution from, at most.
CALIBRATION_ROWS = 400_000
ALIGNMENT_ROWS = 3_500_000
#: A location that usually sells this many units and sold none was closed.
BUSY = 20.0


@dataclass(frozen=True)
class DemandModel:
    """A trained forecaster of demand: give it features at an origin, it gives the distribution of every period ahead."""

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

    def predict(self, origins: pl.DataFrame, plans: pl.DataFrame | None = None, quantiles: tuple[float, ...] = QUANTILES) -> Forecast:
        """Forecast each row of `origins` (one origin date) over the horizon; a plan that is absent means nothing is planned.

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
        return Forecast(
            origins.select(SERIES), starts, quantiles, values.reshape(shape), mean, self.calibration.correlation, self.spec.whole_units
        )

    def predict_totals(self, made: Forecast, origins: pl.DataFrame) -> dict[tuple[str, ...], Forecast]:
        """The forecasts of the totals that spec.totals names, each with its own distribution; origins: the rows `made` came from."""
        return {spread.columns: spread.forecast(made, origins) for spread in self.totals}

    def prepare(self, origins: pl.DataFrame, plans: pl.DataFrame | None) -> tuple[Base, Plans]:
        """The scaled features and plans of origins of one date; refuses none, several dates, and a series asked for twice."""
        if origins.is_empty():
            raise ValueError("no origins: there is no item and location to forecast")
        if origins["origin"].n_unique() > 1:
            raise ValueError(f"origins of {origins['origin'].n_unique()} dates; predict one origin date at a time")
        twice = origins.filter(origins.select(SERIES).is_duplicated())
        if len(twice):
            raise ValueError(f"item {twice['item_id'][0]!r} at location {twice['location_id'][0]!r} is asked for twice at one origin")
        keys = origins.select(SERIES)
        return self.design.base(origins, keys), Plans.of(plans, keys, self.spec)

    def _expected(self, origins: pl.DataFrame, base: Base, planned: Plans) -> Floats:
        horizon = self.spec.horizon
        pair = np.arange(len(origins) * horizon)
        mean = expect(self.booster, self.design, base, planned, pair // horizon, pair % horizon).reshape(-1, horizon)
        for level in self.levels:
            mean = mean * level.factors(origins, planned, mean)
        return np.where(self._is_closed(origins, base, planned), np.float32(0.0), mean)

    def _is_closed(self, origins: pl.DataFrame, base: Base, planned: Plans) -> np.ndarray[Any, np.dtype[np.bool_]]:
        horizon = self.spec.horizon
        pair = np.arange(len(origins) * horizon)
        target = base.origin[pair // horizon] + pair % horizon
        shut = planned.at("is_open", base.series[pair // horizon], target, 1.0).reshape(-1, horizon) == 0
        days = [day.strftime("%m-%d") for day in self.spec.starts(origins["origin"][0])]
        for location, closed in self.closed.items():
            hit = np.array([day in closed for day in days])
            if hit.any():
                shut |= (origins["location_id"] == location).to_numpy()[:, None] & hit[None, :]
        return np.asarray(shut)

    def to_bytes(self) -> bytes:
        """The model as one zip: XGBoost UBJ per part and model.json with the model card and each part's sha256; same model, same bytes."""
        boosters: dict[str, xgb.Booster | None] = {"mean": self.booster, "dispersion": self.calibration.booster}
        boosters |= {f"level_{i}_{j}": b for i, level in enumerate(self.levels) for j, b in enumerate(level.boosters)}
        parts = {f"{name}.ubj": bytes(b.save_raw("ubj")) for name, b in boosters.items() if b is not None}
        document = {
            "spec": asdict(self.spec),
            "design": self.design.to_dict(),
            "levels": [
                {"columns": v.columns, "design": v.design.to_dict(), "strength": v.strength, "bags": len(v.boosters)} for v in self.levels
            ],
            "calibration": self.calibration.to_dict(),
            "totals": [spread.to_dict() for spread in self.totals],
            "closed": self.closed,
            "card": self.card,
            "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in parts.items()},
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
                raise ValueError(f"model part {name} does not match its sha256; train the model again")

        def booster(name: str) -> xgb.Booster | None:
            return xgb.Booster(model_file=bytearray(parts[f"{name}.ubj"])) if f"{name}.ubj" in parts else None

        design = Design.from_dict(document["design"])
        levels = tuple(
            Level(
                tuple(v["columns"]),
                Design.from_dict(v["design"]),
                tuple(xgb.Booster(model_file=bytearray(parts[f"level_{i}_{j}.ubj"])) for j in range(v["bags"])),
                v["strength"],
            )
            for i, v in enumerate(document["levels"])
        )
        calibration = Calibration.from_dict(document["calibration"], booster("dispersion"))
        totals = tuple(TotalSpread.from_dict(v) for v in document["totals"])
        return cls(design.spec, design, booster("mean"), levels, calibration, totals, document["closed"], document["card"])


def fit(origins: pl.DataFrame, labels: pl.DataFrame, plans: pl.DataFrame | None, spec: Spec) -> DemandModel:
    """Train on past origins and what was then observed.

    origins: one row per item, location and origin (first period to be forecast) with demand_v1's features, every series of a
    date together. labels: item_id, location_id, target_on, demand (null = unknown: never trained on; below zero counts as zero).
    plans: item_id, location_id, target_on and plan features, or None.
    """
    if labels.is_empty():
        raise ValueError("no labels: there is no demand to learn from")
    groups = sorted({c for level in spec.levels for c in level if c not in SERIES})
    described = _describe(origins, groups)
    keys = series_keys(pl.concat([labels.select(SERIES), origins.select(SERIES)])).join(described, on=list(SERIES), how="left")
    demand = panels(labels, keys, [LABEL], spec)[LABEL]
    planned = Plans.of(plans, keys, spec)
    design = Design.learn(origins, spec)
    base = design.base(origins, keys)
    end = demand.first + demand.values.shape[1]
    since = _holdout(int(base.origin.min()), end, spec)

    early = _train(design, base, demand, planned, spec, since, EARLY_SHARE)
    held = _held_out(base, since, end, spec)
    levels = _align(origins, keys, demand, planned, design, base, early, held, since, end, spec)
    honest = _honest(origins, levels.early, demand, planned, design, base, early, held, spec)
    calibration = _calibrate(honest, design, spec)
    totals = tuple(
        learn_spread(
            columns, [v.mean for v in honest], [v.came for v in honest], [grouping(v.origins, columns)[1] for v in honest],
            spec.whole_units, spec.seed,
        )
        for columns in (spec.totals if honest else ())
    )  # fmt: skip
    booster = _train(design, base, demand, planned, spec, end)
    last = labels["target_on"].max()
    card = {
        "method": "XGBoost, pooled, direct",
        "data_until": str(last),
        "series": len(keys),
        "features": list(COLUMNS),
        "alignment": {" x ".join(v.columns): v.strength for v in levels.final},
        "unseen": calibration.scores,
        "periods_unseen": end - since,
    }
    return DemandModel(spec, design, booster, levels.final, calibration, totals, _closed_days(demand, keys, spec), card)


@dataclass(frozen=True)
class _Levels:
    early: tuple[Level, ...]
    final: tuple[Level, ...]


def _describe(origins: pl.DataFrame, groups: list[str]) -> pl.DataFrame:
    absent = [name for name in groups if name not in origins.columns]
    frame = origins.with_columns(pl.lit(None, pl.String).alias(name) for name in absent)
    return frame.sort("origin").group_by(SERIES).agg(pl.col(groups).last())


def _holdout(start: int, end: int, spec: Spec) -> int:
    """The first period kept from the early model: a horizon and some more, but never more than a share of the history."""
    return end - max(1, min(spec.horizon + HOLDOUT[spec.grain], int((end - start) * HOLDOUT_SHARE)))


def _train(design: Design, base: Base, demand: Panel, plans: Plans, spec: Spec, before: int, share: float = 1.0) -> xgb.Booster | None:
    pairs = sample(base, demand, spec, int(spec.rows * share), -(10**9), before, spec.seed)
    return train(design, base, plans, pairs, BOTTOM, spec.rounds)


def _held_out(base: Base, since: int, end: int, spec: Spec) -> list[int]:
    """Origins to forecast with the early model: complete horizons where there are any, spread evenly, as many as are affordable."""
    possible = np.unique(base.origin[(base.origin >= since) & (base.origin < end)])
    complete = possible[possible + spec.horizon <= end]
    possible = complete if len(complete) else possible
    if not len(possible):
        return []
    each = max(1, int((base.origin == possible[-1]).sum()) * spec.horizon)
    count = int(np.clip(ALIGNMENT_ROWS // each, 1, min(12, len(possible))))
    return [int(v) for v in possible[np.unique(np.linspace(0, len(possible) - 1, count).round().astype(int))]]


def _align(
    origins: pl.DataFrame, keys: pl.DataFrame, demand: Panel, plans: Plans, design: Design, base: Base,
    booster: xgb.Booster | None, held: list[int], since: int, end: int, spec: Spec,
) -> _Levels:  # fmt: skip
    """Train each level model before the held-out periods, choose how far series follow it there, then train it on everything."""
    early: list[Level] = []
    final: list[Level] = []
    for columns in spec.levels:
        level_design, early_boosters = train_level(columns, origins, keys, demand, plans, spec, since)
        loss = np.zeros(len(STRENGTHS))
        for origin in held if early_boosters else []:
            rows = np.flatnonzero(base.origin == origin)
            here = origins[rows]
            one, local = _at(design, here, plans)
            mean = _grid(booster, design, one, local, spec)
            for level in early:
                mean = mean * level.factors(here, local, mean)
            total, group = forecast_totals(columns, level_design, early_boosters, here, local)
            factor = alignment(total, group, mean)
            observed = _observed(demand, base, rows, origin, spec)
            loss += [_total_error(mean * factor ** np.float32(s), observed, group, len(total)) for s in STRENGTHS]
        strength = STRENGTHS[int(loss.argmin())] if loss.any() else 0.0
        early.append(Level(columns, level_design, early_boosters, strength))
        final_design, final_boosters = (
            train_level(columns, origins, keys, demand, plans, spec, end) if strength else (level_design, early_boosters)
        )
        final.append(Level(columns, final_design, final_boosters, strength))
    return _Levels(tuple(early), tuple(final))


def _at(design: Design, here: pl.DataFrame, plans: Plans) -> tuple[Base, Plans]:
    """The base of the rows of one origin, and the plans of exactly those series."""
    local = here.select(SERIES)
    if not plans.panels:
        return design.base(here, local), Plans()
    place = locate(here, next(iter(plans.panels.values())).keys)
    return design.base(here, local), Plans({name: Panel(local, p.first, p.values[place]) for name, p in plans.panels.items()})


def _grid(booster: xgb.Booster | None, design: Design, base: Base, plans: Plans, spec: Spec) -> Floats:
    pair = np.arange(len(base.level) * spec.horizon)
    return expect(booster, design, base, plans, pair // spec.horizon, pair % spec.horizon).reshape(-1, spec.horizon)


def _observed(demand: Panel, base: Base, rows: np.ndarray[Any, Any], origin: int, spec: Spec) -> Floats:
    pair = np.arange(len(rows) * spec.horizon)
    found = demand.at(base.series[rows][pair // spec.horizon], origin + pair % spec.horizon).reshape(-1, spec.horizon)
    return np.maximum(found, 0.0)


def _total_error(mean: Floats, observed: Floats, group: np.ndarray[Any, Any], groups: int) -> float:
    """Squared error of group totals over known cells, each group on its own scale."""
    known = ~np.isnan(observed)
    error = np.zeros((groups, mean.shape[1]))
    size = np.zeros(groups)
    np.add.at(error, group, np.where(known, mean - observed, 0.0))
    np.add.at(size, group, np.where(known, observed, 0.0).sum(axis=1))
    return float(((error**2).sum(axis=1) / np.maximum(size, 1.0)).sum())


@dataclass(frozen=True)
class _Honest:
    """What the early model said at one origin it had not seen, and what came: (N, H) each."""

    origins: pl.DataFrame
    base: Base
    plans: Plans
    mean: Floats
    came: Floats


def _honest(
    origins: pl.DataFrame, levels: tuple[Level, ...], demand: Panel, plans: Plans, design: Design, base: Base,
    booster: xgb.Booster | None, held: list[int], spec: Spec,
) -> list[_Honest]:  # fmt: skip
    out = []
    for origin in held:
        rows = np.flatnonzero(base.origin == origin)
        here = origins[rows]
        one, local = _at(design, here, plans)
        mean = _grid(booster, design, one, local, spec)
        for level in levels:
            mean = mean * level.factors(here, local, mean)
        out.append(_Honest(here, one, local, mean, _observed(demand, base, rows, origin, spec)))
    return out


def _calibrate(honest: list[_Honest], design: Design, spec: Spec) -> Calibration:
    if not honest:
        return uncalibrated(spec.whole_units, spec.horizon)
    random = np.random.default_rng(spec.seed + 1)
    parts = []
    first = 0
    for v in honest:
        most = max(1, CALIBRATION_ROWS // (len(honest) * spec.horizon))
        chosen = np.sort(random.permutation(len(v.mean))[:most])
        pair = np.arange(len(chosen) * spec.horizon)
        row, step = chosen[pair // spec.horizon], pair % spec.horizon
        known = ~np.isnan(v.came[row, step])
        row, step = row[known], step[known]
        parts.append((design.rows(v.base, row, step, v.plans), v.mean[row, step], v.came[row, step], first + row, step))
        first += len(v.mean)
    matrix, mean, units, path, offset = (np.concatenate(part) for part in zip(*parts, strict=True))
    return calibrate(matrix, mean, units, path, offset, spec.horizon, spec.whole_units, spec.seed, spec.threads)


def _closed_days(demand: Panel, keys: pl.DataFrame, spec: Spec) -> dict[str, list[str]]:
    """Days of the year ("12-25") on which a busy location sold nothing each time, unlike the same weekday around them."""
    if spec.grain != "day":
        return {}
    out: dict[str, list[str]] = {}
    values = np.where(np.isnan(demand.values), 0.0, demand.values)
    location = keys["location_id"].to_numpy()
    for name in sorted(set(location.tolist())):
        total = values[location == name].sum(axis=0)
        if not total.any() or np.median(total[total > 0]) < BUSY:
            continue
        empty = [t for t in range(7, len(total) - 7) if total[t] <= 0 and total[t - 7] > 0 and total[t + 7] > 0]
        days = {(date(1970, 1, 1) + timedelta(days=demand.first + t)).strftime("%m-%d") for t in empty}
        sold = {(date(1970, 1, 1) + timedelta(days=demand.first + t)).strftime("%m-%d") for t in np.flatnonzero(total > 0).tolist()}
        if days - sold:
            out[name] = sorted(days - sold)
    return out
