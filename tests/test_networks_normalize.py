"""Balanced magnitudes, same function."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrelu.networks import ReLUNetwork, normalize, realize


def _random(widths, seed, density=1.0, spread=3.0, dtype=np.float64):
    rng = np.random.default_rng(seed)

    def draw(*shape):
        values = rng.standard_normal(shape) * np.exp(spread * rng.standard_normal(shape))
        return (values * (rng.random(shape) < density)).astype(dtype)

    return ReLUNetwork(
        [draw(o, i) for i, o in zip(widths, widths[1:], strict=False)],
        [draw(o) for o in widths[1:]],
    )


def _forward(net, xs):
    """The function in plain NumPy: nothing to compile for every random architecture."""
    for i, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        xs = (np.maximum(xs, 0) if i else xs) @ w.T + b
    return xs


def _ratios(net):
    """Largest incoming over largest outgoing magnitude of every neuron that has both."""
    found = []
    for w, b, v in zip(net.weights, net.biases, net.weights[1:], strict=False):
        w, b, v = (np.abs(np.asarray(p, np.float64)) for p in (w, b, v))
        incoming, outgoing = np.maximum(w.max(axis=1), b), v.max(axis=0)
        alive = (incoming > 0) & (outgoing > 0)
        found.extend(incoming[alive] / outgoing[alive])
    return np.array(found)


widths = st.lists(st.integers(1, 5), min_size=2, max_size=7)


@settings(deadline=None, max_examples=60)
@given(widths, st.integers(0, 2**32 - 1), st.sampled_from([0.3, 0.7, 1.0]))
def test_balanced_and_the_same_function(widths, seed, density):
    net = _random(widths, seed, density)
    balanced = normalize(net)
    np.testing.assert_allclose(_ratios(balanced), 1.0, rtol=1e-12)
    assert balanced.connectivity == net.connectivity
    xs = np.random.default_rng(seed).standard_normal((20, widths[0]))
    # Rounding is relative to the sums of absolute terms, which scaling leaves alone.
    size = ReLUNetwork([abs(w) for w in net.weights], [abs(b) for b in net.biases])
    tolerance = 1e-13 * _forward(size, abs(xs))
    assert np.all(np.abs(_forward(net, xs) - _forward(balanced, xs)) <= tolerance)


@settings(deadline=None, max_examples=60)
@given(widths, st.integers(0, 2**32 - 1), st.sampled_from([0.3, 0.7, 1.0]))
def test_powers_of_two_keep_every_bit(widths, seed, density):
    net = _random(widths, seed, density)
    balanced = normalize(net, powers_of_two=True)
    ratios = _ratios(balanced)
    assert np.all((ratios >= 0.5) & (ratios <= 2.0))
    for p, q in zip(jax.tree.leaves(net), jax.tree.leaves(balanced), strict=True):
        np.testing.assert_array_equal(np.frexp(p)[0], np.frexp(q)[0])
    xs = np.random.default_rng(seed).standard_normal((20, widths[0]))
    np.testing.assert_array_equal(_forward(net, xs), _forward(balanced, xs))


def test_one_neuron_by_hand():
    net = ReLUNetwork([np.array([[8.0]]), np.array([[0.5]])], [np.array([-2.0]), np.array([3.0])])
    balanced = normalize(net)
    np.testing.assert_allclose([p.item() for p in balanced.weights], [2.0, 2.0], rtol=1e-14)
    np.testing.assert_allclose([p.item() for p in balanced.biases], [-0.5, 3.0], rtol=1e-14)


def test_the_bias_counts_as_incoming():
    net = ReLUNetwork([np.array([[1.0]]), np.array([[1.0]])], [np.array([-16.0]), np.zeros(1)])
    assert normalize(net).biases[0].item() == pytest.approx(-4.0, rel=1e-14)


def test_dead_neurons_are_left_alone():
    net = ReLUNetwork(
        [np.array([[4.0], [0.0], [5.0]]), np.array([[1.0, 9.0, 0.0]])],
        [np.array([0.0, 0.0, -7.0]), np.array([2.0])],
    )
    balanced = normalize(net)
    np.testing.assert_allclose(balanced.weights[0][:, 0], [2.0, 0.0, 5.0], rtol=1e-14)
    np.testing.assert_allclose(balanced.biases[0], [0.0, 0.0, -7.0], rtol=1e-14)
    np.testing.assert_allclose(balanced.weights[1], [[2.0, 9.0, 0.0]], rtol=1e-14)


def test_long_chains_converge():
    scale = 2.0 ** np.random.default_rng(0).integers(-20, 20, 40)
    net = ReLUNetwork([np.array([[c]]) for c in scale], [np.zeros(1)] * 40)
    balanced = normalize(net)
    common = 2 ** np.mean(np.log2(scale))  # without biases all weights become the geometric mean
    np.testing.assert_allclose([w.item() for w in balanced.weights], common, rtol=1e-10)


def test_a_second_time_changes_nothing():
    once = normalize(_random((2, 7, 5, 1), 4))
    twice = normalize(once)
    for p, q in zip(jax.tree.leaves(once), jax.tree.leaves(twice), strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-12)


def test_types_of_arrays_and_dtypes_stay():
    net = _random((1, 4, 1), 0, dtype=np.float32)
    assert all(
        type(p) is np.ndarray and p.dtype == np.float32 for p in jax.tree.leaves(normalize(net))
    )
    net = jax.tree.map(jnp.asarray, net)
    balanced = normalize(net)
    assert all(
        isinstance(p, jax.Array) and p.dtype == jnp.float32 for p in jax.tree.leaves(balanced)
    )
    with jax.enable_x64(False):
        kept = normalize(_random((1, 4, 1), 0))
        assert all(p.dtype == np.float64 for p in jax.tree.leaves(kept))


def test_affine_networks_have_nothing_to_balance():
    net = _random((2, 3), 0)
    assert eqx.tree_equal(normalize(net), net)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_parameters_must_be_finite(value):
    net = ReLUNetwork([np.ones((2, 1)), np.array([[1.0, value]])], [np.zeros(2), np.zeros(1)])
    with pytest.raises(ValueError, match="`normalize\\(network\\)`.*finite"):
        normalize(net)


@pytest.mark.parametrize("powers_of_two", [False, True])
def test_realize_sees_the_same_function(powers_of_two):
    net = _random((2, 6, 6, 3), 8)
    xs = np.random.default_rng(0).standard_normal((50, 2))
    mine = realize(normalize(net, powers_of_two=powers_of_two), xs)
    np.testing.assert_allclose(mine, realize(net, xs), rtol=0 if powers_of_two else 1e-11)
