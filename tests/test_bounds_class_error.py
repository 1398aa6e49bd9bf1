"""Proven bounds of class errors against known widths, brute force and the errors of fits."""

import itertools
import math

import jax
import numpy as np
import pytest
import pywt

from qrelu import bounds, families, norms, targets
from qrelu.bounds._bumps import distance_from_polynomials, height, peak

L1, L2, SUP = norms.L1(), norms.L2(), norms.Sup()
CONSTANTS = families.PiecewiseConstant()
FREE = families.PiecewiseConstant("free")
POLYNOMIAL = families.Polynomial()


@pytest.mark.parametrize("length, radius", [(1.0, 1.0), (2.0, 3.0), (0.25, 0.5)])
@pytest.mark.parametrize("norm", [L1, L2, SUP], ids=["L1", "L2", "Sup"])
def test_piecewise_constants_are_exact_for_lipschitz_functions(norm, length, radius):
    cls = targets.Lipschitz(radius, (1.0, 1.0 + length))
    closed = {
        "Sup": lambda n: radius * length / (2 * n),
        "L2": lambda n: radius * length**1.5 / (math.sqrt(12) * n),
        "L1": lambda n: radius * length**2 / (4 * n),
    }[norm.name]
    for n in (1, 2, 7, 64):
        found = bounds.class_error(cls, CONSTANTS, n, norm)
        assert found.exact and found.lower <= found.upper
        assert found.lower == pytest.approx(closed(n), rel=1e-9)
        free = bounds.class_error(cls, FREE, 2 * n - 1, norm)
        assert free.lower == pytest.approx(closed(n), rel=1e-9)
    # It is attained by a straight line, as the family itself says.
    line = targets.Function(lambda x: radius * (x - 1 - length / 2), cls.domain, name="line")
    error = norm.distance(CONSTANTS.fit(line, 7, norm=norm).function, line)
    assert float(error) == pytest.approx(closed(7), rel=1e-5)


@pytest.mark.parametrize("s", [0.3, 0.7, 1.0])
def test_constants_are_exact_for_hoelder_functions_in_sup(s):
    found = bounds.class_error(targets.Hoelder(s, 0.8), CONSTANTS, 9, SUP)
    assert found.exact and found.lower == pytest.approx(0.8 * 9**-s / 2, rel=1e-9)
    # The zigzag with nine teeth cannot be met better: dynamic programming over all step functions.
    zigzag = targets.Hoelder(s, 0.8).extremal(8, key=jax.random.key(0))
    x = np.linspace(0, 1, 901)
    assert _best_steps(zigzag(x), 9) == pytest.approx(found.lower, rel=1e-9)


def _best_steps(values, pieces):
    """The least sup error of a step function with that many pieces on the points."""

    def needed(error):
        count, low, high = 1, values[0], values[0]
        for v in values[1:]:
            low, high = min(low, v), max(high, v)
            if high - low > 2 * error:
                count, low, high = count + 1, v, v
        return count

    low, high = 0.0, float(np.ptp(values))
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if needed(middle) <= pieces else (middle, high)
    return high


def test_linear_splines_lie_between_the_zigzag_and_interpolation():
    cls = targets.Lipschitz()
    for size in (4, 13, 61):
        n = families.FreeKnot().pieces(size)
        found = bounds.class_error(cls, families.FreeKnot(), size, SUP)
        assert found.lower == pytest.approx(1 / (2 * (n + 1)), rel=1e-9)
        assert found.upper == pytest.approx(1 / (2 * n), rel=1e-9)
    # One piece: the tent is off by 1/4 from every line, and no function is by more.
    one = bounds.class_error(cls, families.FreeKnot(), 4, SUP)
    assert one.lower == pytest.approx(0.25, rel=1e-9)
    tent = targets.Data([0, 0.5, 1], [-0.25, 0.25, -0.25])
    assert float(SUP.distance(POLYNOMIAL.fit(tent, 2, norm=SUP).function, tent)) == pytest.approx(
        0.25, rel=1e-6
    )


def test_widths_in_the_sup_norm():
    """The n-width of Lipschitz functions in the sup norm is 1/(2n): any n-dimensional family."""
    cls = targets.Lipschitz()
    for n in (4, 8, 33):
        for family in (POLYNOMIAL, families.Spline(4), families.Spline(3)):
            found = bounds.class_error(cls, family, n, SUP)
            assert found.lower == pytest.approx(1 / (2 * n), rel=1e-9), family.name


