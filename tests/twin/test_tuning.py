"""Laws of tuning: the cheapest setting wins, and noise does not move a cautious one."""

from __future__ import annotations

import numpy as np
import pytest

from models.twin.tuning import tune


def test_the_cheapest_setting_is_chosen_with_its_evidence() -> None:
    found = tune([0.4, 0.6, 1.0], lambda scale: np.array([1.0, (scale - 0.6) ** 2]))
    assert found.setting == 0.6
    assert found.costs == pytest.approx((1.04, 1.0, 1.16))


def test_a_difference_within_the_margin_keeps_the_cautious_setting() -> None:
    costs = {0.4: 100.0, 0.6: 100.1, 1.0: 103.0}
    assert tune(list(costs), costs.__getitem__, cautious=1.0).setting == 0.6
    assert tune(list(costs), costs.__getitem__).setting == 0.4
    with pytest.raises(ValueError, match="no candidate"):
        tune([], costs.__getitem__)
