"""Classical families against closed forms and other libraries: NumPy, SciPy, PyWavelets, mpmath."""

import math

import mpmath as mp
import numpy as np
import pytest
import pywt
import scipy.integrate
import scipy.interpolate
import scipy.optimize
import scipy.special

from qrelu import families, norms, targets
from qrelu.families._remez import best_polynomial

L1, L2, SUP = norms.L1(), norms.L2(), norms.Sup()
Function = targets.Function
X = Function(lambda x: 1.0 * x, (0.0, 1.0), name="x")
THIRD = Function(lambda x: (x < 1 / 3) * 1.0, (0.0, 1.0), breakpoints=(1 / 3,), name="third")
HALF = Function(lambda x: (x < 0.5) * 1.0, (0.0, 1.0), breakpoints=(0.5,), name="half")
ABSOLUTE = Function(np.abs, (-1.0, 1.0), breakpoints=(0.0,), name="|x|")
SMALL_ABSOLUTE = Function(np.abs, (-0.5, 0.5), breakpoints=(0.0,), name="|x|")


def _error(family, target, size, norm):
    return float(norm.distance(family.fit(target, size, norm=norm).function, target))


@pytest.mark.parametrize("levels", [0, 1, 4, 8])
def test_haar_of_the_identity(levels):
    """f = x at M = 2^J: 2^-J / sqrt(12)."""
    error = _error(families.Wavelet(), X, 2**levels, L2)
    assert error == pytest.approx(2.0**-levels / math.sqrt(12), abs=1e-13)


@pytest.mark.parametrize("levels", [1, 3, 8])
def test_haar_of_a_jump_is_exponential(levels):
    """1_[0, 1/3) at M = J + 1: 2^(-J/2) sqrt(2) / 3."""
    error = _error(families.Wavelet(), THIRD, levels + 1, L2)
    assert error == pytest.approx(2.0 ** (-levels / 2) * math.sqrt(2) / 3, abs=1e-13)


@pytest.mark.parametrize("size", [2, 9, 101])
def test_fourier_of_a_jump(size):
    r"""The M - 1 largest terms beside 1/2 are sqrt(2)/(pi k) for odd k: the tail by trigamma."""
    # Sum over odd k >= 2n + 1 of 1/k^2 is trigamma(n + 1/2)/4.
    tail = float(mp.psi(1, size - 1 + mp.mpf(1) / 2)) / 4
    error = _error(families.Fourier("largest"), HALF, size, L2)
    assert error == pytest.approx(math.sqrt(2 * tail) / math.pi, abs=1e-10)
    # The same terms are the lowest 2 K + 1, where every second sine and all cosines are zero.
    lowest = families.Fourier().fit(HALF, 4 * (size - 1) - 1, norm=L2)
    assert lowest.connectivity == size
    assert float(L2.distance(lowest.function, HALF)) == pytest.approx(error, abs=1e-12)


def test_the_reference_figure_of_a_jump():
    """1001 exponentials are 501 real terms: 0.010065841."""
    assert _error(families.Fourier("largest"), HALF, 501, L2) == pytest.approx(
        0.010065841, abs=5e-10
    )


@pytest.mark.parametrize("size", [3, 33, 129])
def test_fourier_of_a_kink(size):
    r"""|x| on [-1/2, 1/2]: cosines of -sqrt(2)/(pi^2 k^2) for odd k."""
    # Sum over odd k >= 2n + 1 of 1/k^4 is psi'''(n + 1/2)/96.
    tail = float(mp.psi(3, size - 1 + mp.mpf(1) / 2)) / 96
    error = _error(families.Fourier("largest"), SMALL_ABSOLUTE, size, L2)
    assert error == pytest.approx(math.sqrt(2 * tail) / math.pi**2, abs=1e-10)


@pytest.mark.parametrize("degree", [1, 2, 5, 10, 20])
def test_best_polynomials_of_a_pole(degree):
    """1/(x - a) in the sup norm: (a - sqrt(a^2 - 1))^n / (a^2 - 1)."""
    a = 1.25
    pole = Function(lambda x: 1 / (x - a), (-1.0, 1.0), name="pole")
    exact = (a - math.sqrt(a * a - 1)) ** degree / (a * a - 1)
    assert _error(families.Polynomial(), pole, degree + 1, SUP) == pytest.approx(exact, abs=1e-10)
    near = _error(families.Polynomial("chebyshev"), pole, degree + 1, SUP)
    assert exact < near < (2 + 2 / math.pi * math.log(degree + 1)) * exact


