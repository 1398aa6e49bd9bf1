"""Polynomials, piecewise polynomials, smooth functions and waves."""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from qrelu.constructions import cosine, monomial, piecewise_polynomial, polynomial, sine, smooth
from qrelu.networks import SparseMatrix, pieces, realize, realize_exact


def _forward(net, xs):
    """The function in plain NumPy: nothing to compile for deep networks."""
    h = np.asarray(xs, np.float64)[None, :]
    for i, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        w = w.to_scipy() if isinstance(w, SparseMatrix) else np.asarray(w)
        h = w @ (np.maximum(h, 0) if i else h) + np.asarray(b)[:, None]
    return h[0]


def _points(rng, radius, count=40):
    return np.concatenate([rng.uniform(-radius, radius, count), [-radius, 0, radius, radius / 3]])


def _worst(net, coefficients, xs):
    """The largest exact error at points."""
    values = realize_exact(net, xs[:, None])[:, 0]
    exact = [
        sum(Fraction(float(a)) * Fraction(x) ** k for k, a in enumerate(coefficients))
        for x in xs.tolist()
    ]
    return max(abs(v - e) for v, e in zip(values, exact, strict=True))


@pytest.mark.parametrize("seed", range(12))
def test_polynomials_with_random_coefficients(seed):
    rng = np.random.default_rng(seed)
    degree, radius = seed % 7, float(rng.choice([0.3, 1.0, 1.7, 3.0]))
    coefficients = rng.normal(size=degree + 1) * 10.0 ** rng.integers(-3, 5)
    coefficients[rng.random(degree + 1) < 0.2] = 0.0
    accuracy = float(rng.choice([0.3, 1e-2, 1e-4]))
    net, certificate, counts = polynomial(coefficients, accuracy, radius)
    worst = _worst(net, coefficients, _points(rng, radius))
    assert worst <= Fraction(certificate.bound) <= Fraction(accuracy)
    assert counts.width <= 9 and counts.magnitude <= 1
    assert certificate.domain == ((-radius,), (radius,))


def test_the_bound_of_a_polynomial_is_the_stated_one():
    a, radius = [0.5, -3.0, 2.0, 0.0, 1.5], 1.5
    net, certificate, counts = polynomial(a, 1e-3, radius)
    t = 3 / 4
    growth = sum(abs(a[k]) * 2**k * sum(t**j for j in range(k - 1)) for k in range(2, 5))
    m = math.ceil(math.log(growth / 1e-3, 4)) - 1
    assert certificate.bound == pytest.approx(4.0 ** -(m + 1) * growth, rel=1e-12)
    q = 5  # the largest coefficient is 1.5 * 2^4
    assert counts.depth == 1 + 3 * (m + 1) + q
    assert max(counts.widths) == 9


@pytest.mark.parametrize("n", range(8))
def test_monomials(n):
    net, certificate, counts = monomial(n, 1e-3, 1.0)
    rng = np.random.default_rng(n)
    worst = _worst(net, [0.0] * n + [1.0], _points(rng, 1.0))
    assert worst <= Fraction(certificate.bound) <= Fraction(1e-3)
    assert counts.width <= 7 and counts.magnitude <= 1
    assert not net.biases[-1].any() or n != 1


def test_a_square_reaches_its_bound():
    net, certificate, _ = monomial(2, 1e-3)
    found = pieces(net, -1, 1, exact=True)
    middles = (found.breakpoints[1:] + found.breakpoints[:-1]) / 2
    assert max(found(middles)[:, 0] - middles**2) == Fraction(certificate.bound)


@pytest.mark.parametrize("coefficients", [[0.0], [-7.0], [0.0, 0.0], [300.0, -0.1], [0.0, 2.5]])
def test_affine_functions_are_exact(coefficients):
    net, certificate, counts = polynomial(coefficients, 0.5, 5.0)
    assert certificate.bound == 0 and certificate.exact and counts.magnitude <= 1
    assert _worst(net, coefficients, _points(np.random.default_rng(0), 5.0)) == 0


