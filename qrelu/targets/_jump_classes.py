"""Classes of functions that may jump."""

import itertools
import math
from collections.abc import Sequence

import equinox as eqx
import numpy as np
from jax.typing import ArrayLike

from .._misc import plain
from ._abstract import AbstractTarget
from ._class_norms import (
    BOUNDED,
    EXACT,
    VALUES,
    cells_of,
    nearest,
    size_bounds,
    torn,
    variation_bounds,
)
from ._data import Data
from ._domain import interval
from ._exact_norms import sup_norm
from ._function_class import (
    ROUNDING,
    AbstractFunctionClass,
    check_positive,
    check_radius,
    is_whole,
    with_radius,
)
from ._hoelder_class import (
    check_smoothness,
    hoelder_bumps,
    hoelder_draw,
    hoelder_norm,
    hoelder_zigzag,
    whole_part,
)
from ._limits import Limit, no_limit
from ._piecewise_polynomial import PiecewisePolynomial
from ._random_bumps import bump_knots, jacobi_row
from ._random_paths import cascade, centered, signs, telegraph

# A steep piece of a draw of bounded variation takes this share of a tooth.
_STEEP = 1 / 16
# Two points on both sides of a breakpoint are this many units in the last place apart. For s <= 1
# the values there differ by at most r times the distance to the power s. For s > 1 a Hoelder
# function on an interval of length u has |f'| of order r (1/u + u^(s - 1)), so that a change by
# more than this factor times r times the distance needs the end of a piece nearby.
_ACROSS, _FAR = 16, 1e4
# Every knot of a polygon is a breakpoint of a function that may jump: few of them.
_MOST_KINKS = 256
# Norms are bounded from below on at most this many intervals, for the sake of time.
_MOST_PARTS = 64


def _domain_of_variation(value: Sequence[float | int]) -> tuple[float, float]:
    return interval(value, "BoundedVariation(domain=...)")


def _domain_of_pieces(value: Sequence[float | int]) -> tuple[float, float]:
    return interval(value, "PiecewiseSmooth(domain=...)")


