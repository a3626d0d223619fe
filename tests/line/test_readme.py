"""The README says nothing that does not hold."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_make_target_it_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make ([a-z-]+)", TEXT, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_every_asset_worth_opening_is_in_the_graph() -> None:
    keys = set(json.loads((ROOT / "tests/line/asset_keys.json").read_text(encoding="utf-8")))
    named = re.findall(r"^\| `([a-z_]+/[a-z_]+)` \|", TEXT, flags=re.MULTILINE)
    assert len(named) == 10
    assert set(named) <= keys


def test_every_command_it_names_exists(command: Callable[..., Any]) -> None:
    listed = command("--help").stdout
    section = TEXT.split("## Commands")[1].split("##")[0].split(";")[0]
    for name in re.findall(r"`([a-z-]+)`", section):
        assert re.search(rf"\b{name}\b", listed), name


def test_the_ten_line_world_is_a_valid_contract_and_lands(tmp_path: Path, command: Callable[..., Any]) -> None:
    block = TEXT.split("```yaml")[1].split("```")[0]
    assert len(block.strip().splitlines()) <= 12
    assert yaml.safe_load(block)["world"] == "corner-shop"
    (tmp_path / "world.yml").write_text(block, encoding="utf-8")
    (tmp_path / "till").mkdir()
    (tmp_path / "till/monday.csv").write_text("article,shop,day,pieces\nA,main,2024-01-01,3\nB,main,2024-01-01,two\n", encoding="utf-8")
    report = json.loads(command("run", tmp_path, "--home", tmp_path / "home", "--until", "land", "--json").stdout)
    assert (report["new_rows"], report["quarantined_rows"]) == (1, 1)
    row = json.loads(command("quarantine", "list", "--home", tmp_path / "home").stdout.splitlines()[0])
    assert (row["path"], row["row_no"], row["value"]) == ("till/monday.csv", 2, "two")


def test_every_folder_of_the_tree_exists() -> None:
    tree = TEXT.split("## The tree")[1].split("```")[1]
    for name in re.findall(r"^(\w+)/", tree, flags=re.MULTILINE):
        assert (ROOT / name).is_dir(), name


def test_the_dg_command_line_finds_the_graph() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "dg"), "list", "defs", "--json"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "decisions/order_lines" in done.stdout
