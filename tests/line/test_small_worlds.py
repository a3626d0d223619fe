"""Odd small companies through the product's own run: right orders, or one sentence that says what is
wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.line.small_worlds import WORLDS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.line
@pytest.mark.parametrize("name", WORLDS)
def test_a_small_world_comes_to_right_orders_or_says_what_it_lacks(
    name: str, tmp_path: Path
) -> None:
    world, folder, home = WORLDS[name], tmp_path / "world", tmp_path / "home"
    folder.mkdir()
    world.write(folder)
    command = [str(Path(sys.executable).parent / "stockhouse"), "run", str(folder)]
    done = subprocess.run(
        [*command, "--home", str(home)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == world.code, said
    assert "Traceback" not in said
    assert [words for words in world.words if words not in said] == []
    with duckdb.connect(str(home / "derived" / "warehouse.duckdb"), read_only=True) as con:
        assert {query: con.sql(query).fetchall() for query in world.values} == world.values
    assert {place.name for place in tmp_path.iterdir()} == {"world", "home"}
