"""Demand sensing: one LSTM for all series that reads the latest demand step by step and draws what
may follow.

Autoregressive, with a negative binomial likelihood around each series' own scale; unknown periods
enter as unknown and are not learned from. A challenger: it replaces nothing unless replay says that
its decisions cost less. Source: Salinas et al. 2020 (DeepAR); Hochreiter and Schmidhuber 1997
(LSTM).
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import polars as pl
from jax.scipy.special import gammaln

from models.domain import QUANTILES
from models.forecasting.design_matrix import Plans, calendar
from models.forecasting.forecast import Forecast
from models.forecasting.inputs import LABEL, Floats, Panel, Spec, panels, series_keys

Params = dict[str, Any]

#: Periods of the past read before the first forecast step.
CONTEXT = {"day": 56, "week": 52, "month": 24}
#: Lengths of the circles that weekday, day of the month, week of the year and month turn on.
CYCLES = (7.0, 31.0, 53.0, 12.0)
#: Sines and cosines of those, and promotions, events, openings.
COVARIATES = 2 * len(CYCLES) + 3
BATCH = 128
SERIES_AT_ONCE = 512


@dataclass(frozen=True)
class SensingModel:
    """A trained network: give it the past up to an origin, it draws futures."""

    spec: Spec
    params: Params
    card: dict[str, Any]

    @property
    def context(self) -> int:
        """Periods of the past it reads before it forecasts."""
        return CONTEXT[self.spec.grain]

    def paths(
        self,
        labels: pl.DataFrame,
        keys: pl.DataFrame,
        origin: date,
        plans: pl.DataFrame | None = None,
        samples: int = 200,
    ) -> Floats:
        """Draw demand of the periods from `origin` on, (N, samples, H) units; labels from the
        origin on are not looked at."""
        past = panels(labels.filter(pl.col("target_on") < origin), keys, [LABEL], self.spec)[LABEL]
        end = int(self.spec.index(pl.Series([origin], dtype=pl.Date))[0])
        planned = Plans.of(plans, keys, self.spec)
        length = self.context
        out = np.empty((len(keys), samples, self.spec.horizon), np.float32)
        for start in range(0, len(keys), SERIES_AT_ONCE):
            rows = np.arange(start, min(start + SERIES_AT_ONCE, len(keys)))
            first = np.full(len(rows), end - length)
            units, known, scale = _window(past, rows, first, length, length)
            outside = _covariates(self.spec, planned, rows, first, length + self.spec.horizon)
            key = jax.random.fold_in(jax.random.PRNGKey(self.spec.seed), start)
            drawn = _draw(
                self.params,
                units,
                known,
                scale,
                outside,
                key,
                samples,
                self.spec.horizon,
                self.spec.whole_units,
            )
            out[rows] = np.asarray(drawn)
        return out

    def predict(
        self,
        labels: pl.DataFrame,
        keys: pl.DataFrame,
        origin: date,
        plans: pl.DataFrame | None = None,
        quantiles: tuple[float, ...] = QUANTILES,
        samples: int = 200,
    ) -> Forecast:
        """The drawn futures as a Forecast: their quantiles, mean and correlation over the
        horizon."""
        drawn = self.paths(labels, keys, origin, plans, samples)
        values = np.moveaxis(np.quantile(drawn, quantiles, axis=1, method="higher"), 0, 2).astype(
            np.float32
        )
        centred = (drawn - drawn.mean(axis=1, keepdims=True)) / (
            drawn.std(axis=1, keepdims=True) + 1e-6
        )
        correlation = np.einsum("nsh,nsk->hk", centred, centred, dtype=np.float64) / (
            len(keys) * samples
        )
        scale = np.sqrt(np.maximum(np.diag(correlation), 1e-9))
        correlation = correlation / np.outer(scale, scale)
        np.fill_diagonal(correlation, 1.0)
        return Forecast(
            keys,
            self.spec.starts(origin),
            quantiles,
            values,
            drawn.mean(axis=1),
            correlation,
            self.spec.whole_units,
        )

    def to_bytes(self) -> bytes:
        """The weights as npz with the spec, the model card and a sha256 of the weights inside."""
        weights = {name: np.asarray(value) for name, value in self.params.items()}
        digest = hashlib.sha256(
            b"".join(weights[name].tobytes() for name in sorted(weights))
        ).hexdigest()
        document = json.dumps({"spec": asdict(self.spec), "card": self.card, "sha256": digest})
        out = io.BytesIO()
        np.savez(out, document=np.frombuffer(document.encode(), np.uint8), **weights)  # type: ignore[arg-type]
        return out.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> SensingModel:
        """Load what to_bytes wrote; other weights than those saved are refused."""
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            weights = {name: archive[name] for name in archive.files}
        document = json.loads(weights.pop("document").tobytes())
        if (
            hashlib.sha256(
                b"".join(weights[name].tobytes() for name in sorted(weights))
            ).hexdigest()
            != document["sha256"]
        ):
            raise ValueError("the network's weights do not match their sha256; train it again")
        spec = document["spec"] | {
            name: tuple(tuple(g) for g in document["spec"][name]) for name in ("levels", "totals")
        }
        return cls(
            Spec(**spec),
            {name: jnp.asarray(value) for name, value in weights.items()},
            document["card"],
        )


def fit_sensing(
    labels: pl.DataFrame, plans: pl.DataFrame | None, spec: Spec, steps: int = 600, width: int = 64
) -> SensingModel:
    """Train on windows of the past, sampled at random; labels as for the boosted model (null =
    unknown), all before the cutoff."""
    if labels.is_empty():
        raise ValueError("no labels: there is no demand to learn from")
    keys = series_keys(labels)
    demand = panels(labels, keys, [LABEL], spec)[LABEL]
    planned = Plans.of(plans, keys, spec)
    random = np.random.default_rng(spec.seed)
    context, length = CONTEXT[spec.grain], CONTEXT[spec.grain] + spec.horizon
    end = demand.first + demand.values.shape[1]
    weight = np.nansum(np.maximum(demand.values, 0), axis=1) ** 0.5 + 0.1
    chance = weight / weight.sum()
    params = _initial(jax.random.PRNGKey(spec.seed), 3 + COVARIATES, width)
    schedule = optax.cosine_decay_schedule(3e-3, steps)
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))
    state = optimiser.init(params)

    @jax.jit
    def step(
        params: Params, state: Any, batch: tuple[jax.Array, ...]
    ) -> tuple[Params, Any, jax.Array]:
        loss, slope = jax.value_and_grad(_loss)(params, *batch)
        update, state = optimiser.update(slope, state)
        return optax.apply_updates(params, update), state, loss

    losses = []
    for _ in range(steps):
        rows = random.choice(len(keys), BATCH, p=chance)
        first = random.integers(
            min(demand.first - context // 2, end - length), end - length + 1, BATCH
        )
        units, known, scale = _window(demand, rows, first, length, context)
        params, state, loss = step(
            params, state, (units, known, scale, _covariates(spec, planned, rows, first, length))
        )
        losses.append(float(loss))
    card = {
        "method": "LSTM, global, negative binomial",
        "data_until": str(labels["target_on"].max()),
        "series": len(keys),
        "steps": steps,
        "parameters": int(sum(v.size for v in params.values())),
        "loss_first_to_last": [float(np.mean(losses[:20])), float(np.mean(losses[-20:]))],
    }
    return SensingModel(spec, params, card)


def _window(
    demand: Panel, rows: np.ndarray, first: np.ndarray, length: int, context: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Units (B, length), which are known, and each row's scale: a little more than its mean over
    the known of the context, (B,)."""
    column = first[:, None] + np.arange(length)[None, :]
    flat = demand.at(np.repeat(rows, length), column.reshape(-1)).reshape(len(rows), length)
    known = ~np.isnan(flat)
    units = np.maximum(np.where(known, flat, 0.0), 0.0)
    count = known[:, :context].sum(axis=1)
    scale = 0.2 + units[:, :context].sum(axis=1) / np.maximum(count, 1)
    return jnp.asarray(units), jnp.asarray(known, jnp.float32), jnp.asarray(scale, jnp.float32)


