"""Balls of Lipschitz and Hoelder functions."""

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
    hoelder_bounds,
    hoelder_seminorm_of_lines,
    largest_quotient,
    mean_derivatives,
    size_bounds,
)
from ._data import Data
from ._domain import interval
from ._exact_norms import sup_norm
from ._function_class import AbstractFunctionClass, check_positive, check_radius, with_radius
from ._piecewise_polynomial import PiecewisePolynomial
from ._random_bumps import bump_knots, bump_name, jacobi_row
from ._random_paths import centered, displaced, signs, telegraph, weierstrass
from ._repeated_integrals import repeatedly_integrated


def _domain_of_lipschitz(value: Sequence[float | int]) -> tuple[float, float]:
    return interval(value, "Lipschitz(domain=...)")


def _domain_of_hoelder(value: Sequence[float | int]) -> tuple[float, float]:
    return interval(value, "Hoelder(domain=...)")


class Lipschitz(AbstractFunctionClass):
    r"""Functions with $|f(x) - f(y)| \le r |x - y|$ and $|f| \le r$.

    **Arguments:**

    - `radius`: $r$, positive.
    - `domain`: the interval.

    **Raises:**

    - `ValueError`: for a radius that is not positive and finite, or no interval.
    """

    radius: float | int = eqx.field(converter=plain, static=True, default=1.0)
    domain: tuple[float, float] = eqx.field(
        static=True, default=(0.0, 1.0), converter=_domain_of_lipschitz
    )

    def __check_init__(self):
        check_radius("Lipschitz", self.radius)

    @property
    def name(self) -> str:
        """How tables and figures call it."""
        return with_radius("Lipschitz", self.radius)

    @property
    def definition(self) -> str:
        """The condition in a line."""
        return f"|f(x) - f(y)| <= {self.radius:g} |x - y| and |f| <= {self.radius:g}"

    @property
    def smoothness(self) -> float:
        """1."""
        return 1.0

    @property
    def dimension(self) -> int:
        """1."""
        return 1

    def why_not_compact(self, p: float) -> str:
        """Nothing: it is compact in every norm."""
        return ""

    def _norm(self, function: AbstractTarget) -> tuple[float, float, str]:
        return hoelder_norm(function, 1.0)

    def _random(self, rng: np.random.Generator, cells: int, kind: int) -> AbstractTarget:
        return hoelder_draw(rng, 1.0, self.radius, self.domain, cells, kind)

    def _extremal(self, rng: np.random.Generator, teeth: int, alternating: bool) -> AbstractTarget:
        return hoelder_zigzag(rng, 1.0, self.radius, self.domain, teeth, alternating)

    def _bumps(
        self, rng: np.random.Generator, size: int, fineness: int, count: int
    ) -> AbstractTarget:
        return hoelder_bumps(rng, 1.0, self.radius, self.domain, size, fineness, count)

    def _simplest(self, rng: np.random.Generator, cells: int) -> AbstractTarget:
        return hoelder_polynomial(rng, 1.0, self.radius, self.domain)


