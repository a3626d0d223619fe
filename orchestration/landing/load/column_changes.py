"""What changed between two deliveries of one source, in words, and whether it changes what the
contract reads."""

from __future__ import annotations

import re
from collections.abc import Mapping

from orchestration.landing.contract.world import Source


def describe(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """`dropped Colour; added Color; retyped Qty (BIGINT to VARCHAR); reordered`; empty where
    nothing changed."""
    dropped = [name for name in before if name not in after]
    added = [name for name in after if name not in before]
    said = []
    if len(dropped) == len(added) == 1 and list(before).index(dropped[0]) == list(after).index(
        added[0]
    ):
        said.append(f"renamed {dropped[0]} to {added[0]}")
    else:
        said += [f"dropped {', '.join(dropped)}"] if dropped else []
        said += [f"added {', '.join(added)}"] if added else []
    said += [
        f"retyped {name} ({before[name]} to {kind})"
        for name, kind in after.items()
        if name in before and before[name] != kind
    ]
    common = [name for name in before if name in after]
    if common != [name for name in after if name in before]:
        said.append("reordered")
    return "; ".join(said)


def meaningful(source: Source, before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    """A change that may alter what rows say: a column the contract names is gone or of another
    type, or any column of a keyless row."""
    changed = {name for name in before if name not in after or before[name] != after[name]}
    if source.unpivot:
        changed &= set(source.unpivot.keep)  # a new period's column is data
    elif source.identity == "row":
        return bool(changed) or set(after) != set(before)
    return any(name in mentions(source, before) for name in changed)


def mentions(source: Source, columns: Mapping[str, str]) -> set[str]:
    """The columns whose names occur anywhere in what the contract says about the source (a name
    inside a longer word counts too)."""
    said = " ".join(
        [
            *(source.key or []),
            source.known_at or "",
            source.delivered_at or "",
            *source.skip.values(),
            *(source.unpivot.keep if source.unpivot else []),
        ]
        + [
            str(value)
            for rule in source.into
            for words in rule.values()
            for value in words.values()
        ]
    ).lower()
    return {name for name in columns if name.lower() in said}


def policy(source: Source, path: str) -> str:
    """What becomes of a delivery whose columns changed. Objects name their own columns and leave
    out what is empty, so that JSON evolves where the contract does not say otherwise."""
    is_json = source.format_of(path).kind == "json"
    return "evolve" if is_json and "drift" not in source.model_fields_set else source.drift


def is_another_file(source: Source, before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    """Whether nothing of what the contract reads is left: a login page, another source's file."""
    read = mentions(source, before)
    return bool(read) and not read & after.keys()


def named_columns(source: Source) -> set[str]:
    """The columns that the contract calls by their names alone, and no others: an expression's are
    known when something is delivered."""
    said = [
        value for rule in source.into for words in rule.values() for value in words.values()
    ] + [*(source.key or []), source.known_at, source.delivered_at]
    return {
        text for text in said if isinstance(text, str) and re.fullmatch(r"[A-Za-z_]\w*", text)
    } - {"_file", "_row"}


def missing_columns(
    source: Source, path: str, columns: Mapping[str, str], ever: Mapping[str, str]
) -> dict[str, str]:
    """Columns that the contract names, other deliveries have and this one lacks: `drift: evolve`
    reads them as empty."""
    return lacking_columns(source, columns, ever) if policy(source, path) == "evolve" else {}


def lacking_columns(
    source: Source, columns: Mapping[str, str], ever: Mapping[str, str]
) -> dict[str, str]:
    """Columns that the contract names, other deliveries have and this one lacks. A source that
    unpivots has none: its columns are data."""
    if source.unpivot:
        return {}
    read = mentions(source, ever)
    own = {name.lower() for name in columns}  # names of columns know no case
    lacking = {name.lower(): name for name in ever if name in read and name.lower() not in own}
    return {name: ever[name] for name in lacking.values()}
