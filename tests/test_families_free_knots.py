"""Free knots of splines of order 3 and more, against SciPy, searches and closed forms."""

import numpy as np
import pytest
from scipy.interpolate import BSpline, make_lsq_spline
from scipy.optimize import minimize

from qrelu import families, norms, targets
from qrelu.families._knot_descent import error_and_slopes
from qrelu.families._least_squares_spline import full_knots, least_squares_spline
from qrelu.families._nodes import composite_rule
from qrelu.families._quadrature import quadrature

L2 = norms.L2()


def _error(order, knots, target, pieces, norm=L2):
    size = order + (pieces - 1) * (1 if knots == "uniform" else 2)
    fitted = families.Spline(order, knots).fit(target, size, norm=norm)
    assert fitted.connectivity <= size
    return float(norm.distance(fitted.function, target))


def _scipy(points, ends, order):
    """Coefficients and L2 error of the best spline by SciPy's QR factorization."""
    nodes, weights = (part.ravel() for part in composite_rule(points, ends))
    values, knots = points.function(nodes), full_knots(ends, order)
    root = np.sqrt(weights)
    spline = make_lsq_spline(nodes, values, knots, order - 1, w=root, method="qr")
    return spline.c, float(np.linalg.norm(root * (values - spline(nodes))))


@pytest.mark.parametrize("name", ["exp", "sqrt", "chirp"])
@pytest.mark.parametrize("order", [3, 4, 6, 8])
def test_coefficients_agree_with_the_qr_factorization(order, name):
    points = quadrature(targets.get(name))
    rng = np.random.default_rng(order)
    widths = rng.uniform(0.05, 1.0, 12) ** 3
    ends = points.lower + (points.upper - points.lower) * np.append(0.0, np.cumsum(widths))
    ends = points.lower + (ends - ends[0]) / (ends[-1] - ends[0]) * (points.upper - points.lower)
    ours, (judge, error) = least_squares_spline(points, ends, order), _scipy(points, ends, order)
    np.testing.assert_allclose(ours, judge, rtol=0, atol=1e-9 * np.max(np.abs(judge)))
    nodes, weights = composite_rule(points, ends)
    left = points.function(nodes) - BSpline(full_knots(ends, order), ours, order - 1)(nodes)
    assert np.sqrt(np.sum(weights * left**2)) <= (1 + 1e-6) * error + 1e-14


@pytest.mark.parametrize("order", [3, 4, 5, 6, 8])
@pytest.mark.parametrize("pieces", [2, 3, 7])
def test_slopes_by_the_knots_agree_with_differences(order, pieces):
    points = quadrature(targets.get("sine"))
    rng = np.random.default_rng(pieces)
    ends = np.append(0.0, np.cumsum(rng.uniform(0.5, 1.0, pieces)))
    ends = points.lower + (points.upper - points.lower) * ends / ends[-1]
    slopes = error_and_slopes(points, ends, order)[1]
    steps = 1e-5 * np.eye(pieces + 1)[1:-1]
    judge = [
        (
            error_and_slopes(points, ends + s, order)[0]
            - error_and_slopes(points, ends - s, order)[0]
        )
        / 2e-5
        for s in steps
    ]
    np.testing.assert_allclose(slopes, judge, rtol=0, atol=1e-4 * np.max(np.abs(slopes)))


@pytest.mark.parametrize("name", ["sine", "chirp", "sqrt", "kink"])
@pytest.mark.parametrize("norm", [L2, norms.Sup()], ids=str)
@pytest.mark.parametrize("order", [3, 4, 6, 8])
def test_free_knots_are_never_worse_than_as_many_uniform_ones(order, norm, name):
    """Derivatives that are lost in rounding once left whole parts without knots."""
    target = targets.get(name)
    for pieces in (3, 16, 48):
        free, uniform = (_error(order, k, target, pieces, norm) for k in ("free", "uniform"))
        slack = 1.0 if norm is L2 else 1.1  # knots are compared at nodes
        assert free <= slack * uniform + 1e-14, pieces


