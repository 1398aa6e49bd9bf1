"""Sawtooth, square and product: errors that are known exactly, counts, exact evaluation."""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from qrelu.constructions import product, sawtooth, square, topology, unit_product
from qrelu.networks import pieces, realize, realize_exact

LEVELS = pytest.mark.parametrize("m", range(1, 13))


def _lattice(m, low, high):
    """All pairs of multiples of 2^-m between two whole numbers."""
    g = np.arange(low * 2**m, high * 2**m + 1) / 2**m
    return np.stack(np.meshgrid(g, g), -1).reshape(-1, 2)


def _errors(network, xs):
    values = realize_exact(network, xs)[:, 0]
    exact = [Fraction(x) * Fraction(y) for x, y in xs.tolist()]
    return [v - e for v, e in zip(values, exact, strict=True)]


@pytest.mark.parametrize("s", range(1, 9))
def test_sawtooth(s):
    net, certificate, counts = sawtooth(s)
    found = pieces(net, 0, 1, exact=True)
    assert found.breakpoints.tolist() == [Fraction(k, 2**s) for k in range(2**s + 1)]
    assert found.values[:, 0].tolist() == [k % 2 for k in range(2**s + 1)]
    assert pieces(net, -1, 0, exact=True).values.tolist() == [[0], [0]]
    assert pieces(net, 1, 2, exact=True).values.tolist() == [[0], [0]]
    assert certificate.bound == 0 and certificate.exact
    assert counts.widths == (1, *[3] * s, 1)
    assert counts.connectivity == 11 * s - 3 and counts.magnitude == 4


@pytest.mark.parametrize("dtype, most", [(np.float32, 24), (np.float64, 53)])
def test_sawtooth_is_exact_at_every_float(dtype, most):
    net = sawtooth(most, dtype=dtype).network
    xs = np.random.default_rng(0).random((200, 1)).astype(dtype)
    assert net.weights[0].dtype == dtype
    assert np.asarray(realize(net, xs)).tolist() == realize_exact(net, xs).tolist()
    with pytest.raises(ValueError, match=rf"sawtooth\(levels\).*from 1 to {most}"):
        sawtooth(most + 1, dtype=dtype)


@LEVELS
def test_square_has_exactly_the_stated_error(m):
    net, certificate, counts = square(levels=m)
    found = pieces(net, 0, 1, exact=True)
    knots = found.breakpoints
    assert knots.tolist() == [Fraction(k, 2**m) for k in range(2**m + 1)]
    assert (found.values[:, 0] == knots**2).all()
    middles = (knots[1:] + knots[:-1]) / 2
    assert set(found(middles)[:, 0] - middles**2) == {Fraction(1, 4 ** (m + 1))}
    assert certificate.bound == 4.0 ** -(m + 1) and certificate.exact
    assert counts.depth == m + 1 and counts.width == 3
    assert counts.connectivity == 8 * m - 1 and counts.magnitude == 1
    assert square(4.0 ** -(m + 1)).counts == counts
    assert m == 1 or square(4.0 ** -(m + 1) * 1.01).counts.depth == m + 1
    assert m == 1 or square(4.0**-m).counts.depth == m


@LEVELS
@pytest.mark.parametrize("p", [1, 2, 3, 2.5])
def test_square_in_l_p(m, p):
    with mpmath.workdps(30):
        # The error is y (h - y) on every cell; quadrature is independent of the beta function.
        h = mpmath.mpf(2) ** -m
        cell = mpmath.quad(lambda y: (y * (h - y)) ** p, [0, h / 2, h])
        judge = (2**m * cell) ** (mpmath.mpf(1) / p)
    certificate = square(levels=m, norm=p).certificate
    assert certificate.norm == f"L{p:g}"
    assert float(judge) * (1 - 1e-12) <= certificate.bound <= float(judge) * (1 + 1e-12)


def test_square_for_an_accuracy_in_l_1():
    assert square(1 / 25, norm="L1").counts.depth == 3
    assert square(1 / 24 * 1.001, norm="L1").counts.depth == 2  # 4^-1 / 6
    assert square(levels=1, norm="L1").certificate.bound == pytest.approx(1 / 24, rel=1e-12)
    assert square(levels=3, norm=1e4).certificate.bound == pytest.approx(4**-4, rel=2e-3)


@pytest.mark.parametrize("dtype, most", [(np.float32, 12), (np.float64, 26)])
def test_square_is_exact_up_to_the_stated_levels(dtype, most):
    rng = np.random.default_rng(0)

    def worst(m):
        net = square(levels=m, dtype=dtype, allow_rounding=True).network
        k = np.concatenate([rng.integers(0, 2**m + 1, 300), 2**m - np.arange(9)])
        xs = (k / 2.0**m).astype(dtype)[:, None]
        values = np.asarray(realize(net, xs), np.float64)
        assert (realize_exact(net, xs)[:, 0] == [Fraction(float(x)) ** 2 for x in xs[:, 0]]).all()
        exact = realize_exact(net, xs)[:, 0]
        both = zip(exact, values[:, 0].tolist(), strict=True)
        return max(abs(e - Fraction(v)) for e, v in both)

    assert worst(most) == 0
    assert worst(most + 1) > 0
    with pytest.raises(ValueError, match="at most .* levels of squaring"):
        square(levels=most + 1, dtype=dtype)


