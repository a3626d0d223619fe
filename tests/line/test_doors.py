"""What is built has a door: no function of the product is reached by its tests alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("models", "orchestration", "feature_repo")
#: Decorators that only change how a function is called; any other one hands it to a framework,
#: which is its door.
PLAIN = {
    "abstractmethod",
    "cache",
    "cached_property",
    "classmethod",
    "contextmanager",
    "dataclass",
    "lru_cache",
    "overload",
    "property",
    "staticmethod",
}
MEASURED = "the benchmarks measure by it, and compare the product with it"
#: Reached by no code of the product, on purpose, and why.
ALLOWED = {
    "feature_repo/offline_store.py:WarehouseOfflineStore": "feature_store.yaml names it",
    "feature_repo/registry.py:WholeFileRegistryStore": "feature_store.yaml and store.py name it",
    "feature_repo/served_files.py:ServedFilesOnlineStore": "feature_store.yaml and store.py name it",
    "models/forecasting/backtest.py:baseline": MEASURED,
    "models/forecasting/baselines.py:naive": MEASURED,
    "models/forecasting/baselines.py:seasonal_moving_average": MEASURED,
    "models/forecasting/metrics.py:mase": MEASURED,
    "models/forecasting/metrics.py:wrmsse": MEASURED,
    "models/forecasting/metrics.py:wspl": MEASURED,
    "models/forecasting/statistical.py:statistical": MEASURED,
    "models/learning/env.py:ReplenishmentEnv": "others bring their own agents to it",
    "models/learning/oracles.py:clairvoyant": "a bound for whoever studies a policy",
}


@dataclass(frozen=True)
class Defined:
    """A function, class or method of ours: where it stands, and the lines of its own body, in which
    a mention does not count."""

    name: str
    where: str
    path: Path
    lines: range


def _decorators(node: ast.AST) -> set[str]:
    found = set()
    for one in getattr(node, "decorator_list", []):
        target = one.func if isinstance(one, ast.Call) else one
        found.add(target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", ""))
    return found


def _trees() -> Iterator[tuple[Path, ast.Module]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path, ast.parse(path.read_text(encoding="utf-8"))


def _definitions(path: Path, tree: ast.Module, ours: set[str]) -> Iterator[Defined]:
    """Functions, classes and methods; those that a framework calls by a name of its own are left
    out."""

    def walk(nodes: list[ast.stmt], prefix: str) -> Iterator[Defined]:
        for node in nodes:
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                continue
            place = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
            where = f"{place}:{prefix}{node.name}"
            if _decorators(node) <= PLAIN and not node.name.startswith("__"):
                yield Defined(
                    node.name, where, path, range(node.lineno, (node.end_lineno or node.lineno) + 1)
                )
            if isinstance(node, ast.ClassDef) and all(_is_ours(base, ours) for base in node.bases):
                yield from walk(node.body, f"{node.name}.")

    yield from walk(tree.body, "")


def _is_ours(base: ast.expr, ours: set[str]) -> bool:
    """Whether a base class decides on no method's name: one of ours, or one that has no hooks."""
    name = (
        base.attr
        if isinstance(base, ast.Attribute)
        else getattr(base, "id", getattr(getattr(base, "value", None), "id", ""))
    )
    return name in ours | {
        "Exception",
        "ValueError",
        "Protocol",
        "NamedTuple",
        "StrEnum",
        "Enum",
        "Generic",
        "object",
    }


def _mentions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Every name that code reads or calls, with its line; an import, an assignment and a definition
    are no use."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            yield node.attr, node.lineno
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if alias.asname and alias.asname != alias.name:
                    yield alias.name, node.lineno
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value.isidentifier()
        ):
            # a name handed over as text: a path in the graph, getattr, a forward reference
            yield node.value, node.lineno


def unreached(code: dict[Path, ast.Module] | None = None) -> list[str]:
    """Where what nobody reaches is defined, in the product or in the given code."""
    trees = list(code.items() if code else _trees())
    ours = {
        node.name for _, tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    }
    used: dict[str, list[tuple[Path, int]]] = {}
    for path, tree in trees:
        for name, line in _mentions(tree):
            used.setdefault(name, []).append((path, line))
    for page in (ROOT / "orchestration").rglob("*.j2"):
        for word in re.findall(r"\w+", page.read_text(encoding="utf-8")):
            used.setdefault(word, []).append((page, 0))
    found = []
    for path, tree in trees:
        for one in _definitions(path, tree, ours):
            # a private name means something in its own file alone
            at_home = one.name.startswith("_")
            places = [
                (place, line)
                for place, line in used.get(one.name, [])
                if place == one.path or not at_home
            ]
            if all(place == one.path and line in one.lines for place, line in places):
                found.append(one.where)
    return found


def test_no_function_is_reached_by_tests_alone() -> None:
    """Wire it to a command, a station or a page, or delete it with its tests; ALLOWED is for what
    others call by name."""
    assert [where for where in unreached() if where not in ALLOWED] == []


def test_a_function_that_only_itself_or_a_test_calls_is_found(tmp_path: Path) -> None:
    code = "def used():\n    return 1\n\n\ndef only_itself(n):\n    return only_itself(n - 1) if n else used()\n"
    (tmp_path / "room.py").write_text(code, encoding="utf-8")
    assert unreached({tmp_path / "room.py": ast.parse(code)}) == ["room.py:only_itself"]