class BoundedVariation(AbstractFunctionClass):
    r"""Functions on an interval with total variation at most $r$ and $|f| \le r$.

    It holds steps, so it is not compact in the sup norm. Draws are polygons, with steep pieces in
    place of steps.

    **Arguments:**

    - `radius`: $r$, positive.
    - `domain`: the interval.

    **Raises:**

    - `ValueError`: for a radius that is not positive and finite, or no interval.
    """

    radius: float | int = eqx.field(converter=plain, static=True, default=1.0)
    domain: tuple[float, float] = eqx.field(
        static=True, default=(0.0, 1.0), converter=_domain_of_variation
    )

    def __check_init__(self):
        check_radius("BoundedVariation", self.radius)

    @property
    def name(self) -> str:
        """How tables and figures call it."""
        return with_radius("BV", self.radius)

    @property
    def definition(self) -> str:
        """The condition in a line."""
        return f"variation and |f| <= {self.radius:g}"

    @property
    def dimension(self) -> int:
        """1."""
        return 1

    def why_not_compact(self, p: float) -> str:
        """Empty but for the sup norm."""
        return _jumps(p)

    def _norm(self, function: AbstractTarget) -> tuple[float, float, str]:
        cells = cells_of(function)
        sizes, variations = size_bounds(function, cells), variation_bounds(cells)
        most = max(sizes[1], variations[1])
        basis = EXACT if isinstance(function, Data) else BOUNDED if math.isfinite(most) else VALUES
        return max(sizes[0], variations[0]), most, basis

    def _random(self, rng: np.random.Generator, cells: int, kind: int) -> AbstractTarget:
        one = np.where(np.arange(cells) == rng.integers(cells), 1.0, 0.0)
        name, steps = (
            ("cascade", cascade(rng, cells) * telegraph(rng, cells)),
            ("one jump", one * rng.choice([-1.0, 1.0])),
            ("staircase", cascade(rng, cells) ** 2),
            # Few large and many small jumps: the k-th largest has size 1/k.
            ("jumps", rng.permutation(rng.choice([-1.0, 1.0], cells) / np.arange(1, cells + 1))),
        )[kind % 4]
        a, b = self.domain
        return self._polygon(np.linspace(a, b, cells + 1), np.append(0.0, np.cumsum(steps)), name)

    def _extremal(self, rng: np.random.Generator, teeth: int, alternating: bool) -> AbstractTarget:
        a, b = self.domain
        edges = np.arange(1, teeth + 1) / (teeth + 1)
        ramp = _STEEP / (teeth + 1) / 2
        places = np.concatenate([[0.0], (edges[:, None] + [-ramp, ramp]).ravel(), [1.0]])
        levels = np.repeat(signs(rng, teeth + 1, alternating), 2)
        name = f"{teeth} {'steps up and down' if alternating else 'random steps'}"
        return self._polygon(a + (b - a) * places, levels, name)

    def _bumps(
        self, rng: np.random.Generator, size: int, fineness: int, count: int
    ) -> AbstractTarget:
        share = (1 - _STEEP) / 2
        knots, inside = bump_knots(rng, self.domain, size, fineness, count, (share, 1 - share))
        steps = np.zeros(knots.size - 1)
        steps[inside[:, 0]] = rng.choice([-1.0, 1.0], len(inside))
        name = "one step" if len(inside) == 1 else f"{len(inside)} steps"
        return self._polygon(knots, np.append(0.0, np.cumsum(steps)), name)

    def _simplest(self, rng: np.random.Generator, cells: int) -> AbstractTarget:
        values = rng.choice([-1.0, 1.0]) * np.array([-1.0, 0.0, 1.0])
        return self._polygon(np.linspace(*self.domain, 3), values, "line")

    def _polygon(self, knots: np.ndarray, values: np.ndarray, name: str) -> Data:
        values = centered(values)
        variation = float(np.abs(np.diff(values)).sum())
        factor = self.radius / max(variation, float(np.abs(values).max()))
        return Data(knots, values * factor, name=name)


