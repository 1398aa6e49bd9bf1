"""Wavelets at jumps: deep terms over singular points, values under them, bits that name them."""

import math

import numpy as np
import pytest
import pywt

from qrelu import families, norms, targets
from qrelu.families._quadrature import quadrature
from qrelu.families._wavelet_cones import daubechies_terms, haar_terms
from qrelu.families._wavelet_filters import filter_length, integration_rule, shift
from qrelu.families._wavelet_mesh import polygon, step_values

L2 = norms.L2()
Function = targets.Function


def _third(x):
    return (x < 1 / 3) * 1.0


def _pieces(x):
    return np.where(x < 1 / 3, np.sin(6 * x), np.exp(-x) + 1)


DECLARED = Function(_third, (0.0, 1.0), breakpoints=(1 / 3,), name="third")
FOUND = Function(_third, (0.0, 1.0), name="third")
PIECES = Function(_pieces, (0.0, 1.0), breakpoints=(1 / 3,), name="pieces")


@pytest.mark.parametrize("target", [DECLARED, FOUND], ids=["declared", "found"])
@pytest.mark.parametrize("size", [17, 25, 33])
def test_haar_at_a_jump_has_its_closed_form_at_every_depth(target, size):
    """1_[0, 1/3) at M = J + 1: 2^(-J/2) sqrt(2) / 3, one wavelet of each level."""
    fitted = families.Wavelet().fit(target, size, norm=L2)
    exact = 2.0 ** (-(size - 1) / 2) * math.sqrt(2) / 3
    assert float(L2.distance(fitted.function, target)) == pytest.approx(exact, abs=1e-10)
    assert fitted.connectivity == size and fitted.function.levels == size - 1
    # One wavelet of each level is named by a path: a left or right for each.
    assert fitted.position_bits <= 2 * size


def test_haar_coefficients_are_exact_integrals():
    """Of x^2 at a jump 1/3, exact in fractions, at levels far below the even ones."""
    target = Function(lambda x: x**2 + (x >= 1 / 3), (0.0, 1.0), breakpoints=(1 / 3,), name="f")
    numbers, found = haar_terms(quadrature(target), 10)
    from fractions import Fraction

    jump = Fraction(1 / 3)

    def integral(a, b):
        return (b**3 - a**3) / 3 + max(b - max(a, jump), Fraction(0))

    for level in (3, 12, 20, 30):
        place = math.floor(jump * 2**level)
        at = int(np.searchsorted(numbers, 2**level + place))
        assert numbers[at] == 2**level + place
        a, m, b = (Fraction(2 * place + k, 2 ** (level + 1)) for k in range(3))
        exact = float(integral(a, m) - integral(m, b)) * 2 ** (level / 2)
        assert found[at] == pytest.approx(exact, rel=1e-5, abs=1e-15)


@pytest.mark.parametrize("boundary", ["reflected", "periodic"])
@pytest.mark.parametrize("name", ["db2", "db3", "db4", "db8"])
def test_sparse_coefficients_are_those_of_pywavelets(name, boundary):
    """The judge: PyWavelets on 2^20 values of the continued target, one for each coefficient."""
    reflected = boundary == "reflected"
    numbers, found = daubechies_terms(quadrature(PIECES), 8, name, reflected)
    level = 20
    phi, _, grid = pywt.Wavelet(name).wavefun(level=12)
    center = np.trapezoid(grid * phi, grid)
    place = (np.arange(2**level) - shift(name) + center) / 2**level
    place = place % 1
    period = 2.0 if reflected else 1.0
    x = np.minimum(period * place, period * (1 - place)) if reflected else place
    rest = PIECES(np.clip(x, 0, 1)) * math.sqrt(period / 2**level)
    for q in range(level - 1, 8, -1):
        rest, detail = pywt.dwt(rest, name, mode="periodization")
        ours = np.zeros(2**q)
        here = (numbers >= 2**q) & (numbers < 2 ** (q + 1))
        ours[numbers[here] - 2**q] = found[here]
        # One value for a scaling coefficient at a jump is off by the size of that coefficient.
        if q < 14:
            np.testing.assert_allclose(ours, detail, rtol=0, atol=1e-3)
            assert np.max(np.abs(detail)) > 0.1 * 2.0 ** (-q / 2)


@pytest.mark.parametrize("name", ["db2", "db4", "db8"])
@pytest.mark.parametrize("halved", [False, True])
def test_values_of_a_sparse_sum_are_those_of_the_dense_one(name, halved):
    """The judge: PyWavelets' synthesis at 2^16 places and its scaling function at integers."""
    rng = np.random.default_rng(1)
    terms = np.unique(np.concatenate([rng.integers(0, 2**13, 20), [2**12, 2**13 - 1]]))
    coefficients = rng.normal(size=terms.size)
    places, values = polygon(coefficients, terms, name, 9, 16, halved)
    full = np.zeros(2**16)
    full[terms] = coefficients
    first = 1 << (filter_length(name) - 1).bit_length()
    rest = full[:first]
    while rest.size < full.size:
        rest = pywt.idwt(rest, full[rest.size : 2 * rest.size], name, mode="periodization")
    from scipy.linalg import null_space

    h = np.array(pywt.Wavelet(name).rec_lo) * math.sqrt(2)
    index = 2 * np.arange(h.size)[:, None] - np.arange(h.size)
    matrix = np.where((index >= 0) & (index < h.size), h[np.clip(index, 0, h.size - 1)], 0.0)
    phi = null_space(matrix - np.eye(h.size), rcond=1e-9)[:, 0]
    phi /= phi.sum()
    judge = sum(value * np.roll(rest, m - shift(name)) for m, value in enumerate(phi)) * 2.0**8
    at = np.rint(places * 2**16).astype(int)
    assert places[0] == 0 and places[-1] == (0.5 if halved else 1.0)
    assert np.all(np.diff(at) > 0)
    scale = np.max(np.abs(judge))
    np.testing.assert_allclose(values, judge[at % 2**16], rtol=0, atol=1e-11 * scale)
    # Where it varies the cells are fine: the polygon is near the sum between its points.
    between = np.interp(np.arange(2**15), at, values)
    assert np.sqrt(np.mean((between - judge[: 2**15]) ** 2)) < 0.02 * np.sqrt(np.mean(judge**2))
    assert at.size < 2**15


