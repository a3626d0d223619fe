"""Every attack of the shared cases, run as it was first run: what it prints now."""

from __future__ import annotations

import runpy
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestration.app import erase_customer
from orchestration.home import Home
from tests.line.shared_case_runs import CASES

HOSTILE = CASES / "hostile"
pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not HOSTILE.exists(), reason="the shared cases are not here"),
]


@dataclass(frozen=True)
class Told:
    """What a case's own script has to print. says: words and how often. never: words that would be
    the old fault. ends: the error with which it is refused."""

    says: dict[str, int]
    never: tuple[str, ...] = ()
    ends: str = ""


CRASH = ("Error",)
TOLD = {
    "01_path_traversal": Told({"written:": 3}, ("OUTSIDE",)),
    "02_restore_then_run": Told({"[(3,)] of 3 rows": 1}),
    "03_stray_quote": Told(
        {
            "1 deliveries, 999 rows, 1 quarantined": 1,
            "1 deliveries, 199999 rows, 1 quarantined": 1,
            '"item10,n,2024-03-01,1': 2,
        }
    ),
    "04_column_named_part": Told(
        {
            "rebuild: 3 rows | rows left in raw.sales: [(3,)]": 3,
            "JSON file: 1 deliveries, 1 row": 3,
        },
        CRASH,
    ),
    "05_one_bad_message_stops_the_line": Told(
        {"run 2 -> 1 deliveries, 0 rows, 1 quarantined": 3, "run 3 -> 1 deliveries, 1 rows": 3},
        CRASH,
    ),
    "06_ghost_delivery_after_rebuild": Told({"rebuild:  1 rows [(1.0,)]": 1}),
    "07_torn_file": Told({"a99: [(1099.0,)]": 1}),
    "08_archive_not_verified": Told({"were altered": 1, "[(1.0,)]": 1}),
    "09_wrong_year_moves_now": Told({"Now: [(datetime.datetime(2024, 3, 31, 0, 0),)]": 1}),
    "10_edi_poison_pills": Told({"S2's answer heard: ['acknowledged']": 5}, CRASH),
    "11_audit_blind_to_rehash": Told({"checkpoint": 3, "the guard": 5}, ("audit is clean",)),
    # nothing left the house, so the script finds no message to show
    "12_unverified_at_sending": Told({}, ("9999", "500"), "StopIteration"),
    "13_pays_more_than_approved": Told({"'status': 'exception'": 2}, ("payment_proposed",)),
    "14_rejected_mail_can_never_be_taken": Told({"taken | line: acknowledged": 2}),
    "16_partner_currency_not_converted": Told({}, ("JPY",), "StopIteration"),
    "17_four_eyes": Told({"LedgerError": 5}, (": ['R0",)),
    "18_mail_header_poison": Told({"sent=2": 1, "GOOD/out/": 1}, CRASH),
    "19_forget_misses_broken_pieces": Told({"files that still hold the id: []": 2}),
    "20_torn_discard_file": Told({"discard the other: 1 | rebuild: 0 rows": 1}, CRASH),
    "22_small_files_large_memory": Told({"1 deliveries, 0 rows, 1 quarantined": 1}),
    "26_age_reads_the_clock": Told({}, ends="ContractError"),
    "28_dry_run_becomes_an_order": Told({"kill switch on: True": 1}, ("in the folder",)),
}


def _as_it_was_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """Since the script was written its use case has moved, and opening a home no longer founds
    it."""
    opened = Home.open

    def found(root: Path, world: str) -> Home:
        with monkeypatch.context() as as_it_is:
            as_it_is.setattr(Home, "open", opened)
            return Home.found(root, world)

    monkeypatch.setattr(Home, "open", found)
    monkeypatch.setitem(sys.modules, "orchestration.forgetting", erase_customer)


@pytest.mark.parametrize("case", TOLD)
def test_an_attack_that_succeeded_once_fails(
    case: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", ["repro.py"])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("HOOK", "")
    if case == "19_forget_misses_broken_pieces":
        _as_it_was_called(monkeypatch)
    ended = ""
    try:
        runpy.run_path(str(HOSTILE / case / "repro.py"))
    except Exception as error:
        ended = type(error).__name__
    finally:
        sys.modules.pop("lib", None)
    said = capsys.readouterr().out
    assert ended == TOLD[case].ends, said
    assert {words: said.count(words) for words in TOLD[case].says} == TOLD[case].says, said
    assert [words for words in TOLD[case].never if words in said] == []