def _covariates(
    spec: Spec, plans: Plans, rows: np.ndarray, first: np.ndarray, length: int
) -> jax.Array:
    """What is known in advance of every period, (B, length, C): the calendar as circles,
    promotions, events, openings."""
    column = (first[:, None] + np.arange(length)[None, :]).reshape(-1)
    series = np.repeat(rows, length)
    circles = np.nan_to_num(calendar(spec, column)) * (2 * np.pi / np.asarray(CYCLES))
    planned = [
        plans.at(name, series, column, absent)
        for name, absent in (("promotion_count", 0), ("event_count", 0), ("is_open", 1))
    ]
    features = np.column_stack([np.sin(circles), np.cos(circles), *planned]).astype(np.float32)
    return jnp.asarray(features.reshape(len(rows), length, -1))


def _initial(key: jax.Array, inputs: int, width: int) -> Params:
    one, two, three = jax.random.split(key, 3)
    return {
        "input": jax.random.normal(one, (inputs, 4 * width)) / np.sqrt(inputs),
        "state": jax.random.normal(two, (width, 4 * width)) / np.sqrt(width),
        # remember at first
        "bias": jnp.concatenate([jnp.zeros(width), jnp.ones(width), jnp.zeros(2 * width)]),
        "output": 0.1 * jax.random.normal(three, (width, 2)) / np.sqrt(width),
        "output_bias": jnp.array([0.0, -1.0]),
    }


