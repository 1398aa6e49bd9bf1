"""Proven bounds of the norms that define classes, for piecewise polynomials and for any target."""

import math
from typing import NamedTuple

import numpy as np

from ._abstract import AbstractTarget
from ._data import Data
from ._exact_norms import lp_norm, sup_norm
from ._piecewise_polynomial import PiecewisePolynomial, derived

# Cells that a target without knots of its own is looked at on, and points of all pairs.
_CELLS, _PAIRS = 2048, 1024
# A value is known up to this many units in the last place of the largest one.
_UNITS = 16 * np.finfo(float).eps
EXACT = "exact for piecewise polynomials"
BOUNDED = "values and the bound on the second derivative"
VALUES = "values"


class Lines(NamedTuple):
    """A piecewise linear function, perhaps with jumps.

    Its values at both ends of each piece, and what it gains there: their difference, but without
    the rounding of large values on short pieces.
    """

    knots: np.ndarray
    left: np.ndarray
    right: np.ndarray
    gains: np.ndarray

    @property
    def continuous(self) -> bool:
        """Whether it has no jump, up to rounding."""
        scale = max(np.abs(self.left).max(), np.abs(self.right).max())
        return bool((np.abs(self.right[:-1] - self.left[1:]) <= 1e-9 * scale).all())


def derivative_lines(function: AbstractTarget, order: int) -> Lines | None:
    """The derivative of that order, where it is piecewise linear and the one below is continuous.

    The derivative of a piecewise polynomial with a jump below that order is no function.
    """
    if isinstance(function, Data):
        knots, values = function.knots, function.values
        if order == 0:
            return Lines(knots, values[:-1], values[1:], np.diff(values))
        slopes = np.diff(values) / np.diff(knots)
        return Lines(knots, slopes, slopes, np.zeros_like(slopes)) if order == 1 else None
    if not isinstance(function, PiecewisePolynomial):
        return None
    knots, rows = function.knots, function.coefficients
    if rows.shape[1] - 1 > order + 1 or (order >= 1 and not _smooth(knots, rows, order)):
        return None
    rows = derived(rows, order)
    gains = rows[:, 1] * np.diff(knots) if rows.shape[1] > 1 else np.zeros(len(rows))
    return Lines(knots, rows[:, 0], rows[:, 0] + gains, gains)


def _smooth(knots: np.ndarray, rows: np.ndarray, order: int) -> bool:
    """Whether the derivatives below `order` are continuous, up to rounding."""
    found = [_jumps(knots, rows, k) for k in range(order)]
    return all(bool((jumps <= 1e-8 * scale).all()) for jumps, scale in found)


def _jumps(knots: np.ndarray, rows: np.ndarray, order: int) -> tuple[np.ndarray, float]:
    """By how much the derivative of that order jumps at inner knots, and its largest term."""
    rows = derived(rows, order)
    terms = rows * np.diff(knots)[:, None] ** np.arange(rows.shape[1])
    return np.abs(terms[:-1].sum(axis=1) - terms[1:, 0]), float(np.abs(terms).max())


def torn(function: PiecewisePolynomial, order: int) -> np.ndarray:
    """The inner knots where a derivative up to that order jumps, by more than rounding."""
    knots, rows = function.knots, function.coefficients
    shorter = np.minimum(np.diff(knots)[:-1], np.diff(knots)[1:])
    size = _jumps(knots, rows, 0)[1]
    found = np.zeros(shorter.size, bool)
    for k in range(order + 1):
        jumps, scale = _jumps(knots, rows, k)
        found |= jumps > 1e-9 * scale + _UNITS * size / shorter**k
    return knots[1:-1][found]


