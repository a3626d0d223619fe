"""Kept models: the newest few stay, a person may hold one, and its card says what it is worth where."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.forecasting.demand_classes import classed, score_classes
from models.forecasting.forecast import Forecast
from orchestration.facts import kept_models
from orchestration.home import Home

FIRST = date(2024, 1, 1)


def trained(home: Home, name: str) -> kept_models.KeptModel:
    data = name.encode()
    card = {
        "name": name,
        "as_of": datetime(2024, 1, 1).isoformat(),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return kept_models.keep_model(home, data, card)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.found(tmp_path / "home", "w")


@pytest.fixture
def any_bytes_are_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_models.DemandModel, "from_bytes", staticmethod(bytes))


def test_the_newest_decides_and_so_many_stay_beside_it(home: Home) -> None:
    assert kept_models.model_in_use(home) is None
    names = [trained(home, f"m{k}").name for k in range(kept_models.KEPT + 2)]
    assert [one.name for one in kept_models.kept_models(home)] == names[
        : -kept_models.KEPT - 1 : -1
    ]
    assert kept_models.model_in_use(home).name == names[-1]


@pytest.mark.usefixtures("any_bytes_are_a_model")
def test_a_pinned_model_outlives_newer_ones_and_a_rebuild_until_it_is_let_go(home: Home) -> None:
    trained(home, "old")
    with pytest.raises(ValueError, match="say why"):
        kept_models.pin(home, "old", "ann", " ")
    with pytest.raises(ValueError, match=r"no model 'odd' is kept; there are old"):
        kept_models.pin(home, "odd", "ann", "because")
    assert kept_models.pinned(home) is None
    kept_models.pin(home, "old", "ann", "the new one orders too much")
    for k in range(kept_models.KEPT + 1):
        trained(home, f"m{k}")
    assert kept_models.model_in_use(home).name == "old"
    shutil.rmtree(home.derived)
    assert kept_models.model_in_use(home).load() == b"old"
    assert kept_models.unpin(home, "bob", "mended").model == "old"
    trained(home, "new")
    assert kept_models.model_in_use(home).name == "new"
    log = (home.state / "models.jsonl").read_text(encoding="utf-8").splitlines()
    assert [(said["event"], said["by"]) for said in map(json.loads, log)] == [
        ("pinned", "ann"),
        ("unpinned", "bob"),
    ]
    with pytest.raises(ValueError, match="no model is pinned"):
        kept_models.unpin(home, "bob", "again")


def test_a_model_that_is_not_its_card_s_is_refused(home: Home) -> None:
    kept = trained(home, "m")
    kept.path.write_bytes(b"another")
    with pytest.raises(ValueError, match="not the model that its card speaks of"):
        kept.load()


def test_series_are_classed_by_what_they_sell_and_how() -> None:
    sold = {
        "smooth": [10.0, 11.0, 10.0, 9.0],
        "erratic": [1.0, 9.0, 1.0, 1.0],
        "intermittent": [2.0, 0.0, 0.0, 2.0],
        "lumpy": [0.0, 9.0, 0.0, 1.0],
    }
    history = pl.DataFrame(
        [
            {
                "item_id": name,
                "location_id": "x",
                "target_on": FIRST + timedelta(days=k),
                "demand": units,
            }
            for name, row in sold.items()
            for k, units in enumerate(row)
        ]
    )
    found = {row["item_id"]: row for row in classed(history).to_dicts()}
    assert {name: row["pattern"] for name, row in found.items()} == {name: name for name in sold}
    assert [
        found[name]["volume"][0] for name in ("smooth", "erratic", "lumpy", "intermittent")
    ] == [*"AAAB"]


def test_a_class_is_scored_by_its_own_series_and_none_without_sales() -> None:
    keys = pl.DataFrame({"item_id": ["a", "b", "c"], "location_id": ["x", "x", "y"]})
    mean = np.array([[10.0, 10.0], [2.0, 2.0], [1.0, 1.0]])
    ahead = Forecast(keys, [FIRST, FIRST + timedelta(days=1)], (0.975,), mean[:, :, None] * 2, mean)
    came = np.array([[8.0, np.nan], [2.0, 6.0], [0.0, 0.0]])
    classes = keys.with_columns(volume=pl.lit("A"), pattern=pl.Series(["smooth", "lumpy", None]))
    rows = {
        (row["of"], row["class"]): row for row in score_classes(classes, ahead, came).to_dicts()
    }
    assert rows["pattern", "smooth"]["wape"] == pytest.approx(2 / 8)
    assert rows["pattern", "smooth"]["bias"] == pytest.approx(2 / 8)
    assert rows["pattern", "lumpy"]["wape"] == pytest.approx(4 / 8)
    assert rows["pattern", "lumpy"]["under_tail"] == 0.5
    assert (
        rows["place", "y"]["wape"] is None and rows["pattern", "never sold before"]["series"] == 1
    )
    assert rows["all", "all series"]["demand"] == 16


def test_the_commands_hold_a_model_and_draw_its_card(
    sample_home: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    at = ("--home", sample_home, "--json")
    (one,) = json.loads(command("model", "list", *at).stdout)["models"]
    assert one["in_use"] == "the newest"
    command("model", "pin", one["model"], "--reason", "it is good", "--by", "ann", *at)
    (one,) = json.loads(command("model", "list", *at).stdout)["models"]
    assert one["in_use"] == "pinned by ann: it is good"
    out = tmp_path / "card.html"
    said = json.loads(command("model", "card", "--out", out, *at).stdout)
    page = out.read_text(encoding="utf-8")
    assert one["model"] in page and "pinned by ann" in page and "data:image/png;base64," in page
    groups = {row["of"] for row in said["scores"]}
    assert groups == {"all", "volume", "pattern", "place"}
    units = {
        name: sum(row["demand"] for row in said["scores"] if row["of"] == name) for name in groups
    }
    assert len({round(total, 6) for total in units.values()}) == 1, "every series is in each once"
