"""A company's own code beside ours, without a fork: policies, forecasters, readers, checks,
tables and features.

Nothing of it runs unless STOCKHOUSE_EXTENSIONS names it: a list, parted by commas, of installed
extensions (entry points of the group `stockhouse.extensions`) and of paths to Python files. An
extension is a module that may define

    policies     a list of models.replenishment.base_policy.RegisteredPolicy
    forecasters  a list of models.forecasting.custom_forecaster.Forecaster
    readers      a dict: name -> a function from the path of a file to its rows, each a mapping
    checks       a dict: gate -> a list of orchestration.expectations.laws.Law
    tables       a dict: name -> a select; the table is built as company.NAME after the marts
    features     a dict: name -> a feature_repo.custom_views.OwnView, whose select becomes
                 company.NAME too
"""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from orchestration.home.home import HomeError

VARIABLE, GROUP = "STOCKHOUSE_EXTENSIONS", "stockhouse.extensions"
Kind = Literal["readers", "checks", "tables", "features"]
Listed = Literal["policies", "forecasters"]


def named(kind: Kind) -> dict[str, Any]:
    """All that extensions offer under names: readers, checks, tables or features. Raises HomeError
    where two offer the same name."""
    found: dict[str, Any] = {}
    for module in _modules(os.environ.get(VARIABLE, "")):
        for name, value in getattr(module, kind, {}).items():
            if name in found and kind != "checks":
                raise HomeError(f"two extensions offer {kind} called {name!r}: rename one of them")
            found[name] = [*found.get(name, []), *value] if kind == "checks" else value
    return found


def offered(kind: Listed) -> list[Any]:
    """All policies or forecasters that extensions offer, in the order in which they are named."""
    modules = _modules(os.environ.get(VARIABLE, ""))
    return [one for module in modules for one in getattr(module, kind, [])]


@cache
def _modules(asked: str) -> tuple[ModuleType, ...]:
    names = [name.strip() for name in asked.split(",") if name.strip()]
    return tuple(_file(Path(name)) if name.endswith(".py") else _installed(name) for name in names)


def _installed(name: str) -> ModuleType:
    """The extension that a package brings under this name."""
    there = {point.name: point for point in entry_points(group=GROUP)}
    if name not in there:
        raise HomeError(
            f"{VARIABLE} names the extension {name!r}, which no installed package brings "
            f"(installed: {', '.join(sorted(there)) or 'none'}); a file of yours ends in .py"
        )
    module: ModuleType = there[name].load()
    return module


def _file(path: Path) -> ModuleType:
    """The extension in a file, run once."""
    spec = spec_from_file_location(f"stockhouse_extension_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise HomeError(f"{VARIABLE} names {path}, and there is no such file")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