class Hoelder(AbstractFunctionClass):
    r"""The ball of $C^s$: $|f^{(k)}(x) - f^{(k)}(y)| \le r |x - y|^{s - k}$ and $|f| \le r$.

    Here $k$ is the largest whole number below $s$: for $s \le 1$ the function itself is Hoelder
    continuous, for $s = 2$ its derivative is Lipschitz.

    **Arguments:**

    - `smoothness`: $s$, positive, at most 6.
    - `radius`: $r$, positive.
    - `domain`: the interval.

    **Raises:**

    - `ValueError`: for numbers that are not positive and finite, a larger smoothness, or no
        interval.
    """

    smoothness: float | int = eqx.field(converter=plain, static=True)
    radius: float | int = eqx.field(converter=plain, static=True, default=1.0)
    domain: tuple[float, float] = eqx.field(
        static=True, default=(0.0, 1.0), converter=_domain_of_hoelder
    )

    def __check_init__(self):
        check_positive("Hoelder(smoothness=...)", self.smoothness)
        check_smoothness("Hoelder", self.smoothness)
        check_radius("Hoelder", self.radius)

    @property
    def name(self) -> str:
        """How tables and figures call it."""
        return with_radius(f"Hoelder {self.smoothness:g}", self.radius)

    @property
    def definition(self) -> str:
        """The condition in a line."""
        k, r = whole_part(self.smoothness), f"{self.radius:g}"
        f = "f" if k == 0 else f"f^({k})"
        power = f"|x - y|^{self.smoothness - k:g}"
        return f"|{f}(x) - {f}(y)| <= {r} {power} and |f| <= {r}"

    @property
    def dimension(self) -> int:
        """1."""
        return 1

    def why_not_compact(self, p: float) -> str:
        """Nothing: it is compact in every norm."""
        return ""

    def _norm(self, function: AbstractTarget) -> tuple[float, float, str]:
        return hoelder_norm(function, self.smoothness)

    def _random(self, rng: np.random.Generator, cells: int, kind: int) -> AbstractTarget:
        return hoelder_draw(rng, self.smoothness, self.radius, self.domain, cells, kind)

    def _extremal(self, rng: np.random.Generator, teeth: int, alternating: bool) -> AbstractTarget:
        return hoelder_zigzag(rng, self.smoothness, self.radius, self.domain, teeth, alternating)

    def _bumps(
        self, rng: np.random.Generator, size: int, fineness: int, count: int
    ) -> AbstractTarget:
        return hoelder_bumps(rng, self.smoothness, self.radius, self.domain, size, fineness, count)

    def _simplest(self, rng: np.random.Generator, cells: int) -> AbstractTarget:
        return hoelder_polynomial(rng, self.smoothness, self.radius, self.domain)


# Repeated integrals of more than five steps lose the digits of the highest derivative.
MOST_SMOOTH = 6


def check_smoothness(call: str, smoothness: float | int) -> None:
    """An error for more derivatives than draws and norms are computed with."""
    if smoothness > MOST_SMOOTH:
        raise ValueError(
            f"`{call}(smoothness=...)` must be at most {MOST_SMOOTH}; got {smoothness:g}. "
            "Differences of higher order are lost in rounding."
        )


def whole_part(smoothness: float | int) -> int:
    """The largest whole number below the smoothness."""
    return math.ceil(smoothness) - 1


def hoelder_norm(function: AbstractTarget, smoothness: float | int) -> tuple[float, float, str]:
    r"""Bounds of $\max(\sup |f|, |f^{(k)}|_{s-k})$, and what they rest on."""
    k = whole_part(smoothness)
    exponent = float(smoothness - k)
    cells = cells_of(function)
    least, most = size_bounds(function, cells)
    lines = derivative_lines(function, k)
    if lines is not None and lines.continuous:
        seminorm = hoelder_seminorm_of_lines(lines, exponent)
        return max(least, seminorm), max(most, seminorm), EXACT
    if k == 0:
        low, high = hoelder_bounds(function, cells, exponent)
        return max(least, low), max(most, high), BOUNDED if math.isfinite(high) else VALUES
    means, h, rounding = mean_derivatives(function, k, cells.noise)
    low = largest_quotient(h * np.arange(means.size), means, exponent)
    low = max(low - 2 * rounding / h**exponent, 0.0)
    high = math.inf
    if k == 1 and not function.breakpoints and cells.continuous:
        a, b = function.domain
        high = float(cells.bound.max()) * (b - a) ** (1 - exponent)
    return max(least, low), max(most, high), BOUNDED if math.isfinite(high) else VALUES


