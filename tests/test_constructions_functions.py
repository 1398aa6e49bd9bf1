"""Splines, hats in several variables, Taylor polynomials on them, cached Lipschitz networks."""

import itertools
import math
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.interpolate

from qrelu.constructions import (
    alphabet,
    cached_lipschitz,
    partition_of_unity,
    sobolev_taylor,
    spline,
    topology,
    trade_depth_for_precision,
)
from qrelu.networks import SparseMatrix, pieces, realize, realize_exact


def _forward(net, xs):
    """The function in plain NumPy: nothing to compile for every architecture."""
    h = np.asarray(xs, np.float64).T
    for i, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        w = w.to_scipy() if isinstance(w, SparseMatrix) else np.asarray(w)
        h = w @ (np.maximum(h, 0) if i else h) + np.asarray(b)[:, None]
    return h.T


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(4))
def test_spline_certificates_are_the_exact_errors(seed, dtype):
    rng = np.random.default_rng(seed)
    knots = np.unique(rng.normal(size=60).astype(dtype)).astype(np.float64)
    values = rng.normal(size=knots.size)
    net, certificate, counts = spline(knots, values, dtype=dtype)
    found = realize_exact(net, knots[:, None])[:, 0]
    asked = [Fraction(float(v)) for v in values.astype(dtype)]
    worst = max(abs(a - b) for a, b in zip(found, asked, strict=True))
    assert certificate.exact and float(worst) <= certificate.bound <= float(worst) * (1 + 1e-15)
    # Rounding errors do not add up: a few units in the last place of the largest value and slope.
    slopes = np.abs(np.diff(values) / np.diff(knots))
    reach = np.max(slopes) * np.max(np.diff(knots)) + np.max(np.abs(values))
    assert certificate.bound <= 4 * np.finfo(dtype).eps * reach
    assert counts.connectivity <= 3 * (knots.size - 1) + 1 and counts.depth == 2
    kinks = pieces(net, float(knots[0]), float(knots[-1]), exact=True).breakpoints
    assert kinks.tolist() == [Fraction(t) for t in knots.tolist()]


def test_a_spline_of_whole_numbers_has_no_error():
    net, certificate, counts = spline([-2, 0, 1, 3], [4, -4, 0, 0])
    assert certificate.bound == 0
    xs = np.linspace(-2, 3, 21)
    judge = scipy.interpolate.interp1d([-2, 0, 1, 3], [4, -4, 0, 0])(xs)
    np.testing.assert_allclose(_forward(net, xs[:, None])[:, 0], judge, atol=1e-15)
    assert counts.widths == (1, 3, 1)


def test_knots_without_a_kink_cost_nothing():
    assert spline([0, 1, 2, 3], [0, 1, 2, 0]).counts.widths == (1, 2, 1)
    net, certificate, _ = spline([0, 1, 2], [5, 5, 5])
    assert certificate.bound == 0 and realize_exact(net, [[1.5]]).tolist() == [[5]]


@pytest.mark.parametrize("cells", [4, 32, 256])
def test_splines_of_smooth_functions(cells):
    net, certificate, _ = spline(np.linspace(0, 3, cells + 1), np.sin, curvature=1.0)
    bound = (3 / cells) ** 2 / 8
    assert bound <= certificate.bound <= bound * (1 + 1e-10)
    xs = np.linspace(0, 3, 5001)
    worst = np.max(np.abs(_forward(net, xs[:, None])[:, 0] - np.sin(xs)))
    assert 0.8 * bound <= worst <= certificate.bound