class PiecewiseSmooth(AbstractFunctionClass):
    r"""Functions on an interval that are in the Hoelder ball of $C^s$ between a few points.

    At most `jumps` points, anywhere; between them $|f| \le r$ and
    $|f^{(k)}(x) - f^{(k)}(y)| \le r |x - y|^{s-k}$ as in `Hoelder`. The one-dimensional kin of
    `Cartoon`. It is not compact in the sup norm.

    **Arguments:**

    - `smoothness`: $s$, positive, at most 6.
    - `jumps`: the number of points, at least 1.
    - `radius`: $r$, positive.
    - `domain`: the interval.

    **Raises:**

    - `ValueError`: for numbers out of range, or no interval.
    """

    smoothness: float | int = eqx.field(converter=plain, static=True)
    jumps: int = eqx.field(converter=plain, static=True, default=1)
    radius: float | int = eqx.field(converter=plain, static=True, default=1.0)
    domain: tuple[float, float] = eqx.field(
        static=True, default=(0.0, 1.0), converter=_domain_of_pieces
    )

    def __check_init__(self):
        check_positive("PiecewiseSmooth(smoothness=...)", self.smoothness)
        check_smoothness("PiecewiseSmooth", self.smoothness)
        if not is_whole(self.jumps) or self.jumps < 1:
            raise ValueError(
                f"`PiecewiseSmooth(jumps=...)` must be a whole number, at least 1; got "
                f"{self.jumps}. Without jumps it is `Hoelder({self.smoothness:g})`."
            )
        check_radius("PiecewiseSmooth", self.radius)

    @property
    def name(self) -> str:
        """How tables and figures call it."""
        return with_radius(f"piecewise smooth {self.smoothness:g}, {self.jumps}", self.radius)

    @property
    def definition(self) -> str:
        """The condition in a line."""
        points = "one point" if self.jumps == 1 else f"{self.jumps} points"
        return f"{self.radius:g} times the ball of C^{self.smoothness:g} but for {points}"

    @property
    def dimension(self) -> int:
        """1."""
        return 1

    def why_not_compact(self, p: float) -> str:
        """Empty but for the sup norm."""
        return _jumps(p)

    # Where no function of C^s is, one of the points that the class allows must stand; the others
    # are free. Any choice of them bounds the norm from above. Of disjoint intervals, one more than
    # there are free points, one has none inside, so that the least of their norms is a bound from
    # below.
    def _norm(self, function: AbstractTarget) -> tuple[float, float, str]:
        if isinstance(function, Data):
            function = _pieces_of(function)
        forced = self._forced(function)
        free = self.jumps - forced.size
        if free < 0:
            return math.inf, math.inf, f"{forced.size} jumps, {self.jumps} allowed"
        known = np.union1d(forced, np.asarray(function.breakpoints, float))
        found = self._between(function, known if known.size <= self.jumps else forced)
        low, high = max(f[0] for f in found), max(f[1] for f in found)
        if free:
            a, b = function.domain
            apart = np.linspace(a, b, min(free, _MOST_PARTS) + 2)[1:-1]
            if self.jumps < known.size <= _MOST_PARTS:
                apart = (known[:-1] + known[1:]) / 2
            away = np.abs(apart[:, None] - forced) > nearest(apart, b - a)[:, None]
            cuts = np.union1d(forced, apart[away.all(axis=1)])
            parts = self._between(function, cuts)
            low, _ = size_bounds(function, cells_of(function))
            if len(parts) > free:
                low = max(low, sorted(f[0] for f in parts)[-free - 1])
            if cuts.size <= self.jumps:
                high = min(high, max(f[1] for f in parts))
            found = found + parts
        return low, high, ", ".join(dict.fromkeys(basis for _, _, basis in found))

    def _between(
        self, function: AbstractTarget, cuts: np.ndarray
    ) -> list[tuple[float, float, str]]:
        """The bounds of the Hoelder norm between neighboring cuts."""
        ends = [function.domain[0], *cuts.tolist(), function.domain[1]]
        return [
            hoelder_norm(_part(function, u, v), self.smoothness)
            for u, v in zip(ends, ends[1:], strict=False)
        ]

    def _forced(self, function: AbstractTarget) -> np.ndarray:
        """Where the function is in no ball of C^s of this radius."""
        if isinstance(function, PiecewisePolynomial):
            return torn(function, whole_part(self.smoothness))
        places = np.asarray(function.breakpoints, float)
        if not places.size:
            return places
        step = _ACROSS / 2 * np.spacing(np.abs(places))
        values = np.asarray(function(np.stack([places - step, places + step])), np.float64)
        far = 1 + ROUNDING if self.smoothness <= 1 else _FAR
        allowed = far * self.radius * (2 * step) ** min(self.smoothness, 1.0)
        noise = _ACROSS * np.finfo(float).eps * np.abs(values).max()
        return places[np.abs(values[1] - values[0]) > allowed + noise]

    def _random(self, rng: np.random.Generator, cells: int, kind: int) -> AbstractTarget:
        if whole_part(self.smoothness) == 0:
            cells = min(cells, _MOST_KINKS)
        smooth = hoelder_draw(rng, self.smoothness, self.radius, self.domain, cells, kind)
        return self._with_jumps(rng, smooth, f"jumps and {smooth.name}")

    def _extremal(self, rng: np.random.Generator, teeth: int, alternating: bool) -> AbstractTarget:
        smooth = hoelder_zigzag(rng, self.smoothness, self.radius, self.domain, teeth, alternating)
        return self._with_jumps(rng, smooth, f"jumps and {smooth.name}")

    def _bumps(
        self, rng: np.random.Generator, size: int, fineness: int, count: int
    ) -> AbstractTarget:
        smooth = hoelder_bumps(
            rng, self.smoothness, self.radius, self.domain, size, fineness, count
        )
        return self._with_jumps(rng, smooth, f"jumps and {smooth.name}")

    # Between the jumps Chebyshev's polynomial of degree k, as in `Hoelder`; it is (-1)^k at the
    # left end and 1 at the right one, so that these signs make every jump 2 r.
    def _simplest(self, rng: np.random.Generator, cells: int) -> AbstractTarget:
        a, b = self.domain
        k = whole_part(self.smoothness)
        ends = np.concatenate([[a], self._places(rng), [b]])
        sign, rows = float(rng.choice([-1.0, 1.0])), []
        for part in itertools.pairwise(ends.tolist()):
            rows.append(sign * self.radius * jacobi_row(k, math.inf, part))
            sign *= -((-1.0) ** k)
        return PiecewisePolynomial(ends, np.stack(rows), name=f"jumps and degree {k}")

    def _places(self, rng: np.random.Generator) -> np.ndarray:
        """Where it jumps."""
        a, b = self.domain
        return a + (b - a) * np.sort(rng.uniform(0.05, 0.95, self.jumps))

    def _with_jumps(
        self, rng: np.random.Generator, smooth: Data | PiecewisePolynomial, name: str
    ) -> PiecewisePolynomial:
        """The smooth part and steps between the largest values that it leaves, on the ball."""
        a, b = self.domain
        places = self._places(rng)
        if isinstance(smooth, Data):
            smooth = _pieces_of(smooth)
        # Norms do not tell a jump from a knot that is as near as rounding: it stands there.
        knot = smooth.knots[np.abs(smooth.knots - places[:, None]).argmin(axis=1)]
        places = np.where(np.abs(knot - places) > nearest(places, b - a), places, knot)
        left = max(self.radius - sup_norm(smooth), 0.0)
        knots = np.union1d(smooth.knots, places)
        rows = _refined(smooth.knots, smooth.coefficients, knots)
        level = np.where(np.searchsorted(places, knots[:-1], "right") % 2 == 0, left, -left)
        rows[:, 0] += level * rng.choice([-1.0, 1.0])
        # A part of the smooth function may have a smaller norm than the whole.
        norm = self._norm(PiecewisePolynomial(knots, rows, name=name))[1]
        return PiecewisePolynomial(knots, rows * (self.radius / norm), name=name)