# On a piece with end values a and b the integral of |f|^p over the length h is, with A = |a| and
# B = |b|, h (B^(p+1) - A^(p+1)) / ((p+1) (B - A)) without a change of sign and
# h (A^(p+1) + B^(p+1)) / ((p+1) (A + B)) with one. Where A and B are close the quotient cancels;
# eight Gauss points are exact to rounding there.
def power_integral_of_lines(lines: Lines, p: float) -> float:
    """The integral of |f|^p, exact up to rounding."""
    h, a, b = np.diff(lines.knots), np.abs(lines.left), np.abs(lines.right)
    top = max(float(a.max()), float(b.max()))
    if top == 0:
        return 0.0
    a, b = a / top, b / top
    crossed = lines.left * lines.right < 0
    close = ~crossed & (np.abs(b - a) < 0.1 * np.maximum(a, b))
    gap = np.where(crossed, a + b, np.where(close | (a == b), 1.0, b - a))
    raised = np.where(crossed, b ** (p + 1) + a ** (p + 1), b ** (p + 1) - a ** (p + 1))
    nodes, weights = np.polynomial.legendre.leggauss(8)
    between = a[:, None] + (b - a)[:, None] * (nodes + 1) / 2
    smooth = between**p @ (weights / 2)
    cells = h * np.where(close | ~crossed & (a == b), smooth, raised / ((p + 1) * gap))
    return float(cells.sum() * top**p)


def lp_norm_of_lines(lines: Lines, p: float) -> float:
    """The norm in L^p, exact up to rounding."""
    if math.isinf(p):
        return float(max(np.abs(lines.left).max(), np.abs(lines.right).max()))
    return power_integral_of_lines(lines, p) ** (1 / p)


# For fixed pieces, x in one and y < x in another (or the same), f(x) - f(y) - K (x - y)^a is
# convex in x and in y for 0 < a <= 1: a linear function minus a concave one. So its largest value
# is taken at ends of pieces, and the condition holds for all pairs if it holds for those of knots.
def hoelder_seminorm_of_lines(lines: Lines, exponent: float) -> float:
    r"""The least K with $|f(x) - f(y)| \le K |x - y|^a$ for a continuous piecewise linear f."""
    if exponent == 1:
        return float(np.max(np.abs(lines.gains) / np.diff(lines.knots)))
    return largest_quotient(lines.knots, np.append(0.0, np.cumsum(lines.gains)), exponent)


def largest_quotient(x: np.ndarray, values: np.ndarray, exponent: float, least: int = 1) -> float:
    """The largest |f(x_i) - f(x_j)| / |x_i - x_j|^a over pairs at least `least` places apart."""
    steps = np.diff(x)
    even = bool((np.abs(steps - steps[0]) <= 1e-9 * steps[0]).all())
    largest = 0.0
    for lag in range(least, x.size):
        change = np.abs(values[lag:] - values[:-lag])
        if even:
            largest = max(largest, float(change.max()) / float(x[lag] - x[0]) ** exponent)
        else:
            largest = max(largest, float(np.max(change / (x[lag:] - x[:-lag]) ** exponent)))
    return largest


class Cells(NamedTuple):
    """A target on cells without a breakpoint inside: ends, values there, bound on |f''|."""

    lower: np.ndarray
    upper: np.ndarray
    left: np.ndarray
    right: np.ndarray
    bound: np.ndarray
    noise: float

    @property
    def width(self) -> np.ndarray:
        return self.upper - self.lower

    @property
    def slope(self) -> np.ndarray:
        return np.abs(self.right - self.left) / self.width

    # f'(x) minus the chord's slope is the mean over t of the integral of f'' from t to x, at most
    # K times the mean of |x - t|, which is at most h/2.
    @property
    def steepest(self) -> np.ndarray:
        return self.slope + self.bound * self.width / 2

    # The gap of f to its chord is at most K h^2/8.
    @property
    def highest(self) -> np.ndarray:
        return np.maximum(np.abs(self.left), np.abs(self.right)) + self.bound * self.width**2 / 8

    @property
    def continuous(self) -> bool:
        """Whether f has no jump between cells, as far as values tell."""
        gaps = np.abs(self.right[:-1] - self.left[1:])
        near = self.lower[1:] - self.upper[:-1]
        steepest = float(self.steepest.max())
        return math.isfinite(steepest) and bool((gaps <= self.noise + 2 * near * steepest).all())


