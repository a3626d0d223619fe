"""How an API's rows become rows of plain fields: values in an envelope, rows within rows, pairs of
id and name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from typing import Any

from orchestration.landing import ContractError

#: The word by which Tryton's JSON says that an object is a value of this kind.
CLASS = "__class__"
DEEPEST = 8  # relations of relations


def rows_in(answer: Any, records: str | None, where: str) -> list[dict[str, Any]]:
    """The list of rows in an answer. Raises ContractError where there is none, with the API's own
    words where it says why."""
    found = at(answer, records) if records else answer
    refusal = answer.get("error") if isinstance(answer, dict) else None
    if refusal and found in (None, answer):
        raise ContractError(
            f"the API refuses: {_words(refusal)}", where=where, mend="see the question"
        )
    if isinstance(found, dict) and records is None:
        found = [found]
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise ContractError(
            f"the answer has no list of objects{f' at `{records}`' if records else ''}",
            where=where,
            mend="`records` is the dotted way to it",
        )
    return found


def at(answer: Any, dotted: str) -> Any:
    """What lies at a dotted way in an answer; None where nothing does. A row whose field has just
    that name goes first."""
    if isinstance(answer, dict) and dotted in answer:
        return answer[dotted]
    for step in dotted.split("."):
        answer = answer.get(step) if isinstance(answer, dict) else None
    return answer


def plain(row: Mapping[str, Any], relations: str | None) -> dict[str, Any]:
    """A row with what it refers to as fields of its own, as the contract says how it refers."""
    if relations == "nested":
        return dict(_nested(row, "", 0))
    if relations == "pairs":
        return dict(_pairs(row))
    return dict(row)


def _nested(row: Mapping[str, Any], before: str, deep: int) -> Iterator[tuple[str, Any]]:
    for name, said in row.items():
        value, whole = _value(said), before + name
        if isinstance(value, dict) and deep < DEEPEST:
            yield from _nested(value, f"{whole.rstrip('.')}.", deep + 1)
        elif not whole.endswith("."):  # a relation that is empty has no fields
            yield whole, value


def _value(said: Any) -> Any:
    """An object that is a value, as text or number; anything else as it is."""
    if not isinstance(said, dict) or CLASS not in said:
        return said
    parts = {name: value for name, value in said.items() if name != CLASS}
    kinds = {"datetime": datetime, "date": date, "time": time}
    try:
        if (kind := said[CLASS]) in kinds:
            moment = kinds[kind](**parts)
            return moment.isoformat(" ") if isinstance(moment, datetime) else moment.isoformat()
    except (TypeError, ValueError, OverflowError):
        return said  # no such moment: landing sets the cell aside, with these words
    (one,) = parts.values() if len(parts) == 1 else (said,)
    return one


def _pairs(row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, said in row.items():
        is_pair = isinstance(said, list) and len(said) == 2 and isinstance(said[1], str)
        if is_pair and isinstance(said[0], int):
            yield name, said[0]
            yield f"{name}.name", said[1]
        else:
            yield name, None if said is False else said


def _words(refusal: Any) -> str:
    """What an error says, short enough for a line."""
    said = at(refusal, "data.message") or at(refusal, "message") or refusal
    return " ".join(str(said).split())[:200]
