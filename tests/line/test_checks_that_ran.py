"""A check counts as passed only in a run that made it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.loader import LoadingContextForTest

from orchestration.home import Home
from orchestration.runs.line import instance_of

WORLD = """
world: corner-shop
currency: EUR
plan: {grain: day, review: weekly, lead_time_days: 7, absent_sales: zero}
sources:
  till:
    silo: erp
    path: till/*.csv
    format: csv
    identity: row
    known_after: 1 day
    into: [sales: {item_id: article, location_id: shop, event_at: day, quantity: pieces}]
"""


@pytest.mark.long
@pytest.mark.line
def test_a_test_of_tables_that_stand_is_skipped_and_not_passed_once_more(
    tmp_path: Path, command: Callable[..., Any]
) -> None:
    world, home = tmp_path / "world", tmp_path / "home"
    (world / "till").mkdir(parents=True)
    (world / "world.yml").write_text(WORLD, encoding="utf-8")
    (world / "till" / "monday.csv").write_text("article,shop,day,pieces\nA,main,2024-01-01,3\n")
    told = [
        json.loads(command("run", world, "--home", home, "--until", "transform", "--json").stdout)
        for _ in range(2)
    ]
    said = [line for line in told[0]["warnings"] if "in no item master" in line]
    assert said and said[0] in told[1]["warnings"], "what is wrong with them still is"
    with instance_of(Home(home)) as instance:
        second, first = instance.get_runs()
        made, again = evaluated(instance, first.run_id), evaluated(instance, second.run_id)
        assert {"raw", "staging", "intermediate", "marts"} <= {
            key.asset_key.path[0] for key in made
        }
        assert {key.asset_key.path[0] for key in again} == {"raw"}, "the gate looks at every run"
        mart = next(key for key in made if key.asset_key.path[0] == "marts")
        history = instance.event_log_storage.get_asset_check_execution_history(mart, limit=2)
        shown = [
            asyncio.run(one.resolve_status(LoadingContextForTest(instance))) for one in history
        ]
        assert [one.value for one in shown] == ["SKIPPED", "SUCCEEDED"]


def evaluated(instance: dg.DagsterInstance, run_id: str) -> set[dg.AssetCheckKey]:
    """The checks that a run says it made."""
    said = instance.all_logs(run_id, dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    return {
        entry.dagster_event.asset_check_evaluation_data.asset_check_key
        for entry in said
        if entry.dagster_event
    }