@pytest.mark.parametrize("d, n", [(1, 1), (1, 7), (2, 3), (3, 2), (3, 3), (4, 2), (5, 1)])
def test_hats_are_a_partition_of_unity(d, n):
    net, certificate, counts = partition_of_unity(d, n)
    rng = np.random.default_rng(d)
    xs = np.concatenate([rng.integers(0, 1025, (60, d)) / 1024, np.ones((1, d)), np.zeros((1, d))])
    values = realize_exact(net, xs)
    assert (values.sum(axis=1) == 1).all() and (values >= 0).all()
    assert (np.count_nonzero(values, axis=1) <= d + 1).all()
    assert certificate.bound == 0 and certificate.exact
    grid = np.array(list(itertools.product(range(n + 1), repeat=d)))
    away = np.abs(np.array([[Fraction(t) for t in x] for x in xs.tolist()])[:, None] * n - grid)
    assert not values[(away >= 1).any(axis=2)].any()
    # Affine functions come back: sum of hat_m m / n is x.
    assert (values @ grid == n * xs.astype(object)).all()
    assert counts.depth == 3 + math.ceil(math.log2(d))
    known = {1: 8 * n + 6, 2: 10 * (n + 1) ** 2 + 10 * (n + 1) - 4}
    assert counts.connectivity == known.get(d, counts.connectivity)


def test_hats_are_evaluated_exactly_in_float32():
    net = partition_of_unity(2, 6).network
    xs = (np.random.default_rng(0).integers(0, 2**9 + 1, (100, 2)) / 2**9).astype(np.float32)
    values = _forward(net, xs)
    single = np.asarray(
        realize(
            type(net)(
                [np.asarray(w, np.float32) for w in net.weights],
                [b.astype(np.float32) for b in net.biases],
            ),
            xs,
        )
    )
    assert single.dtype == np.float32
    assert single.tolist() == values.tolist()


def _plane_wave(direction, phase=0.3):
    """sin(a . x + phase), all of whose derivatives are at most 1 for |a_k| <= 1."""
    a = np.asarray(direction)
    turns = [np.sin, np.cos, lambda t: -np.sin(t), lambda t: -np.cos(t)]
    return lambda v, x: np.prod(a ** np.array(v)) * turns[sum(v) % 4](x @ a + phase)


def _taylor(derivative, accuracy, d, n, **options):
    function = lambda x: derivative((0,) * d, x)  # noqa: E731
    return sobolev_taylor(
        function, accuracy, dimension=d, order=n, derivative=derivative, **options
    )


def _mixed(v, x):
    """The product of exp(-x_k), all derivatives at most 1."""
    return (-1.0) ** sum(v) * np.exp(-x.sum(axis=1))


@pytest.mark.parametrize("f", [_plane_wave, _mixed])
@pytest.mark.parametrize(
    "d, n, accuracy",
    [(1, 1, 0.02), (1, 2, 1e-3), (1, 3, 1e-4), (1, 5, 1e-7), (2, 1, 0.1), (2, 2, 0.02)]
    + [(2, 3, 5e-3), (3, 1, 0.5), (3, 2, 0.1), (3, 3, 0.05), (4, 2, 0.9)],
)
def test_taylor_polynomials_in_several_variables(f, d, n, accuracy):
    derivative = f if f is _mixed else f(np.linspace(0.6, 1, d))
    net, certificate, counts = _taylor(derivative, accuracy, d, n)
    assert certificate.bound <= accuracy
    rng = np.random.default_rng(0)
    xs = np.concatenate([rng.random((2000, d)), np.eye(d), np.zeros((1, d)), np.ones((1, d))])
    worst = np.max(np.abs(_forward(net, xs)[:, 0] - derivative((0,) * d, xs)))
    assert worst <= certificate.bound
    assert max(v for v in counts.widths) >= 1 and counts.widths[0] == d


