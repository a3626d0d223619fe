"""What policies cost on public data, side by side: `python tests/benchmarks/bench_replay.py vn2 favorita uci challengers speed`.

Reads ../shared/data and prints Markdown tables. A policy decides from what was known in its period; models are trained, and
settings tuned, only on what lies before the window. Differences are paired, with a 95 % bootstrap over items. Forecast features
are built in numpy (tests/forecasting/demand_features.py), as the warehouse would build them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "forecasting")]

from demand_features import label_frame, origin_frame  # noqa: E402
from public_worlds import uci_lines  # noqa: E402

from models.domain import Economics, Policy  # noqa: E402
from models.forecasting.baselines import seasonal_moving_average  # noqa: E402
from models.forecasting.forecast import PATH_LEVELS, Forecast, blend  # noqa: E402
from models.forecasting.inputs import Spec, locate  # noqa: E402
from models.forecasting.quantile import DemandModel, fit  # noqa: E402
from models.replenishment.legacy import EoqReorderPoint, PeriodicReview, recent_mean  # noqa: E402
from models.replenishment.plan import Constraint, plan  # noqa: E402
from models.replenishment.policies import LEGACY, POLICIES, QuantileOrderUpTo  # noqa: E402
from models.twin.network import Network  # noqa: E402
from models.twin.scorecard import paired_difference  # noqa: E402
from models.twin.simulator import SimulationResult, simulate  # noqa: E402
from models.twin.tuning import tune  # noqa: E402

if TYPE_CHECKING:
    from models.forecasting.sensing import SensingModel

SHARED = ROOT.parent / "shared" / "data"
SCALES = (0.4, 0.5, 0.6, 0.7, 0.85, 1.0)
BLENDS = (0.0, 0.3, 0.5)
OURS = "quantile_order_up_to"
#: Ours without tuning and without a blended forecast: with the prior scale, and with the textbook's fractile.
UNTUNED = {f"{OURS}, prior scale": QuantileOrderUpTo(), f"{OURS}, textbook fractile": QuantileOrderUpTo(scale=1.0)}
#: The companies' rules as they are, and the textbook's two with the service level the costs ask for: a stronger opponent.
RIVALS: dict[str, Policy] = {name: POLICIES[name] for name in LEGACY} | {
    "eoq_reorder_point, p/(p+h)": EoqReorderPoint(service_level=None),
    "periodic_review, p/(p+h)": PeriodicReview(service_level=None),
}


@dataclass
class World:
    """Series as the replay needs them: demand revealed (N, T), demand as models may learn it (NaN unknown), calendar, economics."""

    keys: pl.DataFrame
    recorded: np.ndarray
    known: np.ndarray
    first: date
    spec: Spec
    network: Network
    warm: int  # uncontrollable periods at the start of a window
    orders: int
    periods: int
    start: Callable[[World, int], tuple[np.ndarray, np.ndarray]]
    samples: int = 200
    paths: dict[tuple[int, int], tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=dict)
    models: dict[int, DemandModel] = field(default_factory=dict)

    @property
    def phase(self) -> np.ndarray:
        """Week of the year, for the periods of history and of one horizon more."""
        starts = self.spec.starts(self.first, self.recorded.shape[1] + 2 * self.spec.horizon)
        return np.array([day.isocalendar().week for day in starts])

    def model(self, at: int) -> DemandModel:
        """The forecaster trained on everything before period `at`."""
        if at not in self.models:
            past = self.known[:, :at].astype(np.float32)
            origins = origin_frame(self.keys, past, self.first, list(range(max(8, at - 130), at)), self.spec)
            self.models[at] = fit(origins, label_frame(self.keys, past, self.first, self.spec, at), None, self.spec)
        return self.models[at]

    def seen(self, at: int, t: int) -> np.ndarray:
        """What is known of demand at period t of a window that starts at `at`."""
        return np.concatenate([self.known[:, :at], self.recorded[:, at : at + t]], axis=1).astype(np.float32)

    def made(self, at: int, t: int) -> Forecast:
        """XGBoost's forecast at period t of a window."""
        # One more column that no feature reads: origin_frame wants the origin's own column to exist.
        padded = np.pad(self.seen(at, t), ((0, 0), (0, 1)), constant_values=np.nan)
        return self.model(at).predict(origin_frame(self.keys, padded, self.first, [at + t], self.spec), None, PATH_LEVELS)

    def forecaster(self, at: int, blend: float) -> Callable[[int], np.ndarray]:
        """Sample paths by period of a window that starts at `at`: XGBoost, its mean blended with the seasonal moving average."""

        def forecast(t: int) -> np.ndarray:
            rows, drawn, ratio = self._drawn(at, t)
            scaled = drawn * np.clip((1 - blend) + blend * ratio, 0.3, 3.0)[:, None, :]
            out = np.zeros((len(self.keys), *drawn.shape[1:]), np.float32)
            out[rows] = (
                np.floor(scaled + np.random.default_rng([at, t]).random(scaled.shape, np.float32)) if self.spec.whole_units else scaled
            )
            return out

        return forecast

    def _drawn(self, at: int, t: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The rows forecast, their paths, and what the seasonal moving average expects as a multiple of what XGBoost expects."""
        if (at, t) not in self.paths:
            made = self.made(at, t)
            rows = locate(made.keys, self.keys)
            usual = seasonal_moving_average(self.seen(at, t), self.spec)[rows]
            self.paths[at, t] = rows, made.paths(self.samples, seed=t), (usual / np.maximum(made.mean, 1e-6)).astype(np.float32)
        return self.paths[at, t]

    def replay(
        self, policy: Policy, at: int, blend: float = 0.0, forecaster: Callable[[int], np.ndarray] | None = None
    ) -> SimulationResult:
        """One window: the policy starts from the declared stock, orders, and is scored."""
        on_hand, pipeline = self.start(self, at)
        return simulate(
            self.network,
            policy,
            self.recorded[:, at : at + self.periods],
            on_hand,
            pipeline=pipeline,
            history=self.known[:, :at],
            forecaster=None if getattr(policy, "is_legacy", False) else forecaster or self.forecaster(at, blend),
            phase=self.phase,
            order_periods=self.orders,
        )

    def cost(self, policy: Policy, at: int, blend: float = 0.0) -> np.ndarray:
        return self.replay(policy, at, blend).cost[:, self.warm :]


def compare(world: World, windows: Sequence[int], tuning: Sequence[int], plot: Path | None, title: str) -> None:
    """Replay every policy on every window; ours is tuned (scale and blend) on the windows that ended before."""
    started = time.perf_counter()
    settings = [(scale, blend) for scale in SCALES for blend in BLENDS]
    spent: dict[tuple[tuple[float, float], int], float] = {}

    def replayed(setting: tuple[float, float], at: int) -> float:
        if (setting, at) not in spent:
            spent[setting, at] = float(world.cost(QuantileOrderUpTo(scale=setting[0]), at, setting[1]).sum())
        return spent[setting, at]

    results: dict[str, list[SimulationResult]] = {name: [] for name in (OURS, *UNTUNED, *RIVALS)}
    chosen = {}
    for at in windows:
        before = [w for w in (*tuning, *windows) if w + world.periods <= at]
        scale, blend = tune(settings, lambda setting, before=before: sum(replayed(setting, w) for w in before)).setting
        chosen[at] = (scale, blend)
        results[OURS].append(world.replay(QuantileOrderUpTo(scale=scale), at, blend))
        for name, policy in (UNTUNED | RIVALS).items():
            results[name].append(world.replay(policy, at))
        print(f"{title}: window {at} done after {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    blocks = np.unique(world.keys["item_id"].to_numpy(), return_inverse=True)[1]
    costs = {name: [result.cost[:, world.warm :] for result in runs] for name, runs in results.items()}
    pooled = {name: np.concatenate(parts, axis=1) for name, parts in costs.items()}
    best = min(RIVALS, key=lambda name: pooled[name].sum())
    print(f"\n## {title}: {len(windows)} windows, {world.orders} orders each, cost of the controllable periods\n")
    print(f"| policy | cost | against {best} | 95 % interval | fill rate | mean stock | bullwhip |\n|---|---|---|---|---|---|---|")
    for name in sorted(pooled, key=lambda name: pooled[name].sum()):
        found = paired_difference(name, best, pooled[name], pooled[best], blocks=blocks)
        runs = results[name]
        service, stock = np.mean([run.fill_rate for run in runs]), np.mean([run.on_hand.sum(axis=0).mean() for run in runs])
        bullwhip = np.mean([run.bullwhip(np.arange(len(world.keys))) for run in runs])
        print(
            f"| {name} | {pooled[name].sum():,.1f} | {found.ratio:.3f} | {found.ratio_lower:.3f} .. {found.ratio_upper:.3f} "
            f"| {service:.1%} | {stock:,.0f} | {bullwhip:.2f} |"
        )
    print(f"\n| window starts | scale, blend | {best} | {OURS} | ratio |\n|---|---|---|---|---|")
    for i, at in enumerate(windows):
        ours, theirs = costs[OURS][i].sum(), costs[best][i].sum()
        first = world.spec.starts(world.first, at + 1)[-1]
        print(f"| {first} | {chosen[at][0]}, {chosen[at][1]} | {theirs:,.1f} | {ours:,.1f} | {ours / theirs:.3f} |")
    print(f"\n{time.perf_counter() - started:.0f} s, {len(world.keys)} series", flush=True)
    if plot:
        curve = {scale: sum(replayed((scale, 0.0), at) for at in windows) for scale in SCALES}
        file = plot.with_stem(f"{plot.stem}_{title.partition(',')[0].lower().replace(' ', '_')}")
        draw(pooled, curve, best, file, title)
        print(f"\n![cost by period and by scale]({file.name})", flush=True)


def challenge(world: World, windows: Sequence[int], steps: int, title: str) -> None:
    """Our rule with its prior scale on XGBoost's forecasts, the LSTM's and their blend: is a challenger's decision cheaper?"""
    from models.forecasting.sensing import fit_sensing

    started = time.perf_counter()
    costs: dict[str, list[np.ndarray]] = {"xgboost": [], "lstm": [], "blend": []}
    for at in windows:
        past = world.seen(at, 0)
        sensing = fit_sensing(label_frame(world.keys, past, world.first, world.spec), None, world.spec, steps)
        made: dict[int, dict[str, Forecast]] = {}

        def forecast(t: int, name: str, at: int = at, sensing: SensingModel = sensing, made: dict = made) -> np.ndarray:
            if t not in made:
                ours, origin = world.made(at, t), world.spec.starts(world.first, at + t + 1)[-1]
                labels = label_frame(world.keys, world.seen(at, t), world.first, world.spec)
                theirs = sensing.predict(labels, ours.keys, origin, None, PATH_LEVELS)
                made[t] = {"xgboost": ours, "lstm": theirs, "blend": blend(ours, theirs)}
            out = np.zeros((len(world.keys), world.samples, world.spec.horizon), np.float32)
            out[locate(made[t][name].keys, world.keys)] = made[t][name].paths(world.samples, seed=t)
            return out

        for name, runs in costs.items():
            runs.append(world.replay(QuantileOrderUpTo(), at, forecaster=partial(forecast, name=name)).cost[:, world.warm :])
        print(f"{title}: window {at} done after {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    blocks = np.unique(world.keys["item_id"].to_numpy(), return_inverse=True)[1]
    pooled = {name: np.concatenate(parts, axis=1) for name, parts in costs.items()}
    print(f"\n## {title}: {len(windows)} windows, {OURS} with its prior scale, decided on each forecaster\n")
    print("| forecasts by | cost | against XGBoost's | 95 % interval | promoted |\n|---|---|---|---|---|")
    for name, cost in pooled.items():
        found = paired_difference(name, "xgboost", cost, pooled["xgboost"], blocks=blocks)
        verdict = "" if name == "xgboost" else "yes" if found.is_better else "no"
        print(f"| {name} | {cost.sum():,.1f} | {found.ratio:.3f} | {found.ratio_lower:.3f} .. {found.ratio_upper:.3f} | {verdict} |")
    print(f"\n{time.perf_counter() - started:.0f} s, {steps} training steps a window", flush=True)


def draw(pooled: dict[str, np.ndarray], curve: dict[float, float], best: str, path: Path, title: str) -> None:
    """Cumulated cost of every policy over the scored periods of all windows; and, after the fact, what each scale would have cost."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (axes, after) = plt.subplots(1, 2, figsize=(13, 5), layout="constrained", width_ratios=(2, 1))
    for name, cost in sorted(pooled.items(), key=lambda pair: -pair[1].sum()):
        bold = name in (OURS, best)
        axes.plot(
            np.cumsum(cost.sum(axis=0)), label=f"{name} {cost.sum():,.0f}", linewidth=2.5 if bold else 1.0, alpha=1.0 if bold else 0.6
        )
    axes.set(xlabel="scored period, all windows in a row", ylabel="cumulated cost", title=title)
    axes.legend(frameon=False)
    after.plot(list(curve), list(curve.values()), marker="o", label=f"{OURS}, unblended")
    after.axhline(pooled[OURS].sum(), linestyle="--", label="tuned on earlier windows")
    after.axhline(pooled[best].sum(), color="0.6", label=best)
    after.set(xlabel="scale of the shortage cost it decides with", ylabel="cost of all windows", title="cost curve, seen afterwards")
    after.legend(frameon=False)
    figure.savefig(path, dpi=120)


def vn2_world() -> World:
    """VN2: weekly, 599 store-products, lead time 2, lost sales, holding 0.2, shortage 1; the sales are taken as recorded."""
    sales, flags, master = (pl.read_csv(SHARED / "vn2_history" / f"{name}.csv") for name in ("sales", "in_stock", "master"))
    weeks = sales.columns[2:]
    recorded = sales.select(weeks).to_numpy().astype(float)
    same = sales.select("Store", "Product")
    in_stock = same.join(flags, on=["Store", "Product"], how="left", maintain_order="left").select(weeks).to_numpy()
    named = same.join(master, on=["Store", "Product"], how="left", maintain_order="left")
    keys = named.select(
        item_id=pl.col("Product").cast(pl.String),
        location_id=pl.col("Store").cast(pl.String),
        category=pl.col("Department").cast(pl.String),
        subcategory=pl.col("ProductGroup").cast(pl.String),
    )
    count = len(keys)
    return World(
        keys=keys,
        recorded=recorded,
        known=np.where(in_stock, recorded, np.nan),
        first=date.fromisoformat(weeks[0]),
        spec=Spec("week", 3, levels=(("category",),), rows=80_000, rounds=60, threads=1),
        network=Network(np.full(count, 2), Economics(np.full(count, 0.2), np.ones(count), np.zeros(count), np.zeros(count))),
        warm=2,
        orders=6,
        periods=8,
        start=recent_start,
    )


def vn2() -> None:
    """Twelve windows in a row up to the end of history, settings tuned on what ended before each."""
    world = vn2_world()
    compare(world, [world.recorded.shape[1] - 8 * k for k in range(12, 0, -1)], [37, 45, 53], OPTIONS.plot, "VN2")


def challengers() -> None:
    """Every second of VN2's twelve windows, decided on each forecaster's distribution."""
    world = vn2_world()
    challenge(world, [world.recorded.shape[1] - 8 * k for k in range(12, 0, -2)], 600, "VN2, challengers")


def recent_start(world: World, at: int) -> tuple[np.ndarray, np.ndarray]:
    """History has no stock: 1.4 weeks of the recent mean on hand and two weekly means in transit, whole units."""
    mean = recent_mean(world.known[:, :at], 13)
    return np.round(1.4 * mean), np.repeat(np.round(mean)[:, None], 2, axis=1)


def favorita(stores: int = 3) -> None:
    """Favorita, one echelon: lead time 4 to 6 weeks, lost sales, holding 0.7 to 1.3, shortage 6.3 to 11.7 a unit; 53 test weeks.

    The published setting (Alvo, Russo, Kanoria, arXiv 2306.11246): test weeks 118 to 171, the first 16 not scored, about six
    weeks of demand as initial stock. Costs and lead times are drawn once per series.
    """
    frame = pl.read_parquet(SHARED / "favorita_weekly" / "weekly_sales_long.parquet").filter(pl.col("store_idx") < stores)
    frame = frame.sort("item_idx", "store_idx", "week_idx")
    recorded = np.maximum(frame["units"].to_numpy().astype(float).reshape(-1, 171), 0.0)
    keys = frame.filter(pl.col("week_idx") == 0).select(
        item_id=pl.col("item_idx").cast(pl.String), location_id=pl.col("store_idx").cast(pl.String), category=pl.lit("all")
    )
    random = np.random.default_rng(2306)
    count = len(keys)
    economics = Economics(random.uniform(0.7, 1.3, count), random.uniform(6.3, 11.7, count), np.zeros(count), np.zeros(count))
    lead_time = random.integers(4, 7, count)
    world = World(
        keys=keys,
        recorded=recorded,
        known=recorded,
        first=date(2013, 1, 7),
        spec=Spec("week", 7, levels=(), rows=80_000, rounds=60, threads=1),
        network=Network(lead_time, economics),
        warm=16,
        orders=53,
        periods=53,
        samples=100,
        start=lambda world, at: (np.round(6 * recent_mean(world.known[:, :at], 16)), np.zeros((count, 1))),
    )
    compare(world, [118], [65], OPTIONS.plot, f"Favorita, {stores} stores")


def uci() -> None:
    """UCI Online Retail, weekly, codes sold in at least 25 weeks; lead time 2, lost sales, the platform's assumed economics.

    Holding a quarter of unit cost a year, shortage 0.4 of the price, unit cost 0.6 of it.
    """
    lines = uci_lines().with_columns(pl.col("Quantity", "UnitPrice").cast(pl.Float64))
    lines = lines.filter(~pl.col("InvoiceNo").str.starts_with("C"), pl.col("Quantity").is_between(1, 9_999), pl.col("UnitPrice") > 0)
    week = pl.col("InvoiceDate").str.slice(0, 10).str.to_date("%Y-%m-%d").dt.truncate("1w")
    weekly = lines.group_by("StockCode", week=week).agg(pl.col("Quantity").sum(), pl.col("UnitPrice").median())
    codes = weekly.group_by("StockCode").agg(pl.len(), pl.col("UnitPrice").median()).filter(pl.col("len") >= 25).sort("StockCode")
    first, last = weekly["week"].min(), weekly["week"].max()
    recorded = np.zeros((len(codes), (last - first).days // 7))  # the last week is cut short
    sold = weekly.join(codes.with_row_index("row").select("row", "StockCode"), on="StockCode", how="inner")
    column = ((sold["week"] - first).dt.total_days() // 7).to_numpy()
    inside = column < recorded.shape[1]
    recorded[sold["row"].to_numpy()[inside], column[inside]] = sold["Quantity"].to_numpy()[inside]
    price = codes["UnitPrice"].to_numpy()
    count = len(codes)
    economics = Economics(0.6 * price * 0.25 / 52, 0.4 * price, 0.6 * price, np.zeros(count))
    world = World(
        keys=codes.select(item_id="StockCode", location_id=pl.lit("UK"), category=pl.lit("all")),
        recorded=recorded,
        known=np.where(np.maximum.accumulate(recorded > 0, axis=1), recorded, np.nan),
        first=first,
        spec=Spec("week", 3, levels=(), rows=80_000, rounds=60, threads=1),
        network=Network(np.full(count, 2), economics),
        warm=2,
        orders=6,
        periods=8,
        samples=400,
        start=recent_start,
    )
    periods = recorded.shape[1]
    compare(world, [periods - 24, periods - 16, periods - 8], [periods - 32], OPTIONS.plot, "UCI Online Retail")


def speed() -> None:
    """A year of weekly replay for 1,000 items without retraining, and a plan for 30,490 item-locations after forecasts."""
    random = np.random.default_rng(0)
    items, weeks = 1000, 52
    demand = random.poisson(4, (items, weeks)).astype(float)
    paths = random.poisson(4, (items, 200, 5)).astype(np.float32)
    network = Network(np.full(items, 2), Economics(np.full(items, 0.2), np.ones(items), np.ones(items), np.zeros(items)))
    print("\n## Speed\n\n| what | seconds |\n|---|---|")
    for name in (OURS, "moving_average_cover"):
        started = time.perf_counter()
        simulate(network, POLICIES[name], demand, np.full(items, 8.0), history=demand[:, ::-1], forecaster=lambda t: paths)
        print(f"| replay, 1,000 items x 52 weeks, {name} | {time.perf_counter() - started:.1f} |", flush=True)
    count = 30_490
    rows = pl.DataFrame(
        {
            "item_id": [f"item-{i}" for i in range(count)], "location_id": "A", "role": "store", "kind": "purchase",
            "from_id": [f"supplier-{i % 50}" for i in range(count)], "lead_time_days": 14.0, "lead_time_periods": 2,
            "moq": random.integers(0, 12, count).astype(float), "order_multiple": random.integers(1, 7, count).astype(float),
            "unit_cost": random.uniform(1, 20, count), "holding_cost": 0.05, "shortage_cost": random.uniform(1, 9, count), "weight_kg": 1.0,
            "on_hand": random.integers(0, 9, count).astype(float), "on_order": random.integers(0, 9, count).astype(float),
        }
    )  # fmt: skip
    paths = random.poisson(random.gamma(1.0, 3.0, count)[:, None, None], (count, 200, 3)).astype(np.float32)
    starts = [date(2024, 1, 1) + timedelta(weeks=k) for k in range(3)]
    history = paths[:, :52, 0].astype(float)
    value = 0.0
    for share in (None, 0.6):
        limits = [] if share is None else [Constraint("budget", share * value)]
        started = time.perf_counter()
        made = plan(rows, paths, starts, QuantileOrderUpTo(scale=0.7), world="speed", history=history, constraints=limits)
        seconds = time.perf_counter() - started
        value = sum(line.value for line in made.lines)
        print(
            f"| plan, {count:,} item-locations, {len(made.lines):,} lines, budget {share or 'free'}, gap {made.gap:.2%} | {seconds:.1f} |",
            flush=True,
        )


WORLDS = {"vn2": vn2, "challengers": challengers, "favorita": favorita, "uci": uci, "speed": speed}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("worlds", nargs="+", choices=sorted(WORLDS))
    parser.add_argument("--plot", type=Path, help="write the cost curve here (PNG)")
    OPTIONS = parser.parse_args()
    for chosen_world in OPTIONS.worlds:
        WORLDS[chosen_world]()
