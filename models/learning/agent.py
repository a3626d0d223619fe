"""The agent: a structured policy and a bounded correction by a small net; it orders without JAX."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from models.domain import Floats, Situation
from models.learning.rules import PARAMETERS, PLAIN, RULES, Ops, Params, View, whole
from models.replenishment.base_policy import BasePolicy

#: How far beyond the training's range an input may lie, as a share of that range.
MARGIN = 0.1


@dataclass(frozen=True)
class Form:
    """What an agent looks like, whatever it has learned.

    rule: the structured policy it starts from. columns: periods of pipeline it looks at. scale,
    step, bound: (N,) usual demand, order multiple (0: any quantity), the most units a correction
    may add or take. hidden: width of the two hidden layers; 0 is the structured policy alone.
    """

    rule: str
    columns: int
    scale: Floats
    step: Floats
    bound: Floats
    hidden: int = 32

    @property
    def inputs(self) -> int:
        """Numbers the net sees: of each node on hand, position, the structured order, pipeline."""
        return self.scale.size * (3 + self.columns)

    def names(self) -> list[str]:
        """What each input is called, in order."""
        words = ["on hand", "position", "structured order"]
        words += [f"due in {k + 1}" for k in range(self.columns)]
        return [f"{word} of {node}" for word in words for node in range(self.scale.size)]

    def beginning(self, params: Params, seed: int) -> Params:
        """These structured parameters and a net whose correction is 0 everywhere."""
        random, count = np.random.default_rng(seed), self.scale.size
        sizes = [self.inputs, self.hidden, self.hidden, count]
        net = {}
        for k, (wide, out) in enumerate(pairwise(sizes)):
            size = 0.0 if k == len(sizes) - 2 else 1.0 / np.sqrt(wide)
            net[f"weight{k}"] = random.normal(0.0, 1.0, (wide, out)) * size
            net[f"bias{k}"] = np.zeros(out)
        return {**params, **net}

    def structured(self, ops: Ops, params: Params, view: View) -> Any:
        """Units the structured part wants, (..., N)."""
        return RULES[self.rule](ops, params, view, self.scale)

    def features(self, ops: Ops, view: View, need: Any) -> Any:
        """What the net sees, (..., inputs), in usual demands."""
        parts = [view.on_hand, view.position, need]
        parts += [view.pipeline[..., k] for k in range(self.columns)]
        return ops.xp.concatenate([part / self.scale for part in parts], axis=-1)

    def correction(self, ops: Ops, params: Params, features: Any) -> Any:
        """Units the net adds or takes, (..., N), never more than `bound`."""
        inner = features - 1.0
        for k in range(2):
            inner = ops.xp.tanh(inner @ params[f"weight{k}"] + params[f"bias{k}"])
        return self.bound * ops.xp.tanh(inner @ params["weight2"] + params["bias2"])

    def order(self, ops: Ops, params: Params, view: View) -> Any:
        """Units wanted, (..., N): never negative, whole multiples where the node takes such."""
        need = self.structured(ops, params, view)
        if "weight0" in params:
            features = self.features(ops, view, need)
            need = ops.xp.maximum(need + self.correction(ops, params, features), 0.0)
        return whole(ops, need, self.step)


@dataclass(frozen=True)
class Agent(BasePolicy):
    """A trained policy for a network of N nodes, or for any number of copies of it side by side.

    params: structured parameters and, where it has one, the net's weights with `low`, `high` and
    `usual` (inputs,): the range of each input in training and its mean. Outside the range the
    structured policy decides.
    """

    form: Form
    params: Params
    name: str = "agent"

    def order(self, situation: Situation) -> Floats:
        """Units wanted by row; rows are whole copies of the network it was trained on, in order."""
        view, form = self.view(situation), self.form
        need = form.structured(PLAIN, self.params, view)
        if "weight0" in self.params:
            features = form.features(PLAIN, view, need)
            change = form.correction(PLAIN, self.params, features)
            is_known = ~self._is_outside(features)[..., None]
            need = np.maximum(need + np.where(is_known, change, 0.0), 0.0)
        return np.asarray(whole(PLAIN, need, form.step)).reshape(-1)

    def is_outside(self, situation: Situation) -> np.ndarray:
        """Copies of the network, (copies,), that stand outside the range of the training: there the
        structured policy decides."""
        view = self.view(situation)
        if "weight0" not in self.params:
            return np.zeros(len(view.position), dtype=bool)
        need = self.form.structured(PLAIN, self.params, view)
        return self._is_outside(self.form.features(PLAIN, view, need))

    def _is_outside(self, features: Floats) -> np.ndarray:
        if "low" not in self.params:
            return np.zeros(features.shape[:-1], dtype=bool)
        slack = MARGIN * (self.params["high"] - self.params["low"]) + 1e-9
        low, high = self.params["low"] - slack, self.params["high"] + slack
        outside: np.ndarray = ((features < low) | (features > high)).any(axis=-1)
        return outside

    def view(self, situation: Situation) -> View:
        """The situation as copies of the network, (copies, N)."""
        count = self.form.scale.size
        if situation.on_hand.size % count:
            raise ValueError(
                f"the agent was trained on {count} nodes; {situation.on_hand.size} rows are not"
                " whole copies of them"
            )
        due = situation.pipeline[:, : self.form.columns]
        due = np.pad(due, ((0, 0), (0, self.form.columns - due.shape[1])))
        return View(
            situation.on_hand.reshape(-1, count),
            due.reshape(-1, count, self.form.columns),
            situation.position.reshape(-1, count),
        )

    @property
    def bare(self) -> Agent:
        """The structured part alone, with the parameters learned beside the net."""
        return replace(
            self,
            params={name: self.params[name] for name in PARAMETERS[self.form.rule]},
            name=self.form.rule,
        )
