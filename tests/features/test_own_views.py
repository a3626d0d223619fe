"""A company's own feature view, as the tutorial writes it, is as of its time like ours, and goes
with its extension."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from feast import FeatureStore
from small_marts import CORRECTED_AT, NOW, registered

from feature_repo.custom_views import own_services, write_own
from feature_repo.store import materialize_online, online_frame, open_store, training_frame
from orchestration.defs.transform import build_own_tables, own_features
from orchestration.home import HomeError

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = re.findall(
    r"```python\n(.*?)```", (ROOT / ".github/EXTENDING.md").read_text(encoding="utf-8"), re.DOTALL
)


@pytest.fixture
def home(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose last build made the tutorial's feature view."""
    (block,) = [block for block in TUTORIAL if "OwnView" in block]
    (tmp_path / "best.py").write_text(block, encoding="utf-8")
    monkeypatch.setenv("STOCKHOUSE_EXTENSIONS", str(tmp_path / "best.py"))
    derived = tmp_path / "home" / "derived"
    (derived / "features").mkdir(parents=True)
    own.rename(derived / "warehouse.duckdb")
    build(derived)
    return tmp_path / "home"


def build(derived: Path) -> None:
    views = own_features()
    with duckdb.connect(str(derived / "warehouse.duckdb")) as con:
        build_own_tables(con, {}, views)
    write_own(views, derived / "features")


def opened(home: Path) -> FeatureStore:
    return open_store(home / "derived/warehouse.duckdb", home / "derived/features")


def test_an_own_feature_says_what_was_known_then_and_serves_what_is_known_now(home: Path) -> None:
    store = opened(home)
    assert own_services(store, ("item_id", "location_id")) == ["best_days"]
    assert own_services(store, ("supplier_id",)) == []
    keys = pl.DataFrame({"item_id": ["a", "a"], "location_id": ["x", "x"]})
    at = [CORRECTED_AT - timedelta(hours=1), CORRECTED_AT + timedelta(hours=1)]
    asked = keys.with_columns(
        event_timestamp=pl.Series(at, dtype=pl.Datetime("us")).dt.replace_time_zone("UTC")
    )
    assert training_frame(store, asked, "best_days")["best_day"].to_list() == [5.0, 50.0]
    materialize_online(store, NOW)
    assert online_frame(store, keys[:1], "best_days")["best_day"].to_list() == [50.0]


def test_feast_s_own_command_leaves_it_and_it_goes_with_its_extension(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = opened(home)
    before = registered(there)
    command = [str(Path(sys.executable).with_name("feast")), "-c", "feature_repo", "apply"]
    told = os.environ | {"STOCKHOUSE_HOME": str(home), "PYTHONPATH": str(ROOT)}
    del told["STOCKHOUSE_EXTENSIONS"]  # whoever opens the store need not run the extension
    done = subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert registered(FeatureStore(config=there.config)) == before
    assert "best_days" in {one.name for one in opened(home).list_feature_services()}
    monkeypatch.delenv("STOCKHOUSE_EXTENSIONS")
    build(home / "derived")
    store = opened(home)
    names = {one.name for one in (*store.list_feature_services(), *store.list_feature_views())}
    assert "best_days" not in names and "demand_v1" in names and "demand_stats" in names


@pytest.mark.parametrize(
    ("name", "feature", "said"),
    [("demand_v1", "mine", "view 'demand_v1'"), ("mine", "price", "feature 'price'")],
)
def test_names_of_ours_are_refused(
    name: str, feature: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.py").write_text(
        "from feature_repo.custom_views import OwnView\n"
        f"features = {{{name!r}: OwnView('select 1', ('item_id',), "
        f"{{{feature!r}: ('number', 'units', 'mine')}}, 'mine')}}",
        encoding="utf-8",
    )
    monkeypatch.setenv("STOCKHOUSE_EXTENSIONS", str(tmp_path / "own.py"))
    with pytest.raises(HomeError, match=f"{said}.*taken"):
        own_features()
