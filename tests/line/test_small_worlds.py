"""Odd small companies through the product's own run: right orders, or one sentence that says what is
wrong; those that take minutes are in drill_small_worlds.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.line.small_world_runs import WORLDS, run_world

#: Those that end at the gate, and the one company with an oddity an item.
SHORT = ("a header alone", "a day of sales", "places in a loop", "an oddity an item")


@pytest.mark.line
@pytest.mark.parametrize("name", SHORT)
def test_a_small_world_comes_to_right_orders_or_says_what_it_lacks(
    name: str, tmp_path: Path
) -> None:
    assert run_world(WORLDS[name], tmp_path) == []
