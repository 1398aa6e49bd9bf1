"""A piecewise polynomial as a target: what draws of smooth classes are."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from ._abstract import AbstractTarget
from ._duck import exponent_of, kind_of, pieces_of
from ._limits import Limit, no_limit

# A step of the value or the slope across a knot below this share of the largest one is rounding.
_STEP = 1e-8


class PiecewisePolynomial(AbstractTarget):
    r"""$f(x) = \sum_k c_{ik} (x - t_i)^k$ for $t_i \le x < t_{i+1}$.

    **Arguments:**

    - `knots`: $t_0 < \dots < t_N$; the domain is $[t_0, t_N]$.
    - `coefficients`: $c_{ik}$, one row per piece, lowest power first.
    - `name`: how tables and figures call it.

    `breakpoints` are the knots where the value or the slope jumps; where only the second derivative
    jumps, `curvature` bounds both sides.

    **Raises:**

    - `ValueError`: for knots that do not increase, or coefficients of another shape.
    """

    knots: Float[np.ndarray, " knots"]
    coefficients: Float[np.ndarray, "pieces terms"]
    name: str = eqx.field(static=True)
    domain: tuple[float, float] = eqx.field(static=True)
    breakpoints: tuple[float, ...] = eqx.field(static=True)
    singular_ends: tuple[bool, bool] = eqx.field(static=True)
    _largest: tuple[np.ndarray, ...]

    def __init__(
        self,
        knots: Float[np.ndarray, " knots"],
        coefficients: Float[np.ndarray, "pieces terms"],
        *,
        name: str = "piecewise polynomial",
    ):
        knots = np.array(knots, np.float64)
        coefficients = np.array(coefficients, np.float64)
        if knots.size < 2 or not (np.diff(knots) > 0).all() or not np.isfinite(knots).all():
            raise ValueError(
                "`PiecewisePolynomial(knots=...)` must be at least two increasing finite numbers; "
                f"got {knots.size} of them, from {knots[:1]} to {knots[-1:]}."
            )
        if coefficients.shape[0] != knots.size - 1 or not np.isfinite(coefficients).all():
            raise ValueError(
                "`PiecewisePolynomial(coefficients=...)` must have one row of finite numbers for "
                f"each of the {knots.size - 1} pieces; got shape {coefficients.shape}."
            )
        self.knots, self.coefficients = knots, coefficients
        self.name = name
        self.domain = (float(knots[0]), float(knots[-1]))
        self.singular_ends = (False, False)
        self.breakpoints = tuple(knots[1:-1][_broken(knots, coefficients)].tolist())
        self._largest = _table(_curvatures(knots, coefficients))

    def __repr__(self) -> str:
        lower, upper = self.domain
        return (
            f"PiecewisePolynomial({self.name!r}, {self.coefficients.shape[0]} pieces of degree "
            f"{self.coefficients.shape[1] - 1} on [{lower:g}, {upper:g}])"
        )

    def __call__(self, x: ArrayLike) -> np.ndarray | jax.Array:
        """The values at `x`; at a knot those of the piece on the right."""
        if isinstance(x, jax.Array):
            x = x if jnp.issubdtype(x.dtype, jnp.inexact) else x * 1.0
            knots = jnp.asarray(self.knots, x.dtype)
            piece = jnp.clip(jnp.searchsorted(knots, x, side="right") - 1, 0, knots.size - 2)
            return _horner(jnp.asarray(self.coefficients, x.dtype)[piece], x - knots[piece])
        x = np.asarray(x, np.float64)
        piece = self._piece(x)
        return np.asarray(_horner(self.coefficients[piece], x - self.knots[piece]))

    def _piece(self, x: np.ndarray) -> np.ndarray:
        found = np.searchsorted(self.knots, x, "right") - 1
        return np.asarray(np.clip(found, 0, self.knots.size - 2))

    def derivative(self, x: ArrayLike) -> np.ndarray:
        """The first derivative at `x`; at a knot that of the piece on the right."""
        x = np.asarray(x, np.float64)
        piece = self._piece(x)
        slopes = derived(self.coefficients, 1)
        return np.asarray(_horner(slopes[piece], x - self.knots[piece]))

    def curvature(self, lower: ArrayLike, upper: ArrayLike) -> np.ndarray:
        r"""A bound on $|f''|$ inside each interval, infinite across a breakpoint."""
        lower, upper = np.broadcast_arrays(np.asarray(lower, float), np.asarray(upper, float))
        first = self._piece(lower)
        after = np.maximum(
            np.clip(np.searchsorted(self.knots, upper, "left"), 1, self.knots.size - 1), first + 1
        )
        # The largest of a range of pieces is that of two overlapping ranges of a power of two.
        level = np.frexp(after - first)[1] - 1
        table = np.stack(
            [np.pad(row, (0, self._largest[0].size - row.size)) for row in self._largest]
        )
        bound = np.maximum(table[level, first], table[level, after - (1 << level)])
        inner = np.asarray(self.breakpoints)
        crossed = np.searchsorted(inner, upper, "left") > np.searchsorted(inner, lower, "right")
        return np.where(crossed, math.inf, bound)

    def rate(self, family, norm) -> None:
        """None: from some size on a family of splines may reproduce it."""
        kind_of(family)
        exponent_of(norm)

    def limit(self, norm, family, size: int) -> Limit:
        """None is known; see `AbstractTarget.limit`."""
        kind_of(family)
        exponent_of(norm)
        pieces_of(family, size)
        return no_limit("no limit is built in for a piecewise polynomial")


def derived(coefficients: np.ndarray, order: int) -> np.ndarray:
    """The coefficients of the derivative of that order, at least one column."""
    for _ in range(order):
        powers = np.arange(1, coefficients.shape[1])
        coefficients = coefficients[:, 1:] * powers
        if not coefficients.shape[1]:
            return np.zeros((coefficients.shape[0], 1))
    return coefficients


def integrated(knots: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """The coefficients of the antiderivative that is 0 at the first knot and continuous."""
    powers = np.arange(1, coefficients.shape[1] + 1)
    rows = np.concatenate([np.zeros((len(coefficients), 1)), coefficients / powers], axis=1)
    rises = _horner(rows, np.diff(knots))
    rows[1:, 0] = np.cumsum(rises)[:-1]
    return rows


def _horner(rows, t):
    value = rows[..., -1]
    for k in range(rows.shape[-1] - 2, -1, -1):
        value = value * t + rows[..., k]
    return value


def _broken(knots: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """At which inner knots the value or the slope jumps."""
    steps = np.diff(knots)[:-1]
    broken = np.zeros(steps.size, bool)
    for order in (0, 1):
        rows = derived(coefficients, order)
        ends = _horner(rows[:-1], steps)
        scale = np.max(np.abs(rows * np.diff(knots)[:, None] ** np.arange(rows.shape[1])))
        broken |= np.abs(rows[1:, 0] - ends) > _STEP * scale
    return broken


def _curvatures(knots: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """A bound on |f''| on each piece: the sum of the sizes of its terms."""
    rows = np.abs(derived(coefficients, 2))
    return _horner(rows, np.diff(knots)) * (1 + 2.0**-40)


def _table(values: np.ndarray) -> tuple[np.ndarray, ...]:
    """Row j holds the largest of each 2^j neighbors."""
    rows = [values]
    while 2 << (len(rows) - 1) <= values.size:
        last, reach = rows[-1], 1 << (len(rows) - 1)
        rows.append(np.maximum(last[:-reach], last[reach:]))
    return tuple(rows)
