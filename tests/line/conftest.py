"""One run of the whole line on the sample company, shared by every test that looks at what it left
behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(Path(__file__).parent))  # slices, beside the tests that run the line on them


def stockhouse(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """The command as a person runs it, in a process of its own."""
    command = [str(Path(sys.executable).parent / "stockhouse"), *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == code, (
        f"exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    )
    return done


@pytest.fixture(scope="session")
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    return stockhouse


@pytest.fixture(scope="session")
def sample_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The home of a finished first run, and what it reported; made once, whichever worker asks
    first."""
    base = tmp_path_factory.getbasetemp()
    # Workers share the folder above their own; a run without workers must not find what another run
    # left there.
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    home, report = shared / "sample-home", shared / "sample-report.json"
    with FileLock(str(shared / "sample-home.lock")):
        if not report.exists():
            done = stockhouse("run", "sample_data", "--home", home, "--json")
            report.write_text(done.stdout, encoding="utf-8")
    return home, json.loads(report.read_text(encoding="utf-8"))


@pytest.fixture
def sample_home(sample_run: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    """A copy of the finished home that a test may change."""
    return Path(shutil.copytree(sample_run[0], tmp_path / "home", symlinks=True))
