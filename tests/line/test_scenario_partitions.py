"""A scenario is a partition of one asset: the sensor offers and asks what lies on the shelf, and
its run is the study that `stockhouse simulate` makes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from orchestration.app import publishing, studies
from orchestration.defs import automation, simulate
from orchestration.defs.resources import Lakehouse
from orchestration.home import Home

WORLD = """
world: w
currency: GBP
plan: {grain: day, absent_sales: zero}
sources:
  till:
    silo: erp
    stream: {webhook: "${HOOK}", message_id: n}
    key: [n]
    known_after: 1 day
    into: [sales: {item_id: i, location_id: l, event_at: d, quantity: q}]
"""
SURGE = """
scenario: surge
title: All sell more
starts_on: 2026-01-10
ends_on: 2026-01-20
effects:
  - {kind: demand_factor, factor: FACTOR}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with a published Now, and a scenario beside its world."""
    monkeypatch.setenv("HOOK", "x" * 20)
    (tmp_path / "world.yml").write_text(WORLD)
    (tmp_path / "scenarios").mkdir()
    home = Home.found(tmp_path / "home", "w")
    home.remember(tmp_path, None)
    with duckdb.connect(str(home.warehouse)) as con:
        con.execute("create schema raw; create schema marts; create schema metrics")
        con.execute(
            "create table raw.world as select 'w' as world, 'GBP' as currency, 'UTC' as timezone, "
            "timestamp '2026-01-05' as now_at"
        )
        con.execute("create table marts.dim_items as select 'mug' as item_id")
    publishing.write_snapshot(home.warehouse, home.published, "run 1", datetime(2026, 1, 5))
    return home


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as own:
        yield own


def tick(home: Home, instance: dg.DagsterInstance) -> list[dg.RunRequest]:
    """What the sensor asks for, with its partitions added and taken away as the daemon does."""
    lakehouse = Lakehouse(world=str(home.root.parent), home=str(home.root))
    context = dg.build_sensor_context(instance=instance, resources={"lakehouse": lakehouse})
    said = simulate.scenarios_to_ask(context)
    assert isinstance(said, dg.SensorResult)
    added, gone = said.dynamic_partitions_requests or ()
    instance.add_dynamic_partitions("scenarios", added.partition_keys)
    for name in gone.partition_keys:
        instance.delete_dynamic_partition("scenarios", name)
    return list(said.run_requests or ())


def test_each_wording_of_a_file_on_the_shelf_is_asked_once(
    home: Home, instance: dg.DagsterInstance
) -> None:
    shelf = home.root.parent / "scenarios"
    (shelf / "surge.yml").write_text(SURGE.replace("FACTOR", "2"))
    (shelf / "wrong.yml").write_text("scenario: wrong")  # what cannot be meant is not offered
    (shelf / "over.yml").write_text(SURGE.replace("FACTOR", "2").replace("2026", "2025"))
    (shelf / "night.yml").write_text(
        "stress: night\ntitle: Surges\nseed: 1\nscenarios: 2\nbegins_within_days: 3\n"
        "effects:\n  - {kind: demand_factor, scopes: [{}], hours: [24, 48], factor: [1, 2]}\n"
    )
    (first,) = tick(home, instance)
    assert first.partition_key == "surge"
    assert instance.get_dynamic_partitions("scenarios") == ["surge"]
    tags = {automation.RUN_KEY_TAG: str(first.run_key)}
    done = dg.DagsterRun(job_name="job", status=dg.DagsterRunStatus.SUCCESS, tags=tags)
    instance.add_run(done)
    (again,) = tick(home, instance)
    assert again.run_key == first.run_key  # the daemon skips a key that has had its run
    (shelf / "surge.yml").write_text(SURGE.replace("FACTOR", "3"))
    (changed,) = tick(home, instance)
    assert changed.partition_key == "surge" and changed.run_key != first.run_key
    (shelf / "surge.yml").unlink()
    assert tick(home, instance) == [] and instance.get_dynamic_partitions("scenarios") == []


@pytest.mark.line
def test_a_partition_is_the_study_of_its_scenario(
    sample_home: Path, instance: dg.DagsterInstance
) -> None:
    home = Home.open(sample_home)
    instance.add_dynamic_partitions("scenarios", ["hub_blocked_48h"])
    done = dg.materialize(
        [simulate.scenario],
        instance=instance,
        partition_key="hub_blocked_48h",
        resources={"lakehouse": Lakehouse(home=str(sample_home))},
        run_config={"ops": {"studies__scenario": {"config": {"futures": 2}}}},
    )
    (event,) = done.get_asset_materialization_events()
    told = {name: value.value for name, value in event.materialization.metadata.items()}
    (made,) = studies.studies(home)
    assert event.partition == "hub_blocked_48h" and made.study_id == told["study"]
    (answer,) = made.said["scenarios"]
    assert told["hub_blocked_48h: cost"] == answer["totals"]["cost"]["difference"]
    assert (home.decisions / "scenarios" / f"{made.study_id}.parquet").exists()
