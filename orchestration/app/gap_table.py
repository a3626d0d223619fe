"""The gap table: how far from the best each learned policy is, as it was measured and kept in
git."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import models
from models.learning import problems
from models.learning.bounds import lower_bound
from orchestration.errors import StockhouseError

KEPT = Path(models.__file__).parent / "learning" / "results" / "small.json"
#: Rows of policies learned otherwise, on the same yardstick (`make ppo`), without a code version:
#: they are shown beside the table, and learned by another program.
BASELINES = KEPT.with_name("ppo.json")
#: What a row of the table says.
ROW = ("problem", "policy", "cost", "reference", "gap", "interval", "seconds", "seed")
#: The modules that learn and measure; the physics below them are held by the twin's own tests.
CODE = (
    *("agent", "demands", "engine", "gaps", "oracles"),
    *("problems", "rules", "serial", "study", "training"),
)


class LearningError(StockhouseError):
    """What cannot be learned on, or results that are not there."""


def code_version() -> str:
    """Twelve digits that change with the code results depend on, not with its layout, its
    words or its types."""
    root, digest = Path(models.__file__).parent, hashlib.sha256()
    for name in CODE:
        tree = ast.parse((root / f"learning/{name}.py").read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                node.value.value = ""
            if isinstance(node, ast.arg):
                node.annotation = None
            if isinstance(node, ast.FunctionDef):
                node.returns = None
        digest.update(ast.unparse(tree).encode())
    return digest.hexdigest()[:12]


def report(kept: Path = KEPT) -> dict[str, Any]:
    """The gap table as it was measured: {code, is_current, rows, curves, summary, bounds}.

    bounds: by problem whose optimum nobody knows, what no policy can go below, and how far above it
    each policy is. Rows of policies that other programs learned, which lie beside it, are among its
    own. Raises LearningError where there is none, or it cannot be read.
    """
    result, beside = read(kept), kept.with_name(BASELINES.name)
    others = json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else []
    order = {problem: place for place, problem in enumerate(problems.CASES)}
    told = [{name: row[name] for name in ROW} for row in others]
    rows = sorted([*result["rows"], *told], key=lambda row: order[row["problem"]])
    return result | {
        "rows": rows,
        "is_current": result["code"] == code_version(),
        "summary": summary(rows),
        "bounds": bounds(rows),
    }


def read(kept: Path) -> dict[str, Any]:
    """What `retrain` kept: {code, rows, curves}. Raises LearningError where there is none, or it
    cannot be read."""
    try:
        result: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        _ = result["rows"], result["code"], result["curves"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LearningError(
            f"{kept}: no gap table can be read ({error}); make it anew with `stockhouse learn"
            " --report --retrain`"
        ) from error
    return result


def bounds(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each row of a warehouse and its shops against the cost that no policy can go below: problem,
    policy, bound, above (as a fraction)."""
    known = {
        name: lower_bound(problems.CASES[name]())
        for name in {row["problem"] for row in rows}
        if name.startswith("retailers-")
    }
    return [
        {
            "problem": row["problem"],
            "policy": row["policy"],
            "bound": known[row["problem"]],
            "above": row["cost"] / known[row["problem"]] - 1,
        }
        for row in rows
        if row["problem"] in known
    ]


def summary(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """By kind of problem and policy: how many cases, mean and worst gap, processor seconds a
    case."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["problem"].split("-")[0], row["policy"]), []).append(row)
    return [
        {
            "problems": kind,
            "policy": policy,
            "cases": len(group),
            "mean_gap": sum(row["gap"] for row in group) / len(group),
            "worst_gap": max(row["gap"] for row in group),
            "seconds": sum(row["seconds"] for row in group) / len(group),
        }
        for (kind, policy), group in groups.items()
    ]
