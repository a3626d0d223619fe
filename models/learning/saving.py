"""An agent as bytes without pickle, in the safetensors layout: length, JSON head, raw numbers."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from models.domain import Floats
from models.learning.agent import Agent, Form
from models.learning.company_agent import INPUTS, SharedAgent, beginning
from models.learning.rules import PARAMETERS

#: Changed whenever kept agents cannot be read any longer.
LAYOUT = "1"
#: An agent of one network, and the one that a company's items and locations share.
OWN, SHARED = "network", "company"
#: No agent of ours comes near; a file that claims more is refused before memory is asked for.
MOST_BYTES = 50_000_000


def to_bytes(agent: Agent | SharedAgent) -> bytes:
    """The agent's form and numbers; the same agent gives the same bytes."""
    arrays = {f"params.{name}": value for name, value in sorted(agent.params.items())}
    metadata = {"layout": LAYOUT, "name": agent.name}
    if isinstance(agent, SharedAgent):
        return _packed(metadata | {"kind": SHARED}, arrays)
    form = agent.form
    metadata |= {"kind": OWN, "rule": form.rule}
    metadata |= {"columns": str(form.columns), "hidden": str(form.hidden)}
    arrays |= {f"form.{name}": getattr(form, name) for name in ("scale", "step", "bound")}
    return _packed(metadata, arrays)


def from_bytes(data: bytes) -> Agent:
    """The agent of one network again. Raises ValueError for anything that is not whole, finite and
    of this layout."""
    with _told():
        metadata, arrays = _arrays(data, OWN)
        form = Form(
            rule=metadata["rule"],
            columns=int(metadata["columns"]),
            hidden=int(metadata["hidden"]),
            **{name: arrays[f"form.{name}"] for name in ("scale", "step", "bound")},
        )
        params = _params(arrays)
        _check(form, params)
    return Agent(form, params, metadata["name"])


def shared_from_bytes(data: bytes) -> SharedAgent:
    """A company's agent again. Raises ValueError as `from_bytes` does."""
    with _told():
        metadata, arrays = _arrays(data, SHARED)
        params, inputs = _params(arrays), (len(INPUTS),)
        shapes = {name: value.shape for name, value in beginning(0).items()}
        shapes |= {name: inputs for name in ("low", "high", "usual")}
        wrong = [name for name, shape in shapes.items() if params[name].shape != shape]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} has another shape than this version's")
    return SharedAgent(params, metadata["name"])


@contextmanager
def _told() -> Iterator[None]:
    """One message for whatever is wrong with the bytes."""
    try:
        yield
    except (ValueError, KeyError, TypeError, struct.error) as error:
        raise ValueError(f"this is no agent that can be read: {error}; train it anew") from error


def _params(arrays: dict[str, Floats]) -> dict[str, Floats]:
    named = {name: name.removeprefix("params.") for name in arrays if name.startswith("params.")}
    return {short: arrays[name] for name, short in named.items()}


def _packed(metadata: dict[str, str], arrays: dict[str, Floats]) -> bytes:
    head: dict[str, object] = {"__metadata__": metadata}
    data = b""
    for name, values in arrays.items():
        raw = np.ascontiguousarray(values, dtype="<f8").tobytes()
        head[name] = {
            "dtype": "F64",
            "shape": list(np.shape(values)),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    words = json.dumps(head).encode()
    words += b" " * (-len(words) % 8)
    return struct.pack("<Q", len(words)) + words + data


def _arrays(data: bytes, kind: str) -> tuple[dict[str, str], dict[str, Floats]]:
    if not 8 < len(data) <= MOST_BYTES:
        raise ValueError(f"{len(data):,} bytes")
    (length,) = struct.unpack("<Q", data[:8])
    if length > len(data) - 8:
        raise ValueError("it is cut short")
    head = json.loads(data[8 : 8 + length])
    metadata, body = head.pop("__metadata__"), data[8 + length :]
    if (metadata["layout"], metadata["kind"]) != (LAYOUT, kind):
        raise ValueError(f"it is of layout {metadata['layout']} and kind {metadata['kind']}")
    arrays = {}
    for name, entry in head.items():
        start, end = entry["data_offsets"]
        if not 0 <= start <= end <= len(body) or entry["dtype"] != "F64":
            raise ValueError(f"{name} is cut short")
        values = np.frombuffer(body[start:end], dtype="<f8").reshape(entry["shape"])
        if not np.isfinite(values).all():
            raise ValueError(f"{name} holds numbers that are not finite")
        arrays[name] = values
    return metadata, arrays


def _check(form: Form, params: dict[str, Floats]) -> None:
    count = form.scale.size
    if form.rule not in PARAMETERS:
        raise ValueError(f"rule {form.rule!r} is unknown")
    shapes = {name: (count,) for name in PARAMETERS[form.rule]}
    if "weight0" in params:
        shapes |= {name: value.shape for name, value in form.beginning({}, 0).items()}
        shapes |= {name: (form.inputs,) for name in ("low", "high", "usual") if name in params}
    wrong = [name for name, shape in shapes.items() if params[name].shape != shape]
    if wrong or form.step.shape != (count,) or form.bound.shape != (count,):
        raise ValueError(f"{', '.join(wrong) or 'its form'} has another shape than its form says")
