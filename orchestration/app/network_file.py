"""A network of one's own to learn on: a YAML file that says nodes, costs, lead times and demand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models.domain import Economics
from models.learning import demands
from models.learning.demands import Law
from models.learning.problems import Problem, tree
from models.twin.network import Network
from orchestration.app.gap_table import LearningError

Money = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Mean = Annotated[float, Field(gt=0, le=1e6)]
Spread = Annotated[float, Field(gt=0, le=1e6)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class DemandLaw(_Strict):
    """One of the laws of demand, units a period."""

    poisson: Mean | None = None
    geometric: Mean | None = None
    negative_binomial: tuple[Mean, Spread] | None = None
    normal: tuple[Mean, Spread] | None = None
    probabilities: list[Annotated[float, Field(ge=0, le=1)]] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> DemandLaw:
        if len(self.model_fields_set) != 1:
            raise ValueError(f"say one of {', '.join(type(self).model_fields)}")
        return self

    def law(self) -> Law:
        """The law to draw from."""
        if self.poisson is not None:
            return Law.of(demands.poisson(self.poisson))
        if self.geometric is not None:
            return Law.of(demands.geometric(self.geometric))
        if self.negative_binomial is not None:
            return Law.of(demands.negative_binomial(*self.negative_binomial))
        if self.normal is not None:
            return Law.normal(*self.normal)
        return Law.of(np.array(self.probabilities))


class Node(_Strict):
    """One location: who supplies it (left out: a supplier who never runs out) and what it costs."""

    supplied_from: str | None = Field(default=None, alias="from")
    lead_time: Annotated[int, Field(ge=0, le=52)]
    holding: Money
    shortage: Money = 0.0
    order_cost: Money = 0.0
    moq: Money = 0.0
    multiple: Money = 1.0
    demand: DemandLaw | None = None


class NetworkFile(_Strict):
    """The whole file."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    unmet: Literal["lost", "backlog"] = "lost"
    review: Annotated[int, Field(ge=1, le=52)] = 1
    nodes: Annotated[dict[str, Node], Field(min_length=1, max_length=200)]

    def problem(self) -> Problem:
        """The problem to learn on. Raises ValueError for a source that is not there, a circle, and
        a node without any demand."""
        names, nodes = list(self.nodes), list(self.nodes.values())
        for name, node in self.nodes.items():
            if node.supplied_from is not None and node.supplied_from not in self.nodes:
                raise ValueError(f"{name} is supplied from {node.supplied_from}, which is no node")
        above = [
            -1 if node.supplied_from is None else names.index(node.supplied_from) for node in nodes
        ]

        def column(name: str) -> np.ndarray:
            return np.array([getattr(node, name) for node in nodes], dtype=np.float64)

        network = Network(
            np.array([node.lead_time for node in nodes]),
            Economics(
                column("holding"),
                column("shortage"),
                np.zeros(len(nodes)),
                column("order_cost"),
                unmet=self.unmet,
            ),
            supplied_from=np.array(above),
            review=self.review,
            moq=column("moq"),
            order_multiple=column("multiple"),
        )
        laws = [node.demand.law() if node.demand else None for node in nodes]
        return tree(self.name, network, laws)


def read_network(path: Path) -> tuple[list[str], Problem]:
    """The nodes' names and the problem of a network file. Raises LearningError for what it does not
    say, or says wrongly."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        network = NetworkFile.model_validate(content)
        return list(network.nodes), network.problem()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise LearningError(f"{path}: {where}: {first['msg']}") from error
    except (OSError, yaml.YAMLError, ValueError) as error:
        raise LearningError(f"{path}: {error}") from error
