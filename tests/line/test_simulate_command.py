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
    sample_run: tuple[Path, dict[str, Any]], command: Callable[..., Any], tmp_path: Path
) -> None:
    asked = [word for path in QUESTIONS for word in ("--scenario", path)]
    home = ("--home", sample_run[0], "--paths", "2", "--json")
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
    again = command("simulate", "sample_data", *asked, "--out", tmp_path / "again", *home)
    assert json.loads(again.stdout) == said

    lost = tmp_path / "lost.yml"
    lost.write_text(Path(QUESTIONS[0]).read_text().replace("DC1", "DC7"))
    refused = command(
        "simulate", "sample_data", "--scenario", lost, "--out", tmp_path / "no", *home, code=2
    )
    assert "no location_id is called 'DC7'" in refused.stderr and not (tmp_path / "no").exists()
