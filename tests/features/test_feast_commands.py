"""Feast's own command line and a relative path find the same store as the line does, and change
nothing in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from small_marts import NOW, registered

from feature_repo.features import ENTITIES, SERVICES, VIEWS
from feature_repo.store import open_store, training_frame

ROOT = Path(__file__).resolve().parents[2]


def feast(home: Path, *arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("feast")), "-c", "feature_repo", *arguments]
    told = os.environ | {
        "STOCKHOUSE_HOME": str(home),
        "FEAST_USAGE": "False",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("opened_before", [True, False])
def test_feast_apply_leaves_exactly_what_the_line_defines(
    own: Path, tmp_path: Path, opened_before: bool
) -> None:
    derived = tmp_path / "home" / "derived"
    (derived / "features").mkdir(parents=True)
    own.rename(derived / "warehouse.duckdb")
    if opened_before:
        before = registered(open_store(derived / "warehouse.duckdb", derived / "features"))
    feast(tmp_path / "home", "apply")
    store = open_store(derived / "warehouse.duckdb", derived / "features")
    assert {service.name for service in store.list_feature_services()} == {
        service.name for service in SERVICES
    }
    assert {view.name for view in store.list_feature_views()} == {view.name for view in VIEWS}
    assert {entity.name for entity in store.list_entities()} >= {entity.name for entity in ENTITIES}
    if opened_before:
        assert registered(store) == before
    listed = feast(tmp_path / "home", "feature-services", "list")
    assert all(service.name in listed for service in SERVICES)


def test_a_home_named_by_a_relative_path_answers_as_by_its_full_one(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = pl.DataFrame(
        {"item_id": ["a"], "location_id": ["x"], "event_timestamp": [NOW]}
    ).with_columns(pl.col("event_timestamp").dt.replace_time_zone("UTC"))
    near = open_store(Path(own.name), Path("features"))
    far = open_store(own, tmp_path / "elsewhere")
    assert training_frame(near, asked, "demand_v1").equals(training_frame(far, asked, "demand_v1"))
    assert (tmp_path / "features" / "registry.db").is_file()
