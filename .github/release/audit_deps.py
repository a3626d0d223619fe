"""Which locked packages are named by advisories on this disk: `python
.github/release/audit_deps.py FOLDER LOCK...`.

FOLDER holds OSV documents (https://ossf.github.io/osv-schema/), one JSON file each, as an archive
of the Python advisory database unpacks; nothing is fetched. Ends with 1 where a package is named, 2
where there is nothing to look it up in, or a document cannot be read.
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
    `last_affected` after its version. One that nobody can place counts as within: people look."""
    try:
        places = sorted((Version(at), kind) for event in events for kind, at in event.items())
    except InvalidVersion:
        return True
    here, inside = Version(version), False
    for reached, kind in places:
        if kind == "introduced" and here >= reached:
            inside = True
        elif (kind == "fixed" and here >= reached) or (kind == "last_affected" and here > reached):
            inside = False
    return inside


def main(folder: Path, locks: list[Path]) -> int:
    """Look every advisory up; the exit code as the module says."""
    documents = sorted(folder.rglob("*.json"))
    if not documents:
        sys.stderr.write(f"{folder} holds no advisory (*.json): unpack a database there first\n")
        return 2
    packages: dict[str, str] = {}
    for lock in locks:
        packages |= pinned(lock.read_text(encoding="utf-8"))
    found, unread = [], 0
    for document in documents:
        try:
            advisory = json.loads(document.read_text(encoding="utf-8"))
            found += findings(packages, advisory)
        except (ValueError, AttributeError, KeyError, TypeError) as error:
            sys.stderr.write(f"{document} is no OSV document ({error!r}): fetch it anew\n")
            unread += 1
    for one in found:
        cure = f"mended in {', '.join(one.mended_in)}" if one.mended_in else "not mended yet"
        sys.stdout.write(f"{one.package} {one.version}: {one.advisory} {one.summary} ({cure})\n")
    sys.stdout.write(f"{len(packages)} packages, {len(documents)} advisories, {len(found)} found\n")
    return 1 if found else 2 if unread else 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), [Path(lock) for lock in sys.argv[2:]]))
