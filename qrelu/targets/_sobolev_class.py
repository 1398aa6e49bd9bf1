"""Balls of Sobolev functions."""

import math
from collections.abc import Sequence

import equinox as eqx
import numpy as np

from .._misc import plain
from ._abstract import AbstractTarget
from ._class_norms import (
    BOUNDED,
    EXACT,
    VALUES,
    cells_of,
    derivative_lines,
    lp_bounds,
    lp_norm_of_lines,
    sobolev_bounds,
)
from ._data import Data
from ._domain import interval
from ._function_class import (
    AbstractFunctionClass,
    check_positive,
    check_radius,
    is_number,
    is_whole,
    with_radius,
)
from ._hoelder_class import check_smoothness
from ._piecewise_polynomial import PiecewisePolynomial
from ._random_bumps import bump_knots, bump_name, jacobi_row
from ._random_paths import cascade, centered, signs, telegraph
from ._repeated_integrals import repeatedly_integrated


def _domain(value: Sequence[float | int]) -> tuple[float, float]:
    return interval(value, "Sobolev(domain=...)")


class Sobolev(AbstractFunctionClass):
    r"""The ball of $W^m_p$: $\|f\|_p \le r$ and $\|f^{(m)}\|_p \le r$ on an interval.

    That is the ball of a norm equivalent to the sum of the norms of all derivatives up to $m$. In
    $d$ variables, on the unit cube, it has an encoding rate and no draws.

    Condition: $m > d \max(1/p - 1/2, 0)$, without which the ball is not compact in $L^2$.

    **Arguments:**

    - `smoothness`: the number $m$ of derivatives, at most 6 in one variable.
    - `p`: the exponent, from 1 to `math.inf`.
    - `dimension`: $d$.
    - `radius`: $r$, positive.
    - `domain`: the interval.

    **Raises:**

    - `ValueError`: for numbers that break the condition, or are out of range.
    """

    smoothness: float | int = eqx.field(converter=plain, static=True)
    p: float | int = eqx.field(converter=plain, static=True, default=2.0)
    dimension: int = eqx.field(converter=plain, static=True, default=1)
    radius: float | int = eqx.field(converter=plain, static=True, default=1.0)
    domain: tuple[float, float] = eqx.field(static=True, default=(0.0, 1.0), converter=_domain)

    def __check_init__(self):
        if not (is_number(self.p) and self.p >= 1):
            raise ValueError(
                f"`Sobolev(p=...)` must be at least 1 (`math.inf` included); got {self.p!r}. "
                "`Besov` admits smaller exponents."
            )
        check_compact("Sobolev", self.smoothness, self.p, self.dimension)
        if self.smoothness != int(self.smoothness):
            raise ValueError(
                "`Sobolev(smoothness=...)` must be a whole number of derivatives; got "
                f"{self.smoothness:g}. `Besov({self.smoothness:g}, p, p)` is its fractional kin."
            )
        if self.dimension == 1:
            check_smoothness("Sobolev", self.smoothness)
        check_radius("Sobolev", self.radius)

    @property
    def name(self) -> str:
        """How tables and figures call it."""
        dimension = "" if self.dimension == 1 else f", d = {self.dimension}"
        return with_radius(f"Sobolev {self.smoothness:g},{self.p:g}{dimension}", self.radius)

    @property
    def definition(self) -> str:
        """The condition in a line."""
        derivative = "f'" if self.smoothness == 1 else f"f^({self.smoothness:g})"
        return f"||f||_{self.p:g} and ||{derivative}||_{self.p:g} <= {self.radius:g}"

    def why_not_compact(self, p: float) -> str:
        """Empty if $m > d (1/p - 1/q)$ for the norm of $L^q$."""
        return not_compact(self.smoothness, self.p, self.dimension, p)

    def _norm(self, function: AbstractTarget) -> tuple[float, float, str]:
        order = int(self.smoothness)
        cells = cells_of(function)
        least, most = lp_bounds(function, cells, float(self.p))
        if (lines := derivative_lines(function, order)) is not None and (
            order > 1 or cells.continuous
        ):
            derivative = lp_norm_of_lines(lines, float(self.p))
            return max(least, derivative), max(most, derivative), EXACT
        low, high = sobolev_bounds(function, cells, order, float(self.p))
        most = max(most, high)
        return max(least, low), most, BOUNDED if math.isfinite(most) else VALUES

    def _random(self, rng: np.random.Generator, cells: int, kind: int) -> AbstractTarget:
        if kind % 3 == 1:
            return self._with_derivative(rng.choice([-1.0, 1.0]) * np.ones(2), "polynomial")
        steps = telegraph(rng, cells)
        if kind % 3 == 0:
            return self._with_derivative(steps, "path")
        # Equal shares of |f^(m)|^p at every halving would be the path; here they are 1 : 3.
        weights = cascade(rng, cells)
        weights = weights if math.isinf(self.p) else weights ** (1 / self.p)
        return self._with_derivative(steps * weights, "cascade")

    def _extremal(self, rng: np.random.Generator, teeth: int, alternating: bool) -> AbstractTarget:
        name = f"{'zigzag' if alternating else 'random zigzag'} of {teeth} teeth"
        return self._with_derivative(signs(rng, teeth, alternating), name)

    # For p < 2 these are harder than the zigzag for all that cannot adapt: with |f^(m)| = h^(-1/p)
    # on one cell of length h the derivative before it rises by h^(1 - 1/p), and the error in L2 of
    # M = 1/h fixed pieces is of order M^-(m - 1/p + 1/2) instead of M^-m.
    def _bumps(
        self, rng: np.random.Generator, size: int, fineness: int, count: int
    ) -> AbstractTarget:
        knots, inside = bump_knots(rng, self.domain, size, fineness, count, (0.0, 1.0))
        steps = np.zeros(knots.size - 1)
        steps[inside[:, 0]] = rng.choice([-1.0, 1.0], len(inside))
        name = bump_name(len(inside), "steep piece", "steep pieces", size * fineness)
        return self._with_derivative(steps, name, knots)

    def _simplest(self, rng: np.random.Generator, cells: int) -> AbstractTarget:
        order = int(self.smoothness)
        sign = float(rng.choice([-1.0, 1.0]))
        if order == 1:
            return self._with_derivative(sign * np.ones(2), "line")
        knots, name = np.array(self.domain), f"polynomial of degree {order - 1}"
        rows = sign * jacobi_row(order - 1, float(self.p), self.domain)[None]
        function = PiecewisePolynomial(knots, rows, name=name)
        size = lp_bounds(function, cells_of(function), float(self.p))[1]
        return PiecewisePolynomial(knots, rows * (self.radius / size), name=name)

    def _with_derivative(
        self, steps: np.ndarray, name: str, knots: np.ndarray | None = None
    ) -> Data | PiecewisePolynomial:
        """The function whose m-th derivative takes these values on the cells, on the ball."""
        if knots is None:
            knots = np.linspace(*self.domain, steps.size + 1)
        if self.smoothness == 1:
            heights = np.append(0.0, np.cumsum(steps * np.diff(knots)))
            function = Data(knots, centered(heights), name=name)
            return Data(knots, function.values * self._factor(function, steps), name=name)
        rows = repeatedly_integrated(knots, steps[:, None], int(self.smoothness))
        function = PiecewisePolynomial(knots, rows, name=name)
        return PiecewisePolynomial(knots, rows * self._factor(function, steps), name=name)

    def _factor(self, function: Data | PiecewisePolynomial, steps: np.ndarray) -> float:
        """What brings the function to the norm `radius`."""
        size = np.abs(steps)
        derivative = (
            float(size.max())
            if math.isinf(self.p)
            else float(np.sum(size**self.p * np.diff(function.knots))) ** (1 / self.p)
        )
        size_in_lp = lp_bounds(function, cells_of(function), float(self.p))[1]
        return self.radius / max(derivative, size_in_lp)


