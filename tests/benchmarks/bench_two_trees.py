"""Landing and marts of two checkouts in turns, so that a change that costs time is seen: `python
tests/benchmarks/bench_two_trees.py OTHER_TREE WORLD DATA [ROUNDS]`.

WORLD is a contract that both trees read (that of this one, or a path within each). Each turn lands
the world into a scratch warehouse and builds staging, intermediate and marts by dbt without tests,
by the code of its tree. The project has been parsed before, as it is once for an installation.
Processor seconds count, children's included; medians and ratios are shown.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
#: What one turn runs, in the tree it measures; a tree before the move kept `decisions` elsewhere.
TURN = """
import importlib, json, os, resource, subprocess, sys, tempfile
from pathlib import Path
sys.path.insert(0, os.getcwd())
import duckdb
from orchestration.landing import World, land
decisions = importlib.import_module(
    "orchestration.facts.decisions" if Path("orchestration/facts").is_dir()
    else "orchestration.decisions"
)
def used():
    both = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in both)
with tempfile.TemporaryDirectory() as folder:
    scratch, project = Path(folder), str(Path.cwd() / "dbt_project")
    warehouse = scratch / "warehouse.duckdb"
    settings = {"threads": 2, "memory_limit": "4GB", "preserve_insertion_order": False}
    begun = used()
    with duckdb.connect(str(warehouse), config=settings) as con:
        world = World.load(Path(sys.argv[1]))
        rows = land(con, world, Path(sys.argv[2]), scratch / "state" / "archive").new_rows
        landed = used()
        decisions.load(con, scratch / "decisions")
    def dbt(*words):
        subprocess.run(
            [str(Path(sys.executable).with_name("dbt")), "--quiet", *words,
             "--project-dir", project, "--profiles-dir", project,
             "--target-path", str(scratch / "target"), "--log-path", str(scratch / "logs")],
            env=os.environ | {"STOCKHOUSE_WAREHOUSE": str(warehouse)}, check=True,
            stdout=subprocess.DEVNULL,
        )
    dbt("parse")
    before = used()
    dbt("run", "--select", "staging", "intermediate", "marts")
    print(json.dumps({"rows": rows, "landing": landed - begun, "marts": used() - before}))
"""


def turn(tree: Path, world: str, data: Path) -> dict[str, float]:
    """Processor seconds of landing and marts by the code of a tree, and the rows it landed."""
    done = subprocess.run(
        [sys.executable, "-c", TURN, world, str(data)],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree)},
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main(other: Path, world: str, data: Path, rounds: int) -> None:
    """Print the medians of both trees and how many times the other's this one takes."""
    trees = {"other": other.resolve(), "this": REPOSITORY}
    turns = {name: [] for name in trees}
    for _ in range(rounds):
        for name, tree in trees.items():
            turns[name].append(turn(tree, world, data.resolve()))
    print("| station | other tree, processor s | this tree | ratio |\n|---|--:|--:|--:|")
    for station in ("landing", "marts"):
        was, now = (
            statistics.median(one[station] for one in turns[name]) for name in ("other", "this")
        )
        print(f"| {station} of {world} | {was:.1f} | {now:.1f} | {now / was:.2f} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), int((sys.argv[4:] or ["3"])[0]))
