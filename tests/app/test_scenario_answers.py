"""Rivals are compared as they would decide, and one that was never tuned is told of."""

from __future__ import annotations

import io
from types import SimpleNamespace

from rich.console import Console

from models.replenishment.policies import DEFAULT
from orchestration.app.scenario_answers import robustness
from orchestration.app.scenarios import setting_of
from orchestration.cli import render_twin


def test_the_rule_told_of_events_decides_with_the_scale_of_the_rule_that_is_not() -> None:
    """Else their difference would be that of two scales, and not what knowing is worth."""
    scales = {DEFAULT: 0.4}
    assert setting_of("disruption_aware", scales) == 0.4
    assert setting_of("base_stock", scales) is None
    assert setting_of("base_stock", scales | {"base_stock": 0.1}) == 0.1


def test_a_rival_that_wants_tuning_and_has_none_is_named() -> None:
    found = {"difference": 5.0, "mean_lower": 1.0, "mean_upper": 9.0}
    answers = [SimpleNamespace(policies={"base_stock": found, "newsvendor": found})]
    rows = {row["policy"]: row for row in robustness(answers, DEFAULT, {DEFAULT: 0.4})}  # type: ignore[arg-type]
    assert rows["base_stock"]["is_untuned"] and not rows["newsvendor"]["is_untuned"]
    assert rows["base_stock"]["dearer_for_sure"] == 1
    (tuned,) = robustness(answers[:1], DEFAULT, {"base_stock": 0.2})[:1]  # type: ignore[arg-type]
    assert not tuned["is_untuned"]
    said = Console(width=120, file=io.StringIO())
    said.print(render_twin._robustness(list(rows.values())))
    assert "No rehearsal has tuned base stock" in " ".join(said.file.getvalue().split())  # type: ignore[attr-defined]
