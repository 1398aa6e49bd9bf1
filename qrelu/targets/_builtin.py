"""The class behind every built-in target: formulas on one side, what follows from them here."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from ._abstract import AbstractTarget
from ._best_known import BEST_KNOWN
from ._duck import exponent_of, kind_of, pieces_of
from ._limits import Limit, no_limit, power_integral, spline_limit
from ._rates import UNIFORM, KnownRate, Regularity, known_rate


class Facts(NamedTuple):
    """Exact facts of a function on its domain; None where no closed form is known.

    - `l1`, `l2`, `sup`: its norms.
    - `monotone`: 1 increasing, -1 decreasing, 0 neither.
    - `convex`: 1 convex, -1 concave, 0 neither.
    - `inflections`: the interior points where the second derivative changes sign.
    """

    l1: float | None
    l2: float | None
    sup: float
    monotone: int
    convex: int
    inflections: tuple[float, ...] = ()


class Closed(NamedTuple):
    """A limit that does not follow from the general formulas: N -> error, or None."""

    error: Callable[[int], float | None]
    label: str
    source: str


class Builtin(AbstractTarget):
    r"""A built-in function with its exact facts; obtained by `targets.get(name)`.

    - `description`, `difficulty`: one line and one word for tables.
    - `facts`: norms, monotonicity, convexity, inflection points.
    - `regularity`: what decides the rate.
    """

    name: str = eqx.field(static=True)
    domain: tuple[float, float] = eqx.field(static=True)
    description: str = eqx.field(static=True)
    difficulty: str = eqx.field(static=True)
    facts: Facts = eqx.field(static=True)
    breakpoints: tuple[float, ...] = eqx.field(static=True)
    singular_ends: tuple[bool, bool] = eqx.field(static=True)
    regularity: Regularity = eqx.field(static=True)
    _formula: Callable = eqx.field(static=True)
    _derivative: Callable | None = eqx.field(static=True)
    _second: Callable | None = eqx.field(static=True)
    _turns: tuple[float, ...] = eqx.field(static=True)
    _integral: Callable[[float], float] | None = eqx.field(static=True)
    _closed: tuple[tuple[tuple[str, float], Closed], ...] = eqx.field(static=True)
    _modulus: Callable | None = eqx.field(static=True)

    def __init__(
        self,
        name: str,
        formula: Callable,
        derivative: Callable | None = None,
        second: Callable | None = None,
        *,
        description: str,
        difficulty: str,
        facts: Facts,
        domain: tuple[float, float] = (0.0, 1.0),
        breakpoints: tuple[float, ...] = (),
        singular_ends: tuple[bool, bool] = (False, False),
        regularity: Regularity | None = None,
        turns: tuple[float, ...] = (),
        integral: Callable[[float], float] | None = None,
        closed: dict[tuple[str, float], Closed] | None = None,
        modulus: Callable | None = None,
    ):
        """**Arguments:**

        - `formula`: `(x, xp) -> f(x)`, written once for `xp` NumPy or `jax.numpy`.
        - `derivative`, `second`: `x -> f'(x)` and `x -> f''(x)` in NumPy, almost everywhere.
        - `turns`: the interior points where `|f''|` has a local maximum.
        - `integral`: `s ->` the integral of `|f''|^s`, where a closed form is needed because the
          second derivative is unbounded; infinite where it diverges.
        - `closed`: limits that do not follow from the general formulas, by (kind, p).
        - `modulus`: `h ->` a bound on `|f(x) - f(y)|` for `|x - y| <= h`.
        """
        self.name = name
        self.domain = domain
        self.description = description
        self.difficulty = difficulty
        self.facts = facts
        self.breakpoints = breakpoints
        self.singular_ends = singular_ends
        self.regularity = regularity or Regularity()
        self._formula = formula
        self._derivative = derivative
        self._second = second
        self._turns = turns
        self._integral = integral
        self._closed = tuple((closed or {}).items())
        self._modulus = modulus

    def __repr__(self) -> str:
        return f"targets.get({self.name!r})"

    def __call__(self, x: ArrayLike) -> np.ndarray | jax.Array:
        """The values at `x`, of the same shape; NumPy gives NumPy float64, JAX gives JAX."""
        if isinstance(x, jax.Array):
            return self._formula(x if jnp.issubdtype(x.dtype, jnp.inexact) else x * 1.0, jnp)
        return np.asarray(self._formula(np.asarray(x, np.float64), np), np.float64)

    def derivative(self, x: ArrayLike) -> np.ndarray | None:
        """The first derivative at `x` almost everywhere, or None for a rough function."""
        if self._derivative is None:
            return None
        with np.errstate(divide="ignore", over="ignore"):
            return np.asarray(self._derivative(np.asarray(x, np.float64)), np.float64)

    def second_derivative(self, x: ArrayLike) -> np.ndarray | None:
        """The second derivative at `x` almost everywhere, or None for a rough function."""
        if self._second is None:
            return None
        with np.errstate(divide="ignore", over="ignore"):
            return np.asarray(self._second(np.asarray(x, np.float64)), np.float64)

    def curvature(self, lower: ArrayLike, upper: ArrayLike) -> np.ndarray:
        r"""A bound on $|f''|$ inside each interval $(l_i, u_i)$, infinite where it is unbounded.

        |f''| is monotone between the points of `turns`, so the largest of its values at the ends
        and at the turns inside is the supremum. Two parts in 1e12 of that and of the largest |f''|
        on the domain cover the rounding of the formulas.
        """
        lower, upper = np.broadcast_arrays(
            np.asarray(lower, np.float64), np.asarray(upper, np.float64)
        )
        if self._second is None:
            return np.full(lower.shape, math.inf)
        a, b = self.domain
        with np.errstate(divide="ignore", over="ignore"):
            bound = np.maximum(np.abs(self._second(lower)), np.abs(self._second(upper)))
            landmarks = np.abs(self._second(np.asarray([a, b, *self._turns])))
        for turn, value in zip(self._turns, landmarks[2:], strict=True):
            bound = np.where((lower <= turn) & (turn <= upper), np.maximum(bound, value), bound)
        for point in self.breakpoints:
            bound = np.where((lower < point) & (point < upper), math.inf, bound)
        scale = landmarks.max()
        slack = 2e-12 * scale if math.isfinite(scale) else 0.0
        return np.asarray(bound * (1 + 2e-12) + slack)

    def modulus(self, distance: ArrayLike) -> np.ndarray | None:
        """A bound on |f(x) - f(y)| for |x - y| <= `distance`, or None where none is built in.

        Built in for every function whose `curvature` is infinite somewhere.
        """
        if self._modulus is None:
            return None
        return np.asarray(self._modulus(np.asarray(distance, np.float64)), np.float64)

    def rate(self, family, norm) -> KnownRate | None:
        """The rate that theory gives for `family` in `norm`; see `AbstractTarget.rate`."""
        first, last = self(np.array(self.domain))
        periodic = bool(abs(last - first) < 1e-12 * self.facts.sup)
        kind, p, at_end = kind_of(family), exponent_of(norm), any(self.singular_ends)
        return known_rate(kind, p, self.regularity, at_end=at_end, periodic=periodic)

    def limit(self, norm, family, size: int) -> Limit:
        """What an error of `family` at `size` is held against; see `AbstractTarget.limit`."""
        kind, p, count = kind_of(family), exponent_of(norm), pieces_of(family, size)
        closed = dict(self._closed).get((kind, p))
        value = None if closed is None else closed.error(count)
        if closed is not None and value is not None:
            return Limit(value, closed.label, closed.source, "pieces")
        if kind == "free-knot" and (self.name, p, count) in BEST_KNOWN:
            best = BEST_KNOWN[self.name, p, count]
            return Limit(best, "best known", "multistart optimization", "pieces")
        if kind == "free-knot" and self.regularity.linear is not None:
            if count >= self.regularity.linear:
                return Limit(0.0, "exact", "reproduced exactly", "pieces")
            return no_limit(f"fewer pieces than the {self.regularity.linear} of the function")
        if self._second is None:
            return no_limit("the function is rough at every scale")
        a, b = self.domain
        return spline_limit(
            kind,
            p,
            count,
            integral=lambda s: curvature_integral(self, s),
            largest=float(self.curvature(a, b)),
            width=b - a,
            kinked=bool(self.breakpoints),
        )


@lru_cache(maxsize=1024)
def _cached_integral(second: Callable, cuts: tuple[float, ...], s: float) -> float:
    return power_integral(second, cuts, s)


def curvature_integral(target: Builtin, s: float) -> float:
    """The integral of |f''|^s over the domain: closed form if there is one, else by quadrature."""
    if target._integral is not None:
        return target._integral(s)
    a, b = target.domain
    cuts = sorted({a, b, *target.breakpoints, *target.facts.inflections})
    return _cached_integral(target._second, tuple(cuts), s)


def both_uniform(p: float, closed: Closed) -> dict[tuple[str, float], Closed]:
    """The same closed form for all families with uniform knots."""
    return {(kind, p): closed for kind in UNIFORM}
