"""Shared cases with the product's own command; those that run to orders are in
drill_shared_cases.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.line.shared_case_runs import AT_THE_DOOR, CASES, run_case

pytestmark = pytest.mark.skipif(not CASES.exists(), reason="the shared cases are not here")


@pytest.mark.parametrize("case", AT_THE_DOOR)
def test_a_case_ends_and_is_told_as_it_should(case: str, tmp_path: Path) -> None:
    assert run_case(case, AT_THE_DOOR[case], tmp_path / "home") == []
