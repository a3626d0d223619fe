"""What the newest run decided is what counts, also where it decided nothing of a kind."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration.facts import decisions

FIRST = datetime(2026, 1, 5)
#: Of each run the day of its Now and how many rows it left.
RUNS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=6)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(runs=RUNS, until=st.integers(0, 3))
def test_the_newest_decisions_are_of_the_latest_now_whether_or_not_they_have_rows(
    tmp_path: Path, runs: list[tuple[int, int]], until: int
) -> None:
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    folder.mkdir()
    schema = decisions.DECISIONS["limits"]
    for number, (day, count) in enumerate(runs):
        now = FIRST + timedelta(days=day)
        row = dict.fromkeys(schema) | {"run_id": f"run-{number}", "as_of": now}
        frame = pl.DataFrame([row] * count, schema=schema)
        decisions.record(folder, f"run-{number}", "limits", frame, as_of=now)
    known = [(day, number) for number, (day, _) in enumerate(runs) if day <= until]
    found = decisions.latest(folder, "limits", FIRST + timedelta(days=until))
    if not known:
        assert found is None
        return
    _, number = max(known)
    assert found is not None
    assert found["run_id"].to_list() == [f"run-{number}"] * runs[number][1]
    _, newest = max((day, number) for number, (day, _) in enumerate(runs))
    assert decisions.latest_run(folder, "limits") == f"run-{newest}"


def test_of_files_kept_before_they_said_their_now_those_with_rows_count(tmp_path: Path) -> None:
    schema = decisions.DECISIONS["limits"]
    row = dict.fromkeys(schema) | {"run_id": "old", "as_of": FIRST}
    (tmp_path / "limits").mkdir()
    for name, rows in (("old", [row]), ("empty", [])):
        pl.DataFrame(rows, schema=schema).write_parquet(tmp_path / "limits" / f"{name}.parquet")
    found = decisions.latest(tmp_path, "limits")
    assert found is not None and found["run_id"].to_list() == ["old"]
