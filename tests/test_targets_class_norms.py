"""Norms of piecewise polynomials and draws on awkward intervals, by mpmath."""

import math

import flint
import jax
import mpmath
import numpy as np
import pytest

from qrelu import targets
from qrelu.targets._class_norms import cells_of, lp_bounds

KEY = jax.random.key(7)


def _real_roots(terms):
    """Real roots of a polynomial with rational coefficients, certified balls of 40 digits."""
    scaled = flint.fmpq_poly(terms).numer()
    with flint.ctx.workdps(40):
        roots = [root for root, _ in scaled.complex_roots()] if scaled.degree() > 0 else []
    return {mpmath.mpf(root.real.mid().str(40, radius=False)) for root in roots if root.imag == 0}


def _horner(terms, t):
    return sum((c * t**k for k, c in enumerate(terms)), mpmath.mpf(0))


def _by_mpmath(f, p):
    """The norm of f in L^p, between exact zeros and turning points, in 40 digits."""
    with mpmath.workdps(40):
        pieces = []
        for u, v, row in zip(f.knots[:-1], f.knots[1:], f.coefficients, strict=True):
            u, v, *row = (flint.fmpq(*float(t).as_integer_ratio()) for t in (u, v, *row))
            terms = [c * (v - u) ** k for k, c in enumerate(row)]
            slope = [k * c for k, c in enumerate(terms)][1:]
            inside = {t for t in _real_roots(terms) | _real_roots(slope) if 0 < t < 1}
            h, *terms = (mpmath.mpf(int(t.p)) / int(t.q) for t in (v - u, *terms))
            pieces.append((h, terms, [0, *sorted(inside), 1]))
        size = max(abs(_horner(terms, t)) for _, terms, ends in pieces for t in ends)
        if p == math.inf:
            return float(size)

        def integral(terms, ends):
            # Tolerances are absolute: relative to the size.
            return mpmath.quad(lambda t: abs(_horner(terms, t) / size) ** p, ends)

        area = sum(h * integral(terms, ends) for h, terms, ends in pieces)
        return float(size * area ** (1 / mpmath.mpf(p)))


@pytest.mark.parametrize("p", [1, 1.3, 2, 2.7, 20, 100, math.inf])
def test_norms_of_piecewise_polynomials_by_mpmath(p):
    rng = np.random.default_rng(5)
    for degree in (2, 3, 6):
        knots = np.cumsum([0.0, 0.3, 1.7])
        f = targets.PiecewisePolynomial(knots, rng.normal(size=(2, degree + 1)))
        lower, upper = lp_bounds(f, cells_of(f), float(p))
        assert lower == upper == pytest.approx(_by_mpmath(f, p), rel=1e-10)
    # A double zero, and two zeros or none nearby.
    for gap in (-1e-6, 0.0, 1e-6):
        f = targets.PiecewisePolynomial(np.array([0.0, 1.0]), np.array([[0.25 + gap, -1.0, 1.0]]))
        assert lp_bounds(f, cells_of(f), float(p))[0] == pytest.approx(_by_mpmath(f, p), rel=1e-10)


@pytest.mark.parametrize(
    "cls",
    [
        targets.Sobolev(6, 2, domain=(-1e3, 1e3)),
        targets.Sobolev(4, 1.3, domain=(0.0, 300.0)),
        targets.Sobolev(3, math.inf, domain=(0.0, 50.0)),
        targets.Hoelder(3.5, domain=(-20.0, 40.0)),
        targets.PiecewiseSmooth(3.5, 2, domain=(0.0, 90.0)),
    ],
    ids=lambda cls: cls.name,
)
def test_smooth_draws_whose_size_is_the_radius(cls):
    """On long intervals the function itself is what is large."""
    for f in (cls.extremal(16, key=KEY), cls.draw(cells=16, kind=0, key=KEY)):
        assert _by_mpmath(f, getattr(cls, "p", math.inf)) == pytest.approx(1.0, rel=1e-10)
        found = cls.examine(f)
        assert found.answer is True
        assert found.lower == pytest.approx(1.0, rel=1e-10) == found.upper


@pytest.mark.parametrize("s", [0.9, 1, 1.5])
@pytest.mark.parametrize("domain", [(0.0, 1e-6), (0.0, 1e-13), (1e6, 1e6 + 1)])
def test_draws_with_jumps_on_awkward_intervals_are_on_the_ball(s, domain):
    """The gain over a short piece is far below the rounding of a value near the radius."""
    cls = targets.PiecewiseSmooth(s, 2, domain=domain)
    for i in range(20):
        found = cls.examine(cls.extremal(20, key=jax.random.key(i)))
        assert found.answer is True and found.lower == pytest.approx(1.0, rel=1e-9)


def test_a_jump_next_to_a_knot_stands_there():
    """Two knots that norms cannot tell apart would hide a jump in a cell."""

    class Places(np.random.Generator):
        def uniform(self, *_):
            return np.array([0.25 + 1e-15, 0.5 - 1e-15])

    smooth = targets.Data([0, 0.25, 0.5, 0.75, 1], [0.1, -0.1, 0.1, -0.1, 0.1])
    f = targets.PiecewiseSmooth(1, 2)._with_jumps(Places(np.random.PCG64(0)), smooth, "jumps")
    assert targets.PiecewiseSmooth(1, 2).contains(f) is True
    np.testing.assert_array_equal(f.knots, smooth.knots)
    slopes = f.coefficients[:, 1]
    np.testing.assert_allclose(slopes, slopes[0] * np.array([1, -1, 1, -1]))