def hoelder_draw(
    rng: np.random.Generator,
    smoothness: float | int,
    radius: float | int,
    domain: tuple[float, float],
    cells: int,
    kind: int,
) -> Data | PiecewisePolynomial:
    """A random function of norm `radius`: rough at all scales, or the smoothest on the boundary."""
    k = whole_part(smoothness)
    exponent = float(smoothness - k)
    a, b = domain
    knots = np.linspace(a, b, cells + 1)
    # A path has slopes of one size, which only Lipschitz functions can have at all scales.
    recipes = ["random midpoints", "polynomial", "Weierstrass sum"]
    recipe = (["path", *recipes[1:]] + recipes[:1] if exponent == 1 else recipes)[
        kind % (4 if exponent == 1 else 3)
    ]
    if recipe == "path":
        values = np.append(0.0, np.cumsum(telegraph(rng, cells))) / cells
    elif recipe == "polynomial":
        knots, values = np.linspace(a, b, 3), rng.choice([-1.0, 1.0]) * np.arange(3.0)
    elif recipe == "Weierstrass sum":
        values = weierstrass(rng, cells, exponent)
    else:
        values = displaced(rng, cells, exponent)
    return _on_the_ball(knots, centered(values), k, smoothness, radius, recipe)


# With amplitude A and teeth of length h, |f(x) - f(y)| <= min(2 A |x - y|/h, 2 A), which is at most
# 2 A (|x - y|/h)^a, and equal to that over one tooth: A = r h^a/2.
def hoelder_zigzag(
    rng: np.random.Generator,
    smoothness: float | int,
    radius: float | int,
    domain: tuple[float, float],
    teeth: int,
    alternating: bool,
) -> Data | PiecewisePolynomial:
    """The zigzag between values of one size, integrated as often as the class is smooth."""
    k = whole_part(smoothness)
    a, b = domain
    name = f"{'zigzag' if alternating else 'random zigzag'} of {teeth} teeth"
    values = signs(rng, teeth + 1, alternating)
    return _on_the_ball(np.linspace(a, b, teeth + 1), values, k, smoothness, radius, name)


def hoelder_bumps(
    rng: np.random.Generator,
    smoothness: float | int,
    radius: float | int,
    domain: tuple[float, float],
    size: int,
    fineness: int,
    count: int,
) -> Data | PiecewisePolynomial:
    """Single teeth of the zigzag, integrated as often as the class is smooth."""
    knots, inside = bump_knots(rng, domain, size, fineness, count, (0.0, 0.5, 1.0))
    values = np.zeros(knots.size)
    values[inside[:, 1]] = rng.choice([-1.0, 1.0], len(inside))
    name = bump_name(len(inside), "tooth", "teeth", size * fineness)
    return _on_the_ball(knots, values, whole_part(smoothness), smoothness, radius, name)


# Its derivative of order k is constant, so that only the values bound it.
def hoelder_polynomial(
    rng: np.random.Generator,
    smoothness: float | int,
    radius: float | int,
    domain: tuple[float, float],
) -> Data | PiecewisePolynomial:
    """The largest polynomial of degree k: Chebyshev's; for k = 0 the steepest line."""
    k = whole_part(smoothness)
    sign = float(rng.choice([-1.0, 1.0]))
    if k == 0:
        values = sign * np.array([-1.0, 0.0, 1.0])
        return _on_the_ball(np.linspace(*domain, 3), values, 0, smoothness, radius, "line")
    rows = sign * radius * jacobi_row(k, math.inf, domain)[None]
    return PiecewisePolynomial(np.array(domain), rows, name=f"polynomial of degree {k}")


def _on_the_ball(
    knots: np.ndarray,
    values: np.ndarray,
    order: int,
    smoothness: float | int,
    radius: float | int,
    name: str,
) -> Data | PiecewisePolynomial:
    """The polygon, integrated `order` times and scaled to the norm `radius`."""
    exponent = float(smoothness - order)
    seminorm = (
        float(np.max(np.abs(np.diff(values)) / np.diff(knots)))
        if exponent == 1
        else largest_quotient(knots, values, exponent)
    )
    if order == 0:
        values = values * (radius / max(seminorm, float(np.abs(values).max())))
        return Data(knots, values, name=name)
    slopes = np.diff(values) / np.diff(knots)
    rows = np.stack([values[:-1], slopes], axis=1)
    rows = repeatedly_integrated(knots, rows, order)
    size = sup_norm(PiecewisePolynomial(knots, rows))
    return PiecewisePolynomial(knots, rows * (radius / max(seminorm, size)), name=name)
