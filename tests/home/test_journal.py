"""A journal's lines count when they were written to their end, whoever reads or adds next."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestration.facts import kept_models
from orchestration.home import Home, journal


def add(path: Path, event: dict[str, int]) -> None:
    with journal.appending(path) as (_, append):
        append(event)


def test_a_line_cut_off_by_a_crash_does_not_count_and_gives_way_to_the_next(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    assert journal.read(log) == b""
    add(log, {"n": 1})
    log.write_bytes(log.read_bytes() + b'{"n": 2')
    assert journal.read(log) == b'{"n": 1}\n'
    add(log, {"n": 3})
    assert log.read_bytes() == b'{"n": 1}\n{"n": 3}\n'
    assert log.stat().st_mode & 0o077 == 0


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: add(log, {"n": n}), range(40)))
    lines = [json.loads(line)["n"] for line in journal.read(log).splitlines()]
    assert sorted(lines) == list(range(40))


def test_a_torn_or_spoilt_log_of_pins_is_no_pin_or_named(tmp_path: Path) -> None:
    home = Home.found(tmp_path / "home", "w")
    log = home.state / kept_models.LOG
    log.write_bytes(b'{"event": "pinned", "mod')
    assert kept_models.pinned(home) is None
    log.write_bytes(b"spoilt\n")
    with pytest.raises(ValueError, match=r"models.jsonl, line 1 is no pin"):
        kept_models.pinned(home)
