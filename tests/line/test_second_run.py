"""The line once more with nothing new: nothing is landed or ordered, and whoever looks at what is
published sees the same figures."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.facts.published_snapshots import FILE
from tests.publish.bi_clients import DRIVERS, by_duckdb, by_node, by_sqlalchemy, node_client

__all__ = ["node_client"]
pytestmark = [pytest.mark.line, pytest.mark.xdist_group("line")]
ROOT = Path(__file__).resolve().parents[2]
#: Money as a BI tool adds it up: what is decided, what has become of it, and a metric by week.
SUMS = """
    select 'orders' as figure, count(*) as lines, sum(value) as value from decisions.order_lines
    union all select 'states', count(*), sum(value) from ledger.order_states
    union all select 'revenue', count(*), sum(revenue) from metrics.kpi_weekly
    union all select 'capital', count(*), sum(working_capital) from metrics.kpi_working_capital
    order by figure
"""


@dataclass(frozen=True)
class Again:
    """A home after its second run, what that run reported and said beside it, and what a client
    that kept reading the published snapshot meanwhile was answered."""

    home: Path
    report: dict[str, Any]
    beside: str
    answers: list[int]
    failures: list[Exception]
    documents: tuple[int, int]

    @property
    def versions(self) -> list[Path]:
        """The files that the first and the second run published."""
        return sorted((self.home / "derived/published/versions").glob(f"*/{FILE}"))


@pytest.fixture(scope="module")
def again(
    sample_run: tuple[Path, dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
    command: Callable[..., Any],
) -> Again:
    home = tmp_path_factory.mktemp("again") / "home"
    shutil.copytree(sample_run[0], home, symlinks=True)
    failures: list[Exception] = []
    answers: list[int] = []
    stop = threading.Event()

    def documents() -> int:
        with sqlite3.connect(home / "state/ledger.sqlite") as ledger:
            return int(ledger.execute("select count(*) from documents").fetchone()[0])

    def read() -> None:
        while not stop.is_set():
            try:
                told = by_duckdb(home / "derived/published/current" / FILE, SUMS)
                answers.append(next(row["lines"] for row in told if row["figure"] == "orders"))
            except duckdb.Error as error:
                failures.append(error)
            time.sleep(0.05)

    before = documents()
    reader = threading.Thread(target=read)
    reader.start()
    try:
        done = command("run", "sample_data", "--home", home, "--json")
    finally:
        stop.set()
        reader.join()
    told = (json.loads(done.stdout), done.stderr)
    return Again(home, *told, answers, failures, (before, documents()))


def test_second_run_with_nothing_new_changes_nothing_and_readers_never_notice_it(
    again: Again,
) -> None:
    """Nothing is landed, nothing is ordered; meanwhile a plain client keeps reading the published
    snapshot."""
    report = again.report
    assert (report["new_deliveries"], report["new_rows"], report["new_orders"]) == (0, 0, 0)
    assert again.documents[0] == again.documents[1]
    assert "Blocking asset check" not in again.beside, "checks of tables that stand are skipped"
    assert not again.failures
    assert len(again.answers) > 10
    assert len(set(again.answers)) == 1 and again.answers[0] > 0
    used = "select model, is_new, reason from decisions.models order by is_new desc"
    with duckdb.connect(str(again.home / "derived/warehouse.duckdb"), read_only=True) as con:
        first, second = con.execute(used).fetchall()
    assert first == (*second[:1], True, "none was kept") and not second[1], (
        "the model is kept, and every run says which it used"
    )


@pytest.mark.parametrize("client", ["duckdb", *DRIVERS, "node"])
def test_stock_clients_add_up_to_the_same_before_and_after_it(
    again: Again, client: str, request: pytest.FixtureRequest
) -> None:
    read: Callable[[Path, str], list[dict[str, Any]]] = by_duckdb
    if client == "node":
        read = partial(by_node, client=request.getfixturevalue("node_client"))
    elif client in DRIVERS:
        read = partial(by_sqlalchemy, driver=client)
    before, after = (read(version, SUMS) for version in again.versions)
    assert before == after == by_duckdb(again.versions[0], SUMS)
    assert len(before) == 4 and all(row["lines"] > 0 and row["value"] for row in before)


def test_superset_draws_every_chart_the_same_before_and_after_it(again: Again) -> None:
    """Superset itself, where it is: its pins are not ours, so it lives in an environment of its
    own."""
    superset = ROOT / ".venv/superset/bin/python"
    if not superset.exists():
        pytest.skip("Superset is not installed: `make drill-superset` puts it into .venv/superset")
    drill = [superset, ROOT / "tests/publish/drill_superset.py", again.home / "derived/published"]
    done = subprocess.run(drill, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "in 2 versions, 0 failed" in done.stdout