@pytest.mark.parametrize("m, p", [(1, 2.0), (2, 2.0), (3, 2.0)])
def test_widths_in_l2_are_not_exceeded(m, p):
    """The n-th width of ||f^(m)||_2 <= 1 in L^2 is asymptotically (pi n)^-m, and is 1/(pi n) for
    m = 1; the ball here is smaller."""
    cls = targets.Sobolev(m, p)
    for n in (8, 32, 128):
        found = bounds.class_error(cls, POLYNOMIAL, n, L2)
        # For m > 1 the n-th eigenvalue is that of a free bar: (n - m/2 + 1/2) pi, nearly.
        width = (math.pi * (n - (m - 1) / 2)) ** -m
        assert found.lower <= width * (1 + 1e-6)
        assert found.lower >= 0.1 * width / 3 ** (m - 1)
        assert math.isinf(found.upper)


def test_the_width_of_jumps_by_eigenvalues():
    count = 700
    t = (np.arange(count) + 0.5) / count
    kernel = 1 - 2 * np.abs(t[:, None] - t)
    eigenvalues = np.sort(np.linalg.eigvalsh(kernel / count))[::-1]
    for n in (1, 2, 5, 12):
        rest = 1 - eigenvalues[:n].sum()
        smooth = bounds.class_error(targets.PiecewiseSmooth(3, 1, 0.7), POLYNOMIAL, n, L2)
        varying = bounds.class_error(targets.BoundedVariation(0.7), POLYNOMIAL, n, L2)
        # n = 1 is met better by a straight line; both are bounds.
        assert smooth.lower >= 0.7 * math.sqrt(rest) * (1 - 1e-3)
        assert varying.lower >= 0.35 * math.sqrt(rest) * (1 - 1e-3)
        if n >= 5:
            assert smooth.lower == pytest.approx(0.7 * math.sqrt(rest), rel=1e-3)
    # Some jump is as far from polynomials as that: the worst of many.
    n, worst = 6, 0.0
    for place in np.linspace(0.02, 0.5, 9):
        step = targets.Function(
            lambda x: np.where(x < place, -1.0, 1.0),  # noqa: B023
            (0.0, 1.0),
            breakpoints=(float(place),),
            name="step",
        )
        worst = max(worst, float(L2.distance(POLYNOMIAL.fit(step, n, norm=L2).function, step)))
    assert worst >= bounds.class_error(targets.PiecewiseSmooth(3), POLYNOMIAL, n, L2).lower


def test_haar_sums_by_pywavelets():
    """The best M of all Haar coefficients of a straight line, from PyWavelets."""
    levels = 14
    means = (np.arange(2**levels) + 0.5) / 2**levels - 0.5
    parts = pywt.wavedec(means / 2 ** (levels / 2), "haar", mode="periodization")
    squares = np.sort(np.concatenate(parts) ** 2)[::-1]
    # What the finest level leaves: h^2/12 on every cell.
    tail = 4.0**-levels / 12
    for size in (1, 3, 4, 10, 63, 100):
        best = math.sqrt(squares[size:].sum() + tail)
        found = bounds.class_error(targets.Lipschitz(), families.Wavelet(), size, L2)
        assert found.lower == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("terms", [0, 1, 2, 3, 4])
def test_distances_of_bumps_from_polynomials(degree, terms):
    from scipy.interpolate import BSpline
    from scipy.optimize import linprog

    x = (np.arange(1200) + 0.5) / 1200
    y = np.nan_to_num(BSpline.basis_element(np.linspace(0, 1, degree + 2), False)(x))
    powers = np.vander(2 * x - 1, terms) if terms else np.zeros((x.size, 0))
    residual = y - powers @ np.linalg.lstsq(powers, y, rcond=None)[0] if terms else y
    assert distance_from_polynomials(degree, terms, 2.0) == pytest.approx(
        math.sqrt(np.mean(residual**2)), rel=1e-3
    )
    # The best approximations in the sup norm and in L^1, by linear programming on fewer points.
    x, y, powers = x[::6], y[::6], powers[::6]
    one = np.ones((x.size, 1))
    rows = np.vstack([np.hstack([powers, -one]), np.hstack([-powers, -one])])
    cost = np.append(np.zeros(terms), 1.0)
    sup = linprog(cost, rows, np.concatenate([y, -y]), bounds=[(None, None)] * (terms + 1)).fun
    assert 0.5 * sup <= distance_from_polynomials(degree, terms, math.inf) <= sup * 1.02
    eye = np.eye(x.size)
    rows = np.vstack([np.hstack([powers, -eye]), np.hstack([-powers, -eye])])
    cost = np.append(np.zeros(terms), np.ones(x.size) / x.size)
    mean = linprog(
        cost, rows, np.concatenate([y, -y]), bounds=[(None, None)] * terms + [(0, None)] * x.size
    ).fun
    assert 0.3 * mean <= distance_from_polynomials(degree, terms, 1.0) <= mean * 1.02