def _cell(
    params: Params, carry: tuple[jax.Array, jax.Array], x: jax.Array
) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
    """One LSTM step; the output is log (mean / scale) and log overdispersion."""
    hidden, memory = carry
    gates = x @ params["input"] + hidden @ params["state"] + params["bias"]
    take, keep, show, new = jnp.split(gates, 4, axis=-1)
    memory = jax.nn.sigmoid(keep) * memory + jax.nn.sigmoid(take) * jnp.tanh(new)
    hidden = jax.nn.sigmoid(show) * jnp.tanh(memory)
    return (hidden, memory), hidden @ params["output"] + params["output_bias"]


def _input(units: jax.Array, known: jax.Array, scale: jax.Array, outside: jax.Array) -> jax.Array:
    """What the network reads in one step: the period before (scaled, and whether it was known), the
    scale, the step's covariates."""
    return jnp.concatenate(
        [jnp.stack([jnp.log1p(units / scale) * known, known, jnp.log(scale)], axis=-1), outside],
        axis=-1,
    )


def _read(
    params: Params, units: jax.Array, known: jax.Array, scale: jax.Array, outside: jax.Array
) -> tuple[Any, jax.Array]:
    """Run over known demand: output at step t is about period t, having read periods before t;
    units (B, T)."""
    before = jnp.pad(units, ((0, 0), (1, 0)))[:, :-1]
    seen = jnp.pad(known, ((0, 0), (1, 0)))[:, :-1]
    x = _input(before, seen, scale[:, None] * jnp.ones_like(units), outside)
    width = params["state"].shape[0]
    start = (jnp.zeros((len(units), width)), jnp.zeros((len(units), width)))
    carry, out = jax.lax.scan(partial(_cell, params), start, jnp.swapaxes(x, 0, 1))
    return carry, jnp.swapaxes(out, 0, 1)


def _shape(out: jax.Array, scale: jax.Array) -> tuple[jax.Array, jax.Array]:
    mean = scale * jnp.exp(jnp.clip(out[..., 0], -6, 4))
    return mean, jnp.exp(jnp.clip(out[..., 1], -5, 3))


def _loss(
    params: Params, units: jax.Array, known: jax.Array, scale: jax.Array, outside: jax.Array
) -> jax.Array:
    """Mean negative log-likelihood of a negative binomial with variance mean + overdispersion x
    mean², over known periods."""
    _, out = _read(params, units, known, scale, outside)
    mean, over = _shape(out, scale[:, None])
    size = 1 / over
    log_likelihood = (
        gammaln(units + size)
        - gammaln(size)
        - gammaln(units + 1)
        + units * (jnp.log(mean) - jnp.log(mean + size))
        + size * (jnp.log(size) - jnp.log(mean + size))
    )
    return -(known * log_likelihood).sum() / jnp.maximum(known.sum(), 1.0)


@partial(jax.jit, static_argnames=("samples", "horizon", "whole_units"))
def _draw(
    params: Params,
    units: jax.Array,
    known: jax.Array,
    scale: jax.Array,
    outside: jax.Array,
    key: jax.Array,
    samples: int,
    horizon: int,
    whole_units: bool,
) -> jax.Array:
    """Read the context, then draw period after period, each draw fed back: (B, samples,
    horizon)."""
    context = units.shape[1]
    carry, _ = _read(params, units, known, scale, outside[:, :context])
    carry = jax.tree.map(lambda a: jnp.repeat(a, samples, axis=0), carry)
    wide = jnp.repeat(scale, samples)
    last, seen = jnp.repeat(units[:, -1], samples), jnp.repeat(known[:, -1], samples)

    def ahead(state: Any, inputs: tuple[jax.Array, jax.Array]) -> tuple[Any, jax.Array]:
        carry, last, seen = state
        step, covariates = inputs
        x = _input(last, seen, wide, jnp.repeat(covariates, samples, axis=0))
        carry, out = _cell(params, carry, x)
        mean, over = _shape(out, wide)
        one, two = jax.random.split(jax.random.fold_in(key, step))
        if whole_units:
            rate = jax.random.gamma(one, 1 / over) * over * mean
            drawn = jax.random.poisson(two, rate).astype(jnp.float32)
        else:  # a gamma of the same mean and variance
            shape = mean / (1 + over * mean)
            drawn = jax.random.gamma(one, shape) * mean / shape
        return (carry, drawn, jnp.ones_like(seen)), drawn

    steps = (jnp.arange(horizon), jnp.swapaxes(outside[:, context:], 0, 1))
    _, drawn = jax.lax.scan(ahead, (carry, last, seen), steps)
    return jnp.moveaxis(drawn, 0, 1).reshape(len(units), samples, horizon)
