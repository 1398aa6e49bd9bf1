"""Draws that are hard for families that do not adapt: concentrated functions and simple ones."""

import math

import jax
import numpy as np
import pytest

from qrelu import families, norms, studies, targets

KEY = jax.random.key(3)
L2 = norms.L2()


def _slope(cls, family, sizes, norm=L2):
    """The slope of the worst error of twelve draws, and the errors over the proven lower bound."""
    table = studies.Study([cls], [family], sizes, norm).run(progress=False).table()
    slope = -np.polyfit(np.log(sizes), np.log(table["error"].to_numpy()), 1)[0]
    return slope, table["error_over_limit"].to_numpy()


@pytest.mark.parametrize(
    "cls, family, rate",
    [
        (targets.Besov(1.2, 1, 1), families.PiecewiseConstant(), 0.7),
        (targets.Besov(0.8, 1, 1), families.PiecewiseConstant(), 0.3),
        (targets.Besov(0.8, 1, 1), families.Spline(4), 0.3),
        (targets.Sobolev(1, 1), families.PiecewiseConstant(), 0.5),
        (targets.BoundedVariation(), families.PiecewiseConstant(), 0.5),
        (targets.Sobolev(2, 1), families.PiecewiseConstant(), 1.0),
    ],
)
def test_linear_families_show_their_rate_over_the_class(cls, family, rate):
    """s - 1/p + 1/2 in L2, at most the order of the family: no more is possible for p < 2."""
    sizes = [16, 32, 64, 128]
    slope, over = _slope(cls, family, sizes)
    assert slope <= rate + 0.08
    # The draws are as hard as what the lower bound is proven with.
    assert (over >= 0.9).all()


def test_no_single_hat_is_much_harder_than_the_draws():
    """Hats of the exact norm 1 in the ball, of many widths, on and between the ends of pieces."""
    cls, family, size = targets.Besov(1.2, 1, 1), families.PiecewiseConstant(), 64
    worst = max(
        float(L2.distance(family.fit(f, size, norm=L2).function, f))
        for f in cls.draws(size, 12, key=KEY)
    )
    for width in (1 / size, 0.5 / size, 0.25 / size):
        for center in (0.5, 0.5 + 0.5 / size):
            x = np.linspace(0, 1, size * 2**5 + 1)
            values = np.maximum(1 - np.abs(x - center) / width, 0)
            norm = cls.examine(targets.Data(x, values)).lower
            hat = targets.Data(x, values / norm)
            assert float(L2.distance(family.fit(hat, size, norm=L2).function, hat)) <= worst


def test_families_that_adapt_keep_the_rate_of_the_class():
    """Best terms of wavelets do not mind how few wavelets there are."""
    slope, _ = _slope(targets.Besov(1.2, 1, 1), families.get("db3"), [16, 32, 64, 128])
    assert slope >= 1.0


ALL = [
    targets.Lipschitz(),
    targets.Hoelder(0.5, 2.0),
    targets.Hoelder(2.5, domain=(-1.0, 3.0)),
    targets.Sobolev(1, 1),
    targets.Sobolev(2, 1.3, radius=2.0, domain=(0.0, 20.0)),
    targets.Sobolev(4, 1),
    targets.Sobolev(3, math.inf),
    targets.BoundedVariation(2.0),
    targets.PiecewiseSmooth(0.4, 2),
    targets.PiecewiseSmooth(3.0, 3),
    targets.Besov(0.6, 1, 1),
    targets.Besov(2.5, math.inf, 1),
]


@pytest.mark.parametrize("cls", ALL, ids=[c.name for c in ALL])
@pytest.mark.parametrize("size", [1, 2, 37, 500])
def test_all_kinds_are_on_the_boundary(cls, size):
    found = cls.draws(size, 14, key=KEY)
    for f in found:
        known = cls.examine(f)
        assert known.answer is not False, (f.name, known)
        assert known.lower == pytest.approx(cls.radius, rel=0.01), f.name
        if not isinstance(cls, targets.Besov):
            assert known.answer is True, (f.name, known)


def test_the_kinds_and_their_scales():
    names = [f.name for f in targets.Sobolev(2, 1).draws(100, 12, key=KEY)]
    assert names[2] == "one steep piece of 1/200" and names[3] == "polynomial of degree 1"
    assert names[6] == "10 steep pieces of 1/200"
    assert names[7] == "one steep piece of 1/100" and names[10] == "one steep piece of 1/400"
    drawn = targets.Sobolev(1, 1).draws(100, 12, key=KEY)
    for place, length, count in ((2, 1 / 200, 1), (6, 1 / 200, 10), (7, 1 / 100, 1)):
        f = drawn[place]
        steep = np.diff(f.knots)[np.abs(np.diff(f.values)) > 1e-3]
        np.testing.assert_allclose(steep, np.full(count, length))


@pytest.mark.parametrize("p", [1, 2, math.inf])
@pytest.mark.parametrize("m", [2, 3, 4])
def test_no_polynomial_of_the_class_has_a_larger_leading_term(m, p):
    """Against random polynomials of the same norm; p = 2: Legendre's is the best by its formula."""
    a, b = -1.0, 1.5
    f = targets.Sobolev(m, p, domain=(a, b))._simplest(np.random.default_rng(0), 64)
    leading = abs(f.coefficients[0, m - 1])
    x = np.linspace(a, b, 4001)
    rng = np.random.default_rng(1)
    for scale in (0.01, 0.1, 1.0) * 20:
        other = f.coefficients[0] * (1 + scale * rng.normal(size=m))
        values = np.abs(np.polynomial.polynomial.polyval(x - a, other))
        norm = values.max() if p == math.inf else np.trapezoid(values**p, x) ** (1 / p)
        assert abs(other[m - 1]) / norm <= leading * (1 + 1e-3)
