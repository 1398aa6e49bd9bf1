"""The largest Fourier coefficients in two variables, against products of closed forms."""

import math

import numpy as np
import pytest

from qrelu import codes, families, norms, targets
from qrelu.families._largest_pairs import largest_pairs, projected

L2 = norms.L2()
LARGEST = families.TensorFourier("largest")
BOX = ((-1.0, 0.0), (1.0, 2.0))
KINKS = targets.Multivariate(
    lambda x: np.abs(x[..., 0]) * np.abs(x[..., 1] - 1),
    (np.array(BOX[0]), np.array(BOX[1])),
    name="|x| |y - 1|",
)


@pytest.mark.parametrize("size", [4, 64, 256, 1024])
def test_the_hyperbolic_cross_of_two_kinks_is_found(size):
    """1/2 and cosines of 2 sqrt(2)/(pi k)^2 for odd k in each variable: the largest products."""
    k = np.arange(1, 20_001, 2)
    line = np.append(0.5, 2 * math.sqrt(2) / (math.pi * k) ** 2)
    largest = np.outer(line[:1000], line).ravel()
    largest = -np.sort(-largest[largest > 1e-8])[:size]
    fitted = LARGEST.fit(KINKS, size, norm=L2)
    found = -np.sort(-np.abs(fitted.function.coefficients))
    np.testing.assert_allclose(found, largest, rtol=1e-4)
    assert ("largest terms up to" in fitted.notes) == (size == 1024)
    if size <= 64:
        # On an area of 4 the norm is twice that of coefficients; that of |x| |y - 1| is 2/3.
        best = 2 * math.sqrt(1 / 9 - np.sum(largest**2))
        error = float(norms.L2(points=2**18).distance(fitted.function, KINKS))
        assert error == pytest.approx(best, rel=1e-3)


@pytest.mark.parametrize("k, m", [(1, 30), (60, 64), (100, 128), (3, 200), (250, 16), (0, 256)])
def test_one_product_of_waves_far_away(k, m):
    wave = targets.Multivariate(
        lambda x: np.cos(2 * np.pi * k * x[..., 0]) * np.sin(2 * np.pi * m * x[..., 1]),
        (0, 1),
        dimension=2,
        name="wave",
    )
    fitted = LARGEST.fit(wave, 1, norm=L2)
    assert fitted.function.terms.tolist() == [[2 * k, 2 * m - 1]] and fitted.notes == ""
    assert fitted.function.coefficients == pytest.approx(0.5 if k else math.sqrt(0.5), abs=1e-7)


def test_what_is_not_proven_is_said():
    wave = targets.Multivariate(
        lambda x: np.cos(2 * np.pi * 200 * x[..., 0]) * np.sin(2 * np.pi * 200 * x[..., 1]),
        (0, 1),
        dimension=2,
        name="wave",
    )
    note = "largest terms up to the frequencies (128, 128), (256, 16) and (16, 256) only"
    assert LARGEST.fit(wave, 3, norm=L2).notes == note
    # A jump along a curve: its variation is enough for few terms.
    assert "largest" not in LARGEST.fit(targets.cartoon(), 16, norm=L2).notes
    assert "largest" in LARGEST.fit(targets.cartoon(), 128, norm=L2).notes


def test_projections_are_products_of_those_in_one_variable():
    def product(x):
        return np.exp(x[..., 0]) * np.abs(x[..., 1] - 1)

    ends = np.array(BOX[0]), np.array(BOX[1])
    smooth = targets.Multivariate(product, ends, name="product")
    seen = projected(smooth, BOX, (31, 9), "waves")
    first = families.Fourier().fit(targets.Function(np.exp, (-1.0, 1.0)), 31, norm=L2).function
    kink = targets.Function(lambda y: np.abs(y - 1), (0.0, 2.0), breakpoints=(1.0,))
    second = np.zeros(9)
    fitted = families.Fourier().fit(kink, 9, norm=L2).function
    second[fitted.terms] = fitted.coefficients
    judge = np.outer(first.coefficients, second)
    np.testing.assert_allclose(seen.found, judge, rtol=0, atol=1e-9)
    # Norms on the unit square, and the mean of the variation from end to end and back.
    assert seen.size == pytest.approx(math.sqrt(math.sinh(2) / 2 / 3), rel=1e-9)
    assert seen.variation == pytest.approx(max(2 * math.sinh(1) / 2, 2 * math.sinh(1)), rel=1e-2)
    assert seen.scale == pytest.approx(math.e, rel=1e-2)
    unit = largest_pairs(smooth, BOX, 12)
    for scale in (1e-300, 1e300):
        other = targets.Multivariate(lambda x, scale=scale: scale * product(x), ends)
        terms, coefficients, _, _ = largest_pairs(other, BOX, 12)
        np.testing.assert_array_equal(terms, unit[0])
        np.testing.assert_allclose(coefficients / scale, unit[1], rtol=1e-9)


def test_sums_over_a_cross_are_those_of_their_terms():
    rng = np.random.default_rng(0)
    terms = np.array([[0, 0], [0, 999], [1, 3], [2, 300], [7, 7], [640, 1], [641, 0], [900, 2]])
    coefficients = rng.normal(size=len(terms))
    x = rng.uniform(0, 1, (40, 2))
    for basis in ("waves", "legendre"):
        series = families.TensorSeries(coefficients, terms, ((0.0, 0.0), (1.0, 1.0)), basis, True)
        judge = np.zeros(len(x))
        for c, pair in zip(coefficients, terms, strict=True):
            factors = [_one(basis, k, x[:, axis]) for axis, k in enumerate(pair)]
            judge += c * factors[0] * factors[1]
        np.testing.assert_allclose(series(x), judge, rtol=0, atol=1e-11)


def _one(basis, k, t):
    if basis == "legendre":
        return np.polynomial.legendre.Legendre.basis(int(k))(2 * t - 1)
    return families.Waves(np.ones(1), np.array([k]), (0.0, 1.0), True)(t)


def test_files_name_pairs_of_a_cross():
    fitted = LARGEST.fit(KINKS, 300, norm=L2)
    rounded = families.Quantized(LARGEST, families.Bits(12)).round(fitted, KINKS, norm=L2)
    # In the square of the highest frequencies it would be 1.4 times as many.
    side = fitted.function.terms.max(axis=0) + 1
    count = fitted.connectivity
    square = math.log2(math.comb(int(np.prod(side)), count))
    assert rounded.position_bits < square / 1.4
    code = codes.encode(rounded)
    assert code.bits <= 1.1 * rounded.bits + 55
    decoded = codes.decode(code)
    np.testing.assert_array_equal(decoded.terms, rounded.function.terms)
    np.testing.assert_array_equal(decoded.coefficients, rounded.function.coefficients)