def test_zeros_at_the_end_cost_nothing():
    assert polynomial([1.0, 2.0, 0.0], 0.1).counts == polynomial([1.0, 2.0], 0.1).counts


def test_coefficients_in_float32_are_rounded_and_counted():
    a = np.array([0.1, 1.3, -0.7, 0.3])
    net, certificate, _ = polynomial(a, 1e-3, 1.0, dtype=np.float32)
    assert net.weights[0].dtype == np.float32
    xs = _points(np.random.default_rng(0), 1.0).astype(np.float32).astype(np.float64)
    assert _worst(net, a, xs) <= Fraction(certificate.bound)
    # The levels' part alone is a multiple of a power of 4 of these coefficients.
    assert certificate.bound > polynomial(a, 1e-3, 1.0).certificate.bound
    values = np.asarray(realize(net, xs.astype(np.float32)[:, None]))[:, 0]
    np.testing.assert_allclose(values, np.polyval(a[::-1], xs), atol=certificate.bound + 1e-5)


def test_piecewise_polynomials():
    t = np.array([-1.0, -0.3, 0.1, 2.0])
    spline = CubicSpline(t, [1.0, -2.0, 0.5, 3.0])
    net, certificate, counts = piecewise_polynomial(t, spline.c[::-1].T, 1e-3)
    xs = np.concatenate([t, np.random.default_rng(0).uniform(-1, 2, 60)])
    exact = []
    for x in xs.tolist():
        i = min(int(np.searchsorted(t, x, side="right")) - 1, 2)
        y = Fraction(x) - Fraction(t[i])
        exact.append(sum(Fraction(c) * y**k for k, c in enumerate(spline.c[::-1, i].tolist())))
    values = realize_exact(net, xs[:, None])[:, 0]
    worst = max(abs(v - e) for v, e in zip(values, exact, strict=True))
    assert worst <= Fraction(certificate.bound) <= Fraction(1e-3)
    assert (counts.depth - 2) % 2 == 0 and counts.width <= 9 * 3
    outside = realize_exact(net, np.array([[-5.0], [-1.0], [2.0], [9.0]]))[:, 0]
    assert outside[0] == outside[1] and outside[2] == outside[3]


def test_many_pieces_of_different_degrees_are_sparse():
    t = np.arange(9.0) / 8
    rows = [[0.0, 1.0] if i % 2 else [0.0, 0.0, 8.0] for i in range(8)]  # each rises by 1/8
    for i in range(8):
        rows[i][0] = i / 8
    net, certificate, _ = piecewise_polynomial(t, rows, 1e-4)
    assert isinstance(net.weights[1], SparseMatrix)
    xs = np.random.default_rng(1).random(400)
    i = np.minimum((8 * xs).astype(int), 7)
    y = xs - t[i]
    exact = t[i] + np.where(i % 2, y, 8 * y**2)
    assert np.max(np.abs(_forward(net, xs) - exact)) <= certificate.bound + 1e-14
    assert certificate.bound <= 1e-4


CLASS = [
    (np.sin, 1.0, 1e-2),
    (np.cos, 2.3, 1e-4),
    (lambda x: 1 / (2 + x), 0.9, 1e-6),
    (lambda x: np.exp(x) / 8, 1.0, 1e-9),
    (lambda x: 1 / (1 + x**2) / 2, 1.5, 1e-5),
]


@pytest.mark.parametrize("f, radius, accuracy", CLASS)
def test_smooth_functions(f, radius, accuracy):
    seen = []

    def watched(x):
        seen.append(x)
        return f(x)

    net, certificate, _ = smooth(watched, accuracy, radius)
    assert certificate.bound <= accuracy
    assert np.max(np.abs(np.concatenate(seen))) <= radius
    xs = np.concatenate([np.linspace(-radius, radius, 2001), [0.0]])
    assert np.max(np.abs(_forward(net, xs) - f(xs))) <= certificate.bound + 1e-13


@pytest.mark.parametrize("f", [np.exp, lambda x: 0.9 * np.sin(9 * x), np.abs, lambda x: x**40])
def test_functions_outside_of_the_class_are_found_out(f):
    with pytest.raises(ValueError, match=r"\|f\^\(n\)\| <= n!.*Scale the function"):
        smooth(f, 1e-6, 1.5)


