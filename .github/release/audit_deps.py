"""Which locked packages are named by advisories on this disk: `python
.github/release/audit_deps.py FOLDER LOCK...`.

FOLDER holds OSV documents (https://ossf.github.io/osv-schema/), one JSON file each, as an archive
of the Python advisory database unpacks; nothing is fetched. Ends with 1 where a package is named, 2
where there is nothing to look it up in.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

#: A line of a lock as uv and pip write it.
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A locked package that an advisory names, and the versions that mend it."""

    package: str
    version: str
    advisory: str
    summary: str
    mended_in: tuple[str, ...]


def pinned(lock: str) -> dict[str, str]:
    """The version of each package in a lock's text, by its normalised name."""
    return {canonicalize_name(name): version for name, version in PINNED.findall(lock)}


def findings(packages: dict[str, str], advisory: dict[str, Any]) -> Iterator[Finding]:
    """What one OSV document says of these packages; a withdrawn one says nothing."""
    if advisory.get("withdrawn"):
        return
    for affected in advisory.get("affected", []):
        package = affected.get("package", {})
        name = canonicalize_name(package.get("name", ""))
        version = packages.get(name)
        if package.get("ecosystem") != "PyPI" or version is None:
            continue
        events = [
            event
            for told in affected.get("ranges", [])
            if told.get("type") == "ECOSYSTEM"
            for event in told.get("events", [])
        ]
        if version in affected.get("versions", []) or is_within(version, events):
            yield Finding(
                package=name,
                version=version,
                advisory=advisory["id"],
                summary=advisory.get("summary", ""),
                mended_in=tuple(event["fixed"] for event in events if "fixed" in event),
            )


def is_within(version: str, events: list[dict[str, str]]) -> bool:
    """Whether a version lies in a range: each `introduced` opens it, `fixed` closes it before and
    `last_affected` after its version."""
    here, inside = Version(version), False
    for event in sorted(events, key=_place):
        kind, at = next(iter(event.items()))
        reached = Version("0") if at == "0" else Version(at)
        if kind == "introduced" and here >= reached:
            inside = True
        elif (kind == "fixed" and here >= reached) or (kind == "last_affected" and here > reached):
            inside = False
    return inside


def _place(event: dict[str, str]) -> Version:
    try:
        return Version(next(iter(event.values())))
    except InvalidVersion:
        return Version("0")


def main(folder: Path, locks: list[Path]) -> int:
    """Look every advisory up; the exit code as the module says."""
    documents = sorted(folder.rglob("*.json"))
    if not documents:
        sys.stderr.write(f"{folder} holds no advisory (*.json): unpack a database there first\n")
        return 2
    packages: dict[str, str] = {}
    for lock in locks:
        packages |= pinned(lock.read_text(encoding="utf-8"))
    found = [
        finding
        for document in documents
        for finding in findings(packages, json.loads(document.read_text(encoding="utf-8")))
    ]
    for one in found:
        cure = f"mended in {', '.join(one.mended_in)}" if one.mended_in else "not mended yet"
        sys.stdout.write(f"{one.package} {one.version}: {one.advisory} {one.summary} ({cure})\n")
    sys.stdout.write(f"{len(packages)} packages, {len(documents)} advisories, {len(found)} found\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), [Path(lock) for lock in sys.argv[2:]]))
