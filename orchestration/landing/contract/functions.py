"""A contract's own functions: a named expression or a table of values, written out where they are
used so that nothing is hidden."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from orchestration.home.sql import literal
from orchestration.landing.contract.errors import ContractError
from orchestration.landing.contract.expressions import (
    Node,
    check_row_local,
    column_names,
    parse,
    replace_children,
    substitute,
)
from orchestration.landing.contract.world import Value, World

SIGNATURE = re.compile(r"^\s*([A-Za-z_][A-Za-z0-9_]*)\s*(?:\(\s*([A-Za-z_][\w\s,]*)?\s*\))?\s*$")
#: Part of the grammar: they read text in the source's declared locale.
BUILT_IN = {"day": 1, "number": 1, "isoweek": 2}


@dataclass(frozen=True)
class Function:
    """A name, its parameters and its body."""

    parameters: tuple[str, ...]
    body: Node


def constant(value: Value) -> str:
    """A value of the contract as SQL."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return literal(value) if isinstance(value, str) else repr(value)


def value_table(table: Mapping[str, Value]) -> str:
    """`{Germany: DE, else: ROW}` as a CASE over x; without `else` an unlisted value is null."""
    cases = " ".join(
        f"WHEN {literal(key)} THEN {constant(value)}"
        for key, value in table.items()
        if key != "else"
    )
    otherwise = f" ELSE {constant(table['else'])}" if "else" in table else ""
    return f"CASE CAST(x AS VARCHAR) {cases}{otherwise} END" if cases else constant(table["else"])


def read_functions(con: duckdb.DuckDBPyConnection, world: World) -> dict[str, Function]:
    """Every own function by lower-case name, each checked to be row-local and to use nothing but
    its parameters."""
    raw: dict[str, tuple[tuple[str, ...], str, str]] = {}
    for signature, body in world.functions.items():
        where = world.where("functions", signature)
        match = SIGNATURE.match(signature)
        if not match:
            raise ContractError(
                f"`{signature}` is no function name",
                where=where,
                mend="write `name(argument): expression`",
            )
        name = match[1].lower()
        if name in raw or name in BUILT_IN:
            raise ContractError(f"the function `{name}` is defined twice or built in", where=where)
        if isinstance(body, dict):
            raw[name] = (("x",), value_table(body), where)
        else:
            parameters = tuple(
                part.strip().lower() for part in (match[2] or "").split(",") if part.strip()
            )
            raw[name] = (parameters, str(body), where)
    functions: dict[str, Function] = {}
    for name, (parameters, text, where) in raw.items():
        try:
            node = parse(con, text)
            check_row_local(node, {**raw, **BUILT_IN})
            for used in column_names(node):
                if used.lower() not in parameters:
                    raise ContractError(
                        f"`{used}` is no argument of `{name}`",
                        mend="a function sees its arguments only",
                    )
        except ContractError as error:
            raise ContractError(error.what, where=where, mend=error.mend) from None
        functions[name] = Function(parameters, node)
    return functions


def inline(node: Node, functions: Mapping[str, Function], depth: int = 0) -> Node:
    """The expression with every own function written out."""
    if depth > 20:
        raise ContractError("own functions call each other in a circle")
    node = replace_children(node, lambda child: inline(child, functions, depth))
    name = str(node.get("function_name", "")).lower()
    if node["class"] != "FUNCTION" or name not in functions:
        return node
    function = functions[name]
    given = node["children"]
    if len(given) != len(function.parameters):
        raise ContractError(
            f"`{name}` takes {len(function.parameters)} arguments, not {len(given)}"
        )
    return inline(
        substitute(function.body, dict(zip(function.parameters, given, strict=True))),
        functions,
        depth + 1,
    )
