"""What a release rests on: a wheel that comes out the same each time, and locks that advisories can
be held against without a network."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
AUDIT = ROOT / ".github/release/audit_deps.py"


def audit(folder: Path) -> subprocess.CompletedProcess[str]:
    locks = [str(ROOT / name) for name in ("requirements.lock", "requirements-dev.lock")]
    command = [sys.executable, str(AUDIT), str(folder), *locks]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def advisory(name: str, events: list[dict[str, str]], **more: object) -> str:
    affected = {
        "package": {"name": name, "ecosystem": "PyPI"},
        "ranges": [{"type": "ECOSYSTEM", "events": events}],
    }
    return json.dumps({"id": "PYSEC-0", "summary": "a hole", "affected": [affected], **more})


@pytest.mark.parametrize(
    ("events", "is_named"),
    [
        ([{"introduced": "0"}], True),
        ([{"introduced": "0"}, {"fixed": "0.0.1"}], False),
        ([{"introduced": "0"}, {"fixed": "999"}], True),
        ([{"introduced": "999"}], False),
        ([{"introduced": "0"}, {"last_affected": "0.0.1"}], False),
        ([{"introduced": "0"}, {"fixed": "0.0.1"}, {"introduced": "0.0.2"}], True),
        ([{"introduced": "0"}, {"fixed": "no version at all"}], True),
    ],
)
def test_a_locked_version_within_an_advisory_range_is_named(
    tmp_path: Path, events: list[dict[str, str]], is_named: bool
) -> None:
    (tmp_path / "one.json").write_text(advisory("DuckDB", events), encoding="utf-8")
    done = audit(tmp_path)
    assert done.returncode == (1 if is_named else 0), done.stderr
    assert ("duckdb" in done.stdout) == is_named


def test_other_ecosystems_and_withdrawn_advisories_say_nothing(tmp_path: Path) -> None:
    everything = [{"introduced": "0"}]
    text = advisory("duckdb", everything, withdrawn="2026-01-01T00:00:00Z")
    (tmp_path / "withdrawn.json").write_text(text, encoding="utf-8")
    other = advisory("duckdb", everything).replace("PyPI", "npm")
    (tmp_path / "npm.json").write_text(other, encoding="utf-8")
    assert audit(tmp_path).returncode == 0


def test_a_folder_without_advisories_is_no_clean_bill(tmp_path: Path) -> None:
    done = audit(tmp_path)
    assert done.returncode == 2
    assert "holds no advisory" in done.stderr


def test_a_document_nobody_can_read_hides_no_other_and_is_no_clean_bill(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]", encoding="utf-8")
    assert audit(tmp_path).returncode == 2
    (tmp_path / "b.json").write_text(advisory("duckdb", [{"introduced": "0"}]), encoding="utf-8")
    done = audit(tmp_path)
    assert done.returncode == 1 and "PYSEC-0" in done.stdout and "a.json" in done.stderr


def test_the_wheel_comes_out_the_same_each_time(tmp_path: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    made = []
    for folder in ("once", "again"):
        out = tmp_path / folder
        command = [str(uv), "build", "--wheel", "--no-config", "--out-dir", str(out), str(ROOT)]
        built = subprocess.run(command, capture_output=True, text=True, check=False)
        if built.returncode and "hatchling" in built.stderr and "network" in built.stderr.lower():
            pytest.skip("the build backend cannot be fetched here")
        assert built.returncode == 0, built.stderr
        made.append(hashlib.sha256(next(out.glob("*.whl")).read_bytes()).hexdigest())
    assert made[0] == made[1]