CLASSES = [
    targets.Lipschitz(2.0),
    targets.Hoelder(0.4),
    targets.Hoelder(1.5),
    targets.Hoelder(3, 0.5),
    targets.Sobolev(1, 1.0),
    targets.Sobolev(1, 2.0),
    targets.Sobolev(2, 1.5, domain=(0.0, 2.0)),
    targets.Sobolev(3, math.inf),
    targets.BoundedVariation(3.0),
]


@pytest.mark.parametrize("cls", CLASSES, ids=[c.name for c in CLASSES])
def test_sums_of_bumps_belong_to_the_class(cls):
    """Every choice of signs, judged by the exact norms of the class."""
    from scipy.interpolate import BSpline, PPoly

    from qrelu.bounds._bumps import degree_for

    degree = degree_for(cls)
    a, b = cls.domain
    cells = 4
    cell = (b - a) / cells
    for used, choices in ((cells, itertools.product([-1, 1], repeat=cells)), (1, [(1, 0, 0, 0)])):
        c = height(cls, cell, used)
        largest = 0.0
        for signs in choices:
            knots, rows = [], []
            for i, sign in enumerate(signs):
                grid = a + cell * (i + np.linspace(0, 1, degree + 2))
                spline = BSpline.basis_element(grid)
                pieces = PPoly.from_spline(spline)
                for left, right in itertools.pairwise(grid):
                    j = int(np.argmin(np.abs(pieces.x[:-1] - left) + (np.diff(pieces.x) == 0)))
                    knots.append(left)
                    rows.append(sign * c * pieces.c[::-1, j])
                    assert right > left
            f = targets.PiecewisePolynomial(np.append(knots, b), np.array(rows))
            found = cls.examine(f)
            assert found.answer is True, (signs, found)
            largest = max(largest, found.lower)
        # One of the signs reaches the boundary, or nearly so.
        assert largest >= 0.5 * cls.radius
    assert peak(degree) <= 1.0


FAMILIES = ["free-knot", "uniform-knot", "piecewise-constant", "cubic-spline", "polynomial", "haar"]


@pytest.mark.parametrize("cls", CLASSES, ids=[c.name for c in CLASSES])
@pytest.mark.parametrize("norm", [L1, L2, SUP], ids=["L1", "L2", "Sup"])
def test_lower_bounds_fall_with_the_size_and_stay_below_upper_ones(cls, norm):
    if cls.why_not_compact(norm.p):
        with pytest.raises(ValueError, match="must be a class that is compact in the norm"):
            bounds.class_error(cls, CONSTANTS, 8, norm)
        return
    for name in FAMILIES:
        family = families.get(name)
        found = [bounds.class_error(cls, family, size, norm) for size in (10, 20, 40, 80, 160)]
        values = [f.lower for f in found]
        if name == "polynomial" and norm.p == 1:
            assert values[1:] == [0.0] * 4 and "no lower bound" in found[1].source
            continue
        assert all(x > y > 0 for x, y in itertools.pairwise(values)), name
        assert all(f.lower <= f.upper for f in found)
        rounded = bounds.class_error(cls, family, 40, norm, rounded=True)
        assert 0 < rounded.lower <= found[2].lower
        # Rounded coarsely enough, the family is all but empty.
        assert rounded.upper == math.inf and not rounded.exact
        larger = type(cls)(**{**_fields(cls), "radius": 2 * cls.radius})
        assert bounds.class_error(larger, family, 40, norm).lower == pytest.approx(
            2 * found[2].lower, rel=1e-6
        )


def _fields(cls):
    return {name: getattr(cls, name) for name in cls.__dataclass_fields__}