def test_taylor_polynomials_are_reproduced_but_for_the_products():
    # Of a quadratic function the polynomials of degree 2 are the function itself.
    def derivative(v, x):
        quadratic = {(0, 0): x[:, 0] * x[:, 1] / 2 - x[:, 1] ** 2 / 4, (1, 0): x[:, 1] / 2}
        quadratic |= {(0, 1): x[:, 0] / 2 - x[:, 1] / 2, (1, 1): np.full(len(x), 0.5)}
        return quadratic.get(v, np.full(len(x), -0.5 if v == (0, 2) else 0.0))

    net, certificate, _ = _taylor(derivative, 0.5, 2, 3, cells=3)
    taylor = 2**3 / math.factorial(3) / 3**3
    xs = np.random.default_rng(0).random((500, 2))
    worst = np.max(np.abs(_forward(net, xs)[:, 0] - derivative((0, 0), xs)))
    assert worst <= certificate.bound - taylor + 1e-12
    exact = realize_exact(net, xs[:3])[:, 0]
    np.testing.assert_allclose(exact.astype(float), _forward(net, xs[:3])[:, 0], atol=1e-11)


def test_the_topology_of_taylor_networks_does_not_depend_on_the_function():
    nets = [_taylor(_plane_wave(a), 0.05, 2, 2).network for a in ([1, 0.7], [0.3, 0.9])]
    assert topology(nets[0]) == topology(nets[1])
    assert isinstance(nets[0].weights[-2], SparseMatrix)


def test_the_scale_scales():
    small = _taylor(_plane_wave([1.0]), 0.01, 1, 2)
    large = _taylor(lambda v, x: 8 * _plane_wave([1.0])(v, x), 0.08, 1, 2, scale=8.0)
    assert large.counts.widths == small.counts.widths
    assert large.certificate.bound == pytest.approx(8 * small.certificate.bound, rel=1e-9)


def _walk(rng, n):
    """A Lipschitz function without regularity: a random walk."""
    heights = np.concatenate([[0], np.cumsum(rng.choice([-1, 1], n))]) / n
    return lambda x: np.interp(x, np.arange(n + 1) / n, heights)


LIPSCHITZ = {
    "walk": _walk(np.random.default_rng(0), 1024),
    "kink": lambda x: np.abs(x - 0.3),
    "sine": lambda x: np.sin(5 * x) / 5 - 3,
    "constant": lambda x: 0.7 + 0 * x,
    "steep": lambda x: 1 - x,
    "teeth": lambda x: np.abs(7 * x % 1 - 0.5) / 7,
}


@pytest.mark.parametrize("name", LIPSCHITZ)
@pytest.mark.parametrize("accuracy", [0.7, 0.1, 0.011, 2.0**-10])
def test_cached_lipschitz(name, accuracy):
    f = LIPSCHITZ[name]
    net, certificate, counts = cached_lipschitz(f, accuracy)
    assert certificate.bound <= accuracy and counts.depth <= 5
    xs = np.concatenate([np.random.default_rng(1).random(3000), np.linspace(0, 1, 1025)])
    assert np.max(np.abs(_forward(net, xs[:, None])[:, 0] - f(xs))) <= certificate.bound


def test_cached_lipschitz_is_a_path_of_unit_slopes():
    f = LIPSCHITZ["walk"]
    net, certificate, counts = cached_lipschitz(f, 1 / 20, cells=8, steps=4)
    xs = [[Fraction(i, 64)] for i in range(65)]  # nodes and middles of 32 steps
    values = realize_exact(net, xs)[:, 0] * 32
    even, odd = values[::2], values[1::2]
    assert all(v.denominator == 1 for v in even)
    assert set(np.diff(even)) == {-1, 1}
    assert (odd == (even[1:] + even[:-1]) / 2).all()
    assert counts.connectivity <= 12 * 8 + (7 * 4 - 6) * 8 + 10


def test_cached_lipschitz_with_few_values():
    net = cached_lipschitz(LIPSCHITZ["walk"], 1 / 20, cells=8, steps=4).network
    few = trade_depth_for_precision(net).network
    xs = [[Fraction(i, 97)] for i in range(98)]
    assert realize_exact(few, xs).tolist() == realize_exact(net, xs).tolist()
    assert set(np.abs(alphabet(few))) <= {0.5, 1.0, 1.5}


