"""Differences of two networks, and their decisions, in balls around many points."""

import math
from typing import Any, NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import ArrayLike

from ..networks import ReLUNetwork
from ._cells import evaluation_radius, unit_sizes, values_at
from ._checks import as_numbers
from ._outward import UNIT
from ._pair import EXACT, Layers, as_layers, as_network, check_pair
from ._search import as_pair, ascend, bound_batch, in_blocks


class PointEnclosures(NamedTuple):
    r"""Proven bounds of the largest difference of two networks in each ball.

    **Attributes:**

    - `lower`, `upper`: arrays of shape (points,): `lower[i]` $\le
      \sup_{\|x - x_i\|_\infty \le r} \|R(x) - R'(x)\|_\infty \le$ `upper[i]`.
    - `witnesses`: points of the balls, of shape (points, $N_0$), where the difference is at least
      `lower`.
    """

    lower: np.ndarray
    upper: np.ndarray
    witnesses: np.ndarray


class Decisions(NamedTuple):
    r"""Which decisions of two classifiers are proven to agree.

    **Attributes:**

    - `classes`: the decision of the first network at each point, of shape (points,).
    - `unchanged`: whether both networks are proven to take that decision in the whole ball.
    - `changed`: whether a point of the ball is proven where their decisions differ. Where neither
      is set, nothing is proven.
    - `certified`, `violated`: how many there are of each.
    """

    classes: np.ndarray
    unchanged: np.ndarray
    changed: np.ndarray

    @property
    def certified(self) -> int:
        """The number of decisions that are proven unchanged."""
        return int(self.unchanged.sum())

    @property
    def violated(self) -> int:
        """The number of balls in which a changed decision is proven."""
        return int(self.changed.sum())


def enclose_points(
    net: ReLUNetwork | eqx.nn.MLP,
    other: ReLUNetwork | eqx.nn.MLP,
    points: ArrayLike,
    radius: ArrayLike = 0.0,
    *,
    evaluation: Any = None,
) -> PointEnclosures:
    r"""Proven bounds of the largest difference of two networks in balls around points.

    One joint pass of linear bounds per ball, without splitting; `enclose` splits. With radius zero
    the bounds are those of the points, up to rounding errors.

    **Arguments:**

    - `net`, `other`: networks with the same numbers of inputs and outputs.
    - `points`: the centers $x_i$, of shape (points, $N_0$).
    - `radius`: the radius $r$ in the sup norm, one number or one per point.
    - `evaluation`: whose rounding errors are inside, as in `enclose`.

    **Returns:**

    A `PointEnclosures` record.

    **Raises:**

    - `ValueError`: for networks that do not fit together, points of another shape, points that are
        not finite, or a radius that is negative or not finite.

    **Reference:** derived; the proofs stand above the code of the joint bounds.
    """
    call = "enclose_points(net, other, points)"
    a, b, x, r = _prepare(call, net, other, points, radius, evaluation)
    pair = as_pair(a, b)
    upper, witnesses = _upper(pair, x, r)
    rounding = max(evaluation_radius(a, *_around(x, r)) + evaluation_radius(b, *_around(x, r)))
    unit = max(a.arithmetic.unit, b.arithmetic.unit)
    with np.errstate(invalid="ignore"):
        upper = (upper.max(0) + rounding) * (1 + unit + 4 * UNIT)
    witnesses, _ = in_blocks(ascend, pair, witnesses, x - r, x + r)
    # The better of the witness and the center.
    lowers = [_least_difference(a, b, w) for w in (x, witnesses)]
    better = lowers[1] > lowers[0]
    lower, witnesses = np.maximum(*lowers), np.where(better[:, None], witnesses, x)
    upper = np.where(np.isnan(upper), math.inf, np.maximum(upper, lower))
    return PointEnclosures(lower, upper, witnesses)


