"""Bounds in balls around points, decisions, the differentiable bound, and the joint bounds."""

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

from qrelu import bounds, networks, quantizers
from qrelu.bounds._joint import joint_bounds
from qrelu.bounds._pair import as_layers
from qrelu.bounds._search import as_pair

pytestmark = pytest.mark.filterwarnings("ignore:.*to the single value.*")


def _network(rng, widths, dtype=np.float64):
    pairs = list(zip(widths, widths[1:], strict=False))
    weights = [(rng.normal(size=(n, m)) * np.sqrt(2 / m)).astype(dtype) for m, n in pairs]
    return networks.ReLUNetwork(weights, [rng.normal(size=n).astype(dtype) / 3 for _, n in pairs])


def _rounded(net, step, rounding="nearest"):
    return quantizers.quantize(net, quantizers.Uniform(step, rounding))


def _values(net, xs):
    """Values at points (inputs, points), in the network's own type."""
    h = np.asarray(xs).astype(net.weights[0].dtype)
    for i, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        h = np.asarray(w) @ (np.maximum(h, 0) if i else h) + np.asarray(b)[:, None]
    return h


# Every shape compiles once; the networks are related or not, the boxes small and large.
@pytest.mark.parametrize(
    "widths",
    [(3, 5, 5, 2), (4, 7, 1), pytest.param((3, 6, 6, 6, 1), marks=pytest.mark.slow), (5, 2)],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_joint_bounds_are_honest(widths, dtype):
    function = jax.jit(joint_bounds)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        net = _network(rng, widths, dtype)
        rounding = ["nearest", "floor", "toward_zero"][seed % 3]
        other = _rounded(net, 2.0 ** -rng.integers(0, 12), rounding)
        if seed % 4 == 0:
            other = _network(rng, widths, dtype)
        pair = as_pair(as_layers("c", net, None), as_layers("c", other, None))
        pair = jax.tree.map(lambda p: jnp.asarray(p, dtype), pair)
        center = rng.normal(size=(widths[0], 64)).astype(dtype)
        radius = (10 ** rng.uniform(-4, 0.5, center.shape)).astype(dtype)
        outcome = function(pair, center, radius)
        upper = np.asarray(outcome.upper, np.float64)
        # What is compiled and what is run step by step agree: a compiler's garbage would show.
        if seed == 1 and widths == (3, 5, 5, 2) and dtype == np.float32:
            plain = joint_bounds(pair, jnp.asarray(center), jnp.asarray(radius)).upper
            np.testing.assert_allclose(upper, plain, rtol=1e-3)
        wide = [[np.float64(p) for p in part] for part in pair]
        a, b = networks.ReLUNetwork(wide[0], wide[1]), networks.ReLUNetwork(wide[4], wide[5])
        for trial in range(60):
            share = (
                rng.uniform(-1, 1, center.shape) if trial % 2 else rng.choice([-1, 1], center.shape)
            )
            x = np.float64(center) + share * np.float64(radius) * (1 - 1e-12)
            d = _values(a, x) - _values(b, x)
            assert (np.concatenate([d, -d]) <= upper + 1e-13 * (1 + abs(upper))).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("radius", [0.0, 0.01, 0.5])
def test_points_are_honest(dtype, radius):
    rng = np.random.default_rng(int(radius * 100))
    net = _network(rng, (6, 12, 12, 3), dtype)
    other = _rounded(net, 2.0**-5)
    xs = rng.normal(size=(300, 6))
    result = bounds.enclose_points(net, other, xs, radius)
    assert (result.lower <= result.upper).all()
    assert (abs(result.witnesses - xs) <= radius * (1 + 1e-12) + 1e-15).all()
    for trial in range(60):
        share = rng.uniform(-1, 1, xs.shape) if trial % 2 else rng.choice([-1, 1], xs.shape)
        x = (xs + radius * (1 - 1e-9) * share).T
        assert (abs(_values(net, x) - _values(other, x)).max(0) <= result.upper).all()
    at = abs(_values(net, result.witnesses.T) - _values(other, result.witnesses.T)).max(0)
    assert (at >= result.lower).all()
    if radius == 0 and dtype == np.float64:
        assert (result.upper <= result.lower * (1 + 1e-6) + 1e-9).all()


@pytest.mark.slow
def test_points_agree_with_boxes():
    rng = np.random.default_rng(1)
    net = _network(rng, (2, 8, 8, 2))
    other = _rounded(net, 2.0**-5)
    xs, radius = rng.normal(size=(8, 2)), rng.uniform(0.01, 0.2, 8)
    result = bounds.enclose_points(net, other, xs, radius)
    for i, x in enumerate(xs):
        exact = bounds.enclose(net, other, (x - radius[i], x + radius[i]))
        assert result.lower[i] <= exact.upper and exact.lower <= result.upper[i]
        assert result.upper[i] <= 3 * exact.upper


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_certified_decisions_do_not_change(dtype):
    rng = np.random.default_rng(2)
    net = _network(rng, (4, 16, 16, 5), dtype)
    other = _rounded(net, 2.0**-4)
    xs = rng.normal(size=(300, 4))
    result = bounds.unchanged_decisions(net, other, xs, 0.02)
    assert 0 < result.certified < len(xs) and result.violated > 0
    assert not (result.unchanged & result.changed).any()
    for trial in range(200):
        share = rng.uniform(-1, 1, xs.shape) if trial % 2 else rng.choice([-1, 1], xs.shape)
        x = (xs + 0.02 * share).T
        for n in (net, other):
            decided = _values(n, x).argmax(0)
            assert (decided == result.classes)[result.unchanged].all()
    # Nothing is certified that has no margin: two outputs are always equal.
    twin = networks.ReLUNetwork([np.ones((2, 4), dtype)], [np.zeros(2, dtype)])
    assert bounds.unchanged_decisions(twin, twin, xs).certified == 0
    same = bounds.unchanged_decisions(net, net, xs)
    assert same.violated == 0 and same.certified > 0.99 * len(xs)


def test_difference_bound_is_honest_and_differentiable():
    rng = np.random.default_rng(3)
    function = jax.jit(bounds.difference_bound)
    for dtype, slack in ((np.float32, 1e-2), (np.float64, 1e-9)):
        net = jax.tree.map(jnp.asarray, _network(rng, (3, 8, 8, 2), dtype))
        other = _rounded(net, 2.0**-5)
        box = (np.array([-0.1, 0.0, 0.2]), np.array([0.1, 0.2, 0.2]))
        bound = function(net, other, box)
        assert bound.dtype == dtype
        enclosure = bounds.enclose(net, other, box, evaluation="exact")
        assert enclosure.lower <= float(bound) <= 4 * enclosure.upper
        at = function(net, other, (box[0], box[0]))
        value = abs(_values(net, box[0][:, None]) - _values(other, box[0][:, None])).max()
        assert value <= float(at) * (1 + 1e-6) and float(at) <= value * (1 + slack)


@pytest.mark.slow
def test_gradients_of_the_difference_bound():
    rng = np.random.default_rng(4)
    net = jax.tree.map(jnp.asarray, _network(rng, (3, 6, 6, 1)))
    other = jax.tree.map(jnp.asarray, _rounded(net, 2.0**-5))

    @jax.jit
    def bound(first, second, width):
        return bounds.difference_bound(first, second, (0.0, width))

    gradients = jax.grad(bound, argnums=(0, 1, 2))(net, other, 0.3)
    leaves = [jnp.ravel(g) for g in jax.tree.leaves(gradients)]
    assert all(jnp.isfinite(g).all() for g in leaves)
    flat, rebuild = jax.flatten_util.ravel_pytree((net, other, jnp.asarray(0.3)))
    direction = rng.normal(size=flat.shape) / np.sqrt(flat.size)
    moved = [float(bound(*rebuild(flat + t * direction))) for t in (-1e-7, 1e-7)]
    slope = float(jnp.concatenate(leaves) @ direction)
    assert (moved[1] - moved[0]) / 2e-7 == pytest.approx(slope, rel=1e-4)
    # A penalty: the weights move so that the bound falls.
    less = eqx.apply_updates(other, jax.tree.map(lambda g: -1e-4 * g, gradients[1]))
    assert float(bound(net, less, 0.3)) < float(bound(net, other, 0.3))


@pytest.mark.slow
def test_gradients_by_the_step():
    net = jax.tree.map(jnp.asarray, _network(np.random.default_rng(5), (2, 6, 6, 1)))

    def bound(step):
        rounded = jax.tree.map(lambda p: jnp.round(p * 8) * step, net)
        return bounds.difference_bound(net, rounded, (0.0, 1.0))

    slope = (bound(0.13 + 1e-7) - bound(0.13 - 1e-7)) / 2e-7
    assert float(jax.grad(bound)(0.13)) == pytest.approx(float(slope), rel=1e-4)
    assert jax.vmap(bound)(jnp.array([0.1, 0.125, 0.2])).shape == (3,)


def _tiny(inputs=2, outputs=2):
    return networks.ReLUNetwork([np.ones((outputs, inputs))], [np.ones(outputs)])


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: bounds.enclose_points(_tiny(), _tiny(3), np.ones((1, 2))), "number of inputs"),
        (lambda: bounds.enclose_points(_tiny(), _tiny(), np.ones(2)), r"shape \(points, 2\)"),
        (lambda: bounds.enclose_points(_tiny(), _tiny(), np.ones((0, 2))), "at least one"),
        (lambda: bounds.enclose_points(_tiny(), _tiny(), np.ones((1, 2)), -1.0), "non-negative"),
        (lambda: bounds.enclose_points(_tiny(), _tiny(), np.ones((1, 2)), np.ones(3)), "per point"),
        (lambda: bounds.enclose_points(_tiny(), _tiny(), np.full((1, 2), np.nan)), "finite points"),
        (
            lambda: bounds.unchanged_decisions(_tiny(2, 1), _tiny(2, 1), np.ones((1, 2))),
            "at least two outputs",
        ),
        (lambda: bounds.difference_bound(_tiny(), _tiny(3), (0, 1)), "number of inputs"),
        (lambda: bounds.difference_bound(_tiny(), _tiny(), 3), "pair .lower, upper."),
        (lambda: bounds.difference_bound(_tiny(), _tiny(), (1, 0)), "lower <= upper"),
        (lambda: bounds.difference_bound(_tiny(), _tiny(), (0, np.inf)), "must be finite"),
        (lambda: bounds.difference_bound(_tiny(), _tiny(), (0, np.ones(3))), r"shape \(2,\)"),
        (
            lambda: bounds.difference_bound(_tiny(), networks.deepen(_tiny(), 2), (0, 1)),
            "same widths",
        ),
    ],
)
def test_bad_arguments(make, text):
    with pytest.raises(ValueError, match=text):
        make()