@pytest.mark.parametrize("radius", [0.25, 1, 1.5, 2, 4])
@pytest.mark.parametrize("accuracy", [0.9, 0.1, 2e-3])
def test_product(radius, accuracy):
    net, certificate, counts = product(accuracy, radius)
    p = max(0, math.ceil(math.log2(radius)))
    m = counts.widths.count(5)
    assert certificate.bound == 4.0 ** (p - m - 1) <= accuracy
    assert m == 1 or 4.0 ** (p - m) > accuracy
    assert counts.widths == (2, 4, *[5] * m, *[4] * 2 * p, 1)
    assert counts.connectivity == 15 * m + (28 + 16 * p if p else 14)
    assert counts.magnitude == 1
    rng = np.random.default_rng(0)
    h = 2.0 ** (p - m - 1)
    lattice = rng.integers(-int(radius / h), int(radius / h) + 1, (300, 2)) * h
    special = np.array([[h, h], [h, -h], [radius, radius], [radius, -radius], [-radius, -radius]])
    xs = np.concatenate([lattice, special, rng.uniform(-radius, radius, (100, 2))])
    errors = _errors(net, xs)
    assert max(errors) == -min(errors) == Fraction(certificate.bound)


def test_product_has_the_right_sign_and_vanishes_on_the_axes():
    net = product(1e-4, 2.0).network
    assert _errors(net, np.array([[0.8, -0.5]]))[0] ** 2 < 1e-8
    xs = np.random.default_rng(0).uniform(-2, 2, (40, 1))
    zeros = np.zeros_like(xs)
    on_axes = np.concatenate([np.hstack([xs, zeros]), np.hstack([zeros, xs])])
    assert not realize_exact(net, on_axes).any()


@pytest.mark.parametrize("m", range(1, 6))
@pytest.mark.parametrize("form", ["difference", "midpoint"])
def test_products_of_numbers_in_the_unit_interval_have_exactly_the_stated_range(m, form):
    net, certificate, counts = unit_product(levels=m, form=form)
    xs = _lattice(m + 1, 0, 1)
    rng = np.random.default_rng(m)
    errors = _errors(net, np.concatenate([xs, rng.random((200, 2))]))
    e, factor = Fraction(1, 4 ** (m + 1)), 1 if form == "difference" else 2
    assert (min(errors), max(errors)) == (-e, factor * e)
    assert certificate.bound == factor * 4.0 ** -(m + 1) and certificate.exact
    values = realize_exact(net, xs)[:, 0]
    assert min(values) == 0
    assert form == "midpoint" or not values[np.prod(xs, axis=1) == 0].any()
    width, connectivity = ((5, 15 * m + 7), (7, 22 * m - 2))[factor - 1]
    assert counts.width == width and counts.connectivity == connectivity
    assert counts.depth == m + 3 - factor
    assert unit_product(factor * 4.0 ** -(m + 1), form=form).counts == counts


@pytest.mark.parametrize("dtype, most", [(np.float32, 11), (np.float64, 26)])
def test_products_are_exact_up_to_the_stated_levels(dtype, most):
    rng = np.random.default_rng(0)
    k = np.concatenate([rng.integers(0, 2 ** (most - 1) + 1, (200, 2)), [[1, 2 ** (most - 1) - 1]]])
    xs = (k / 2.0 ** (most - 1)).astype(dtype)
    accuracy = 4.0 ** -(most + 1)
    nets = [unit_product(2 * accuracy, form=f, dtype=dtype) for f in ("difference", "midpoint")]
    signs = rng.choice([-1, 1], xs.shape).astype(dtype)
    for net, points in [(nets[0], xs), (nets[1], xs), (product(accuracy, dtype=dtype), xs * signs)]:
        values = np.asarray(realize(net.network, points), np.float64)
        assert (realize_exact(net.network, points) == values.astype(object)).all()
    for call in (product, unit_product):
        with pytest.raises(ValueError, match=f"at most {most} levels of squaring"):
            call(accuracy / 8, dtype=dtype)
        assert call(accuracy / 8, dtype=dtype, allow_rounding=True).certificate.bound <= accuracy


def test_the_topology_depends_on_the_levels_only():
    assert topology(product(0.1).network) == topology(product(0.2, 0.5).network)
    assert topology(product(0.1).network) != topology(product(0.01).network)


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda: square(), "one of the two; got neither"),
        (lambda: square(0.1, levels=2), "one of the two; got both"),
        (lambda: square(0.0), r"square\(accuracy=\.\.\.\).*between 0 and 1; got 0\.0"),
        (lambda: square(1.0), "between 0 and 1"),
        (lambda: square(math.nan), "between 0 and 1; got nan"),
        (lambda: square(levels=0), "at least 1; got 0"),
        (lambda: square(levels=1, norm=0.5), "p >= 1; got 0.5"),
        (lambda: square(levels=1, norm="H1"), "p >= 1; got 'H1'"),
        (lambda: square(levels=1, dtype=np.float16), "float32 or float64; got float16"),
        (lambda: sawtooth(0), "from 1 to 53; got 0"),
        (lambda: product(0.1, 0), r"radius=\.\.\..*positive and finite; got 0"),
        (lambda: product(0.1, math.inf), "positive and finite; got inf"),
        (lambda: product(-0.1), "between 0 and 1; got -0.1"),
        (lambda: unit_product(), "one of the two; got neither"),
        (lambda: unit_product(levels=0), "at least 1; got 0"),
    ],
)
def test_bad_input(call, match):
    with pytest.raises(ValueError, match=match):
        call()


def test_levels_are_whole_numbers():
    with pytest.raises(TypeError, match="whole number"):
        sawtooth(True)
