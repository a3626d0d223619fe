"""Which models have to be built again: those whose own SQL, words, tests or macros changed, and
all that read them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

Node = Mapping[str, Any]
#: Models that read decisions; another station builds them.
LATER = "decisions"


def fingerprints(manifest: Mapping[str, Any]) -> dict[str, str]:
    """By model, a hash of everything its table follows from beside the facts: SQL, settings, words,
    macros, tests, and the same of every model it reads.

    manifest: what dbt says of its project.
    """
    nodes, macros = manifest["nodes"], manifest["macros"]
    tests: dict[str, list[Node]] = {}
    for node in nodes.values():
        if node["resource_type"] == "test":
            for model in node["depends_on"]["nodes"]:
                tests.setdefault(model, []).append(node)
    hashes: dict[str, str] = {}

    def of(name: str) -> str:
        if name not in hashes:
            node = nodes[name]
            own = [
                _said(node, macros),
                *sorted(_said(test, macros) for test in tests.get(name, [])),
            ]
            read = sorted(of(one) for one in node["depends_on"]["nodes"] if one in nodes)
            hashes[name] = hashlib.sha256(json.dumps([own, read]).encode()).hexdigest()
        return hashes[name]

    for name, node in nodes.items():
        if node["resource_type"] == "model":
            of(name)
    hooks = [node["raw_code"] for node in nodes.values() if node["resource_type"] == "operation"]
    return {
        name: hashlib.sha256(json.dumps([fingerprint, hooks]).encode()).hexdigest()
        for name, fingerprint in hashes.items()
    }


def reading_only(asked: Collection[str], manifest: Mapping[str, Any]) -> set[str]:
    """Of these models, those that read no other model than these, near or far."""
    nodes, found = manifest["nodes"], dict[str, bool]()

    def reads_only(name: str) -> bool:
        if name not in found:
            read = [one for one in nodes[name]["depends_on"]["nodes"] if one in nodes]
            found[name] = name in asked and all(reads_only(one) for one in read)
        return found[name]

    return {name for name in asked if reads_only(name)}


def is_growing(model: Node) -> bool:
    """Whether a model's table is added to, and made anew only where it must be."""
    return str(model["config"]["materialized"]) == "incremental"


def _said(node: Node, macros: Mapping[str, Node]) -> str:
    """A model or a test with all that it says and calls."""
    called: set[str] = set()
    waiting = list(node["depends_on"]["macros"])
    while waiting:
        if (name := waiting.pop()) not in called and name in macros:
            called.add(name)
            waiting += macros[name]["depends_on"]["macros"]
    words = [node.get(part) for part in ("raw_code", "config", "columns", "description")]
    kwargs = (node.get("test_metadata") or {}).get("kwargs")
    bodies = [macros[name]["macro_sql"] for name in sorted(called)]
    return json.dumps([words, kwargs, bodies], sort_keys=True, default=str)


def without(kept: Collection[str], manifest: Path) -> list[str]:
    """The arguments that leave these models out of a build, and every test of nothing else; none
    where all is built.

    A test that also looks at a model which is built runs. Tests of what another station builds are
    left to it.
    """
    if not kept:
        return []
    nodes = json.loads(manifest.read_text(encoding="utf-8"))["nodes"]
    later = {name for name, node in nodes.items() if LATER in node.get("tags", [])}
    elsewhere = [
        node["name"]
        for node in nodes.values()
        if node["resource_type"] == "test" and later & set(node["depends_on"]["nodes"])
    ]
    names = [nodes[name]["name"] for name in kept if name in nodes]
    # one argument: others may follow
    left_out = " ".join(sorted([*names, *elsewhere]))
    return ["--indirect-selection", "cautious", "--exclude", left_out]
