"""What training goes through: the past laid out, early models that have not seen what followed, and
their honest errors.

The early models' forecasts of periods they never saw choose how far series follow the level models,
and teach the spread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import cast

import numpy as np
import polars as pl
import xgboost as xgb
from numpy.typing import NDArray

from models.domain import SERIES
from models.forecasting.boosting import BOTTOM, expect, sample, train
from models.forecasting.calibration import Calibration, calibrate, uncalibrated
from models.forecasting.design_matrix import Base, Design, Plans
from models.forecasting.inputs import (
    LABEL,
    SIGNAL_FAMILIES,
    Floats,
    Indices,
    Panel,
    Spec,
    locate,
    panels,
    series_keys,
)
from models.forecasting.level_alignment import (
    EVER,
    STRENGTHS,
    Level,
    TreeTotals,
    alignment,
    forecast_totals,
    train_level,
)
from models.forecasting.seasonality import CalendarTotals
from models.forecasting.spread_of_totals import TotalSpread, grouping, learn_spread

#: Periods held out to learn how forecasts err: so many more than the horizon, and as a share of
#: history at most.
HOLDOUT = {"day": 28, "week": 20, "month": 8}
HOLDOUT_SHARE = 0.35
#: Training rows of a blind model, as a share of the final one's.
EARLY_SHARE = 0.5
#: Times the model is trained blind to what followed, at most. One time's errors are one season's:
#: what hits all series alike then (a mild winter, a late Easter) comes only once in them.
BLIND = 3
#: Forecasts to learn the distribution from, at most.
CALIBRATION_ROWS = 400_000
ALIGNMENT_ROWS = 3_500_000
MOST_ORIGINS = 12
#: What is spent on finding out whether a family of signals helps, and what it must save: a share of
#: the error, and standard errors.
TRIAL_ROWS, TRIAL_ROUNDS, TRIAL_ORIGINS = 15_000, 50, 4
LEAST_WORTH, CERTAIN, SLIP = 0.04, 3.0, 0.05
#: A location that usually sells this many units and sold none was closed.
BUSY = 20.0


@dataclass(frozen=True)
class HeldOut:
    """What the early model said at one origin it had not seen, and what came (NaN = unknown): (N,
    H) each."""

    origins: pl.DataFrame
    base: Base
    plans: Plans
    mean: Floats
    actual: Floats

    def ahead(self) -> HeldOut:
        """The same without the plans of other times, which take more memory than all else."""
        first, horizon = int(self.base.origin[0]), self.mean.shape[1]
        return replace(self, plans=self.plans.window(first - 1, first + horizon))


@dataclass(frozen=True)
class Training:
    """The past as the models read it; periods from `since` on are kept from the early model, `end`
    is the first not observed, `until` the first day of the last one that is."""

    spec: Spec
    origins: pl.DataFrame
    keys: pl.DataFrame
    demand: Panel
    plans: Plans
    design: Design
    base: Base
    since: int
    end: int
    until: date

    @classmethod
    def of(
        cls, origins: pl.DataFrame, labels: pl.DataFrame, plans: pl.DataFrame | None, spec: Spec
    ) -> Training:
        """Lay out origins, labels and plans over all series; raises ValueError where there is
        nothing to learn from."""
        if labels.is_empty():
            raise ValueError("no labels: there is no demand to learn from")
        groups = sorted({c for level in spec.levels for c in level if c not in SERIES})
        absent = [
            pl.lit(None, pl.String).alias(name) for name in groups if name not in origins.columns
        ]
        described = (
            origins.with_columns(absent).sort("origin").group_by(SERIES).agg(pl.col(groups).last())
        )
        keys = series_keys(pl.concat([labels.select(SERIES), origins.select(SERIES)])).join(
            described, on=list(SERIES), how="left"
        )
        demand = panels(labels, keys, [LABEL], spec)[LABEL]
        if np.isinf(demand.values).any():
            item, location = keys.row(int(np.isinf(demand.values).any(axis=1).argmax()))[:2]
            raise ValueError(
                f"item {item!r} at location {location!r} has an infinite demand; hand over a "
                "number or null"
            )
        design = Design.learn(origins, spec)
        base = design.base(origins, keys)
        end = demand.first + demand.values.shape[1]
        unseen = min(
            spec.horizon + HOLDOUT[spec.grain], int((end - int(base.origin.min())) * HOLDOUT_SHARE)
        )
        return cls(
            spec,
            origins,
            keys,
            demand,
            Plans.of(plans, keys, spec),
            design,
            base,
            end - max(1, unseen),
            end,
            cast(date, labels["target_on"].max()),
        )

    def earlier(self) -> list[Training]:
        """The past, and as it stood before the periods it holds out, and before those of that:
        each with as many periods held out, while enough lies before them."""
        unseen = self.end - self.since
        times = (self.end - int(self.base.origin.min())) * HOLDOUT_SHARE // unseen
        return [
            replace(self, since=self.since - k * unseen, end=self.end - k * unseen)
            for k in range(int(np.clip(times, 1, BLIND)))
        ]

    def without_signals(self, names: Sequence[str]) -> Training:
        """The same past had it never told some signals."""
        kept = [k for k, name in enumerate(self.design.signals) if name not in names]
        design = replace(self.design, signals=tuple(self.design.signals[k] for k in kept))
        base = replace(self.base, signals=self.base.signals[:, kept])
        return replace(
            self, origins=self.origins.drop(names, strict=False), design=design, base=base
        )

    def worth_of_signals(self) -> dict[str, float]:
        """By how much each family of signals that is fed lowers the error on the periods held out,
        as a share of it.

        Small models that have not seen them are compared, with the family and without any signal.
        A family is worth zero unless it costs nothing to speak of at any time (SLIP), or at any
        origin of the only one, and saves more in all than chance gives: CERTAIN standard errors
        over series, and LEAST_WORTH of the error, since the periods held out are few seasons and
        what follows them by chance no cause.
        """
        fed = {
            family: [name for name in names if name in self.design.signals]
            for family, names in SIGNAL_FAMILIES.items()
        }
        fed = {family: names for family, names in fed.items() if names}
        if not fed or not self.held_out():
            return dict.fromkeys(fed, 0.0)
        plain = self.without_signals(self.design.signals)._errors()
        return {family: self._worth(names, plain) for family, names in fed.items()}

    def _worth(self, names: Sequence[str], plain: NDArray[np.float64]) -> float:
        saved = (
            plain
            - self.without_signals(
                [name for name in self.design.signals if name not in names]
            )._errors()
        )
        share = float(saved.sum() / max(plain.sum(), 1e-9))
        error = float(np.sqrt((saved.sum(axis=0) ** 2).sum())) / max(float(plain.sum()), 1e-9)
        is_steady = bool((saved.sum(axis=1) > -SLIP * plain.sum(axis=1)).all())
        return share if is_steady and share > max(LEAST_WORTH, CERTAIN * error) else 0.0

    def _errors(self) -> NDArray[np.float64]:
        """Absolute error of small early models on what each time holds out, by series, (K, N)
        units; by origin where there is only one time."""
        times = [past._errors_of_this_time() for past in self.earlier()]
        return np.stack([time.sum(axis=0) for time in times]) if len(times) > 1 else times[0]

    def _errors_of_this_time(self) -> NDArray[np.float64]:
        pairs = sample(
            self.base,
            self.demand,
            self.spec,
            min(self.spec.rows, TRIAL_ROWS),
            EVER,
            self.since,
            self.spec.seed,
        )
        booster = train(
            self.design, self.base, self.plans, pairs, BOTTOM, min(self.spec.rounds, TRIAL_ROUNDS)
        )
        tried = self.held_out()[:: max(1, MOST_ORIGINS // TRIAL_ORIGINS)]
        out = np.zeros((len(tried), len(self.keys)))
        for k, origin in enumerate(tried):
            one = self.at(origin, booster, ())
            np.add.at(
                out[k],
                locate(one.origins, self.keys),
                np.nansum(np.abs(one.mean - one.actual), axis=1),
            )
        return out

    def bottom(self, before: int, share: float = 1.0) -> xgb.Booster | None:
        """The model of single series, trained on targets before a period number, on a share of the
        rows."""
        pairs = sample(
            self.base,
            self.demand,
            self.spec,
            int(self.spec.rows * share),
            EVER,
            before,
            self.spec.seed,
        )
        return train(self.design, self.base, self.plans, pairs, BOTTOM, self.spec.rounds)

    def held_out(self) -> list[int]:
        """Origins to forecast with the early model: complete horizons where there are any, evenly
        spread, as many as are affordable."""
        possible = np.unique(
            self.base.origin[(self.base.origin >= self.since) & (self.base.origin < self.end)]
        )
        complete = possible[possible + self.spec.horizon <= self.end]
        possible = complete if len(complete) else possible
        if not len(possible):
            return []
        each = max(1, int((self.base.origin == possible[-1]).sum()) * self.spec.horizon)
        count = int(np.clip(ALIGNMENT_ROWS // each, 1, min(MOST_ORIGINS, len(possible))))
        return [
            int(v)
            for v in possible[
                np.unique(np.linspace(0, len(possible) - 1, count).round().astype(int))
            ]
        ]

    def calibrate(self, honest: list[HeldOut]) -> Calibration:
        """The distribution around the mean, from at most CALIBRATION_ROWS honest forecasts."""
        spec = self.spec
        if not honest:
            return uncalibrated(spec.whole_units, spec.horizon)
        random = np.random.default_rng(spec.seed + 1)
        most = max(1, CALIBRATION_ROWS // (len(honest) * spec.horizon))
        parts, first = [], 0
        for one in honest:
            chosen = np.sort(random.permutation(len(one.mean))[:most])
            pair = np.arange(len(chosen) * spec.horizon)
            row, step = chosen[pair // spec.horizon], pair % spec.horizon
            known = ~np.isnan(one.actual[row, step])
            row, step = row[known], step[known]
            parts.append(
                (
                    self.design.rows(one.base, row, step, one.plans),
                    one.mean[row, step],
                    one.actual[row, step],
                    first + row,
                    step,
                )
            )
            first += len(one.mean)
        matrix, mean, units, path, offset = (
            np.concatenate(part) for part in zip(*parts, strict=True)
        )
        return calibrate(
            matrix,
            mean,
            units,
            path,
            offset,
            spec.horizon,
            spec.whole_units,
            spec.seed,
            spec.threads,
        )

    def totals(self, honest: list[HeldOut], calibration: Calibration) -> tuple[TotalSpread, ...]:
        """The spread of every total that spec.totals names."""
        mean, actual = (
            [calibration.levelled(one.mean) for one in honest],
            [one.actual for one in honest],
        )
        return tuple(
            learn_spread(
                columns,
                mean,
                actual,
                [grouping(one.origins, columns)[1] for one in honest],
                self.spec.whole_units,
                self.spec.seed,
            )
            for columns in (self.spec.totals if honest else ())
        )

    def level(self, columns: tuple[str, ...], before: int) -> CalendarTotals | TreeTotals | None:
        """The model of a level's totals, trained on targets before a period number."""
        return train_level(
            columns, self.origins, self.keys, self.demand, self.plans, self.spec, before
        )

    def at(self, origin: int, booster: xgb.Booster | None, levels: tuple[Level, ...]) -> HeldOut:
        """Forecast one origin from exactly its own rows, as predict does."""
        rows = np.flatnonzero(self.base.origin == origin)
        here = self.origins[rows]
        local = here.select(SERIES)
        place = locate(here, self.keys)
        plans = Plans(
            {name: Panel(local, p.first, p.values[place]) for name, p in self.plans.panels.items()}
        )
        base = self.design.base(here, local)
        horizon = self.spec.horizon
        pair = np.arange(len(rows) * horizon)
        row, step = pair // horizon, pair % horizon
        mean = expect(booster, self.design, base, plans, row, step).reshape(-1, horizon)
        for level in levels:
            mean = mean * level.factors(here, plans, mean)
        actual = self.demand.at(place[row], origin + step).reshape(-1, horizon)
        return HeldOut(here, base, plans, mean, np.maximum(actual, 0.0))