def _pieces_of(function: Data) -> PiecewisePolynomial:
    """The same polygon, whose breakpoints are its kinks only."""
    slopes = np.diff(function.values) / np.diff(function.knots)
    rows = np.stack([function.values[:-1], slopes], axis=1)
    return PiecewisePolynomial(function.knots, rows, name=function.name)


def _refined(knots: np.ndarray, rows: np.ndarray, finer: np.ndarray) -> np.ndarray:
    """The coefficients of the same function on more knots."""
    piece = np.clip(np.searchsorted(knots, finer[:-1], "right") - 1, 0, knots.size - 2)
    shift = finer[:-1] - knots[piece]
    old = rows[piece]
    new = np.zeros_like(old)
    for k in range(old.shape[1]):
        for j in range(k, old.shape[1]):
            new[:, k] += old[:, j] * math.comb(j, k) * shift ** (j - k)
    return new


class _Part(AbstractTarget):
    """A target between two of its breakpoints."""

    whole: AbstractTarget
    name: str = eqx.field(static=True)
    domain: tuple[float, float] = eqx.field(static=True)
    breakpoints: tuple[float, ...] = eqx.field(static=True)
    singular_ends: tuple[bool, bool] = eqx.field(static=True)

    def __call__(self, x: ArrayLike):
        return self.whole(x)

    def derivative(self, x: ArrayLike) -> np.ndarray | None:
        return self.whole.derivative(x)

    def curvature(self, lower: ArrayLike, upper: ArrayLike) -> np.ndarray | None:
        return self.whole.curvature(lower, upper)

    def rate(self, family, norm) -> None:
        return None

    def limit(self, norm, family, size: int) -> Limit:
        return no_limit("a part of a target")