@pytest.mark.parametrize("k", range(4, 15, 2))
def test_cached_lipschitz_takes_fewer_weights_than_steps_need(k):
    accuracy = 2.0**-k
    c = cached_lipschitz(_walk(np.random.default_rng(k), 2**14), accuracy)
    t = c.counts.widths[1] // 2
    m = round(1 / (c.certificate.bound * t))
    assert c.counts.connectivity <= 12 * t + (7 * m - 6) * min(2 ** (m + 1), t) + 10
    assert c.counts.connectivity * accuracy * math.log(1 / accuracy) < 30


def test_another_lipschitz_constant():
    net, certificate, _ = cached_lipschitz(lambda x: 3 * np.sin(x), 0.01, lipschitz=3.0)
    xs = np.linspace(0, 1, 3001)
    worst = np.max(np.abs(_forward(net, xs[:, None])[:, 0] - 3 * np.sin(xs)))
    assert 0.005 < worst <= certificate.bound <= 0.01


def test_jax_differentiates_the_function():
    def f(x):
        return jnp.sin(x @ jnp.array([0.6, 1.0]) + 0.3)

    ours = sobolev_taylor(f, 0.01, dimension=2, order=3)
    judge = _taylor(_plane_wave([0.6, 1.0]), 0.01, 2, 3)
    assert topology(ours.network) == topology(judge.network)
    for a, b in zip(ours.network.weights, judge.network.weights, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=1e-12)


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda: spline([0.0], [1.0]), "at least two numbers"),
        (lambda: spline([0.0, 0.0], [1.0, 2.0]), "finite and increasing"),
        (lambda: spline([0.0, 1.0], [1.0]), "one finite value per knot"),
        (lambda: spline([0.0, 1.0], [1.0, math.nan]), "some of them not finite"),
        (lambda: spline([0.0, 1e-300], [0.0, 1e300]), "slopes that float64 can hold"),
        (lambda: spline([0.0, 1.0], np.sin, curvature=-1.0), "not negative; got -1.0"),
        (lambda: spline([0.0, 0.1], np.sin, curvature=1, dtype=np.float32), "numbers of float32"),
        (lambda: partition_of_unity(0, 4), "from 1 to 16; got 0"),
        (lambda: partition_of_unity(2, 0), "at least 1; got 0"),
        (lambda: partition_of_unity(16, 4), "2.22 nodes"),
        (lambda: _taylor(_mixed, 0.0, 1, 1), "between 0 and 1"),
        (lambda: _taylor(_mixed, 0.1, 7, 1), r"dimension.*from 1 to 6; got 7"),
        (lambda: _taylor(_mixed, 0.1, 1, 0), r"order.*from 1 to 8; got 0"),
        (lambda: _taylor(_mixed, 0.1, 1, 2, cells=1), "be enough for the accuracy"),
        (lambda: _taylor(_mixed, 1e-4, 4, 1), "2.22 nodes"),
        (lambda: _taylor(lambda v, x: 2 * _mixed(v, x), 0.1, 1, 2), "reaches 2.* Take `scale=2`"),
        (lambda: _taylor(lambda v, x: x[:2], 0.1, 1, 2), r"to . values, and so.*shape \(2, 1\)"),
        (lambda: _taylor(lambda v, x: math.nan * x, 0.1, 1, 2), "NaN or infinity from the func"),
        (lambda: cached_lipschitz(np.sin, 1.0), "between 0 and 1"),
        (lambda: cached_lipschitz(lambda x: 2 * x, 0.1), r"slope is 2 somewhere.*larger constant"),
        (lambda: cached_lipschitz(lambda x: x[:2], 0.1), "same shape"),
        (lambda: cached_lipschitz(np.sin, 1e-8), "at most 2.22 steps"),
        (lambda: cached_lipschitz(np.sin, 0.1, cells=2, steps=2), "product of at least 11"),
        (lambda: cached_lipschitz(np.sin, 0.1, lipschitz=0.0), "positive and finite"),
        (lambda: cached_lipschitz(np.sin, cells=4), "an accuracy or both sizes"),
    ],
)
def test_bad_input(call, match):
    with pytest.raises(ValueError, match=match):
        call()
