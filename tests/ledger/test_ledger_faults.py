"""Nothing is lost and nothing is ordered twice: the fault drill in short, and kill -9 at every
single point of the steps that matter."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
from collections import Counter
from itertools import takewhile
from pathlib import Path
from types import ModuleType

import pytest

from orchestration.ledger import Ledger

RUNS = 50


@pytest.fixture(scope="module")
def drill() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "drill_procurement", Path(__file__).with_name("drill_procurement.py")
    )
    assert spec and spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_fifty_seeded_runs_lose_and_double_nothing():
    """In a process of its own: it forks hundreds of times, and a small process forks fast."""
    command = [sys.executable, str(Path(__file__).with_name("drill_procurement.py")), str(RUNS)]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    faults: Counter[str] = Counter(ast.literal_eval(done.stdout[done.stdout.rindex("{") :]))
    assert not [fault for fault in faults if "crashed" in fault]
    assert faults["kill: killed"] >= RUNS
    assert faults["full: refused"] >= 5


@pytest.mark.parametrize(
    ("step", "stride"), [("propose", 1), ("approve", 1), ("send", 3), ("hear", 8)]
)
def test_kill_all_along_a_step_loses_and_doubles_nothing(drill, step, stride):
    with drill.home() as ready:
        prepared = drill.Run(7, ready)
        ledger = Ledger.open(prepared.url)
        for before in ("propose", "approve", "send", "hear"):
            if before == step:
                break
            act(prepared, before)(ledger)
        ledger.close()
        killed = sum(
            1
            for _ in takewhile(
                bool, (kill(drill, prepared, step, point) for point in range(1, 200, stride))
            )
        )
    assert killed >= 5


def act(run, step: str):
    """A step without luck in it."""
    return (
        (lambda ledger: ledger.send(run.partners, run.now))
        if step == "send"
        else getattr(run, step)()
    )


def kill(drill: ModuleType, prepared, step: str, point: int) -> bool:
    """Kill a copy of the run at this point of its step, finish it, and judge; False where the step
    was over before."""
    with drill.home() as copy:
        shutil.copytree(prepared.home, copy, dirs_exist_ok=True)
        again = drill.Run(7, copy)
        again.plan = prepared.plan
        _, ended = os.waitpid(drill.fork(again.url, act(again, step), "kill", point), 0)
        if not os.WIFSIGNALED(ended):
            return False
        assert again.finish() == [], f"killed at point {point} of {step}"
        return True