@pytest.mark.parametrize("degree", [0, 2, 7])
def test_best_polynomials_of_a_power(degree):
    """x^(n + 1) on [-1, 1]: 2^-n in the sup norm; 2^-n in L^1 as well (U_(n + 1) / 2^(n + 1))."""
    power = Function(lambda x: x ** (degree + 1), (-1.0, 1.0), name="power")
    for norm in (SUP, L1):
        error = _error(families.Polynomial(), power, degree + 1, norm)
        assert error == pytest.approx(2.0**-degree, abs=1e-10)
    legendre = np.polynomial.legendre.poly2leg([0.0] * (degree + 1) + [1.0])[-1]
    exact = abs(legendre) * math.sqrt(2 / (2 * degree + 3))
    assert _error(families.Polynomial(), power, degree + 1, L2) == pytest.approx(exact, abs=1e-10)


@pytest.mark.parametrize("size, error", [(1, 0.5), (2, 0.5), (3, 0.125), (4, 0.125)])
def test_best_polynomials_of_the_absolute_value(size, error):
    """1/2, and x^2 + 1/8: on points as symmetric as the function an exchange can go in circles."""
    assert _error(families.Polynomial(), ABSOLUTE, size, SUP) == pytest.approx(error, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("degree", [0, 1, 2, 3, 6, 9])
def test_best_polynomials_of_waves_are_those_of_linear_programming(degree, seed):
    """More oscillations than the degree follows, even and not; HiGHS on a grid is the judge."""
    rng = np.random.default_rng(seed)
    size, frequency = rng.normal(size=(12, 1)), rng.uniform(0, 30, size=(12, 1))
    phase = rng.uniform(0, 6, size=(12, 1)) * (seed % 2)

    def waves(x):
        return np.sum(size * np.cos(frequency * x + phase), axis=0)

    x = np.linspace(-1, 1, 801)
    found, factor = best_polynomial(waves, degree, np.zeros(1))
    basis = np.polynomial.chebyshev.chebvander(x, degree)
    goal = np.append(np.zeros(degree + 1), 1.0)
    sides = np.vstack([np.c_[basis, -np.ones(x.size)], np.c_[-basis, -np.ones(x.size)]])
    values = np.concatenate([waves(x), -waves(x)])
    least = scipy.optimize.linprog(goal, sides, values, bounds=(None, None)).fun
    largest = np.max(np.abs(basis @ found - waves(x)))
    assert factor == 1.0
    # Between points h apart twelve waves of frequency 30 rise by 12 * 30^2 h^2 / 8 at most.
    assert least - 1e-9 <= largest <= least + 12 * 900 / 400**2 / 8


def test_bernsteins_constant():
    """2m E_2m(|x|) tends to 0.2801694990; with its expansion in m^-2 extrapolated from three."""
    half = (8, 16, 32)
    scaled = [2 * m * _error(families.Polynomial(), ABSOLUTE, 2 * m + 1, SUP) for m in half]
    first = [(4 * b - a) / 3 for a, b in zip(scaled, scaled[1:], strict=False)]
    assert (16 * first[1] - first[0]) / 15 == pytest.approx(0.2801694990, abs=2e-7)


@pytest.mark.parametrize("size", [5, 12])
def test_legendre_coefficients_and_errors_have_closed_forms(size):
    """exp on [-1, 1] has the coefficients (2k + 1) i_k(1), modified spherical Bessel functions."""
    target = Function(np.exp, (-1.0, 1.0), name="exp")
    series = (2 * np.arange(40) + 1) * scipy.special.spherical_in(np.arange(40), 1.0)
    judge = series[:size]
    function = families.Polynomial().fit(target, size, norm=L2).function
    np.testing.assert_allclose(function.coefficients, judge, rtol=0, atol=1e-14)
    points = np.linspace(-1.0, 1.0, 57)
    values = np.polynomial.Legendre(judge)(points)
    np.testing.assert_allclose(function(points), values, rtol=0, atol=1e-14)
    rest = math.sqrt(series[size:] ** 2 @ (2 / (2 * np.arange(size, 40) + 1)))
    assert _error(families.Polynomial(), target, size, L2) == pytest.approx(rest, abs=1e-14)


def test_chebyshev_interpolants_are_those_of_numpy():
    target = targets.get("runge")
    function = families.Polynomial("chebyshev").fit(target, 24, norm=SUP).function
    judge = np.polynomial.Chebyshev.interpolate(target, 23, domain=[0.0, 1.0])
    x = np.linspace(0.0, 1.0, 101)
    np.testing.assert_allclose(function(x), judge(x), rtol=0, atol=1e-13)


@pytest.mark.parametrize("order", [3, 4, 6])
def test_splines_are_those_of_scipy(order):
    """The judge: SciPy's least squares on 20,000 points in the middle of equal cells."""
    target = targets.get("runge")
    pieces = 12
    fitted = families.Spline(order).fit(target, pieces + order - 1, norm=L2)
    x = (np.arange(20_000) + 0.5) / 20_000
    inner = np.arange(1, pieces) / pieces
    judge = scipy.interpolate.LSQUnivariateSpline(x, target(x), inner, k=order - 1)
    np.testing.assert_allclose(fitted.function(x), judge(x), rtol=0, atol=3e-8)
    assert fitted.function.breakpoints == pytest.approx(inner)
    # The residual is orthogonal to B-splines: by SciPy's own quadrature on the pieces.
    basis = scipy.interpolate.BSpline.basis_element(inner[3 : 4 + order], extrapolate=False)
    parts = [
        scipy.integrate.quad(
            lambda t: (fitted.function(np.array(t)) - target(t)) * basis(t), a, b, epsabs=1e-14
        )[0]
        for a, b in zip(inner[3 : 3 + order], inner[4 : 4 + order], strict=True)
    ]
    assert abs(sum(parts)) < 1e-12


@pytest.mark.parametrize("norm", [L1, L2, SUP], ids=lambda norm: norm.name)
def test_constants_on_pieces_have_closed_forms(norm):
    """x on N pieces: h/4, h / sqrt(12), h/2 in the three norms."""
    exact = {1.0: 1 / 4, 2.0: 1 / math.sqrt(12), math.inf: 1 / 2}[norm.p] / 10
    assert _error(families.PiecewiseConstant(), X, 10, norm) == pytest.approx(exact, abs=1e-3 / 10)
    if norm.p != 1:
        assert _error(families.PiecewiseConstant(), X, 10, norm) == pytest.approx(exact, abs=1e-14)


def test_free_constants_of_a_monotone_function_halve_its_variation():
    """sqrt in the sup norm: V / (2 N), attained by equal steps."""
    error = _error(families.PiecewiseConstant("free"), targets.get("sqrt"), 63, SUP)
    assert error == pytest.approx(1 / 64, rel=0.01) and error >= 1 / 64 - 1e-12


@pytest.mark.parametrize("name", ["haar", "db2", "db3", "db4", "db8"])
def test_wavelet_sums_are_those_of_pywavelets(name):
    """The coefficients, from coarse to fine, are PyWavelets' periodized transform."""
    from qrelu.families._wavelet_filters import analysis, level_ranges, synthesis

    signal = np.random.default_rng(3).normal(size=256)
    ours = analysis(signal, name)
    assert np.sum(ours**2) == pytest.approx(np.sum(signal**2), rel=1e-12)
    np.testing.assert_allclose(synthesis(ours, name), signal, rtol=0, atol=1e-12)
    depth = len(level_ranges(256, name)) - 1
    judge = pywt.wavedec(signal, name, mode="periodization", level=depth)
    np.testing.assert_allclose(ours, np.concatenate(judge), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["db2", "db3", "db4"])
def test_scaling_functions_are_those_of_pywavelets(name):
    from qrelu.families._wavelet_filters import at_integers, center

    phi, _, x = pywt.Wavelet(name).wavefun(level=12)
    ours = np.array(at_integers(name))
    judge = np.interp(np.arange(ours.size), x, phi)
    # The cascade of PyWavelets ends at level 12, a Hoelder function away.
    np.testing.assert_allclose(ours, judge, rtol=0, atol=0.03)
    assert center(name) == pytest.approx(np.trapezoid(x * phi, x), abs=1e-3)


def test_the_error_of_a_wavelet_sum_is_the_sum_of_what_was_left_out():
    """Parseval in an orthonormal basis, on the period."""
    target = targets.get("sine")
    few = families.Wavelet("db3", "periodic").fit(target, 24, norm=L2)
    cells = 2**12
    phi, _, grid = pywt.Wavelet("db3").wavefun(level=12)
    # PyWavelets' periodization moves a filter of six coefficients by two places at each level.
    place = (np.arange(cells) - 2 + np.trapezoid(grid * phi, grid)) / cells
    judge = pywt.wavedec(target(place % 1) / math.sqrt(cells), "db3", mode="periodization")
    kept = np.sort(np.abs(np.concatenate(judge)))[::-1]
    left_out = math.sqrt(np.sum(kept[24:] ** 2))
    assert float(L2.distance(few.function, target)) == pytest.approx(left_out, rel=1e-3)


def test_a_reflected_wavelet_leaves_out_what_does_not_reach_the_domain():
    target = targets.get("exp")
    function = families.Wavelet("db2").fit(target, 64, norm=L2).function
    x = np.linspace(0.0, 1.0, 2001)
    for term in function.terms[-20:]:
        alone = type(function)(
            coefficients=np.ones(1),
            terms=np.array([term]),
            domain=function.domain,
            wavelet="db2",
            levels=function.levels,
            reflected=True,
        )
        ends, values = alone.linear_pieces()
        assert np.max(np.abs(values)) > 0 and ends[0] == 0 and np.isfinite(alone(x)).all()


def test_waves_are_orthonormal_and_quick_to_evaluate():
    terms = np.array([0, 1, 2, 7, 40, 1001])
    t = (np.arange(8192) + 0.5) / 8192
    columns = []
    for k in range(terms.size):
        unit = np.zeros(terms.size)
        unit[k] = 1.0
        wave = families.Waves(coefficients=unit, terms=terms, domain=(2.0, 5.0), chosen=True)
        columns.append(wave(2.0 + 3.0 * t))
    gram = np.array(columns) @ np.array(columns).T / t.size
    np.testing.assert_allclose(gram, np.eye(terms.size), rtol=0, atol=1e-11)
    np.testing.assert_allclose(columns[4], math.sqrt(2) * np.cos(40 * np.pi * t), atol=1e-11)
    np.testing.assert_allclose(columns[3], math.sqrt(2) * np.sin(8 * np.pi * t), atol=1e-11)


def test_rational_functions_are_those_of_scipy_and_know_their_poles():
    target = targets.get("exp")
    function = families.Rational().fit(target, 12, norm=SUP).function
    # SciPy's own barycentric interpolant through the same points, with the same weights.
    places = function.places
    judge = scipy.interpolate.BarycentricInterpolator(places, function.values)
    judge.wi = function.weights
    x = np.linspace(0.0, 1.0, 400)
    np.testing.assert_allclose(function(x), judge(x), rtol=1e-12)
    assert np.max(np.abs(function(x) - target(x))) < 1e-3
    np.testing.assert_array_equal(function(places), function.values)
    pole = families.Barycentric(
        places=np.array([0.0, 1.0]),
        values=np.array([1.0, 2.0]),
        weights=np.array([1.0, 1.0]),
        domain=(0.0, 1.0),
    )
    np.testing.assert_allclose(pole.poles, [0.5], atol=1e-14)
    assert not pole.bounded


@pytest.mark.parametrize(
    "fn, domain, breakpoints",
    [
        (lambda x: np.abs(x - 1.234567) - 0.3 * x, (-3.0, 7.0), (1.234567,)),
        (lambda x: np.cos(80 * x), (0.0, 1.0), ()),
        (np.sqrt, (0.0, 1.0), ()),
    ],
    ids=["kink", "cos 80x", "sqrt"],
)
def test_quotients_of_more_terms_are_no_worse(fn, domain, breakpoints):
    """Few terms of the algorithm alone may be farther away than half the range of the function."""
    target = targets.Function(fn, domain, breakpoints=breakpoints, name="f")
    values = fn(np.linspace(*domain, 10_001))
    errors = [
        float(SUP.distance(families.Rational().fit(target, size, norm=SUP).function, target))
        for size in (3, 6, 12, 24, 39, 60, 75)
    ]
    assert errors[0] <= 0.51 * np.ptp(values)  # a value that a sample has
    assert all(after <= 1.5 * before for before, after in zip(errors, errors[1:], strict=False))