def cells_of(function: AbstractTarget) -> Cells:
    """A target on cells, cut at its breakpoints, its knots, or evenly."""
    a, b = (float(end) for end in function.domain)
    if isinstance(function, Data | PiecewisePolynomial):
        points = function.knots
        if isinstance(function, PiecewisePolynomial) and function.coefficients.shape[1] > 2:
            # Bounds by chords are close on short cells only.
            parts = np.arange(-(-_CELLS // (points.size - 1)))
            inside = points[:-1, None] + np.diff(points)[:, None] * parts / parts.size
            points = np.append(inside.ravel(), points[-1])
    else:
        points = np.linspace(a, b, _CELLS + 1)
    broken = np.asarray(function.breakpoints, float)
    points = np.unique(np.concatenate([points, broken]))
    points = points[np.append(True, np.diff(points) > nearest(points[1:], b - a))]
    lower, upper = points[:-1].copy(), points[1:].copy()
    # A step inwards from a breakpoint: the value there may belong to the other side of a jump.
    step = 4 * np.spacing(np.maximum(np.abs(lower), np.abs(upper)))
    if not isinstance(function, Data):
        lower += np.where(np.isin(lower, broken), step, 0.0)
        upper -= np.where(np.isin(upper, broken), step, 0.0)
    left = np.asarray(function(lower), np.float64)
    right = np.asarray(function(upper), np.float64)
    bound = function.curvature(lower, upper)
    bound = np.full(lower.shape, math.inf) if bound is None else np.asarray(bound, np.float64)
    scale = float(max(np.abs(left).max(), np.abs(right).max()))
    return Cells(lower, upper, left, right, bound, _UNITS * scale)


def nearest(points: np.ndarray, length: float) -> np.ndarray:
    """How far other points of an interval of that length are told apart from these."""
    return 64 * np.spacing(np.abs(points) + min(length, 1.0))


def size_bounds(function: AbstractTarget, cells: Cells) -> tuple[float, float]:
    """Bounds of sup |f|."""
    if isinstance(function, PiecewisePolynomial):
        size = sup_norm(function)
        return size, size
    least = max(float(np.abs(cells.left).max()), float(np.abs(cells.right).max()))
    return max(least - cells.noise, 0.0), float(cells.highest.max())


# Two points nearer than D cells: |f(x) - f(y)| <= S |x - y| with S the largest slope. Two farther
# points x, y lie in cells i < j: |f(x) - f(y)| <= |f_i - f_j| + 2 S h with the values at their
# lower ends, and |x - y| >= (j - i - 1) h. The smaller of the two bounds holds for each lag.
def hoelder_bounds(function: AbstractTarget, cells: Cells, exponent: float) -> tuple[float, float]:
    r"""Bounds of the least K with $|f(x) - f(y)| \le K |x - y|^a$, $0 < a \le 1$."""
    a, b = (float(end) for end in function.domain)
    x = np.linspace(a, b, _PAIRS + 1)
    values = np.asarray(function(x), np.float64)
    h = (b - a) / _PAIRS
    lags = np.arange(1, x.size)
    changes = np.array([np.abs(values[k:] - values[:-k]).max() for k in lags])
    noisy = np.maximum(changes - cells.noise, 0.0)
    least = float(np.max(noisy / (lags * h) ** exponent))
    # Ever closer to a point where the second derivative is unbounded.
    for point, singular in zip((a, b), function.singular_ends, strict=True):
        if singular:
            steps = (b - a) * 2.0 ** -np.arange(1.0, 45.0)
            near = point + steps if point == a else point - steps
            away = np.abs(np.asarray(function(near)) - function(np.array([point])))
            away = np.maximum(away - cells.noise, 0.0)
            least = max(least, float(np.max(away / np.abs(near - point) ** exponent)))
    # Across a breakpoint, and over single cells.
    least = max(
        least,
        float(np.max((np.abs(cells.right - cells.left) - cells.noise) / cells.width**exponent)),
    )
    if cells.lower.size > 1:
        gaps = np.abs(cells.left[1:] - cells.right[:-1]) - cells.noise
        near = cells.lower[1:] - cells.upper[:-1]
        apart = near > 0
        if apart.any():
            least = max(least, float(np.max(gaps[apart] / near[apart] ** exponent)))
    steepest = float(cells.steepest.max())
    if not math.isfinite(steepest) or not cells.continuous:
        return max(least, 0.0), math.inf
    if exponent == 1:
        return max(least, 0.0), steepest
    near = steepest * ((lags + 1) * h) ** (1 - exponent)
    # Neighboring cells may touch: nothing but the slope bounds their quotient.
    far = (changes[1:] + 2 * steepest * h) / (lags[:-1] * h) ** exponent
    return max(least, 0.0), float(np.max(np.minimum(near, np.append(math.inf, far))))


# k! times a divided difference over k + 1 neighbors is a mean of f^(k) with the weight of a
# B-spline over them; the weights of all neighborhoods add up to at most 1/h. So by Jensen the sum
# of h |mean|^p is at most the integral of |f^(k)|^p, and means that are D apart differ by at most
# the seminorm times D^b.
def mean_derivatives(
    function: AbstractTarget, order: int, noise: float
) -> tuple[np.ndarray, float, float]:
    """Means of the derivative of that order at even places, their distance, and their rounding."""
    a, b = (float(end) for end in function.domain)
    count = max(_PAIRS >> (2 * max(order - 1, 0)), 32)
    h = (b - a) / count
    values = np.asarray(function(np.linspace(a, b, count + 1)), np.float64)
    means = np.diff(values, order) / h**order
    return means, h, noise * 2.0**order / h**order


def sobolev_bounds(
    function: AbstractTarget, cells: Cells, order: int, p: float
) -> tuple[float, float]:
    r"""Bounds of $\|f^{(m)}\|_p$."""
    means, h, rounding = mean_derivatives(function, order, cells.noise)
    means = np.maximum(np.abs(means) - rounding, 0.0)
    least = float(means.max()) if math.isinf(p) else float((h * np.sum(means**p)) ** (1 / p))
    if order == 1:
        near = cells.lower[1:] - cells.upper[:-1]
        widths = np.concatenate([cells.width, near[near > 0]])
        gaps = np.abs(cells.left[1:] - cells.right[:-1])[near > 0]
        changes = np.concatenate([np.abs(cells.right - cells.left), gaps])
        least = max(least, _sum(np.maximum(changes - cells.noise, 0.0) / widths, widths, p))
        return least, _sum(cells.steepest, cells.width, p) if cells.continuous else math.inf
    if order == 2 and cells.continuous and not function.breakpoints:
        return least, _sum(cells.bound, cells.width, p)
    return least, math.inf


def _sum(values: np.ndarray, widths: np.ndarray, p: float) -> float:
    if math.isinf(p):
        return float(values.max())
    with np.errstate(over="ignore"):
        return float(np.sum(widths * values**p) ** (1 / p))


def lp_bounds(function: AbstractTarget, cells: Cells, p: float) -> tuple[float, float]:
    r"""Bounds of $\|f\|_p$."""
    if math.isinf(p):
        return size_bounds(function, cells)
    if (lines := derivative_lines(function, 0)) is not None:
        value = lp_norm_of_lines(lines, p)
        return value, value
    if isinstance(function, PiecewisePolynomial):
        value = lp_norm(function, p)
        return value, value
    smaller = np.minimum(np.abs(cells.left), np.abs(cells.right))
    smaller = np.where(cells.left * cells.right > 0, smaller, 0.0)
    smaller = np.maximum(smaller - cells.bound * cells.width**2 / 8, 0.0)
    return _sum(smaller, cells.width, p), _sum(cells.highest, cells.width, p)


def variation_bounds(cells: Cells) -> tuple[float, float]:
    """Bounds of the total variation."""
    jumps = np.abs(cells.left[1:] - cells.right[:-1])
    changes = np.abs(cells.right - cells.left)
    least = float(np.sum(np.maximum(changes - cells.noise, 0.0)))
    least += float(np.sum(np.maximum(jumps - cells.noise, 0.0)))
    return least, float(np.sum(cells.steepest * cells.width) + jumps.sum())
