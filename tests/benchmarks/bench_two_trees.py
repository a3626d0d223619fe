"""Landing and marts of this checkout and of an earlier commit in turns, so that a change that costs
time is seen: `python tests/benchmarks/bench_two_trees.py COMMIT ROUNDS WORLD DATA [WORLD DATA …]`.

WORLD is a contract that both trees read (that of this one, or a path within each). Each turn lands
the world into a scratch warehouse and builds staging, intermediate and marts by dbt without tests,
by the code of its tree. The project has been parsed before, as it is once for an installation.
Processor seconds count, children's included; medians and ratios are shown. Marts that one tree has
alone answer questions the other does not: the models of both are compared by dbt's own seconds.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
        land(con, world, Path(sys.argv[2]), scratch / "state" / "archive")
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
    marts = used() - before
    ran = json.loads((scratch / "target" / "run_results.json").read_text())["results"]
    models = {one["unique_id"].rpartition(".")[2]: one["execution_time"] for one in ran}
    print(json.dumps({"landing": landed - begun, "marts": marts, "models": models}))
"""


Turn = dict[str, Any]


@contextmanager
def tree_of(commit: str) -> Iterator[Path]:
    """The checkout of a commit, beside ours for as long as it is needed."""
    git = ["git", "-C", str(REPOSITORY), "worktree"]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), commit], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def turn(tree: Path, world: str, data: Path) -> Turn:
    """Processor seconds of landing and marts by the code of a tree, and each model's own."""
    done = subprocess.run(
        [sys.executable, "-c", TURN, world, str(data)],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree)},
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def compare(other: Path, world: str, data: Path, rounds: int) -> None:
    """Print the medians of both trees and how many times the other's this one takes."""
    was, now = [], []
    for _ in range(rounds):
        was.append(turn(other, world, data.resolve()))
        now.append(turn(REPOSITORY, world, data.resolve()))
    shared = was[0]["models"].keys() & now[0]["models"].keys()
    kinds: dict[str, Callable[[Turn], float]] = {
        "landing": lambda one: one["landing"],
        f"the {len(shared)} models of both": lambda one: sum(one["models"][m] for m in shared),
        f"all models ({len(was[0]['models'])} and {len(now[0]['models'])}), dbt included": (
            lambda one: one["marts"]
        ),
    }
    for kind, seconds in kinds.items():
        then, today = (statistics.median(map(seconds, turns)) for turns in (was, now))
        print(f"| {world} | {kind} | {then:.1f} | {today:.1f} | {today / then:.2f} |", flush=True)


def main(commit: str, rounds: int, *worlds: str) -> None:
    """Compare this checkout with a commit on worlds, each given as its contract and its data."""
    print(f"### Beside commit {commit}, {rounds} turns each\n")
    print("| world | station | the commit, s | this checkout, s | ratio |\n|---|---|--:|--:|--:|")
    with tree_of(commit) as other:
        for world, data in zip(worlds[::2], worlds[1::2], strict=True):
            compare(other, world, Path(data), rounds)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