# Both networks take class c in a ball if all other outputs minus that of c are negative there, for
# either network, by more than the rounding errors of evaluation. That difference is one of the
# network with another last layer, and is bounded jointly with the zero network.
def unchanged_decisions(
    net: ReLUNetwork | eqx.nn.MLP,
    other: ReLUNetwork | eqx.nn.MLP,
    points: ArrayLike,
    radius: ArrayLike = 0.0,
    *,
    evaluation: Any = None,
) -> Decisions:
    r"""How many decisions of a classifier are proven unchanged by rounding its parameters.

    The decision is the largest output. It is certified in a ball when both networks are proven to
    take it in the whole ball: then neither rounding nor a move of the input by the radius changes
    it.

    **Arguments:**

    - `net`, `other`: networks with the same numbers of inputs and outputs, at least two outputs.
    - `points`: the centers $x_i$, of shape (points, $N_0$).
    - `radius`: the radius in the sup norm, one number or one per point.
    - `evaluation`: whose rounding errors are inside, as in `enclose`.

    **Returns:**

    A `Decisions` record; `certified` is the number of decisions proven unchanged.

    **Raises:**

    - `ValueError`: as `enclose_points`, and for networks with one output.

    **Reference:** derived, argument above the code.
    """
    call = "unchanged_decisions(net, other, points)"
    a, b, x, r = _prepare(call, net, other, points, radius, evaluation)
    outputs = len(a.biases[-1])
    if outputs < 2:
        raise ValueError(f"`{call}` must be given networks with at least two outputs; got 1.")
    classes = a(x).argmax(1)
    unchanged = np.ones(len(x), dtype=bool)
    for layers in (a, b):
        size = unit_sizes(layers, *_around(x, r))[-1]
        error = evaluation_radius(layers, *_around(x, r))
        nothing = _zero_like(layers)
        for c in np.unique(classes):
            rows = np.flatnonzero(classes == c)
            against = _against(layers, int(c))
            upper, _ = _upper(as_pair(against, nothing), x[rows], r[rows])
            # Rows of the last layer were subtracted, and each entry rounded once.
            once = 2 * UNIT * (abs(against.weights[-1]) @ size + abs(against.biases[-1]))
            upper = upper[:outputs] + (error + error[c] + once)[:, None]
            others = np.arange(outputs) != c
            unchanged[rows] &= (upper[others] < 0).all(0)

    # A change is proven at a point when both decisions are, and differ.
    changed = np.zeros(len(x), dtype=bool)
    _, corners = _upper(as_pair(a, b), x, r)
    for place in (x, corners):
        chosen = [_sure_class(layers, place) for layers in (a, b)]
        changed |= (chosen[0] >= 0) & (chosen[1] >= 0) & (chosen[0] != chosen[1])
    return Decisions(classes, unchanged, changed)


def _prepare(call: str, net: Any, other: Any, points: Any, radius: Any, evaluation: Any):
    net, other = as_network(call, net), as_network(call, other)
    check_pair(call, net, other)
    a, b = (as_layers(call, network, evaluation) for network in (net, other))
    name = call.split("(")[0]
    x = as_numbers(f"{name}(points=...)", points)
    r = as_numbers(f"{name}(radius=...)", radius)
    if x.ndim != 2 or x.shape[1] != a.inputs or len(x) == 0:
        raise ValueError(
            f"`{call}` must be given points of shape (points, {a.inputs}), at least one; got the "
            f"shape {x.shape}."
        )
    if r.shape not in ((), (len(x),)):
        raise ValueError(
            f"`{name}(radius=...)` must be one number or one per point, {len(x)}; got the shape "
            f"{r.shape}."
        )
    if not (np.isfinite(x).all() and np.isfinite(r).all() and (r >= 0).all()):
        raise ValueError(
            f"`{name}` must be given finite points and a finite, non-negative radius; got the "
            f"radius {radius}."
        )
    return a, b, x, np.broadcast_to(r.reshape(-1, 1), x.shape)


def _upper(pair: Any, x: np.ndarray, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Upper bounds (2 outputs, points), and points with large differences."""
    upper, points, _ = in_blocks(bound_batch, pair, x, _reach(x, r))
    return np.where(np.isnan(upper), math.inf, upper).T, np.clip(points, x - r, x + r)


def _reach(x: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Radii that reach x - r and x + r, exact or rounded."""
    return r * (1 + 4 * UNIT) + 2 * UNIT * abs(x)


def _around(x: np.ndarray, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A box around all balls."""
    reach = 2 * _reach(x, r)
    return (x - reach).min(0), (x + reach).max(0)


def _least_difference(a: Layers, b: Layers, x: np.ndarray) -> np.ndarray:
    """Proven lower bounds of the largest difference at points."""
    (f, e), (g, s) = values_at(a, x), values_at(b, x)
    unit = max(a.arithmetic.unit, b.arithmetic.unit)
    with np.errstate(invalid="ignore"):
        least = abs(f - g) * (1 - 2 * unit - 8 * UNIT) - (e + s) * (1 + 8 * UNIT)
    return np.maximum(np.where(np.isnan(least), 0.0, least).max(0), 0.0)


def _sure_class(layers: Layers, x: np.ndarray) -> np.ndarray:
    """The class at points where rounding errors leave no doubt, else -1."""
    values, error = values_at(layers, x)
    chosen = values.argmax(0)
    every = np.arange(len(x))
    rest = values + error * (1 + 8 * UNIT) + 8 * UNIT * abs(values)
    best = 2 * values[chosen, every] - rest[chosen, every]
    rest[chosen, every] = -math.inf
    return np.where(best > rest.max(0), chosen, -1)


def _against(layers: Layers, c: int) -> Layers:
    """All outputs minus output c."""
    *weights, w = layers.weights
    *biases, b = layers.biases
    return Layers((*weights, w - w[c]), (*biases, b - b[c]), EXACT)


def _zero_like(layers: Layers) -> Layers:
    weights = tuple(np.zeros_like(w) for w in layers.weights)
    return Layers(weights, tuple(np.zeros_like(b) for b in layers.biases), EXACT)
