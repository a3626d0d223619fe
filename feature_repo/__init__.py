"""Which facts a model may know, and as of when."""

from typing import Any

import typeguard


def _as_it_is(target: Any = None, **_: Any) -> Any:
    return target or _as_it_is


# Feast has typeguard recompile its classes at every import, three of the four seconds it takes, to
# check calls that mypy checks. Lifted when Feast imports without it.
typeguard.typechecked = _as_it_is
