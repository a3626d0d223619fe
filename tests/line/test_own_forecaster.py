"""A company's own forecaster, as the tutorial writes it: judged on what it had not seen, kept,
rehearsed beside ours, and let decide by a person."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.forecasting.custom_forecaster import OwnModel, checked, fit_own
from models.forecasting.forecast import PATH_LEVELS
from models.forecasting.inputs import Spec
from orchestration.facts import kept_models
from orchestration.facts.forecasters import own_forecasters
from orchestration.home import Home, HomeError
from orchestration.planning.rehearsal import check_policies

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = "\n".join(
    re.findall(
        r"```python\n(.*?)```",
        (ROOT / ".github/EXTENDING.md").read_text(encoding="utf-8"),
        re.DOTALL,
    )
)
WORLD = """
world: corner-shop
currency: EUR
plan: {grain: day, review: weekly, lead_time_days: 7, absent_sales: zero}
sources:
  till:
    silo: erp
    path: till/*.txt
    format: {own: till_roll}
    identity: row
    known_after: 1 day
    into: [sales: {item_id: article, location_id: shop, event_at: day, quantity: pieces}]
"""
FIRST = date(2024, 1, 1)
SPEC = Spec("day", 9, totals=((), ("location_id",)))


@pytest.fixture
def extension(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "corner_shop.py"
    path.write_text(TUTORIAL, encoding="utf-8")
    monkeypatch.setenv("STOCKHOUSE_EXTENSIONS", str(path))
    return path


def past(series: int = 20, days: int = 140) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Weekly origins with the means of the last eight same weekdays, and labels of shops that sell
    more at weekends, all on the same days."""
    random = np.random.default_rng(3)
    usual = np.where(np.arange(days) % 7 > 4, 8.0, 3.0) * random.gamma(20, 1 / 20, days)
    units = random.poisson(np.tile(usual, (series, 1))).astype(float)
    keys = [(f"i{k}", "main" if k % 2 else "east") for k in range(series)]
    labels = [
        {
            "item_id": item,
            "location_id": place,
            "target_on": FIRST + timedelta(days=t),
            "demand": units[k, t],
        }
        for k, (item, place) in enumerate(keys)
        for t in range(days)
    ]
    origins = [
        {"item_id": item, "location_id": place, "origin": FIRST + timedelta(days=t)}
        | {f"demand_phase_mean_{h}": units[k, t + h - 56 : t + h : 7].mean() for h in range(7)}
        for t in range(56, days, 7)
        for k, (item, place) in enumerate(keys)
    ]
    return pl.DataFrame(origins), pl.DataFrame(labels)


def test_its_model_is_judged_on_unseen_periods_and_comes_back_as_it_was_kept(
    extension: Path,
) -> None:
    origins, labels = past()
    own = own_forecasters()["same_weekday"]
    model = fit_own(own, origins, labels, None, SPEC)
    unseen = model.card["unseen"]
    assert unseen["wape"] < 0.5 and 0.9 < unseen["at_most_0.975"] <= 1
    assert model.correlation is not None and np.allclose(np.diag(model.correlation), 1)
    back = OwnModel.from_bytes(model.to_bytes(), own)
    here = origins.filter(pl.col("origin") == pl.col("origin").max())
    made, again = (one.predict(here, None, PATH_LEVELS) for one in (model, back))
    assert np.array_equal(made.paths(50), again.paths(50))
    assert made.paths(4000).mean() == pytest.approx(made.mean.mean(), rel=0.02)
    totals = back.predict_totals(made, here)
    assert set(totals) == {(), ("location_id",)}
    total = totals[()]
    alone = np.sqrt(sum(made.paths(2000).var(axis=1)))[0]
    width = (total.at(0.995) - total.at(0.005))[0, 0] / (2 * 2.576)
    assert width > 1.3 * alone, "busy days are busy for all: the total's spread is learned as such"
    spoilt = model.to_bytes().replace(b"learned", b"lEarned")
    with pytest.raises(KeyError):
        OwnModel.from_bytes(spoilt, own)


def test_what_is_no_forecast_of_demand_is_refused_by_name(extension: Path) -> None:
    origins, labels = past()
    here = origins.filter(pl.col("origin") == pl.col("origin").max())
    own = own_forecasters()["same_weekday"]
    good = own.fit(origins, labels, None, SPEC).predict(here, None, PATH_LEVELS)
    holes = good.mean.copy()
    holes[3, 2] = np.nan
    for bad, said in (
        (replace(good, keys=good.keys[::-1]), "in their order"),
        (replace(good, period_starts=[FIRST] * 9), "the 9 periods from the origin"),
        (replace(good, mean=holes), "mean that is no demand for item 'i3'"),
        (replace(good, values=good.values[:, :, ::-1]), "quantiles that fall"),
    ):
        with pytest.raises(ValueError, match=f"forecaster 'x' .*{said}"):
            checked("x", bad, here, PATH_LEVELS, SPEC)


def test_a_person_lets_it_decide_and_takes_it_back(
    extension: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home.found(tmp_path / "home", "w")
    assert kept_models.deciding_forecaster(home) == "xgboost"
    with pytest.raises(ValueError, match="no extension offers a forecaster 'odd'; there are xgb"):
        kept_models.choose(home, "odd", "ann", "why not")
    with pytest.raises(ValueError, match="say why"):
        kept_models.choose(home, "same_weekday", "ann", " ")
    kept_models.choose(home, "same_weekday", "ann", "it cost less")
    assert kept_models.deciding_forecaster(home) == "same_weekday"
    with pytest.raises(ValueError, match="same_weekday decides: it cannot be its own"):
        check_policies(
            ["quantile_order_up_to"], ["same_weekday"], kept_models.deciding_forecaster(home)
        )
    assert kept_models.pinned(home) is None and kept_models.model_in_use(home) is None
    kept_models.choose(home, "xgboost", "bob", "the shop was rebuilt")
    assert kept_models.deciding_forecaster(home) == "xgboost"
    monkeypatch.delenv("STOCKHOUSE_EXTENSIONS")
    with pytest.raises(ValueError, match="STOCKHOUSE_EXTENSIONS"):
        kept_models.choose(home, "same_weekday", "ann", "again")


def test_a_name_that_is_taken_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.py"
    path.write_text("class F:\n    name = 'xgboost'\nforecasters = [F()]", encoding="utf-8")
    monkeypatch.setenv("STOCKHOUSE_EXTENSIONS", str(path))
    with pytest.raises(HomeError, match="forecaster called 'xgboost': call it otherwise"):
        own_forecasters()


def stockhouse(*words: str | Path) -> str:
    command = [Path(sys.executable).parent / "stockhouse", *map(str, words)]
    told = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=told, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.long
@pytest.mark.line
def test_a_shop_rehearses_it_lets_it_decide_and_orders_by_it(
    extension: Path, tmp_path: Path
) -> None:
    shop, home = tmp_path / "shop", ("--home", tmp_path / "home", "--json")
    (shop / "till").mkdir(parents=True)
    (shop / "world.yml").write_text(WORLD, encoding="utf-8")
    random = np.random.default_rng(5)
    for k in range(112):
        day = FIRST + timedelta(days=k)
        sold = {item: random.poisson(usual) for item, usual in (("mug", 6), ("cup", 3), ("tea", 9))}
        lines = [f"{item:<6}main{day} {units}" for item, units in sold.items() if units]
        (shop / f"till/{day}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    stockhouse("run", shop, *home, "--until", "features")
    said = json.loads(
        stockhouse(
            "replay", shop, "--start", "2024-03-18", "--periods", "28", "--challengers",
            "same_weekday", "--policies", "quantile_order_up_to", "--out", tmp_path / "judged",
            *home,
        )
    )  # fmt: skip
    assert set(said["challengers"]) == {"same_weekday"}
    assert {"xgboost", "same_weekday"} <= {row["method"] for row in said["forecasts"]}
    stockhouse("model", "use", "same_weekday", "--reason", "it cost less", *home)
    stockhouse("run", shop, *home)
    (one,) = json.loads(stockhouse("model", "list", *home))["models"]
    assert one["model"].startswith("same_weekday-") and one["in_use"] == "the newest"
    assert one["wape_promised"] < 1
    lines = pl.read_parquet(tmp_path / "home/state/decisions/order_lines/*.parquet")
    assert len(lines) and set(lines["model"]) == {one["model"]}
    again = json.loads(
        stockhouse(
            "trace", lines["order_line_id"][0], "--replay", "--world", shop, "--home",
            tmp_path / "home", "--json",
        )
    )  # fmt: skip
    assert again["is_same"] and again["recomputed_model"] == one["model"]
