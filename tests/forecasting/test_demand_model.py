"""The laws of the forecaster: deterministic, no leak, calibrated, and defined on the poorest of
worlds."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from demand_features import label_frame, origin_frame

from models.domain import QUANTILES
from models.forecasting import baselines
from models.forecasting.demand_model import DemandModel, fit
from models.forecasting.forecast import PATH_LEVELS, Forecast
from models.forecasting.inputs import Spec
from models.forecasting.level_alignment import finest_level
from models.forecasting.rolling_origins import Blind, Training

FIRST = date(2025, 1, 6)
SPEC = Spec("day", 7, rows=20_000, rounds=30, threads=1)


def world(series: int = 60, periods: int = 200, seed: int = 0) -> tuple[pl.DataFrame, np.ndarray]:
    """Shops that sell twice as much on Saturdays, negative binomial."""
    random = np.random.default_rng(seed)
    week = np.array([1, 1, 1, 1, 1.5, 2, 0.7])[np.arange(periods) % 7]
    rate = np.exp(random.normal(0.7, 1.0, series))[:, None] * week
    keys = pl.DataFrame(
        {
            "item_id": [f"item{k // 3}" for k in range(series)],
            "location_id": [f"shop{k % 3}" for k in range(series)],
            "category": [f"kind{k // 3 % 2}" for k in range(series)],
        }
    )
    return keys, random.negative_binomial(2, 2 / (2 + rate)).astype(np.float32)


def trained(
    keys: pl.DataFrame,
    demand: np.ndarray,
    cut: int,
    spec: Spec = SPEC,
    plans: pl.DataFrame | None = None,
) -> DemandModel:
    origins = origin_frame(keys, demand[:, :cut], FIRST, list(range(14, cut, 7)), spec)
    return fit(origins, label_frame(keys, demand, FIRST, spec, cut), plans, spec)


def now(keys: pl.DataFrame, demand: np.ndarray, cut: int, spec: Spec = SPEC) -> pl.DataFrame:
    return origin_frame(keys, demand[:, :cut], FIRST, [cut], spec)


@pytest.fixture(scope="module")
def model() -> tuple[pl.DataFrame, np.ndarray, DemandModel]:
    keys, demand = world()
    return keys, demand, trained(keys, demand, 190)


def test_every_series_has_every_period_and_rising_quantiles(model):
    keys, demand, trained_model = model
    made = trained_model.predict(now(keys, demand, 190))
    assert made.values.shape == (60, 7, 9)
    assert made.period_starts[0] == FIRST + timedelta(days=190)
    assert (np.diff(made.values, axis=2) >= 0).all()
    assert (made.values == np.rint(made.values)).all()
    frame = made.to_frame()
    assert len(frame) == 60 * 7 * 10
    assert frame["quantile"].null_count() == 60 * 7
    assert frame.filter(pl.col("quantile") == 0.5)["value"].to_numpy().reshape(
        60, 7
    ) == pytest.approx(made.at(0.5))


def test_weekday_pattern_is_learned_and_beats_the_moving_average(model):
    keys, demand, trained_model = model
    made = trained_model.predict(now(keys, demand, 190))
    actual = demand[:, 190:197]
    flat = baselines.moving_average(demand[:, :190], SPEC)
    assert np.abs(made.mean - actual).sum() < 0.95 * np.abs(flat - actual).sum()


def test_saved_and_loaded_model_forecasts_the_same_and_the_same_training_gives_the_same_bytes(
    model,
):
    keys, demand, trained_model = model
    content = trained_model.to_bytes()
    again = DemandModel.from_bytes(content)
    here = now(keys, demand, 190)
    np.testing.assert_array_equal(again.predict(here).values, trained_model.predict(here).values)
    np.testing.assert_array_equal(
        again.predict(here, None, PATH_LEVELS).paths(20, 3),
        trained_model.predict(here, None, PATH_LEVELS).paths(20, 3),
    )
    assert again.to_bytes() == content
    assert trained(keys, demand, 190).to_bytes() == content


def test_a_tampered_model_is_refused(model):
    import io
    import zipfile

    content = model[2].to_bytes()
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            part = old.read(name)
            new.writestr(name, part[:-1] + b"\x00" if name == "mean.ubj" else part)
    with pytest.raises(ValueError, match="sha256"):
        DemandModel.from_bytes(out.getvalue())


def test_future_replaced_by_999_changes_no_forecast():
    keys, demand = world(30, 150)
    origins = origin_frame(keys, demand, FIRST, list(range(14, 144)), SPEC)
    start = FIRST + timedelta(days=130)
    spoiled = demand.copy()
    spoiled[:, 130:] = 999.0
    poisoned = origin_frame(keys, spoiled, FIRST, list(range(14, 144)), SPEC)
    made: list[Forecast] = []
    for frame, values in ((origins, demand), (poisoned, spoiled)):
        past, here = (
            frame.filter(one) for one in (pl.col("origin") < start, pl.col("origin") == start)
        )
        known = label_frame(keys, values, FIRST, SPEC).filter(pl.col("target_on") < start)
        made.append(fit(past, known, None, SPEC).predict(here))
    np.testing.assert_array_equal(made[0].values, made[1].values)


def test_discrete_demand_is_covered_as_each_level_says():
    keys, demand = world(300, 240, seed=5)
    made = trained(keys, demand, 226).predict(now(keys, demand, 226), quantiles=PATH_LEVELS)
    actual = demand[:, 226:233]
    for level in (0.5, 0.75, 0.975):
        below, at_most = (actual < made.at(level)).mean(), (actual <= made.at(level)).mean()
        assert below - 0.03 <= level <= at_most + 0.03


def test_window_demand_of_paths_has_the_mean_and_the_spread_of_what_comes():
    keys, demand = world(300, 240, seed=6)
    made = trained(keys, demand, 226).predict(now(keys, demand, 226), quantiles=PATH_LEVELS)
    window = made.paths(400, seed=1).sum(axis=2)
    assert window.mean() == pytest.approx(made.mean.sum(axis=1).mean(), rel=0.01)
    came = demand[:, 226:233].sum(axis=1)
    rank = (window < came[:, None]).mean(axis=1)
    assert 0.05 < (rank > 0.9).mean() < 0.16
    np.testing.assert_array_equal(made.paths(400, seed=1).sum(axis=2), window)


def test_errors_are_learned_from_as_many_times_as_history_allows():
    keys, demand = world(20, 400)

    def times(cut: int) -> list[Training]:
        origins = origin_frame(keys, demand[:, :cut], FIRST, list(range(7, cut, 7)), SPEC)
        return Training.of(
            origins, label_frame(keys, demand, FIRST, SPEC, cut), None, SPEC
        ).earlier()

    assert [len(times(cut)) for cut in (60, 190, 260, 400)] == [1, 1, 2, 3]
    latest, earlier, first = times(400)
    assert latest.end > latest.since == earlier.end > earlier.since == first.end
    held_out = [one.held_out() for one in (latest, earlier, first)]
    assert all(held_out)
    for one, days in zip((latest, earlier, first), held_out, strict=True):
        assert one.since <= min(days)
        assert max(days) + SPEC.horizon <= one.end


def test_a_blind_model_has_not_seen_what_it_is_judged_on():
    keys, demand = world(20, 400)
    origins = origin_frame(keys, demand, FIRST, list(range(7, 400, 7)), SPEC)
    seen = Training.of(origins, label_frame(keys, demand, FIRST, SPEC), None, SPEC).earlier()[1]
    spoiled = demand.copy()
    spoiled[:, seen.since - seen.demand.first :] = 999.0
    labels = label_frame(keys, spoiled, FIRST, SPEC)
    unseen = Training.of(origins, labels, None, SPEC).earlier()[1]
    one, other = Blind.trained(seen).booster, Blind.trained(unseen).booster
    assert one is not None and other is not None
    assert one.save_raw("ubj") == other.save_raw("ubj")


def test_a_closed_location_is_forecast_zero():
    keys, demand = world(30, 150)
    plans = keys.select("item_id", "location_id").with_columns(
        target_on=pl.lit(FIRST + timedelta(days=142)), is_open=pl.lit(0.0)
    )
    made = trained(keys, demand, 140, plans=plans).predict(now(keys, demand, 140), plans)
    assert (made.mean[:, 2] == 0).all() and (made.values[:, 2] == 0).all()
    assert (made.mean[:, 3] > 0).all()


def test_stock_outs_are_unknown_and_pull_nothing_down():
    keys, demand = world(60, 200, seed=3)
    masked = demand.copy()
    masked[np.random.default_rng(0).random(demand.shape) < 0.15] = np.nan
    full, censored = (
        trained(keys, d, 190).predict(now(keys, d, 190)).mean.sum() for d in (demand, masked)
    )
    assert censored == pytest.approx(full, rel=0.05)


def test_series_are_aligned_to_the_finest_level_whose_groups_are_large_enough():
    keys = pl.DataFrame({"item_id": [f"i{k}" for k in range(600)], "location_id": ["x", "y"] * 300})
    few, many = (
        keys.with_columns(category=pl.lit("c"), subcategory=pl.int_range(600) % n // 2 + 0.0)
        for n in (4, 40)
    )
    assert finest_level(few) == (("location_id", "subcategory"),)
    assert finest_level(many) == finest_level(keys) == (("location_id", "category"),)


# ---- the poorest worlds


def one_series(values: list[float]) -> tuple[pl.DataFrame, np.ndarray]:
    return pl.DataFrame({"item_id": ["a"], "location_id": ["x"]}), np.array([values], np.float32)


def test_one_observation_is_enough_for_a_forecast():
    keys, demand = one_series([3.0])
    model = fit(now(keys, demand, 1), label_frame(keys, demand, FIRST, SPEC), None, SPEC)
    made = model.predict(now(keys, demand, 1))
    assert made.mean == pytest.approx(np.full((1, 7), 3.0))
    assert made.at(0.975)[0, 0] > 3
    assert DemandModel.from_bytes(model.to_bytes()).predict(
        now(keys, demand, 1)
    ).mean == pytest.approx(made.mean)


def test_a_world_that_sold_nothing_is_forecast_near_zero():
    keys, demand = world(10, 60)
    made = trained(keys, demand * 0, 50).predict(now(keys, demand * 0, 50))
    assert made.mean.max() < 1e-3 and made.values.max() == 0


def test_gaps_and_returns_are_no_obstacle():
    keys, demand = world(30, 150)
    demand[3, 20:120] = np.nan
    demand[4, ::5] = -2.0
    made = trained(keys, demand, 140).predict(now(keys, demand, 140))
    assert np.isfinite(made.values).all() and (made.values >= 0).all() and (made.mean >= 0).all()


def test_a_series_that_ended_fades():
    keys, demand = world(60, 200)
    demand[:6, 60:] = 0.0
    made = trained(keys, demand, 190).predict(now(keys, demand, 190))
    assert made.mean[:6].max() < 0.25 * demand[:6, :60].mean()


def test_an_item_without_history_is_forecast_like_its_category(model):
    keys, demand, trained_model = model
    fresh = now(keys, demand, 190).head(1).with_columns(pl.lit("new").alias("item_id"))
    known = [c for c in fresh.columns if c.startswith(("demand_", "periods_", "known_"))]
    made = trained_model.predict(
        fresh.with_columns(pl.lit(None, pl.Float32).alias(c) for c in known)
    )
    assert 0.1 < made.mean.mean() < 20


def test_a_plan_that_is_missing_for_the_future_means_nothing_is_planned():
    keys, demand = world(30, 150)
    days = [FIRST + timedelta(days=d) for d in range(0, 150, 10)]
    plans = keys.select("item_id", "location_id").join(
        pl.DataFrame({"target_on": days}), how="cross"
    )
    plans = plans.with_columns(promotion_count=pl.lit(1.0), event_count=pl.lit(0.0))
    made = trained(keys, demand, 140, plans=plans)
    here = now(keys, demand, 140)
    np.testing.assert_array_equal(
        made.predict(here, None).mean,
        made.predict(here, plans.filter(pl.col("target_on") < FIRST)).mean,
    )


@pytest.mark.parametrize("grain", ["week", "month"])
def test_coarser_grains_forecast_too(grain):
    keys, demand = world(40, 60)
    spec = Spec(grain, 3, rows=5_000, rounds=10, threads=1)
    first = date(2020, 1, 6) if grain == "week" else date(2020, 1, 1)
    origins = origin_frame(keys, demand, first, list(range(8, 60)), spec)
    made = fit(origins, label_frame(keys, demand, first, spec), None, spec).predict(
        origin_frame(keys, demand, first, [60], spec)
    )
    assert made.period_starts == spec.starts(spec.starts(first, 61)[-1])
    assert made.mean.mean() == pytest.approx(demand.mean(), rel=0.3)


@pytest.mark.parametrize(("grain", "cut", "horizon"), [("week", 150, 8), ("month", 50, 6)])
def test_every_series_own_season_is_known_all_the_way_ahead(grain, cut, horizon):
    """Each series has its few high weeks at a time of its own, so that no calendar and no last
    weeks tell of them."""
    spec = Spec(grain, horizon, rows=20_000, rounds=60, threads=1)
    first = date(2020, 1, 6) if grain == "week" else date(2020, 1, 1)
    random, series = np.random.default_rng(2), 90
    high = random.integers(0, spec.year, series)[:, None]
    apart = (np.arange(cut + horizon) - high) % spec.year
    apart = np.minimum(apart, spec.year - apart)
    rate = random.uniform(30, 60, series)[:, None] * (1 + 5 * np.exp(-(apart**2) / 3))
    keys, demand = world(series)[0], random.poisson(rate).astype(np.float32)
    origins = origin_frame(keys, demand[:, :cut], first, list(range(13, cut)), spec)
    model = fit(origins, label_frame(keys, demand, first, spec, cut), None, spec)
    here = origin_frame(keys, demand[:, :cut], first, [cut], spec)
    ahead, came = model.predict(here).mean, demand[:, cut:]
    off = np.abs(ahead - came).sum(axis=0) / came.sum(axis=0)
    noise = np.sqrt(2 / np.pi) * np.sqrt(rate[:, cut:]).sum(axis=0) / rate[:, cut:].sum(axis=0)
    assert (off / noise)[horizon // 2 :].mean() < 1.4, off / noise


def test_bad_frames_are_named():
    keys, demand = world(6, 60)
    origins = origin_frame(keys, demand, FIRST, [40, 47], SPEC)
    labels = label_frame(keys, demand, FIRST, SPEC)
    with pytest.raises(ValueError, match="item 'item0' at location 'shop0' has two rows"):
        fit(origins, pl.concat([labels, labels.head(1)]), None, SPEC)
    infinite = labels.with_columns(
        pl.when(pl.int_range(pl.len()) == 0)
        .then(np.inf)
        .otherwise(pl.col("demand"))
        .alias("demand")
    )
    with pytest.raises(ValueError, match="item 'item0' at location 'shop0' has an infinite demand"):
        fit(origins, infinite, None, SPEC)
    with pytest.raises(ValueError, match="no labels"):
        fit(origins, labels.clear(), None, SPEC)
    with pytest.raises(ValueError, match="no demand feature"):
        fit(origins.select("item_id", "location_id", "origin"), labels, None, SPEC)
    model = fit(origins, labels, None, SPEC)
    with pytest.raises(ValueError, match="one origin date"):
        model.predict(origins)
    with pytest.raises(ValueError, match="asked for twice"):
        model.predict(pl.concat([origins.head(1)] * 2))
    with pytest.raises(ValueError, match="horizon"):
        Spec("day", 0)


def test_quantiles_on_request(model):
    keys, demand, trained_model = model
    made = trained_model.predict(now(keys, demand, 190))
    assert made.quantiles == QUANTILES
    assert made.select((0.5, 0.975)).values.shape == (60, 7, 2)
    with pytest.raises(ValueError, match=r"0\.9 was not forecast"):
        made.at(0.9)