def test_steps_of_a_sparse_haar_sum_are_those_of_the_dense_one():
    rng = np.random.default_rng(2)
    terms = np.unique(np.concatenate([[0], rng.integers(1, 2**10, 25)]))
    coefficients = rng.normal(size=terms.size)
    places, values = step_values(coefficients, terms, 2.0)
    full = np.zeros(2**10)
    full[terms] = coefficients
    rest = full[:1]
    while rest.size < full.size:
        rest = pywt.idwt(rest, full[rest.size : 2 * rest.size], "haar", mode="periodization")
    cell = np.searchsorted(places, (np.arange(2**10) + 0.5) / 2**10, side="right") - 1
    np.testing.assert_allclose(values[cell], rest * math.sqrt(2**10 / 2.0), rtol=0, atol=1e-11)
    assert values.size <= 3 * terms.size + 1


@pytest.mark.parametrize("name", ["db2", "db3", "db4", "db8"])
def test_the_rule_integrates_polynomials_against_the_scaling_function(name):
    """The judge: PyWavelets' table of the scaling function, by the trapezoidal rule."""
    start, weights = integration_rule(name)
    phi, _, grid = pywt.Wavelet(name).wavefun(level=14)
    for degree in range(weights.size):
        y = grid - 1.5
        judge = np.trapezoid(y**degree * phi, grid)
        ours = weights @ (start + np.arange(weights.size) - 1.5) ** degree
        assert ours == pytest.approx(judge, abs=2e-3 * max(1.0, np.max(np.abs(y**degree * phi))))


@pytest.mark.parametrize("boundary", ["reflected", "periodic"])
@pytest.mark.parametrize("name, n", [("haar", 1), ("db2", 2), ("db3", 3), ("db4", 4)])
def test_a_jump_leaves_the_smooth_parts_their_rate(name, n, boundary):
    family = families.Wavelet(name, boundary)
    errors, sizes = [], (64, 128, 256)
    for size in sizes:
        fitted = family.fit(PIECES, size, norm=L2)
        assert fitted.connectivity <= size and fitted.pieces <= family.pieces(size)
        errors.append(float(L2.distance(fitted.function, PIECES)))
    # From above: the jumps take logarithmically many of the terms.
    assert math.log2(errors[1] / errors[2]) > n
    assert errors[2] < errors[0] / 4**n
    # Deep terms are named by their ancestors, a few bits each, and not one by one.
    assert fitted.position_bits < 5 * fitted.connectivity


@pytest.mark.parametrize("name", ["haar", "db3"])
def test_rounding_distances_and_values_follow_to_the_deep_levels(name):
    fitted = families.Wavelet(name).fit(PIECES, 96, norm=L2)
    function = fitted.function
    assert function.levels > 16
    ends, (left, right) = function.linear_pieces()
    assert np.all(np.diff(ends) > 0) and (ends[0], ends[-1]) == PIECES.domain
    x = np.sort(np.random.default_rng(4).uniform(size=2000))
    cell = np.searchsorted(ends, x, side="right") - 1
    share = (x - ends[cell]) / np.diff(ends)[cell]
    np.testing.assert_allclose(function(x), left[cell] + share * (right - left)[cell], atol=1e-13)
    # The judge of the distance: midpoints of the cells of the function, in 16 parts each.
    parts = [ends[:-1] + k / 16 * np.diff(ends) for k in range(16)]
    fine = np.unique(np.concatenate([*parts, ends[-1:]]))
    middle = (fine[1:] + fine[:-1]) / 2
    square = np.sum(np.diff(fine) * (function(middle) - PIECES(middle)) ** 2)
    assert float(L2.distance(function, PIECES)) == pytest.approx(math.sqrt(square), rel=0.02)
    rounded = families.Quantized(families.Wavelet(name), families.MatchedBits()).round(
        fitted, PIECES, norm=L2
    )
    step = rounded.quantizer.step
    codes = np.rint(rounded.function.coefficients / step)
    np.testing.assert_array_equal(codes * step, rounded.function.coefficients)
    exact = float(L2.distance(function, PIECES))
    assert float(L2.distance(rounded.function, PIECES)) <= 1.1 * exact
    assert rounded.bits_per_weight < 24
    # A sup over sums of the basis, sampled: the stated sensitivity is above it.
    assert function.sensitivity > 2.0 ** ((function.levels - 1) / 2)


def test_far_from_zero_the_depth_is_that_of_the_floats():
    target = Function(
        lambda x: np.where(x < 1e6 + 1 / 3, 1.0, 2.0), (1e6, 1e6 + 1), breakpoints=(1e6 + 1 / 3,)
    )
    for name in ("haar", "db2"):
        function = families.Wavelet(name).fit(target, 200, norm=L2).function
        ends = function.linear_pieces()[0]
        assert np.all(np.diff(ends) > 0) and function.levels <= 32
        assert float(L2.distance(function, target)) < 2e-4
