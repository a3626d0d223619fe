"""The README and the guide behind it say nothing that does not hold."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / ".github/USING.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["README.md", ".github/USING.md", "sample_data/README.md"])
def test_every_page_and_part_it_points_to_exists(page: str) -> None:
    folder = (ROOT / page).parent
    for target in re.findall(r"\]\((?!https?://)([^)]+)\)", (ROOT / page).read_text("utf-8")):
        name, _, part = target.partition("#")
        assert (folder / name).exists(), target
        if part:
            heads = re.findall(r"^#+ (.+)$", (folder / name).read_text("utf-8"), re.MULTILINE)
            assert part in [re.sub(r"\W+", "-", head.lower()).strip("-") for head in heads], target


def test_every_make_target_it_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make ([a-z-]+)", TEXT, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_the_orders_it_shows_are_the_golden_ones() -> None:
    golden = pl.read_csv(
        Path(__file__).with_name("golden_orders.csv"), schema_overrides={"item_id": pl.String}
    )
    assert f"Proposed orders: {len(golden)} lines" in TEXT
    row = r"^ [0-9a-f]{10} │ (\S+) .*?│ (\w+) *│ (\w+) +│ +([\d,]+) │ +([\d,]+) │ +([\d,]+) │"
    shown = re.findall(row, TEXT, flags=re.MULTILINE)
    assert len(shown) == 2
    columns = ("quantity", "eoq_quantity", "min_max_quantity")
    for item, to, source, *figures in shown:
        ours = golden.filter(item_id=item, location_id=to, from_id=source).select(columns).row(0)
        assert [float(one.replace(",", "")) for one in figures] == list(ours), item


@pytest.fixture
def fresh(sample_home: Path, tmp_path: Path) -> Path:
    """A checkout after its `make run`: the tracked files, the environment, and the sample company's
    home."""
    checkout = tmp_path / "checkout"
    for name in subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines():
        if (ROOT / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, checkout / name)
    (checkout / ".venv").symlink_to(Path(sys.executable).parents[1])
    sample_home.rename(checkout / ".lakehouse")
    return checkout


@pytest.mark.line
@pytest.mark.xdist_group("line")
def test_every_block_runs_as_typed_from_the_root_of_a_checkout(fresh: Path) -> None:
    """One terminal, every shell and Python block of the page and of the guide in their order; what
    `make run` made is there."""
    typed = ["set -euo pipefail"]
    for language, block in re.findall(r"```(sh|python)\n(.*?)```", TEXT + GUIDE, flags=re.DOTALL):
        typed.append(block if language == "sh" else f"python - <<'PYTHON'\n{block}\nPYTHON")
    assert len(typed) > 5
    told = {
        name: value
        for name, value in os.environ.items()
        if name not in ("STOCKHOUSE_HOME", "DAGSTER_HOME", "VIRTUAL_ENV")
    }
    # the tools are found by what the page says alone
    told |= {"PYTHONPATH": str(fresh), "PATH": "/usr/local/bin:/usr/bin:/bin"}
    done = subprocess.run(
        ["bash"],
        input="\n".join(typed),
        cwd=fresh,
        env=told,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert "order line " in done.stdout and "erp/" in done.stdout, (
        "the trace of the largest line leads to files"
    )


def test_every_make_line_it_shows_can_be_run() -> None:
    for target in re.findall(r"^make ([a-z-]+)", TEXT, flags=re.MULTILINE):
        planned = subprocess.run(
            ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert planned.returncode == 0, planned.stderr


def test_every_asset_worth_opening_is_in_the_graph() -> None:
    keys = set(json.loads((ROOT / "tests/line/asset_keys.json").read_text(encoding="utf-8")))
    named = re.findall(r"^\| `([a-z_]+/[a-z_]+)` \|", GUIDE, flags=re.MULTILINE)
    assert len(named) == 11
    assert set(named) <= keys


def test_every_command_it_names_exists(command: Callable[..., Any]) -> None:
    listed = command("--help").stdout
    section = GUIDE.split("## Commands")[1].split("##")[0].split(";")[0]
    for name in re.findall(r"`([a-z-]+)`", section):
        assert re.search(rf"\b{name}\b", listed), name


def test_the_ten_line_world_is_a_valid_contract_and_lands(
    tmp_path: Path, command: Callable[..., Any]
) -> None:
    block = TEXT.split("```yaml")[1].split("```")[0]
    assert len(block.strip().splitlines()) <= 12
    assert yaml.safe_load(block)["world"] == "corner-shop"
    (tmp_path / "world.yml").write_text(block, encoding="utf-8")
    (tmp_path / "till").mkdir()
    (tmp_path / "till/monday.csv").write_text(
        "article,shop,day,pieces\nA,main,2024-01-01,3\nB,main,2024-01-01,two\n", encoding="utf-8"
    )
    report = json.loads(
        command("run", tmp_path, "--home", tmp_path / "home", "--until", "land", "--json").stdout
    )
    assert (report["new_rows"], report["quarantined_rows"]) == (1, 1)
    row = json.loads(
        command("quarantine", "list", "--home", tmp_path / "home").stdout.splitlines()[0]
    )
    assert (row["path"], row["file_row"], row["value"]) == ("till/monday.csv", 3, "two")


def test_every_folder_of_the_tree_exists() -> None:
    tree = TEXT.split("## The tree")[1].split("```")[1]
    for name in re.findall(r"^(\w+)/", tree, flags=re.MULTILINE):
        assert (ROOT / name).is_dir(), name


def test_the_dg_command_line_finds_the_graph() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "dg"), "list", "defs", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "decisions/order_lines" in done.stdout
