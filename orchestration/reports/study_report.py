"""What a study of scenarios leaves behind: study.json, and one CSV a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from orchestration.home import files


def write_study(said: Mapping[str, Any], tables: Mapping[str, pl.DataFrame], out: Path) -> None:
    """Write a study's answers and tables; each file whole or not at all, study.json last."""
    for name, table in tables.items():
        files.write(out / f"{name}.csv", table.write_csv())
    files.write(out / "study.json", json.dumps(said, indent=1))
