"""The command line is there at once: what takes seconds to import is only imported by the commands
that need it."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name as canonical

HEAVY = (
    "dagster",
    "feast",
    "xgboost",
    "jax",
    "statsforecast",
    "matplotlib",
    "great_expectations",
    "sqlalchemy",
    "alembic",
    "polars",
    "pyarrow",
    "numpy",
    "pydantic",
    "pandas",
    "scipy",
)

LOCK = Path(__file__).parents[2] / "requirements.lock"
#: Wheels of tens to hundreds of megabytes that others would bring and no command needs.
ABSENT = ("jax", "jaxlib", "statsforecast", "mypy", "sqlglotc", "nvidia-nccl-cu12", "playwright")


def test_the_environment_brings_no_heavy_package_that_no_command_needs() -> None:
    locked = re.findall(r"^([a-z0-9_.-]+)==", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(locked) > 100
    assert not set(ABSENT) & set(locked)


def test_the_installed_environment_is_under_1_3_gb() -> None:
    """What the lock's packages say they install; blocks and compiled modules add a twentieth."""
    names = set(re.findall(r"^([a-z0-9_.-]+)==", LOCK.read_text(encoding="utf-8"), re.MULTILINE))
    installed = [one for one in distributions() if canonical(one.name) in names]
    assert len(installed) > 100
    files = {one.locate_file(file): file.size or 0 for one in installed for file in one.files or ()}
    assert 0.8e9 < sum(files.values()) < 1.3e9 / 1.05


def cpu_seconds(code: str) -> float:
    """Of a Python that runs this, the quickest of three: what else the machine does counts least
    so."""
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(spent)


@pytest.mark.parametrize(
    ("code", "seconds"),
    [
        ("import orchestration.cli", 0.5),
        ("from orchestration.cli import app; app(['--help'])", 1.0),
    ],
)
def test_the_command_line_is_there_at_once(code: str, seconds: float) -> None:
    # less the seconds a bare interpreter takes here and now, in units of a fast one's 0.02 s
    assert cpu_seconds(code) < seconds * max(1.0, cpu_seconds("pass") / 0.02)


def test_importing_the_command_line_imports_nothing_heavy() -> None:
    code = (
        f"import sys, orchestration.cli; print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_reads_a_published_forecast_waits_for_no_feature_store() -> None:
    code = "import sys, orchestration.app.scenarios as _; print('feast' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_loading_the_graph_warns_of_nothing() -> None:
    code = "from orchestration.definitions import defs; defs()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Warning" not in done.stderr, done.stderr