@dataclass(frozen=True)
class Blind:
    """A model of single series, and the level models it is aligned to, that have not seen what
    their past holds out."""

    past: Training
    booster: xgb.Booster | None
    levels: tuple[Level, ...] = ()

    @classmethod
    def trained(cls, past: Training) -> Blind:
        """On what lies before the periods held out."""
        return cls(past, past.bottom(past.since, EARLY_SHARE))

    def honest(self) -> list[HeldOut]:
        """Its forecasts at the held-out origins, beside what came."""
        return [one.ahead() for one in self._forecasts()]

    def _forecasts(self) -> Iterator[HeldOut]:
        for origin in self.past.held_out():
            yield self.past.at(origin, self.booster, self.levels)

    def losses(
        self, columns: tuple[str, ...], model: CalendarTotals | TreeTotals
    ) -> NDArray[np.float64]:
        """What following a level model as far as each of STRENGTHS comes to, (S,)."""
        loss = np.zeros(len(STRENGTHS))
        for one in self._forecasts():
            total, group = forecast_totals(columns, model, one.origins, one.plans)
            factor = alignment(total, group, one.mean)
            loss += [
                _total_error(one.mean * factor ** np.float32(s), one.actual, group, len(total))
                for s in STRENGTHS
            ]
        return loss


