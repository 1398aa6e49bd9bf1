"""The quantized ReLU: grid values, gradients by hand, training inside an MLP, integers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from qrelu.quantizers import AbsMax, QuantizedReLU, Wrapped, unwrap, wrap

KEY = jax.random.key(0)
LEARNS = ("nothing", "range", "step")


@pytest.mark.parametrize(
    "learn, dtype", [*((learn, np.float32) for learn in LEARNS), ("step", np.float64)]
)
def test_values_are_multiples_of_the_step_by_integer_codes(learn, dtype):
    q = QuantizedReLU(4, 2.0, learn=learn)
    x = np.concatenate([np.random.default_rng(0).normal(size=500), [0, 2, 5, -3]]).astype(dtype)
    step = np.asarray(q.step, dtype)
    codes = np.clip(np.round(x.astype(np.float64) / np.float64(step)), 0, 15)
    expected = (codes + 0.0).astype(dtype) * step  # no negative zero
    mapped = eqx.filter_jit(eqx.filter_vmap(q))(jnp.asarray(x))
    for values in (q(jnp.asarray(x)), mapped):
        assert np.asarray(values).tobytes() == expected.tobytes()
    assert np.array_equal(q.grid.encode(x), codes)
    np.testing.assert_allclose(q.upper, 2.0, rtol=1e-12)


@pytest.mark.parametrize("learn", LEARNS)
def test_gradients_by_hand(learn):
    q = QuantizedReLU(2, 1.5, learn=learn)  # step 0.5, values 0 ... 1.5
    x = jnp.asarray([-1.0, 0.0, 0.3, 1.4, 1.5, 9.0])
    inside = np.array([0, 0, 1, 1, 0, 0])

    @eqx.filter_jit
    def slopes(q, x):
        forward = jax.jvp(q, (x,), (jnp.ones_like(x),))[1]
        of_range = jax.vmap(lambda v: eqx.filter_grad(lambda q: q(v))(q))(x)
        return jax.vmap(jax.grad(q))(x), jax.vmap(jax.grad(jax.grad(q)))(x), forward, of_range

    reverse, second, forward, of_range = slopes(q, x)
    assert np.array_equal(reverse, inside) and np.array_equal(forward, inside)
    assert np.array_equal(second, 0 * inside)
    arrays = [np.asarray(g) for g in jax.tree.leaves(of_range)]
    per_number = sum(arrays, np.zeros(6))
    expected = {
        "nothing": [0] * 6,
        "range": [0, 0, 0, 0, 1, 1],
        # round(x/s) - x/s, the last code beyond; one number, largest code 3
        "step": np.array([0, 0, 1 - 0.6, 3 - 2.8, 3, 3]) / np.sqrt(3),
    }[learn]
    np.testing.assert_allclose(per_number, expected, atol=1e-12)
    assert len(jax.tree.leaves(eqx.filter(q, eqx.is_inexact_array))) == (learn != "nothing")


@pytest.mark.parametrize(
    "learn", [pytest.param("nothing", marks=pytest.mark.slow), "range", "step"]
)
def test_it_is_the_activation_of_an_mlp_and_trains(learn):
    activation = QuantizedReLU(4, 0.5, learn=learn)  # some activations are beyond
    model = eqx.nn.MLP(1, 1, 16, 1, activation=activation, key=KEY)
    model = wrap(model, AbsMax(6, "channel"))
    assert not any(
        isinstance(leaf, Wrapped)
        for leaf in jax.tree.leaves(model.activation, is_leaf=lambda x: isinstance(x, Wrapped))
    )
    xs = jnp.linspace(-1, 1, 32)[:, None]
    parameters, static = eqx.partition(model, eqx.is_inexact_array)
    optimizer = optax.adam(1e-2)

    def loss(parameters):
        return jnp.mean((jax.vmap(eqx.combine(parameters, static))(xs) - jnp.sin(3 * xs)) ** 2)

    def one(carry, _):
        parameters, state = carry
        value, gradient = jax.value_and_grad(loss)(parameters)
        updates, state = optimizer.update(gradient, state)
        return (eqx.apply_updates(parameters, updates), state), value

    run = jax.jit(lambda carry: jax.lax.scan(one, carry, length=200))
    (trained, _), losses = run((parameters, optimizer.init(parameters)))
    assert losses[-1] < 0.2 * losses[0]
    moved = [
        np.max(abs(np.asarray(a) - np.asarray(b)))
        for a, b in zip(
            jax.tree.leaves(parameters.activation), jax.tree.leaves(trained.activation), strict=True
        )
    ]
    assert len(moved) == (learn != "nothing") and all(m > 0 for m in moved)
    assert jax.tree.structure(unwrap(model).activation) == jax.tree.structure(model.activation)


def test_a_learned_range_beyond_zero_is_mirrored():
    q = QuantizedReLU(3, 1.0, learn="range")
    other = eqx.tree_at(lambda q: q.learned, q, jnp.asarray(-1.0))
    x = jnp.asarray([-1.0, 0.4, 7.0])
    call = eqx.filter_jit(lambda q: q(x))
    assert np.array_equal(call(q), call(other)) and other.upper == 1
    slope = eqx.filter_jit(eqx.filter_grad(lambda q: jnp.sum(q(x))))
    slopes = [slope(q).learned for q in (q, other)]
    assert slopes == [1, -1]


def test_the_range_comes_from_samples():
    samples = np.random.default_rng(0).normal(size=(20, 50))
    assert QuantizedReLU.from_samples(8, samples).upper == pytest.approx(samples.max(), rel=1e-12)
    clipped = QuantizedReLU.from_samples(8, jnp.asarray(samples), quantile=0.9, learn="step")
    inside = np.mean(samples[samples > 0] <= float(clipped.upper))
    assert inside == pytest.approx(0.9, abs=0.01)


def test_an_integer_layer_gives_the_same_numbers():
    """Codes in, an int32 product, one rescaling: what a network in integers will do."""
    rng = np.random.default_rng(0)
    relu = QuantizedReLU(8, 4.0)
    weight = AbsMax(8).grid(w := rng.normal(size=(5, 7)))
    x = relu(rng.normal(size=7))
    integers = weight.encode(w).astype(np.int32) @ relu.grid.encode(np.asarray(x)).astype(np.int32)
    np.testing.assert_allclose(
        integers * (weight.step * relu.step), np.asarray(weight(w)) @ np.asarray(x), rtol=1e-12
    )


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda: QuantizedReLU(0, 1.0), r"`QuantizedReLU\(bits=...\)` must be .* at least 1"),
        (lambda: QuantizedReLU(4, 0.0), "positive and finite; got 0.0"),
        (lambda: QuantizedReLU(4, np.inf), "positive and finite"),
        (lambda: QuantizedReLU(4, np.ones(2)), "one number"),
        (lambda: QuantizedReLU(4, 1.0, learn="pact"), "got 'pact'"),
        (lambda: QuantizedReLU.from_samples(4, [-1.0, -2.0]), "positive number"),
        (lambda: QuantizedReLU.from_samples(4, [1.0, np.nan]), "finite"),
        (lambda: QuantizedReLU.from_samples(4, [1.0], quantile=0.0), "above 0"),
    ],
)
def test_bad_input_is_named_with_its_cure(call, match):
    with pytest.raises(ValueError, match=match):
        call()
