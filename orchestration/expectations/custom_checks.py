"""The checks that a company's own extensions add to a gate."""

from __future__ import annotations

from dataclasses import replace

from orchestration.expectations.laws import Gate, Law
from orchestration.home import HomeError, extensions


def with_own(*gates: Gate) -> dict[str, Gate]:
    """The gates by name, each with the laws that extensions add. Raises HomeError for a gate that
    is not there, and for a law whose name is taken."""
    own: dict[str, list[Law]] = extensions.named("checks")
    found = {gate.name: gate for gate in gates}
    for name, laws in own.items():
        if name not in found:
            raise HomeError(
                f"an extension adds checks to the gate {name!r}; there are {', '.join(found)}"
            )
        taken = {law.name for law in found[name].laws}
        for law in laws:
            if law.name in taken:
                raise HomeError(f"an extension's check {law.name!r} has a name that is taken")
            taken.add(law.name)
        found[name] = replace(found[name], laws=(*found[name].laws, *laws))
    return found
