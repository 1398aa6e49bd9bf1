"""Stacks, exact padding with its mask, and Equinox's own networks."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrelu.networks import (
    ReLUNetwork,
    from_mlp,
    identity,
    mask,
    pad,
    realize,
    stack,
    to_mlp,
    unstack,
)


def _exact(widths, rng, dtype=np.float64):
    """Small multiples of 1/2: float arithmetic is exact."""
    return ReLUNetwork(
        [
            (rng.integers(-4, 5, (o, i)) / 2).astype(dtype)
            for i, o in zip(widths, widths[1:], strict=False)
        ],
        [(rng.integers(-4, 5, o) / 2).astype(dtype) for o in widths[1:]],
    )


def _forward(net, xs):
    for i, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        xs = (np.maximum(xs, 0) if i else xs) @ w.T + b
    return xs


def _same_leaves(a, b):
    kinds = jax.tree.map(lambda p, q: type(p) is type(q) and p.dtype == q.dtype, a, b)
    return jax.tree.all(kinds) and jax.tree.all(jax.tree.map(np.array_equal, a, b))


seeds = st.integers(0, 2**32 - 1).map(np.random.default_rng)
laws = settings(deadline=None, max_examples=30)


@laws
@given(st.lists(st.integers(1, 4), min_size=2, max_size=5), st.integers(1, 4), seeds)
def test_unstack_is_the_inverse_of_stack(widths, n, rng):
    nets = [_exact(widths, rng, np.float32) for _ in range(n)]
    stacked = stack(nets)
    assert stacked.widths == nets[0].widths
    assert stacked.weights[0].shape == (n, *nets[0].weights[0].shape)
    back = unstack(stacked)
    assert len(back) == n
    assert all(_same_leaves(a, b) for a, b in zip(back, nets, strict=True))
    twice = stack([stacked, stacked])
    assert all(_same_leaves(a, stacked) for a in unstack(twice))


def test_stack_of_jax_networks_is_vmapped():
    rng = np.random.default_rng(0)
    nets = [jax.tree.map(jnp.asarray, _exact((2, 5, 3), rng)) for _ in range(4)]
    stacked = stack(nets)
    assert all(isinstance(p, jax.Array) for p in jax.tree.leaves(stacked))
    xs = rng.integers(-8, 9, (20, 2)) / 2
    values = jax.vmap(realize, in_axes=(0, None))(stacked, xs)
    assert values.shape == (4, 20, 3)
    for value, net in zip(values, nets, strict=True):
        np.testing.assert_array_equal(value, realize(net, xs))
    with pytest.raises(ValueError, match="for a stack of them"):
        realize(stacked, xs)
    assert all(_same_leaves(a, b) for a, b in zip(unstack(stacked), nets, strict=True))


@laws
@given(
    st.integers(1, 3),
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 4)), max_size=4),
    st.integers(1, 3),
    seeds,
)
def test_padding_keeps_function_and_counts(inputs, inside, outputs, rng):
    net = _exact((inputs, *(n for n, _ in inside), outputs), rng, np.float32)
    widths = (inputs, *(n + extra for n, extra in inside), outputs)
    padded = pad(net, widths)
    assert padded.widths == widths
    assert (padded.connectivity, padded.magnitude) == (net.connectivity, net.magnitude)
    assert all(type(p) is np.ndarray and p.dtype == np.float32 for p in jax.tree.leaves(padded))
    xs = rng.integers(-8, 9, (12, inputs)) / 2
    np.testing.assert_array_equal(_forward(padded, xs), _forward(net, xs))

    kept = mask(net, widths)
    assert all(p.dtype == bool for p in jax.tree.leaves(kept))
    for p, q, m in zip(*map(jax.tree.leaves, (net, padded, kept)), strict=True):
        assert m.shape == q.shape and np.count_nonzero(m) == p.size
        np.testing.assert_array_equal(q[m].reshape(p.shape), p)
        assert not np.any(q[~m])


def test_realized_padding_and_its_gradients():
    rng = np.random.default_rng(5)
    nets = [_exact((1, n, m, 1), rng) for n, m in ((3, 7), (8, 2), (16, 16))]
    widths = [max(n) for n in zip(*(net.widths for net in nets), strict=True)]
    assert widths == [1, 16, 16, 1]
    stacked = stack([pad(net, widths) for net in nets])
    kept = stack([mask(net, widths) for net in nets])
    xs = jnp.linspace(-2, 2, 33)[:, None]
    values = jax.vmap(realize, in_axes=(0, None))(stacked, xs)
    for value, net in zip(values, nets, strict=True):
        np.testing.assert_array_equal(value, realize(net, xs))

    @jax.grad
    def gradient(stacked):
        return jnp.sum((jax.vmap(realize, in_axes=(0, None))(stacked, xs) - 1) ** 2)

    for g, m in zip(*map(jax.tree.leaves, (gradient(stacked), kept)), strict=True):
        assert np.any(np.asarray(g)[m]) and not np.any(np.asarray(g)[~m])


def test_masked_noise_never_reaches_the_padding():
    rng = np.random.default_rng(0)
    nets, widths = [_exact((1, n, 1), rng) for n in (2, 6)], (1, 6, 1)
    kept = stack([mask(net, widths) for net in nets])
    trained = stack([pad(net, widths) for net in nets])
    noise = jax.tree.map(lambda p: rng.standard_normal(p.shape), trained)
    trained = jax.tree.map(np.add, trained, jax.tree.map(np.multiply, noise, kept))
    small, _ = unstack(trained)
    rest = mask(nets[0], widths)
    for p, m in zip(*map(jax.tree.leaves, (small, rest)), strict=True):
        assert not np.any(p[~m]) and np.all(p[m] * 2 % 1 != 0)


def test_the_small_network_trains_through_its_padding():
    net = jax.tree.map(jnp.asarray, _exact((1, 3, 1), np.random.default_rng(0)))
    xs = jnp.linspace(0.1, 1, 7)[:, None]
    plain = jax.grad(lambda n: jnp.sum(realize(n, xs) ** 2))(net)
    padded = jax.jit(jax.grad(lambda n: jnp.sum(realize(pad(n, (1, 8, 1)), xs) ** 2)))(net)
    for p, q in zip(jax.tree.leaves(plain), jax.tree.leaves(padded), strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-12, atol=1e-13)


net = identity(1, 3)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: stack([]), "at least one network"),
        (lambda: stack([net, identity(1, 2)]), r"\(1, 2, 2, 1\) and \(1, 2, 1\). Use `deepen`"),
        (lambda: unstack(net), "common leading axis"),
        (lambda: pad(net, (1, 2, 1)), "must be 4 integers"),
        (lambda: pad(net, (1, 1, 2, 1)), "none below those of the network"),
        (lambda: mask(net, (1, 3, 3, 2)), r"`mask\(..., widths\)` must keep the 1 inputs"),
        (lambda: pad(stack([net, net]), (1, 4, 4, 1)), "use `jax.vmap` for a stack"),
        (lambda: to_mlp(pad(net, (1, 3, 2, 1))), "one width.*Use `pad` first"),
        (lambda: to_mlp(identity(2, 2), in_size="scalar"), "for a size of 2"),
        (lambda: to_mlp(stack([net, net])), "use `jax.vmap` for a stack"),
    ],
)
def test_bad_input(call, text):
    with pytest.raises(ValueError, match=text):
        call()


CONFIGURATIONS = [
    dict(in_size=2, out_size=3, depth=0),
    dict(in_size=2, out_size=3, depth=1),
    dict(in_size=2, out_size=1, depth=3),
    dict(in_size="scalar", out_size=2, depth=2),
    dict(in_size=3, out_size="scalar", depth=2, use_bias=False),
    dict(in_size="scalar", out_size="scalar", depth=2, use_bias=False, use_final_bias=False),
    dict(in_size=2, out_size=3, depth=4, scan=True),
    dict(in_size="scalar", out_size="scalar", depth=3, scan=True, use_bias=False),
    dict(in_size=2, out_size=2, depth=1, scan=True),
    dict(in_size=2, out_size=2, depth=0, scan=True, use_final_bias=False),
    dict(in_size=2, out_size=2, depth=1, scan=True, use_bias=False),
]


def _mlp(dtype=np.float32, axes=(), **options):
    """An MLP with random NumPy parameters; `axes` are leading axes for ensembles."""
    rng = np.random.default_rng(2)
    skeleton = eqx.filter_eval_shape(eqx.nn.MLP, key=jax.random.key(0), **options)
    return jax.tree.map(
        lambda p: (
            rng.uniform(-1, 1, (*axes, *p.shape)).astype(dtype)
            if isinstance(p, jax.ShapeDtypeStruct)
            else p
        ),
        skeleton,
    )


@pytest.mark.parametrize("options", CONFIGURATIONS, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mlp_round_trip(options, dtype):
    mlp = _mlp(dtype, width_size=5 if options["depth"] else 1, **options)
    net = from_mlp(mlp)
    assert net.depth == mlp.depth + 1
    assert all(type(p) is np.ndarray and p.dtype == dtype for p in jax.tree.leaves(net))
    given = {
        k: v
        for k, v in options.items()
        if k != "depth" and (k not in ("in_size", "out_size") or v == "scalar")
    }
    back = to_mlp(net, **given)
    assert eqx.tree_equal(back, mlp)
    assert _same_leaves(from_mlp(back), net)


@pytest.mark.parametrize("options", [CONFIGURATIONS[i] for i in (0, 4, 5, 7)], ids=str)
def test_mlp_values(options):
    mlp = _mlp(width_size=5, **options)
    net = from_mlp(mlp)
    xs = np.random.default_rng(3).uniform(-1, 1, (40, net.widths[0])).astype(np.float32)
    points = xs[:, 0] if options["in_size"] == "scalar" else xs
    expected = np.asarray(eqx.filter_jit(eqx.filter_vmap(mlp))(points))
    values = np.asarray(realize(net, xs)).reshape(expected.shape)
    # Units in the last place of the sums of absolute terms: the order of addition may differ.
    sizes = _forward(jax.tree.map(np.abs, net), np.abs(xs)).reshape(expected.shape)
    assert np.all(np.abs(values - expected) <= 2 * np.spacing(sizes.astype(np.float32)))


@laws
@given(st.integers(1, 3), st.integers(1, 4), st.integers(0, 3), st.integers(1, 3), seeds)
def test_network_round_trip_keeps_numpy(inputs, width, depth, outputs, rng):
    net = _exact((inputs, *[width] * depth, outputs), rng, np.float32)
    for scan in (False, True):
        assert _same_leaves(from_mlp(to_mlp(net, scan=scan)), net)


@pytest.mark.parametrize("scan", [False, True])
def test_mlp_values_equal_bit_for_bit_where_sums_are_exact(scan):
    net = _exact((2, 4, 4, 4, 2), np.random.default_rng(0))
    xs = np.random.default_rng(1).integers(-8, 9, (30, 2)) / 2
    np.testing.assert_array_equal(jax.vmap(to_mlp(net, scan=scan))(xs), realize(net, xs))


@pytest.mark.parametrize("scan", [False, True])
def test_ensemble_of_mlps_becomes_a_stack(scan):
    options = dict(in_size=2, out_size=1, width_size=4, depth=3, scan=scan)
    mlps = _mlp(axes=(3,), **options)
    stacked = eqx.filter_vmap(from_mlp, in_axes=eqx.if_array(0))(
        jax.tree.map(lambda p: jnp.asarray(p) if isinstance(p, np.ndarray) else p, mlps)
    )
    one = jax.tree.map(lambda p: p[1] if isinstance(p, np.ndarray) else p, mlps)
    for p, q in zip(*map(jax.tree.leaves, (unstack(stacked)[1], from_mlp(one))), strict=True):
        np.testing.assert_array_equal(p, q)


@pytest.mark.parametrize(
    "relu", [jax.nn.relu, lambda x: jax.nn.relu(x), lambda x: jnp.maximum(x, 0.0)]
)
def test_relu_by_any_name(relu):
    mlp = _mlp(in_size=1, out_size=1, width_size=2, depth=1, activation=relu)
    assert from_mlp(mlp).depth == 2


class _Learned(eqx.Module):
    slope: jax.Array

    def __call__(self, x):
        return jnp.maximum(x, self.slope * x)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"activation": jax.nn.tanh}, "activation tanh. Use `activation=jax.nn.relu`"),
        ({"activation": jax.nn.relu6}, "activation relu6"),
        ({"activation": _Learned(jnp.array(0.0))}, "the activation _Learned"),
        ({"final_activation": jax.nn.relu}, "final_activation relu. Use `final_activation=lam"),
    ],
)
def test_other_activations_are_refused(options, text):
    with pytest.raises(ValueError, match=text):
        from_mlp(_mlp(in_size=1, out_size=1, width_size=2, depth=2, **options))


def test_other_models_are_refused():
    with pytest.raises(TypeError, match="must be given an `equinox.nn.MLP`; got Linear"):
        from_mlp(eqx.nn.Linear(1, 1, key=jax.random.key(0)))


def test_a_bias_is_never_lost():
    net = ReLUNetwork([np.ones((2, 1)), np.ones((1, 2))], [np.zeros(2), np.ones(1)])
    with pytest.raises(ValueError, match=r"`biases\[1\]` is not zero. Use `use_final_bias=True`"):
        to_mlp(net, use_bias=False, use_final_bias=False)
    assert to_mlp(net, use_bias=False).layers[0].bias is None
