"""kill -9 at every named moment of a landing, and a disk that fills up: after the next landing
nothing is lost and nothing is double."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.landing.load.failpoints import POINTS
from tests.landing.drill_landing import (
    check_survivor,
    land_here,
    land_in_child,
    undisturbed,
    write_company,
)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return undisturbed(tmp_path_factory.mktemp("undisturbed"))


@pytest.mark.parametrize(
    ("point", "times"), [*((point, 1) for point in POINTS), *((point, 2) for point in POINTS)]
)
def test_a_killed_landing_can_simply_be_run_again(
    tmp_path: Path, expected: dict[str, str], point: str, times: int
) -> None:
    write_company(tmp_path)
    assert land_in_child(tmp_path, f"{point}:{times}").returncode == -9
    land_here(tmp_path)
    check_survivor(tmp_path, expected, f"{point}:{times}")


@pytest.mark.parametrize("room", [1 << 10, 300 << 10, 1 << 20])
def test_a_full_disk_is_one_clear_error_and_the_next_landing_completes(
    tmp_path: Path, expected: dict[str, str], room: int
) -> None:
    write_company(tmp_path)
    done = land_in_child(tmp_path, None, room)
    if room == 1 << 10:
        assert done.returncode != 0
    assert done.returncode == 0 or (done.stderr.strip() and "Traceback" not in done.stderr), (
        done.stderr
    )
    land_here(tmp_path)
    check_survivor(tmp_path, expected, f"at most {room} bytes a file")