def check_compact(call: str, smoothness: float | int, p: float | int, dimension: int) -> None:
    """An error unless the ball of that smoothness in $L^p$ is compact in $L^2$."""
    if not is_whole(dimension) or dimension < 1:
        raise ValueError(
            f"`{call}(dimension=...)` must be a whole number of variables, at least 1; got "
            f"{dimension!r}. Leave it out for functions on an interval."
        )
    check_positive(f"{call}(smoothness=...)", smoothness)
    least = dimension * max(1 / p - 1 / 2, 0.0)
    if not smoothness > least:
        raise ValueError(
            f"`{call}(smoothness=...)` must be above d max(1/p - 1/2, 0) = {least:g} for p = {p:g} "
            f"in dimension {dimension}; got {smoothness:g}. Below that the class is not compact in "
            "L2, and no number of bits describes it."
        )


def not_compact(smoothness: float | int, p: float | int, dimension: int, norm: float) -> str:
    """Why a ball of that smoothness in $L^p$ is not compact in the $L^q$ of a norm, or nothing."""
    least = dimension * max(1 / p - 1 / norm, 0.0)
    if smoothness > least:
        return ""
    where = "the sup norm" if math.isinf(norm) else f"L{norm:g}"
    return (
        f"it is compact in {where} only for a smoothness above d (1/p - 1/q) = {least:g}; "
        f"got {smoothness:g} with p = {p:g}"
    )
