"""What is wrong in a file that people wrote, in a sentence with its line and field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from orchestration.landing.contract.errors import ContractError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

#: Where something stands in a file: the keys and numbers that lead there.
Place = tuple[str | int, ...]


def as_contract_error(
    error: ValidationError,
    grammar: type[BaseModel],
    file: str,
    lines: Mapping[Place, int],
) -> ContractError:
    """The first thing that cannot be right in a file, with its line and field."""
    found = error.errors()
    # a misspelt word explains a missing one
    first = min(found, key=lambda one: one["type"] != "extra_forbidden")
    written = [_as_written(one, lines) for one in found]
    at = _as_written(first, lines)
    line = next((lines[at[:end]] for end in range(len(at), -1, -1) if at[:end] in lines), 0)
    dotted = ".".join(str(part) for part in at)
    what = re.sub(r"^Value error, ", "", first["msg"])
    if first["type"] == "extra_forbidden":
        near = get_close_matches(str(at[-1]), _words_at(grammar, at), 1)
        what = f"`{at[-1]}` is no word of the grammar here"
        what += f": did you mean {near[0]}?" if near else ""
    elif first["type"] == "literal_error":
        beside = [one["type"] for one, place in zip(found, written, strict=True) if place == at]
        what = _none_of(str(first["input"]), first["ctx"]["expected"], beside)
    more = len(set(written)) - 1
    return ContractError(
        what, where=f"{file}:{line} {dotted}".rstrip(), mend=f"and {more} more" if more else ""
    )


def _as_written(found: ErrorDetails, lines: Mapping[Place, int]) -> Place:
    """The place of an error as the file has it: what the checker adds behind it (which kind of a
    value it tried) is nothing a person wrote."""
    at = tuple(found["loc"])
    if found["type"] == "missing":
        return at
    return next((at[:end] for end in range(len(at), 0, -1) if at[:end] in lines), at)


def _none_of(value: str, expected: str, kinds: Sequence[str]) -> str:
    """That a word is none of those that may stand there, and the one it looks like."""
    near = get_close_matches(value.lower(), re.findall(r"'([^']*)'", expected), 1)
    nor = ", nor a number" if any(kind.startswith(("int_", "float_")) for kind in kinds) else ""
    hint = f": did you mean {near[0]}?" if near else ""
    return f"`{value}` is none of {expected}{nor}{hint}"


def _words_at(grammar: type[BaseModel], place: Place) -> set[str]:
    """The words that may stand beside the one at a place."""
    kinds: list[Any] = [grammar]
    for part in place[:-1]:
        kinds = [inner for kind in kinds for inner in _inside(kind, part)]
    return {
        field.alias or name
        for kind in kinds
        if isinstance(kind, type) and issubclass(kind, BaseModel)
        for name, field in kind.model_fields.items()
    }


def _inside(kind: Any, part: str | int) -> Iterator[Any]:
    """What may stand under a key or at a place of what is of a kind."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            if part == (field.alias or name):
                yield from _either(field.annotation)
    elif arguments := get_args(kind):
        yield from _either(arguments[-1])


def _either(kind: Any) -> Iterator[Any]:
    """Every kind that a value may be of."""
    if get_origin(kind) in (Union, UnionType):
        for one in get_args(kind):
            yield from _either(one)
    elif get_origin(kind) is Annotated:
        yield from _either(get_args(kind)[0])
    else:
        yield kind
