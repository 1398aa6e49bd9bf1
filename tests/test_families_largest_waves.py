"""The largest Fourier coefficients, wherever they are, and a note where that is not proven."""

import math

import mpmath as mp
import numpy as np
import pytest

from qrelu import families, norms, targets
from qrelu.families._fourier_coefficients import fourier_coefficients
from qrelu.families._quadrature import quadrature
from qrelu.families._waves import circled

L2 = norms.L2()
LARGEST = families.Fourier("largest")
THREE = targets.Function(
    lambda x: (
        np.cos(2 * np.pi * 3 * x)
        + 0.5 * np.sin(2 * np.pi * 17 * x)
        + 0.25 * np.cos(2 * np.pi * 40 * x)
    ),
    (0.0, 1.0),
    name="three waves",
)


def _wave(k):
    return targets.Function(lambda x: np.cos(2 * np.pi * k * x), (0.0, 1.0), name=f"cos {k}")


@pytest.mark.parametrize(
    "size, terms, error",
    [(1, [6], math.sqrt(5 / 32)), (2, [6, 33], 0.25 / math.sqrt(2)), (3, [6, 33, 80], 0.0)],
)
def test_terms_far_beyond_their_number_are_found(size, terms, error):
    fitted = LARGEST.fit(THREE, size, norm=L2)
    assert fitted.function.terms.tolist() == terms and fitted.notes == ""
    assert float(L2.distance(fitted.function, THREE)) == pytest.approx(error, abs=1e-13)


@pytest.mark.parametrize("k", [1, 100, 1024, 1025, 5000, 32_000])
@pytest.mark.parametrize("size", [1, 12])
def test_one_wave_of_any_frequency(k, size):
    fitted = LARGEST.fit(_wave(k), size, norm=L2)
    # cos of 2 pi k x is off by k units where x is: the others of 12 are rounding.
    assert 2 * k in fitted.function.terms
    assert "largest" not in fitted.notes or (size > 1 and k > 30_000)
    found = fitted.function.coefficients[fitted.function.terms == 2 * k]
    assert found == pytest.approx(math.sqrt(0.5), abs=1e-10)
    # Naming one of 2 k + 1 terms, not one of all that were searched.
    assert size > 1 or fitted.position_bits == pytest.approx(math.log2(2 * k + 1))


def test_what_is_not_proven_is_said():
    note = "largest terms up to frequency 32768 only"
    assert note in LARGEST.fit(_wave(40_000), 4, norm=L2).notes
    for k in (40_000, 123_456):
        coefficients, higher = fourier_coefficients(quadrature(_wave(k)), 512)
        # Whatever coefficients were found, one as large as that of the wave may lie beyond.
        assert higher >= math.sqrt(0.5) * 0.99 or np.max(np.abs(coefficients)) > 0.1


@pytest.mark.parametrize("highest", [1, 20, 300])
def test_no_higher_coefficient_exceeds_the_bound(highest):
    """|x| on a shifted domain, a jump, an oscillation; the judge has closed forms or SciPy."""
    kink = targets.Function(np.abs, (-0.5, 0.5), breakpoints=(0.0,), name="|x|")
    _, higher = fourier_coefficients(quadrature(kink), highest)
    first = highest + 1 + highest % 2
    # Cosines of sqrt(2)/(pi k)^2 for odd k; the rest by the trigamma's second derivative.
    tail = float(mp.psi(3, mp.mpf(first) / 2)) / 96
    assert math.sqrt(2) / (math.pi * first) ** 2 <= higher
    assert higher <= math.sqrt(2 * tail) / math.pi**2 * (1 + 1e-9)
    jump = targets.Function(lambda x: (x < 0.3) * 1.0, (0.0, 1.0), breakpoints=(0.3,), name="jump")
    _, higher = fourier_coefficients(quadrature(jump), highest)
    assert higher == pytest.approx(math.sqrt(2) / (math.pi * (highest + 1)), rel=1e-9)


@pytest.mark.parametrize("highest", [3, 64, 1500])
def test_coefficients_of_a_singular_function_and_of_data(highest):
    """The judges: the confluent hypergeometric function, and exact sums over the pieces."""
    root = targets.Function(np.sqrt, (0.0, 1.0), name="sqrt")
    coefficients, _ = fourier_coefficients(quadrature(root), highest)
    for k in {1, 2, highest}:
        exact = complex(mp.hyp1f1(1.5, 2.5, -2j * mp.pi * k) / 1.5)
        assert coefficients[2 * k] == pytest.approx(math.sqrt(2) * exact.real, abs=1e-13)
        assert coefficients[2 * k - 1] == pytest.approx(-math.sqrt(2) * exact.imag, abs=1e-13)
    x = np.sort(np.random.default_rng(0).uniform(size=40))
    y = np.random.default_rng(1).normal(size=40)
    data = targets.Data(x, y)
    coefficients, _ = fourier_coefficients(quadrature(data), highest)
    t = (x - x[0]) / (x[-1] - x[0])
    for k in {1, highest}:
        # By parts twice: the slopes' jumps, and the jump from end to end.
        slopes = np.diff(y) / np.diff(t)
        wave = np.exp(-2j * np.pi * k * t)
        exact = (y[-1] - y[0]) / (-2j * np.pi * k)
        exact += np.sum(slopes * np.diff(wave)) / (2 * np.pi * k) ** 2
        assert coefficients[2 * k] == pytest.approx(math.sqrt(2) * exact.real, abs=1e-12)
        assert coefficients[2 * k - 1] == pytest.approx(-math.sqrt(2) * exact.imag, abs=1e-12)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_huge_and_tiny_functions(scale):
    kink = targets.Function(lambda x: scale * np.abs(x), (-1.0, 1.0), breakpoints=(0.0,))
    for family in (LARGEST, families.Fourier()):
        unit = family.fit(targets.Function(np.abs, (-1.0, 1.0), breakpoints=(0.0,)), 9, norm=L2)
        fitted = family.fit(kink, 9, norm=L2)
        np.testing.assert_array_equal(fitted.function.terms, unit.function.terms)
        np.testing.assert_allclose(
            fitted.function.coefficients / scale, unit.function.coefficients, rtol=1e-9
        )


@pytest.mark.parametrize("count", [1, 2, 3, 64, 181])
def test_points_of_the_circle(count):
    turns = np.random.default_rng(0).uniform(-1, 1, 50)
    with mp.workdps(30):
        exact = [[complex(mp.expjpi(2 * k * mp.mpf(t))) for k in range(count)] for t in turns]
    np.testing.assert_allclose(circled(turns, count), exact, rtol=0, atol=3e-15)