def _searched(target, order, pieces, starts=6):
    """The least error over knots that a simplex search finds from several starts."""
    points = quadrature(target)

    def error(inner):
        ends = np.concatenate([[points.lower], inner, [points.upper]])
        if np.any(np.diff(ends) < 1e-6):
            return 1e3
        return _scipy(points, ends, order)[1]

    rng, found = np.random.default_rng(0), np.inf
    for _ in range(starts):
        begin = np.sort(rng.uniform(points.lower, points.upper, pieces - 1))
        result = minimize(error, begin, method="Nelder-Mead", options={"maxfev": 1500})
        found = min(found, result.fun)
    return found


@pytest.mark.parametrize(
    ("name", "order", "pieces", "share"),
    [("runge", 3, 4, 1.02), ("runge", 4, 4, 1.02), ("sqrt", 4, 3, 1.02), ("exp", 3, 4, 1.02)],
)
def test_few_free_knots_are_as_good_as_a_search(name, order, pieces, share):
    target = targets.get(name)
    assert _error(order, "free", target, pieces) <= share * _searched(target, order, pieces)


@pytest.mark.parametrize("order", [3, 4, 5, 6])
@pytest.mark.parametrize("scale", [1.0, 1e150, 1e-150])
def test_knots_meet_at_a_declared_kink(order, scale):
    """|x - c| is a spline of any order whose knots at c are order - 1."""
    target = targets.Function(
        lambda x: scale * np.abs(x - 0.37), (0.0, 1.0), breakpoints=(0.37,), name="kink"
    )
    fitted = families.Spline(order, "free").fit(target, 3 * order - 2, norm=L2)
    x = np.linspace(0, 1, 1001)
    np.testing.assert_allclose(fitted.function(x), target(x), rtol=0, atol=1e-13 * scale)
    assert fitted.connectivity == 3 * order - 2


@pytest.mark.parametrize("order", [3, 4])
def test_smooth_parts_with_kinks_have_the_rate_of_the_order(order):
    first = np.arcsin(0.3)
    target = targets.Function(
        lambda x: np.abs(np.sin(7 * x) - 0.3),
        (0.0, 1.0),
        breakpoints=(first / 7, (np.pi - first) / 7, (2 * np.pi + first) / 7),
        name="bent",
    )
    errors = [_error(order, "free", target, pieces) for pieces in (32, 64, 128)]
    assert np.log2(errors[1] / errors[2]) > order - 0.3


def _best_steps(f, pieces, samples=1200):
    """The least L2 error of a step function whose breakpoints lie between samples on [0, 1]."""
    y = f((np.arange(samples) + 0.5) / samples)
    sums, squares = (np.append(0.0, np.cumsum(v)) for v in (y, y**2))
    size = np.arange(samples + 1)[None, :] - np.arange(samples + 1)[:, None]
    spread = squares[None, :] - squares[:, None] - (sums - sums[:, None]) ** 2 / np.maximum(size, 1)
    cost = np.where(size > 0, np.maximum(spread, 0.0), np.inf)
    best = np.append(0.0, np.full(samples, np.inf))
    for _ in range(pieces):
        best = np.min(best[:, None] + cost, axis=0)
    return np.sqrt(best[-1] / samples)


@pytest.mark.parametrize("name", ["exp", "sine", "sqrt", "kink"])
@pytest.mark.parametrize("pieces", [1, 2, 4, 8, 16])
def test_few_free_steps_are_as_good_as_dynamic_programming(name, pieces):
    target = targets.get(name)
    fitted = families.PiecewiseConstant("free").fit(target, 2 * pieces - 1, norm=L2)
    error = float(L2.distance(fitted.function, target))
    assert error <= 1.01 * _best_steps(lambda x: np.asarray(target(x)), pieces)


@pytest.mark.parametrize("norm", [norms.L1(), L2, norms.Sup()], ids=str)
@pytest.mark.parametrize("name", ["chirp", "runge", "kink"])
def test_free_steps_are_never_worse_than_as_many_uniform_ones(name, norm):
    target = targets.get(name)
    for pieces in (2, 4, 8, 32, 128):
        errors = [
            float(norm.distance(family.fit(target, size, norm=norm).function, target))
            for family, size in (
                (families.PiecewiseConstant("free"), 2 * pieces - 1),
                (families.PiecewiseConstant(), pieces),
            )
        ]
        assert errors[0] <= (1.02 if norm.p == np.inf else 1.001) * errors[1], pieces