def _part(function: AbstractTarget, lower: float, upper: float) -> AbstractTarget:
    """The function between two points, a piecewise polynomial if it is one."""
    if (lower, upper) == tuple(function.domain):
        return function
    if isinstance(function, PiecewisePolynomial):
        knots = function.knots
        knots = np.concatenate([[lower], knots[(knots > lower) & (knots < upper)], [upper]])
        rows = _refined(function.knots, function.coefficients, knots)
        return PiecewisePolynomial(knots, rows, name=function.name)
    step = _ACROSS / 2 * np.spacing(max(abs(lower), abs(upper)))
    inside = tuple(c for c in function.breakpoints if lower < c < upper)
    a, b = function.domain
    ends = (float(lower + step * (lower > a)), float(upper - step * (upper < b)))
    return _Part(
        whole=function,
        name=function.name,
        domain=ends,
        breakpoints=inside,
        singular_ends=(False, False),
    )


class Cartoon(AbstractFunctionClass):
    r"""Functions of $d \ge 2$ variables: two $C^\beta$ parts with a $C^\beta$ boundary between.

    It has an encoding rate and no draws.

    **Arguments:**

    - `smoothness`: $\beta$, positive.
    - `dimension`: $d$.
    - `radius`: the bound on the parts and on the boundary.

    **Raises:**

    - `ValueError`: for numbers out of range.
    """

    smoothness: float | int = eqx.field(converter=plain, static=True)
    dimension: int = eqx.field(converter=plain, static=True, default=2)
    radius: float | int = eqx.field(converter=plain, static=True, default=1.0)
    domain: tuple[float, float] = eqx.field(static=True, default=(0.0, 1.0))

    def __check_init__(self):
        check_positive("Cartoon(smoothness=...)", self.smoothness)
        if not is_whole(self.dimension) or self.dimension < 2:
            raise ValueError(
                f"`Cartoon(dimension=...)` must be a whole number, at least 2; got "
                f"{self.dimension}. In one dimension the boundary is a point: use "
                "`PiecewiseSmooth`."
            )
        check_radius("Cartoon", self.radius)

    @property
    def name(self) -> str:
        """How tables and figures call it."""
        return with_radius(f"cartoon {self.smoothness:g}, d = {self.dimension}", self.radius)

    @property
    def definition(self) -> str:
        """The condition in a line."""
        return f"two C^{self.smoothness:g} parts with a C^{self.smoothness:g} boundary"

    def why_not_compact(self, p: float) -> str:
        """Empty but for the sup norm."""
        return _jumps(p)

    def _norm(self, function: AbstractTarget) -> tuple[float, float, str]:
        return 0.0, math.inf, "of several variables"

    def _random(self, rng: np.random.Generator, cells: int, kind: int) -> AbstractTarget:
        raise ValueError("`Cartoon(...).draw` must be asked of a class of one variable.")

    def _bumps(
        self, rng: np.random.Generator, size: int, fineness: int, count: int
    ) -> AbstractTarget:
        raise ValueError("`Cartoon(...).draws` must be asked of a class of one variable.")

    def _simplest(self, rng: np.random.Generator, cells: int) -> AbstractTarget:
        raise ValueError("`Cartoon(...).draws` must be asked of a class of one variable.")

    def _extremal(self, rng: np.random.Generator, teeth: int, alternating: bool) -> AbstractTarget:
        raise ValueError("`Cartoon(...).extremal` must be asked of a class of one variable.")


def _jumps(p: float) -> str:
    return (
        "it holds functions that jump, and no error falls for all of them" if math.isinf(p) else ""
    )
