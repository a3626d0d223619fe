"""kill -9 at every named moment of a landing: after the next landing nothing is lost and nothing is double."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.landing.failpoints import POINTS
from tests.landing.drill_landing import check_survivor, land_here, land_in_child, undisturbed, write_company


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return undisturbed(tmp_path_factory.mktemp("undisturbed"))


@pytest.mark.parametrize(("point", "times"), [*((point, 1) for point in POINTS), *((point, 2) for point in POINTS)])
def test_a_killed_landing_can_simply_be_run_again(tmp_path: Path, expected: dict[str, str], point: str, times: int) -> None:
    write_company(tmp_path)
    assert land_in_child(tmp_path, f"{point}:{times}") == -9
    land_here(tmp_path)
    check_survivor(tmp_path, expected, f"{point}:{times}")
