"""A failed run does not use up its run key: a sensor asks again until a run has done what it was
asked for, and then no more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from orchestration.app import publishing
from orchestration.defs import automation
from orchestration.defs.resources import Lakehouse
from orchestration.home import Home
from orchestration.ledger import Ledger

NOW = datetime(2026, 1, 5)
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
WENT_WRONG = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
SENSORS = {
    "deliveries": automation.deliveries,
    "supplier_messages": automation.supplier_messages,
    "goods_and_bills": automation.goods_and_bills,
    "orders_to_send": automation.orders_to_send,
}


@pytest.fixture
def home(tmp_path: Path, line, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home in which every sensor finds something to do."""
    monkeypatch.setenv("HOOK", "x" * 20)
    (tmp_path / "world.yml").write_text(WORLD)
    home = Home.found(tmp_path / "home", "w")
    with duckdb.connect(str(home.warehouse)) as con:
        con.execute("create schema raw; create schema marts; create schema metrics")
        now = "timestamp '2026-01-05' as now_at"
        con.execute(
            "create table raw.world as select 'w' as world, 'GBP' as currency, 'UTC' as timezone, "
            f"{now}"
        )
        con.execute("create table marts.dim_items as select 'mug' as item_id")
    publishing.write_snapshot(home.warehouse, home.published, "run 1", NOW)
    ledger = Ledger.open(home.ledger_url)
    ledger.propose([line("mug")], "run 1", NOW)
    ledger.close()
    for path in (
        home.inbox / "till" / "rows-1.jsonl",
        home.state / "partners" / "S1" / "in" / "1.edi",
    ):
        path.parent.mkdir(parents=True)
        path.write_text("{}\n")
    return home


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as own:
        yield own


def tick(sensor: str, home: Home, instance: dg.DagsterInstance) -> dg.RunRequest | dg.SkipReason:
    lakehouse = Lakehouse(world=str(home.root.parent), home=str(home.root))
    context = dg.build_sensor_context(instance=instance, resources={"lakehouse": lakehouse})
    (said,) = SENSORS[sensor](context)
    return said


def run(instance: dg.DagsterInstance, asked: dg.RunRequest, status: dg.DagsterRunStatus) -> None:
    """What the daemon leaves of a run that was asked for."""
    instance.add_run(
        dg.DagsterRun(
            job_name="job", status=status, tags={automation.RUN_KEY_TAG: str(asked.run_key)}
        )
    )


@pytest.mark.parametrize("status", WENT_WRONG)
@pytest.mark.parametrize("sensor", SENSORS)
def test_a_sensor_asks_again_under_a_fresh_key_after_a_run_that_went_wrong(
    sensor, status, home, instance
):
    first = tick(sensor, home, instance)
    assert tick(sensor, home, instance).run_key == first.run_key
    run(instance, first, status)
    second = tick(sensor, home, instance)
    assert second.run_key != first.run_key
    assert (second.asset_selection, second.run_config) == (first.asset_selection, first.run_config)
    run(instance, second, dg.DagsterRunStatus.SUCCESS)
    # the daemon skips a key that has had its run
    assert tick(sensor, home, instance).run_key == second.run_key


@pytest.mark.parametrize("sensor", SENSORS)
def test_a_run_that_goes_wrong_again_and_again_is_asked_for_with_growing_pauses(
    sensor, home, instance, monkeypatch
):
    for _ in range(2):
        run(instance, tick(sensor, home, instance), dg.DagsterRunStatus.FAILURE)
    assert isinstance(tick(sensor, home, instance), dg.SkipReason)
    monkeypatch.setattr(automation, "FIRST_PAUSE", timedelta())
    assert "attempt 3" in tick(sensor, home, instance).run_key


def test_mail_that_was_taken_away_and_put_back_is_asked_for_again(home, instance):
    first = tick("supplier_messages", home, instance)
    run(instance, first, dg.DagsterRunStatus.SUCCESS)
    path = home.state / "partners" / "S1" / "in" / "1.edi"
    kept = os.stat(path)
    path.rename(home.root / "aside")
    assert isinstance(tick("supplier_messages", home, instance), dg.SkipReason)
    (home.root / "aside").rename(path)
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    assert tick("supplier_messages", home, instance).run_key != first.run_key


def test_hundreds_of_waiting_files_make_one_short_key(home, instance):
    for place in range(200):
        (home.state / "partners" / "S1" / "in" / f"{place}.edi").write_text("")
    assert len(tick("supplier_messages", home, instance).run_key) <= 100
