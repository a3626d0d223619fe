"""world.yml as data with line numbers: YAML whose duplicate keys are errors and whose `no` and
`2024-01-01` stay text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from orchestration.landing.contract.errors import ContractError

Path_ = tuple[str | int, ...]
LARGEST_CONTRACT = 1_000_000  # bytes; a contract is written by a person
# aliases may multiply: the bill of a billion laughs is refused before it is paid
MOST_NODES = 100_000


class _Loader(yaml.SafeLoader):
    """SafeLoader without YAML 1.1's surprises."""


_Loader.yaml_implicit_resolvers = {
    letter: [
        (tag, expression)
        for tag, expression in resolvers
        if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")
    ]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|false|False)$"), list("tTfF")
)


def read_yaml(
    path: Path, begins: str = "world: name", missing: str = "a world is a folder with a world.yml"
) -> tuple[dict[str, Any], dict[Path_, int]]:
    """The contract as nested dicts and the 1-based line of every entry; ContractError where it is
    no contract at all.

    begins, missing: how such a file begins, and what to do where it cannot be read, for the
    message.
    """
    return parse_yaml(read_bytes(path, missing), path.name, begins)


def read_bytes(path: Path, missing: str) -> bytes:
    """What stands in a file; ContractError, with `missing` as its cure, where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ContractError(
            f"cannot be read: {error.strerror}", where=str(path), mend=missing
        ) from None


def parse_yaml(raw: bytes, name: str, begins: str) -> tuple[dict[str, Any], dict[Path_, int]]:
    """As `read_yaml`, for what was read of a file already, whose name is for the message."""
    if len(raw) > LARGEST_CONTRACT:
        raise ContractError(
            f"has {len(raw):,} bytes",
            where=name,
            mend=f"a contract has at most {LARGEST_CONTRACT:,}",
        )
    try:
        loader = _Loader(raw.decode("utf-8-sig"))
        root = loader.get_single_node()
        lines: dict[Path_, int] = {}
        if not isinstance(root, MappingNode):
            raise ContractError(
                "is not a mapping of settings", where=name, mend=f"start with `{begins}`"
            )
        data = _construct(loader, root, (), lines, name, [0])
    except UnicodeDecodeError as error:
        raise ContractError(f"is not UTF-8 at byte {error.start}", where=name) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ContractError(
            f"{error.problem}",
            where=f"{name}:{line}",
            mend="is a value with `:` `#` or `,` in quotes?",
        ) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ContractError(f"is not YAML: {error}", where=name) from None
    return data, lines


def _construct(
    loader: _Loader, node: Node, at: Path_, lines: dict[Path_, int], file: str, seen: list[int]
) -> Any:
    seen[0] += 1
    if seen[0] > MOST_NODES:
        raise ContractError(
            f"has more than {MOST_NODES:,} entries",
            where=file,
            mend="aliases repeat what they name",
        )
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, ScalarNode):
        return loader.construct_object(node)
    if isinstance(node, SequenceNode):
        return [
            _construct(loader, child, (*at, i), lines, file, seen)
            for i, child in enumerate(node.value)
        ]
    if not isinstance(node, MappingNode):
        raise ContractError(
            "has an unknown kind of entry", where=f"{file}:{node.start_mark.line + 1}"
        )
    own: dict[str, Node] = {}
    inherited: dict[str, Any] = {}
    for key_node, value in node.value:
        line = key_node.start_mark.line + 1
        if key_node.tag == "tag:yaml.org,2002:merge":
            merged = value.value if isinstance(value, SequenceNode) else [value]
            for parent in merged:
                inherited = {**_construct(loader, parent, at, lines, file, seen), **inherited}
            continue
        if not isinstance(key_node, ScalarNode):
            raise ContractError("a key must be a word", where=f"{file}:{line}")
        key = (
            str(loader.construct_object(key_node))
            if key_node.tag != "tag:yaml.org,2002:null"
            else key_node.value
        )
        if key in own:
            raise ContractError(
                f"the key `{key}` appears twice", where=f"{file}:{line}", mend="keep one of them"
            )
        own[key] = value
        lines[(*at, key)] = line
    return {
        **inherited,
        **{
            key: _construct(loader, value, (*at, key), lines, file, seen)
            for key, value in own.items()
        },
    }
