"""Besov norms know their own rounding: no draw is refuted, and what is outside still is."""

import math

import jax
import mpmath
import numpy as np
import pytest
import pywt

from qrelu import targets
from qrelu.targets._besov_class import coefficients_of_polygon, rounding_of_coefficients


@pytest.mark.parametrize(
    "s, p, q",
    [
        (2.5, math.inf, 1),
        (2.4, math.inf, 1),
        (2.75, 2, 2),
        (2.0, math.inf, math.inf),
        (2.5, 0.5, 1),
    ],
)
def test_no_draw_is_refuted(s, p, q):
    """The weight 2^(j s) of level j enlarges the rounding of the values of a smooth function."""
    cls = targets.Besov(s, p, q)
    key = jax.random.key(1)
    drawn = [cls.draw(cells=n, kind=k, key=key) for n in (1024, 8192) for k in (0, 1)]
    for f in [*drawn, *cls.draws(1000, 6, key=key)]:
        found = cls.examine(f)
        assert found.answer is None and 0.98 <= found.lower <= 1 + 1e-9, (f.name, found)
        larger = targets.Data(f.knots, 1.03 * f.values)
        assert cls.contains(larger) is False, f.name


def _by_mpmath(values, wavelet):
    """Coefficients of a periodic polygon in 40 digits, from the filter alone."""
    h = [mpmath.mpf(float(x)) for x in pywt.Wavelet(wavelet).rec_lo]
    g = [mpmath.mpf(float(x)) for x in pywt.Wavelet(wavelet).rec_hi]
    hat, n = [mpmath.mpf(1) / 2, 1, mpmath.mpf(1) / 2], len(h) + 2
    # Moments of hat and scaling function: the eigenvector of the two-scale relation, of sum 1.
    weights = [mpmath.mpf(0)] * n
    for i, a in enumerate(h):
        for j, b in enumerate(hat):
            weights[i + j] += a * b / mpmath.sqrt(2)
    matrix = mpmath.matrix(n, n)
    for i in range(n):
        for k in range(n):
            matrix[i, k] = (weights[2 * i - k] if 0 <= 2 * i - k < n else 0) - (i == k)
    for k in range(n):
        matrix[n - 1, k] = 1
    moments = mpmath.lu_solve(matrix, mpmath.matrix([0] * (n - 1) + [1]))
    count = len(values)
    exact = [mpmath.mpf(float(v)) for v in values]
    a = [
        sum(moments[m] * exact[(k + m - 1) % count] for m in range(n)) / mpmath.sqrt(count)
        for k in range(count)
    ]
    details = []
    while len(a) > 1:
        size = len(a)
        places = range(size // 2)
        details.append([sum(g[m] * a[(2 * k + m) % size] for m in range(len(g))) for k in places])
        a = [sum(h[m] * a[(2 * k + m) % size] for m in range(len(h))) for k in places]
    return np.array([float(a[0]), *(float(d) for level in details[::-1] for d in level)])


@pytest.mark.parametrize("wavelet", ["db2", "db5", "db8"])
def test_coefficients_are_wrong_by_less_than_their_rounding(wavelet):
    rng = np.random.default_rng(0)
    smooth = np.cos(2 * np.pi * np.arange(128) / 128) + 5
    for values in (smooth, rng.normal(size=128) * 1e3):
        with mpmath.workdps(40):
            exact = _by_mpmath(values, wavelet)
        found = coefficients_of_polygon(values, wavelet)
        rounding = rounding_of_coefficients(values, wavelet)
        assert rounding.shape == found.shape
        assert (np.abs(found - exact) <= rounding).all()
        # It is no blanket tolerance: some 10^4 units of the largest value at most.
        assert rounding.max() <= 2e-12 * np.abs(values).max()