def align(past: Training, blind: Sequence[Blind]) -> tuple[list[Blind], tuple[Level, ...]]:
    """Level models blind to the same periods, how far series should follow them there, and the same
    trained on everything."""
    final: list[Level] = []
    for columns in past.spec.levels:
        models = [one.past.level(columns, one.past.since) for one in blind]
        told = [(one, model) for one, model in zip(blind, models, strict=True) if model is not None]
        if not told:
            continue
        loss = np.sum([one.losses(columns, model) for one, model in told], axis=0)
        strength = STRENGTHS[int(loss.argmin())] if loss.any() else 0.0
        blind = [
            one
            if model is None
            else replace(one, levels=(*one.levels, Level(columns, model, strength)))
            for one, model in zip(blind, models, strict=True)
        ]
        # one that no series follows is not worth a training
        latest = past.level(columns, past.end) if strength else None
        final.append(Level(columns, latest or told[0][1], strength))
    return list(blind), tuple(final)


def _total_error(mean: Floats, observed: Floats, group: Indices, groups: int) -> float:
    """Squared error of group totals over known cells, each group on its own scale."""
    known = ~np.isnan(observed)
    error = np.zeros((groups, mean.shape[1]))
    size = np.zeros(groups)
    np.add.at(error, group, np.where(known, mean - observed, 0.0))
    np.add.at(size, group, np.where(known, observed, 0.0).sum(axis=1))
    return float(((error**2).sum(axis=1) / np.maximum(size, 1.0)).sum())


def closed_days(demand: Panel, keys: pl.DataFrame, spec: Spec) -> dict[str, list[str]]:
    """Days of the year ("12-25") on which a busy location sold nothing each time, unlike the same
    weekday around them."""
    if spec.grain != "day":
        return {}
    out: dict[str, list[str]] = {}
    values = np.where(np.isnan(demand.values), 0.0, demand.values)
    location = keys["location_id"].to_numpy()
    for name in sorted(set(location.tolist())):
        total = values[location == name].sum(axis=0)
        if not total.any() or np.median(total[total > 0]) < BUSY:
            continue
        empty = [
            t
            for t in range(7, len(total) - 7)
            if total[t] <= 0 and total[t - 7] > 0 and total[t + 7] > 0
        ]
        days = {
            (date(1970, 1, 1) + timedelta(days=demand.first + t)).strftime("%m-%d") for t in empty
        }
        sold = {
            (date(1970, 1, 1) + timedelta(days=demand.first + t)).strftime("%m-%d")
            for t in np.flatnonzero(total > 0).tolist()
        }
        if days - sold:
            out[name] = sorted(days - sold)
    return out