@pytest.mark.parametrize("name", ["cosine", "sine"])
@pytest.mark.parametrize(
    "frequency, radius, accuracy",
    [
        (1, 1, 0.1),
        (0.1, 3, 1e-3),
        (math.pi, 1, 1e-2),
        (37.5, 2, 1e-4),
        (1e4, 1, 1e-6),
        (30, 0.01, 0.5),
    ],
)
def test_waves(name, frequency, radius, accuracy):
    build, judge = {"cosine": (cosine, mpmath.cos), "sine": (sine, mpmath.sin)}[name]
    net, certificate, counts = build(frequency, accuracy, radius)
    assert certificate.bound <= accuracy
    assert counts.width <= 9 and counts.magnitude <= 1
    rng = np.random.default_rng(0)
    xs = _points(rng, radius, 12)
    with mpmath.workdps(40):
        for x, v in zip(xs.tolist(), realize_exact(net, xs[:, None])[:, 0], strict=True):
            value = mpmath.mpf(v.numerator) / v.denominator
            assert abs(value - judge(mpmath.mpf(frequency) * x)) <= certificate.bound
    many = rng.uniform(-radius, radius, 4000)
    exact = np.sin(frequency * many) if name == "sine" else np.cos(frequency * many)
    worst = np.max(np.abs(_forward(net, many) - exact))
    assert 0.01 * certificate.bound <= worst <= certificate.bound + 1e-11


def test_waves_of_a_high_frequency_cost_a_logarithm():
    sizes = [cosine(2.0**k, 1e-3).counts.connectivity for k in range(4, 20)]
    assert set(np.diff(sizes)) == {15}  # a fold and a doubling


def test_a_wave_in_float32():
    net, certificate, _ = sine(20.0, 1e-3, 1.0, dtype=np.float32)
    xs = np.random.default_rng(0).uniform(-1, 1, 500).astype(np.float32)
    values = np.asarray(realize(net, xs[:, None]))[:, 0].astype(np.float64)
    assert np.max(np.abs(values - np.sin(20.0 * xs.astype(np.float64)))) <= certificate.bound + 5e-5
    with pytest.raises(ValueError, match="phases that the type holds"):
        cosine(1e6, 1e-3, 10.0, dtype=np.float32)


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda: polynomial([], 0.1), "one or more finite numbers"),
        (lambda: polynomial([1.0, math.nan], 0.1), "one or more finite numbers"),
        (lambda: polynomial([1.0], 1.0), "between 0 and 1"),
        (lambda: polynomial([1.0], 0.1, -1.0), "positive and finite"),
        (lambda: polynomial([0, 0, 1e20], 1e-5), "at most 26 levels of squaring"),
        (lambda: polynomial([1.1e9 + 1], 1e-5, dtype=np.float32), "hold the coefficients"),
        (lambda: monomial(-1, 0.1), "from 0 to 1000; got -1"),
        (lambda: piecewise_polynomial([0.0, 1.0, 1.0], [[1.0], [1.0]], 0.1), "increasing"),
        (lambda: piecewise_polynomial([0.0, 1.0], [[1.0], [1.0]], 0.1), "one row of coefficients"),
        (lambda: piecewise_polynomial([0.0, 1.0, 2.0], [[1.0], [1.5]], 0.1), "be continuous"),
        (lambda: smooth(lambda x: 1 / x, 0.1), "finite numbers"),
        (lambda: smooth(lambda x: 0.5, 0.1), "same shape"),
        (lambda: smooth(np.sin, 1e-15), "must be above"),
        (lambda: smooth(np.sin, 0.1, 0.0), "positive and finite"),
        (lambda: cosine(0.0, 0.1), r"cosine\(frequency\).*positive and finite"),
        (lambda: sine(1.0, 2.0), r"sine\(accuracy=\.\.\.\).*between 0 and 1"),
        (lambda: sine(1e20, 0.1), "phases that the type holds"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_bad_input(call, match):
    with pytest.raises(ValueError, match=match):
        call()
