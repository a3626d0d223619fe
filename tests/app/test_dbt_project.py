"""The dbt project is parsed once, whatever home or trial asks, and dbt is handed what came of it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from orchestration.app import dbt_project


def test_a_trial_s_database_does_not_become_every_home_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dbt_project, "PARSED", tmp_path / "parsed")
    monkeypatch.setenv("STOCKHOUSE_WAREHOUSE", str(tmp_path / "trial.duckdb"))
    dbt_project.parse()
    manifest = tmp_path / "parsed" / "manifest.json"
    nodes = json.loads(manifest.read_text("utf-8"))["nodes"].values()
    assert {node["database"] for node in nodes} == {"warehouse"}
    made = manifest.stat().st_mtime_ns
    dbt_project.parse()
    assert manifest.stat().st_mtime_ns == made, "it is as new as the project's files"
    os.utime(manifest, (0, 0))
    dbt_project.parse()
    assert manifest.stat().st_mtime > 1e9, "a file of the project is newer"


def test_dbt_says_its_version_and_fails_as_dbt_does() -> None:
    said = subprocess.run(
        [dbt_project.COMMAND, "--version"], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0 and said.stdout.startswith("dbt-core 1.")
    wrong = subprocess.run(
        [dbt_project.COMMAND, "biuld"], capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 2 and "biuld" in wrong.stdout + wrong.stderr
