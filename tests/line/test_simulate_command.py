"""`stockhouse simulate` answers the two questions that ship with the sample company."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

pytestmark = pytest.mark.line

QUESTIONS = [
    f"sample_data/scenarios/{name}.yml" for name in ("hub_blocked_48h", "fuel_up_10_percent")
]


def test_a_blocked_hub_moves_stock_and_dearer_fuel_moves_money_only(
    sample_home: Path, command: Callable[..., Any], tmp_path: Path
) -> None:
    asked = [word for path in QUESTIONS for word in ("--scenario", path)]
    home = ("--home", sample_home, "--paths", "2", "--json")
    done = command("simulate", "sample_data", *asked, "--out", tmp_path / "out", *home)
    said = json.loads(done.stdout)
    assert said == json.loads((tmp_path / "out" / "study.json").read_text())
    block, fuel = said["scenarios"]
    for name in ("cost", "demand", "sold", "lost", "bought", "moved", "fill_rate"):
        assert set(list(fuel["totals"][name].values())[2:]) == {0.0}, name
    assert fuel["totals"]["freight"]["lower"] > 0 > fuel["totals"]["margin"]["upper"]
    assert block["totals"]["demand"]["difference"] == 0
    stock = pl.read_csv(tmp_path / "out" / "hub_blocked_48h_stock.csv", try_parse_dates=True)
    before = pl.col("period_start") < pl.date(2011, 12, 17)
    assert stock.filter(before)["difference"].abs().max() == 0
    assert stock.filter(~before)["difference"].abs().max() > 0  # type: ignore[operator]
    kept = pl.read_parquet(sample_home / "state" / "decisions" / "scenarios" / "*.parquet")
    assert set(kept["run_id"]) == {said["study_id"]}
    again = command("simulate", "sample_data", "--replay", said["study_id"], *home[:2], "--json")
    assert json.loads(again.stdout)["differing"] == []
    assert json.loads(again.stdout)["figures"] > 100

    lost = tmp_path / "lost.yml"
    lost.write_text(Path(QUESTIONS[0]).read_text().replace("DC1", "DC7"))
    refused = command(
        "simulate", "sample_data", "--scenario", lost, "--out", tmp_path / "no", *home, code=2
    )
    assert "no location_id is called 'DC7'" in refused.stderr and not (tmp_path / "no").exists()


def test_a_promoted_measure_is_in_the_ledger_once(
    sample_home: Path, command: Callable[..., Any], tmp_path: Path
) -> None:
    late = tmp_path / "late.yml"
    late.write_text(LATE)
    asked = ("simulate", "sample_data", "--scenario", late, "--paths", "4", "--home", sample_home)
    promote = ("--promote", "late", "--measure", "pre_build", "--by", "ann", "--json")
    first, second = (json.loads(command(*asked, *promote).stdout) for _ in range(2))
    done, again = first["promoted"], second["promoted"]
    assert done["new_orders"] == done["lines"] > 0
    assert again["new_orders"] == 0 and again["document_ids"] == done["document_ids"]
    book = json.loads(command("orders", "--home", sample_home, "--json").stdout)
    listed = book if isinstance(book, list) else next(iter(book.values()))
    documents = [one["document_id"] for one in listed]
    assert all(documents.count(name) == 1 for name in done["document_ids"].values())
    keys = list(done["document_ids"])
    assert len(set(keys)) == len(keys) and all("scenario late pre_build" in key for key in keys)
    refused = command(*asked, "--promote", "late", "--measure", "magic", code=2)
    assert "there is no measure 'magic'" in refused.stderr


LATE = """scenario: late
title: All suppliers are five weeks late from now on
starts_on: 2011-12-10
ends_on: 2012-01-31
effects:
  - {kind: demand_factor, factor: 1.5}
  - {kind: lead_time_delay, scope: {location_id: DC1}, days: 35}
"""
