"""The command line is there at once: what takes seconds to import is only imported by the commands
that need it."""

from __future__ import annotations

import subprocess
import sys

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
    "pandas",
    "scipy",
)


def test_importing_the_command_line_imports_nothing_heavy() -> None:
    code = (
        f"import sys, orchestration.cli; print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_loading_the_graph_warns_of_nothing() -> None:
    code = "from orchestration.definitions import defs; defs()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Warning" not in done.stderr, done.stderr
