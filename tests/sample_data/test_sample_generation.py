"""The sample company can be made again, byte for byte, and is what its README says it is."""

from __future__ import annotations

import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "sample_data"
SHARED = ROOT / ".." / "shared" / "data"
REAL = ("erp/invoices/*", "logistics/scms_rows.csv")
BY_HAND = ("generator/*", "generate.py", "world.yml", "README.md", "scenarios/*")


def files(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )


def is_one_of(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def run_generator(*arguments: object) -> None:
    command = [sys.executable, "-B", str(SAMPLE / "generate.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def assert_same_bytes(made: Path, names: list[str]) -> None:
    assert files(made) == names
    assert [
        name for name in names if (made / name).read_bytes() != (SAMPLE / name).read_bytes()
    ] == []


def test_generation_from_committed_rows_repeats_every_byte(tmp_path: Path) -> None:
    run_generator("--out", tmp_path)
    assert_same_bytes(
        tmp_path, [name for name in files(SAMPLE) if not is_one_of(name, (*REAL, *BY_HAND))]
    )


@pytest.mark.shared
def test_generation_from_public_archives_repeats_every_byte(tmp_path: Path) -> None:
    if not SHARED.is_dir():
        pytest.skip("../shared/data is absent: the public archives cannot be read")
    run_generator(SHARED, "--out", tmp_path)
    assert_same_bytes(tmp_path, [name for name in files(SAMPLE) if not is_one_of(name, BY_HAND)])


def test_readme_lists_every_file() -> None:
    named = tuple(re.findall(r"`([\w/*.=-]+)`", (SAMPLE / "README.md").read_text(encoding="utf-8")))
    patterns = (
        *named,
        *(f"generator/{name}" for name in named),
        "README.md",
        "generate.py",
        "generator/__init__.py",
    )
    assert [name for name in files(SAMPLE) if not is_one_of(name, patterns)] == []


def test_readme_names_no_file_that_is_missing() -> None:
    named = re.findall(
        r"`((?:erp|logistics|spreadsheets|signals|scenarios)/[\w/*.=-]+\.\w+)`",
        (SAMPLE / "README.md").read_text(encoding="utf-8"),
    )
    assert [name for name in named if not list(SAMPLE.glob(name))] == []


def test_sample_fits_in_fifteen_megabytes() -> None:
    assert sum((SAMPLE / name).stat().st_size for name in files(SAMPLE)) <= 15_000_000
