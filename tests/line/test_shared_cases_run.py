"""Shared cases with the product's own command; those that run to orders are in
drill_shared_cases.py."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.landing.test_shared_cases_land import LANDED, SAID
from tests.ledger.test_shared_case_messages import HEARD
from tests.line.shared_case_runs import AT_THE_DOOR, CASES, ROOT, TO_ORDERS, run_case
from tests.line.test_hostile_cases import TOLD

pytestmark = pytest.mark.skipif(not CASES.exists(), reason="the shared cases are not here")


@pytest.mark.parametrize("case", AT_THE_DOOR)
def test_a_case_ends_and_is_told_as_it_should(case: str, tmp_path: Path) -> None:
    assert run_case(case, AT_THE_DOOR[case], tmp_path / "home") == []


#: Cases that are neither a world nor a message nor a script of Python, by the test that holds each.
ELSEWHERE = {
    "_edi_home": "tests/ledger/test_shared_case_messages.py::sent",
    "file_still_written": "tests/landing/test_landing_files.py"
    "::test_a_file_landed_while_it_is_written_gives_way_to_its_whole_self",
    "mail_unheard_after_failed_run": "tests/ledger/test_sensors_ask_again.py"
    "::test_a_sensor_asks_again_under_a_fresh_key_after_a_run_that_went_wrong",
    "21_backup_without_the_postgres_ledger": "tests/home/test_backup.py"
    "::test_a_postgresql_ledger_is_in_the_backup_and_comes_back_into_the_home",
    "23_slow_partner_blocks_all": "tests/ledger/test_slow_partners.py"
    "::test_an_exchange_ends_in_its_time_however_slowly_the_partner_drips",
    "25_override_author_approves": "tests/ledger/test_four_eyes.py"
    "::test_whoever_wrote_an_override_does_not_approve_what_it_moved",
}


def test_every_case_has_its_proof() -> None:
    folders = {place.name for place in CASES.iterdir() if place.is_dir()} - {"hostile"}
    folders |= {place.name for place in (CASES / "hostile").iterdir() if place.is_dir()}
    folders -= {"__pycache__"}  # of hostile/lib.py, once somebody has imported it
    proved: set[str] = set().union(LANDED, SAID, HEARD, TOLD, AT_THE_DOOR, TO_ORDERS, ELSEWHERE)
    assert sorted(folders - proved) == []


@pytest.mark.parametrize("case", ELSEWHERE)
def test_a_proof_that_stands_elsewhere_is_there(case: str) -> None:
    file, name = ELSEWHERE[case].split("::")
    assert re.search(rf"^def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
