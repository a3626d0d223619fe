"""Recomputing an order line: only what its run knew goes in, and what cannot be known is said."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from orchestration.facts import decisions
from orchestration.facts.trace import TraceError
from orchestration.home import Home
from orchestration.landing.load.store import Archive, Receipt
from orchestration.runs.recompute import Recomputed, link_archive, recompute

NOW = datetime(2024, 12, 30)


def handed_over(folder: Path, names: list[str]) -> Archive:
    """An archive that received these bytes, one after another."""
    archive = Archive(folder)
    for seq, name in enumerate(names, start=1):
        file = archive.incoming / name
        file.write_text(name)
        archive.keep([(file, Receipt(f"sha-{name}", len(name), "till", "erp", f"{name}.csv", seq))])
    return archive


def test_only_what_had_been_handed_over_by_then_is_in_the_archive(tmp_path: Path) -> None:
    real = handed_over(tmp_path / "real", ["monday", "tuesday", "wednesday"])
    before = sorted(path.name for path in real.folder.iterdir())
    link_archive(real.folder, tmp_path / "then", 2)
    then = Archive(tmp_path / "then")
    assert [receipt.path for receipt in then.receipts()] == ["monday.csv", "tuesday.csv"]
    assert then.path("sha-tuesday").read_text() == "tuesday"
    # the real one is only read
    assert sorted(path.name for path in real.folder.iterdir()) == before


def test_a_line_recomputes_to_the_same_quantity_or_says_that_it_does_not() -> None:
    line = Recomputed("line-1", NOW, 36.0, 36.0, "m", "m")
    assert line.is_same
    assert "36 decided, 36 recomputed, the same; the same model" in str(line)
    for other in (
        Recomputed("line-1", NOW, 36.0, 48.0, "m", "n"),
        Recomputed("line-1", NOW, 36.0, None, "m", "m"),
    ):
        assert not other.is_same
        assert "NOT the same" in str(other)
    assert json.loads(json.dumps(line.as_dict(), default=str))["is_same"] is True


def test_a_line_nobody_decided_or_whose_run_left_no_trace_is_refused(tmp_path: Path) -> None:
    home = Home.found(tmp_path / "home", "tiny")
    with pytest.raises(TraceError, match="No run proposed an order line 'line-9'"):
        recompute(home, tmp_path, ["line-9"])
    line = {
        "run_id": "run-1",
        "as_of": NOW,
        "order_line_id": "line-1",
        "intent_key": "need",
        "quantity": 36.0,
    }
    schema = decisions.DECISIONS["order_lines"]
    decisions.record(
        home.decisions,
        "run-1",
        "order_lines",
        pl.DataFrame([{name: line.get(name) for name in schema}], schema=schema),
        as_of=NOW,
    )
    with pytest.raises(TraceError, match="not on record how far run run-1 had read the archive"):
        recompute(home, tmp_path, ["line-1"])