def test_rates_are_those_of_the_class():
    """Linear families lose half an order for variation and jumps, and more for p < 2."""

    def rate(cls, name, norm=L2):
        family = families.get(name)
        values = [bounds.class_error(cls, family, size, norm).lower for size in (2**8, 2**14)]
        return math.log2(values[0] / values[1]) / 6

    assert rate(targets.BoundedVariation(), "uniform-knot") == pytest.approx(0.5, abs=0.02)
    assert rate(targets.BoundedVariation(), "free-knot") == pytest.approx(1.0, abs=0.02)
    assert rate(targets.PiecewiseSmooth(2), "polynomial") == pytest.approx(0.5, abs=0.02)
    assert rate(targets.PiecewiseSmooth(2), "free-knot") == pytest.approx(2.0, abs=0.03)
    assert rate(targets.Sobolev(2, 1.0), "cubic-spline") == pytest.approx(1.5, abs=0.02)
    assert rate(targets.Sobolev(2, 1.0), "cubic-spline-free") == pytest.approx(2.0, abs=0.05)
    assert rate(targets.Hoelder(2), "piecewise-constant") == pytest.approx(1.0, abs=0.01)
    assert rate(targets.Besov(1.5, 1.0, 1.0), "polynomial") == pytest.approx(1.0, abs=0.02)
    assert rate(targets.Besov(1.5, 3.0, 1.0), "fourier") == pytest.approx(1.5, abs=0.02)


def test_some_function_of_the_class_is_as_bad():
    """All signs of seven bumps, projected on polynomials: the worst is no better than the bound."""
    cls, n = targets.Sobolev(1, 2.0), 4
    bound = bounds.class_error(cls, POLYNOMIAL, n, L2).lower
    worst = 0.0
    for m in (5, 6, 7, 8):
        c = height(cls, 1 / m, m)
        x = np.linspace(0, 1, 2 * m + 1)
        for signs in itertools.product([-1, 1], repeat=m):
            values = np.zeros(2 * m + 1)
            values[1::2] = c * np.array(signs)
            f = targets.Data(x, values)
            worst = max(worst, _projected(f, n))
    assert worst >= bound * (1 - 1e-9)


def _projected(f, n):
    x = (np.arange(400) + 0.5) / 400
    q, _ = np.linalg.qr(np.vander(2 * x - 1, n))
    y = f(x)
    return math.sqrt(max(np.mean(y**2) - np.sum((q.T @ y) ** 2) / x.size, 0.0)) * (1 + 1e-4)


def test_what_is_not_known_is_zero():
    for name in ("fourier-largest", "rational", "db2"):
        found = bounds.class_error(targets.Lipschitz(), families.get(name), 24, L2)
        assert found.lower == 0.0 and math.isinf(found.upper) and not found.exact
    tree = families.get("dyadic-tree")
    assert bounds.class_error(targets.Lipschitz(), tree, 56, L2).lower > 0
    assert bounds.class_error(targets.Lipschitz(), tree, 56, L2, rounded=True).lower == 0.0
    assert bounds.class_error(targets.Besov(1.5), families.FreeKnot(), 24, L2).lower == 0.0


def test_bad_arguments():
    with pytest.raises(TypeError, match="must be a class of functions"):
        bounds.class_error(3, CONSTANTS, 8, L2)
    with pytest.raises(TypeError, match="must be a family with .*; got 'free-knot'"):
        bounds.class_error(targets.Lipschitz(), "free-knot", 24, L2)
    with pytest.raises(TypeError, match="must be a norm with the exponent `p`.*; got 'l2'"):
        bounds.class_error(targets.Lipschitz(), CONSTANTS, 24, "l2")
    with pytest.raises(ValueError, match="one variable"):
        bounds.class_error(targets.Sobolev(2, 2.0, 2), CONSTANTS, 8, L2)
    with pytest.raises(ValueError, match="BV: it holds functions that jump"):
        bounds.class_error(targets.BoundedVariation(), CONSTANTS, 8, SUP)
    with pytest.raises(TypeError, match="must be a class of functions whose rate is in the table"):
        bounds.encoding_rate(2.0)


@pytest.mark.parametrize("name", ["polynomial", "haar", "cubic-spline", "free-knot"])
@pytest.mark.parametrize("size", [-3, 0])
def test_sizes_that_no_family_has_are_refused(name, size):
    with pytest.raises(ValueError, match="size, ...\\)` must be at least"):
        bounds.class_error(targets.Lipschitz(), families.get(name), size, L2)
