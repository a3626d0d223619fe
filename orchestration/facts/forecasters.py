"""Who may forecast: XGBoost, and what a company's own extensions offer."""

from __future__ import annotations

import re

from models.forecasting.custom_forecaster import Forecaster
from orchestration.home import HomeError, extensions

#: The forecaster that decides until a person chooses another.
OURS = "xgboost"
TAKEN = (OURS, "lstm", "blend")
#: Models are called FORECASTER-DAY-DIGEST.
NAME = re.compile(r"[a-z][a-z0-9_]*")


def own_forecasters() -> dict[str, Forecaster]:
    """By name, every forecaster that extensions offer. Raises HomeError for a name that is taken or
    no name."""
    found: dict[str, Forecaster] = {}
    for one in extensions.offered("forecasters"):
        if one.name in (*TAKEN, *found) or not NAME.fullmatch(one.name):
            raise HomeError(
                f"an extension offers a forecaster called {one.name!r}: call it otherwise, in "
                f"lower case with underscores; taken are {', '.join((*TAKEN, *found))}"
            )
        found[one.name] = one
    return found


def forecaster_called(name: str) -> Forecaster | None:
    """The company's own forecaster of this name; None is ours. Raises ValueError where nobody
    offers it."""
    if name == OURS:
        return None
    own = own_forecasters()
    if name not in own:
        raise ValueError(
            f"no extension offers a forecaster '{name}'; there are {', '.join([OURS, *own])}: name "
            f"its extension in {extensions.VARIABLE}, or `stockhouse model use {OURS}`"
        )
    return own[name]


def forecaster_of(model: str) -> str:
    """Whose model it is, from a model's name."""
    return model.rsplit("-", 2)[0]
