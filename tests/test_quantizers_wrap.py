"""Wrapping any Equinox model: the same class and call, grid values, gradients, training, errors."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import qrelu as qr
from qrelu import quantizers
from qrelu.quantizers import LSQ, AbsMax, LearnedStep, Uniform, unwrap, wrap

KEY = jax.random.key(0)


def _ones(*shape):
    return jnp.asarray(np.linspace(-1.0, 1.0, int(np.prod(shape))).reshape(shape))


def _made(kind, *sizes, seed=0, **options):
    """The layer with parameters from NumPy: JAX compiles random numbers anew for every shape."""
    empty = eqx.filter_eval_shape(lambda: kind(*sizes, key=KEY, **options))
    rng = np.random.default_rng(seed)

    def fill(leaf):
        if not isinstance(leaf, jax.ShapeDtypeStruct):
            return leaf
        bound = 1 / np.sqrt(leaf.shape[-1] if leaf.shape else 1)
        return jnp.asarray(rng.uniform(-bound, bound, leaf.shape), leaf.dtype)

    return jax.tree.map(fill, empty)


class _Own(eqx.Module):
    matrix: jax.Array
    scale: jax.Array
    count: jax.Array

    def __call__(self, x):
        return jnp.sum(jnp.tanh(x @ self.matrix.T) * self.scale) ** 2 + self.matrix[0].sum()


class _Image(eqx.Module):
    conv: eqx.nn.Conv2d
    back: eqx.nn.ConvTranspose2d

    def __call__(self, x):
        return self.back(jax.nn.relu(self.conv(x)))


nn = eqx.nn
# name: model, its call
MODELS = {
    "linear": (_made(nn.Linear, 3, 4), lambda m: m(_ones(3))),
    "mlp": (_made(nn.MLP, 3, 2, 8, 2), lambda m: m(_ones(3))),
    "scan": (_made(nn.MLP, 3, 2, 8, 3, scan=True), lambda m: m(_ones(3))),
    "norms": (
        nn.Sequential([nn.LayerNorm(6), nn.RMSNorm(6), nn.GroupNorm(2, 6)]),
        lambda m: m(_ones(6)),
    ),
    "gru": (_made(nn.GRUCell, 3, 4), lambda m: m(_ones(3), _ones(4))),
    "lstm": (_made(nn.LSTMCell, 3, 4), lambda m: m(_ones(3), (_ones(4), _ones(4)))[0]),
    "attention": (
        _made(nn.MultiheadAttention, 2, 4, use_query_bias=True),
        lambda m: m(_ones(5, 4), _ones(5, 4), _ones(5, 4)),
    ),
    "embedding": (_made(nn.Embedding, 7, 3), lambda m: m(jnp.array(2))),
    "prelu": (nn.PReLU(), lambda m: m(_ones(4))),
    "convolutions": (
        _Image(_made(nn.Conv2d, 2, 3, 3), _made(nn.ConvTranspose2d, 3, 2, 3)),
        lambda m: m(_ones(2, 5, 5)),
    ),
    "own": (
        _Own(_ones(4, 3) ** 3, _ones(4) + 0.3, jnp.arange(3)),
        lambda m: m(_ones(3)),
    ),
}


def _same(a, b):
    return all(
        np.asarray(x).tobytes() == np.asarray(y).tobytes()
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


def _floats(tree):
    return eqx.filter(tree, eqx.is_inexact_array)


SLOW = (
    "attention",
    "gru",
    "linear",
    "lstm",
    "norms",
    "prelu",
    "scan",
)  # the others cover the same paths


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in MODELS]
)
def test_every_layer_is_called_as_before_and_has_grid_values(name):
    model, call = MODELS[name]
    q = Uniform(0.07) if name in ("scan", "own") else AbsMax(4, "channel")
    wrapped = wrap(model, q)
    plain = unwrap(wrapped)
    assert type(wrapped) is type(model)
    assert jax.tree.structure(plain) == jax.tree.structure(model)
    assert eqx.tree_equal(plain, quantizers.quantize(model, q))

    # The straight-through gradient is the plain model's gradient at the grid values.
    @eqx.filter_jit
    @eqx.filter_value_and_grad
    def loss(m):
        return jnp.sum(call(m) ** 2)

    for a, b in zip(jax.tree.leaves(loss(wrapped)), jax.tree.leaves(loss(plain)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_eager_calls_have_the_bits_of_the_plain_model():
    for name in ("mlp", "own"):
        model, call = MODELS[name]
        wrapped = wrap(model, AbsMax(4))
        assert _same(call(wrapped), call(unwrap(wrapped)))


def test_values_are_the_same_bits_in_jit_vmap_and_scan():
    model = _made(nn.MLP, 2, 1, 5, 4, scan=True)
    q = AbsMax(3, "channel")
    wrapped = wrap(model, q, lambda m: m.layers[1].weight)
    stacked = model.layers[1].weight  # (layers, outputs, inputs)
    expected = np.stack([q.grid(np.asarray(w))(np.asarray(w)) for w in stacked])
    leaf = wrapped.layers[1].weight
    _, scanned = jax.lax.scan(lambda c, w: (c, jnp.asarray(w)), 0, leaf)
    assert _same(unwrap(wrapped).layers[1].weight, expected)
    assert _same(scanned, expected)
    assert _same(jax.jit(jnp.asarray)(leaf), expected)
    assert _same(jax.jit(jax.vmap(jnp.asarray))(leaf), expected)
    assert _same(np.asarray(leaf), expected)


@pytest.mark.parametrize("q", [pytest.param(AbsMax(3), marks=pytest.mark.slow), LSQ(3)])
def test_an_ensemble_wrapped_member_by_member(q):
    members = [_made(nn.MLP, 2, 1, 4, 2, seed=i) for i in range(3)]
    stack = lambda *leaves: jnp.stack(leaves) if eqx.is_array(leaves[0]) else leaves[0]  # noqa: E731
    models = jax.tree.map(stack, *members)
    x = _ones(2)
    weights = lambda m: [layer.weight for layer in m.layers]  # noqa: E731
    wrapped = eqx.filter_jit(eqx.filter_vmap(lambda m: wrap(m, q, weights)))(models)
    call = eqx.filter_jit(eqx.filter_vmap(lambda m: m(x)))
    values = call(wrapped)
    one = eqx.filter_jit(lambda m: m(x))
    single = [one(wrap(m, q, weights)) for m in members]
    np.testing.assert_allclose(values, np.stack(single), rtol=1e-12)
    again = call(eqx.filter_jit(unwrap)(wrapped))
    np.testing.assert_allclose(values, again, rtol=1e-12)


def test_a_grid_of_the_stack_is_not_used_for_its_members():
    own = _Own(jnp.ones((3, 4, 3)) * _ones(3, 4, 3), _ones(3, 4), jnp.zeros((3, 1)))
    wrapped = wrap(own, AbsMax(4), lambda m: m.matrix)
    with pytest.raises(ValueError, match="wrap each"):
        eqx.filter_vmap(lambda m: m(_ones(3)))(wrapped)


def _train(model, steps=150, optimizer=None):
    xs = jnp.linspace(-1, 1, 32)[:, None]
    ys = jnp.sin(3 * xs)
    optimizer = optax.adam(1e-2) if optimizer is None else optimizer
    parameters, static = eqx.partition(model, eqx.is_inexact_array)

    def loss(parameters):
        return jnp.mean((jax.vmap(eqx.combine(parameters, static))(xs) - ys) ** 2)

    def one(carry, _):
        parameters, state = carry
        value, gradient = jax.value_and_grad(loss)(parameters)
        updates, state = optimizer.update(gradient, state, parameters)
        return (eqx.apply_updates(parameters, updates), state), value

    run = jax.jit(lambda carry: jax.lax.scan(one, carry, length=steps))
    (parameters, _), losses = run((parameters, optimizer.init(parameters)))
    return eqx.combine(parameters, static), losses


@pytest.mark.parametrize(
    "q, scan",
    [
        (AbsMax(4, "channel"), False),
        (LSQ(4), False),
        pytest.param(LSQ(4), True, marks=pytest.mark.slow),
        pytest.param(AbsMax(4, "channel"), True, marks=pytest.mark.slow),
        pytest.param(Uniform(0.05), False, marks=pytest.mark.slow),
    ],
)
def test_optax_trains_it_as_it_stands(q, scan):
    model = _made(nn.MLP, 1, 1, 16, 2 if scan else 1, scan=scan)
    trained, losses = _train(wrap(model, q))
    assert losses[-1] < 0.1 * losses[0]
    plain = unwrap(trained)
    batch = eqx.filter_jit(lambda m: jax.vmap(m)(jnp.linspace(-1, 1, 32)[:, None]))
    assert _same(batch(trained), batch(plain))


def test_weight_decay_does_not_reach_a_fixed_step():
    steps = np.full((4, 1), 0.1)
    model = _made(nn.Linear, 3, 4)
    decay = optax.chain(optax.add_decayed_weights(1.0), optax.sgd(0.5))
    for q in (Uniform(steps), Uniform(jnp.asarray(steps)), Uniform(0.1)):
        wrapped = wrap(model, q, lambda m: m.weight)
        parameters = _floats(wrapped)
        updates, _ = decay.update(
            jax.tree.map(jnp.zeros_like, parameters), decay.init(parameters), parameters
        )
        after = eqx.apply_updates(wrapped, updates)
        expected = q(np.asarray(model.weight) * 0.5)
        assert _same(unwrap(after).weight, np.asarray(expected))


def test_a_learned_step_is_one_leaf_per_array_and_moves():
    model = _made(nn.MLP, 1, 1, 8, 2)
    where = lambda m: [layer.weight for layer in m.layers]  # noqa: E731
    wrapped = wrap(model, LSQ(3), where)
    count = len(jax.tree.leaves(_floats(wrapped))) - len(jax.tree.leaves(_floats(model)))
    assert count == 3
    w = np.asarray(model.layers[1].weight)
    begin = 2 * np.mean(abs(w)) / np.sqrt(3)
    np.testing.assert_allclose(wrapped.layers[1].weight.rule.step, begin, rtol=1e-12)
    trained, _ = _train(wrapped, 20)
    assert all(
        before.weight.rule.step != after.weight.rule.step
        for before, after in zip(wrapped.layers, trained.layers, strict=True)
    )
    given = wrap(model, LearnedStep(Uniform(0.25, bits=3)), where)
    assert given.layers[0].weight.rule.step == 0.25


def test_latent_or_quantized_backward_by_hand():
    rng = np.random.default_rng(1)
    w, x, g = rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=4)
    q = Uniform(0.5)
    w_hat = np.round(w / 0.5) * 0.5

    class Product(eqx.Module):
        weight: jax.Array

        def __call__(self, x):
            return self.weight @ x

    for backward, used in (("quantized", w_hat), ("latent", w)):
        model = wrap(Product(jnp.asarray(w)), q, backward=backward)
        value, pull = jax.vjp(lambda x, m=model: m(x), jnp.asarray(x))
        np.testing.assert_allclose(value, w_hat @ x, rtol=1e-12)
        np.testing.assert_allclose(pull(jnp.asarray(g))[0], used.T @ g, rtol=1e-12)
        gradient = eqx.filter_grad(lambda m: jnp.sum(jnp.asarray(g) * m(jnp.asarray(x))))(model)
        np.testing.assert_allclose(gradient.weight.latent, np.outer(g, x), rtol=1e-12)
        forward = jax.jvp(model, (jnp.asarray(x),), (jnp.ones(3),))[1]
        np.testing.assert_allclose(forward, used @ np.ones(3), rtol=1e-12)
        # The other way round, transposed, and elementwise.
        left = jax.grad(lambda z, m=model: jnp.sum(z @ m.weight.T))(jnp.asarray(x))
        np.testing.assert_allclose(left, used.sum(0), rtol=1e-12)
        scaled = jax.grad(lambda z, m=model: jnp.sum(z * m.weight))(jnp.ones((4, 3)))
        np.testing.assert_allclose(scaled, used, rtol=1e-12)


def test_two_layers_hand_latent_matrices_back():
    model = _made(nn.MLP, 2, 1, 4, 1, activation=lambda t: t)
    wrapped = wrap(model, Uniform(0.3), backward="latent")
    x = _ones(2)
    slope = jax.jit(jax.jacobian(wrapped))(x)
    w1, w2 = (np.asarray(layer.weight) for layer in model.layers)
    np.testing.assert_allclose(slope, w2 @ w1, rtol=1e-12)
    assert _same(wrapped(x), unwrap(wrapped)(x))


def test_latent_backward_is_refused_where_it_cannot_be_kept():
    image = MODELS["convolutions"][0]
    with pytest.raises(ValueError, match="kernel of a convolution"):
        wrap(image, Uniform(0.1), backward="latent")
    model = wrap(MODELS["own"][0], Uniform(0.1), backward="latent")
    with pytest.raises(TypeError, match="Wrapped"):
        jnp.dot(model.matrix, _ones(3))


@pytest.mark.parametrize("backward", ["quantized", "latent"])
def test_precision_asked_for_reaches_the_product_and_its_derivatives(backward):
    model = wrap(_made(nn.Linear, 3, 3, use_bias=False), Uniform(0.1), backward=backward)

    def f(x):
        with jax.default_matmul_precision("highest"):
            return model(x)

    text = str(jax.make_jaxpr(jax.jacrev(jax.jit(f)))(_ones(3)))
    products = text.count("dot_general")
    assert products and text.count("HIGHEST") >= products


def test_a_relu_network_is_wrapped_like_any_model():
    net = qr.ReLUNetwork((_ones(5, 2), _ones(1, 5)), (_ones(5), _ones(1)))
    wrapped = wrap(net, AbsMax(4, "channel"))
    xs = _ones(7, 2)
    plain = unwrap(wrapped)
    assert type(wrapped) is type(net) and wrapped.widths == net.widths

    @jax.jit
    def results(net):
        total = lambda net: jnp.sum(qr.realize(net, xs))  # noqa: E731
        return qr.realize(net, xs), net(xs[0]), jax.grad(total)(net)

    values, first, gradient = results(wrapped)
    expected, expected_first, judge = results(plain)
    np.testing.assert_allclose(values, expected, rtol=1e-12)
    np.testing.assert_allclose(first, expected_first, rtol=1e-12)
    for a, b in zip(gradient.weights, judge.weights, strict=True):
        np.testing.assert_allclose(a.latent, b, rtol=1e-9, atol=1e-12)


def test_stochastic_rounding_needs_unwrap_with_a_key():
    model = _made(nn.Linear, 3, 4)
    q = Uniform(0.5, "stochastic")
    wrapped = wrap(model, q)
    with pytest.raises(ValueError, match=r"`unwrap\(model, key=key\)` inside the loss"):
        wrapped(_ones(3))
    with pytest.raises(ValueError, match="key"):
        unwrap(wrapped)
    plain = unwrap(wrapped, key=KEY)
    assert eqx.tree_equal(plain, quantizers.quantize(model, q, key=KEY))

    @eqx.filter_jit
    @eqx.filter_grad
    def gradient(m, key):
        return jnp.sum(unwrap(m, key=key)(_ones(3)))

    np.testing.assert_allclose(gradient(wrapped, KEY).weight.latent, np.tile(_ones(3), (4, 1)))


def test_wrapped_models_are_ordinary_pytrees(tmp_path):
    model = _made(nn.MLP, 2, 1, 4, 1)
    wrapped = wrap(model, LSQ(4))
    assert eqx.tree_equal(wrapped, jax.tree.map(lambda x: x, wrapped))
    parts = eqx.partition(wrapped, eqx.is_inexact_array)
    assert eqx.tree_equal(eqx.combine(*parts), wrapped)
    eqx.tree_serialise_leaves(tmp_path / "model.eqx", wrapped)
    fresh = wrap(_made(nn.MLP, 2, 1, 4, 1, seed=1), LSQ(4))
    loaded = eqx.tree_deserialise_leaves(tmp_path / "model.eqx", fresh)
    assert eqx.tree_equal(loaded, wrapped)
    text = eqx.tree_pformat(wrapped)
    assert "Wrapped" in text and "latent=f64[4,2]" in text
    assert eqx.tree_equal(unwrap(model), model)
    assert eqx.tree_equal(unwrap(unwrap(wrapped)), unwrap(wrapped))


def test_one_trace_for_all_values():
    traces = []

    @jax.jit
    def call(parameters, x):
        traces.append(1)
        return eqx.combine(parameters, static)(x)

    for seed in range(3):
        wrapped = wrap(_made(nn.MLP, 2, 1, 4, 1, seed=seed), AbsMax(4))
        parameters, static = eqx.partition(wrapped, eqx.is_array)
        call(parameters, _ones(2))
    assert len(traces) == 1


def test_shared_leaves_stay_shared():
    class Tied(eqx.Module):
        shared: eqx.nn.Shared

        def __init__(self):
            pair = _made(nn.Embedding, 5, 3), _made(nn.Linear, 3, 5, use_bias=False)
            self.shared = eqx.nn.Shared(pair, lambda p: p[1].weight, lambda p: p[0].weight)

        def __call__(self, i):
            embedding, linear = self.shared()
            return linear(embedding(i))

    model = Tied()
    wrapped = wrap(model, Uniform(0.25))
    table = np.round(np.asarray(model.shared.pytree[0].weight) / 0.25) * 0.25
    np.testing.assert_allclose(wrapped(jnp.array(1)), table @ table[1], rtol=1e-12)
    assert len(jax.tree.leaves(_floats(eqx.filter_grad(lambda m: m(1).sum())(wrapped)))) == 1


def test_where_takes_arrays_parts_and_leaves_the_rest():
    model = _made(nn.MLP, 2, 1, 4, 2)
    part = wrap(model, Uniform(0.1), lambda m: m.layers[0])
    kinds = [isinstance(x, quantizers.Wrapped) for x in (part.layers[0].bias, part.layers[1].bias)]
    assert kinds == [True, False]
    both = wrap(part, AbsMax(3), lambda m: m.layers[1].weight)
    assert isinstance(both.layers[1].weight.rule, AbsMax)
    rest = wrap(part, AbsMax(3))
    assert not isinstance(rest.layers[0].weight.rule, AbsMax)
    assert eqx.tree_equal(unwrap(wrap({"a": np.ones(2)}, Uniform(0.4)))["a"], jnp.full(2, 0.8))


def test_batch_norm_keeps_its_state():
    norm, state = nn.make_with_state(nn.BatchNorm)(3, "batch", mode="batch")
    wrapped = wrap(norm, Uniform(0.3))
    call = lambda m: jax.vmap(m, axis_name="batch", in_axes=(0, None), out_axes=(0, None))  # noqa: E731
    values, _ = call(wrapped)(_ones(5, 3), state)
    expected, _ = call(unwrap(wrapped))(_ones(5, 3), state)
    assert _same(values, expected)


LINEAR = _made(nn.Linear, 2, 2)


@pytest.mark.parametrize(
    "call, kind, match",
    [
        (lambda: wrap({}, Uniform(0.1)), ValueError, "got none"),
        (lambda: wrap([jnp.arange(3), "a"], Uniform(0.1)), ValueError, "got none"),
        (lambda: wrap(LINEAR, Uniform(0.1), lambda m: []), ValueError, "at least one"),
        (lambda: wrap(LINEAR, Uniform(0.1), lambda m: m.in_features), TypeError, "got int"),
        (
            lambda: wrap(MODELS["own"][0], Uniform(0.1), lambda m: m.count),
            TypeError,
            r"`model.count`, int\d+ numbers",
        ),
        (lambda: wrap(LINEAR, Uniform(0.1), "weight"), TypeError, "a function from|Type-check"),
        (lambda: wrap(LINEAR, 4), TypeError, "got int|Type-check"),
        (lambda: wrap(LINEAR, Uniform(0.1), backward="both"), ValueError, "got 'both'"),
        (lambda: wrap(LINEAR, AbsMax(4, "network")), ValueError, "inside the loss"),
        (lambda: wrap(wrap(LINEAR, AbsMax(4)), AbsMax(2)), ValueError, "not wrapped yet"),
        (
            lambda: wrap(wrap(LINEAR, AbsMax(4)), AbsMax(2), lambda m: m.weight),
            ValueError,
            r"`model.weight`. Call `unwrap",
        ),
        (
            lambda: wrap({"a": jnp.array([1.0, jnp.nan])}, Uniform(0.1)),
            ValueError,
            r"NaN or infinity in `model\['a'\]`",
        ),
        (lambda: wrap(_made(nn.Conv1d, 1, 1, 3), AbsMax(4)), ValueError, "Sequential"),
    ],
)
def test_bad_input_is_named_with_its_cure(call, kind, match):
    with pytest.raises(kind, match=match):
        call()


def test_a_layer_on_a_single_level_is_announced():
    with pytest.warns(UserWarning, match=r"`model.weight` to the single value 0.0"):
        wrap(_made(nn.Linear, 3, 3, use_bias=False), Uniform(100.0))


def test_latent_matrices_refuse_other_functions_at_once():
    wrapped = wrap(_made(nn.Linear, 200, 300), Uniform(0.0625), backward="latent")
    with pytest.raises(TypeError, match='`wrap\\(..., backward="latent"\\)` gives matrices'):
        jnp.asarray(wrapped.weight.T)
    with pytest.raises(TypeError, match="LatentBackward"):
        jnp.sin(wrapped.weight.T)


def test_a_differentiated_product_has_points_first_and_the_derivatives_of_the_plain_one():
    model = _made(nn.Linear, 3, 4)
    wrapped = wrap(model, AbsMax(4, "channel"))
    plain, xs = unwrap(wrapped), jnp.sin(jnp.arange(15.0)).reshape(5, 3)

    def batch(m, xs):
        return jnp.sum(jnp.sin(jax.vmap(m)(xs)) ** 2)

    for at in (0, 1):  # the matrix alone, the points alone
        of_wrapped, of_plain = (
            jax.tree.leaves(jax.jit(jax.grad(batch, at))(m, xs)) for m in (wrapped, plain)
        )
        for a, b in zip(of_wrapped, of_plain, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)

    def square(m):
        return lambda x: jnp.sum(m(x) ** 2)

    np.testing.assert_allclose(
        jax.hessian(square(wrapped))(xs[0]), jax.hessian(square(plain))(xs[0]), rtol=1e-12
    )
    per_point = [jax.vmap(jax.jacrev(m))(xs) for m in (wrapped, plain)]
    np.testing.assert_allclose(*per_point, rtol=1e-12)
    # Integers have no tangents, and products of them are left as they are.
    counts = jnp.arange(3)
    np.testing.assert_allclose(wrapped(counts), plain(counts), rtol=1e-12)
    np.testing.assert_allclose(jax.jacrev(lambda m: m(counts))(wrapped).bias.latent, np.eye(4))

    # Points last would have to be transposed: shape (4, 5) to (5, 4).
    def transposed(m):
        equations = str(jax.make_jaxpr(jax.value_and_grad(lambda m: batch(m, xs)))(m))
        return "f64[4,5]" in equations

    assert transposed(plain) and not transposed(wrapped)


class _Tied(eqx.Module):
    shared: eqx.nn.Shared

    def __init__(self, kind, *sizes, **options):
        pair = _made(kind, *sizes, **options), _made(kind, *sizes, seed=1, **options)
        self.shared = eqx.nn.Shared(pair, lambda p: p[1].weight, lambda p: p[0].weight)

    def __call__(self, x):
        first, second = self.shared()
        return second(jax.nn.relu(first(x)))


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize(
    "kind, sizes, shape", [(nn.Linear, (3, 3), (3,)), (nn.Conv1d, (3, 3, 1), (3, 4))]
)
@pytest.mark.parametrize("q", [AbsMax(4, "channel"), LSQ(4)])
def test_a_tied_weight_has_one_grid_and_two_places(q, kind, sizes, shape, use_bias):
    model, x = _Tied(kind, *sizes, use_bias=use_bias), _ones(*shape)
    wrapped = wrap(model, q)
    plain = unwrap(wrapped)
    assert jax.tree.structure(plain) == jax.tree.structure(model)
    first, second = plain.shared()
    assert first.weight is second.weight
    grid = quantizers.quantize(model.shared.pytree[0].weight, AbsMax(4, "channel"))
    assert not isinstance(q, AbsMax) or np.array_equal(first.weight, grid)
    # Compiled, the two may add in another order.
    assert np.allclose(wrapped(x), plain(x), rtol=1e-6)
    # One latent array: its gradient is the sum of those of both places.
    gradients = eqx.filter_grad(lambda m: jnp.sum(m(x) ** 2))(wrapped)

    def untied(a, b):
        layers = [eqx.tree_at(lambda m: m.weight, m, w) for m, w in ((first, a), (second, b))]
        return jnp.sum(layers[1](jax.nn.relu(layers[0](x))) ** 2)

    both = sum(jax.grad(untied, argnums=(0, 1))(first.weight, first.weight))
    if isinstance(q, AbsMax):
        assert np.allclose(gradients.shared.pytree[0].weight.latent, both, rtol=1e-5)


class _Jitted(eqx.Module):
    layers: list

    @eqx.filter_jit
    def __call__(self, x):
        return self.layers[1](jnp.tanh(self.layers[0](x)))


class _Recurrent(eqx.Module):
    cell: nn.GRUCell
    out: nn.Linear

    def __call__(self, x):
        first = jnp.zeros(4, x.dtype)
        return self.out(jax.lax.scan(lambda h, xi: (self.cell(xi, h), None), first, x[:, None])[0])


class _Mapped(eqx.Module):
    layer: nn.Linear

    def __call__(self, x):
        return jax.lax.map(self.layer, jnp.stack([x, 2 * x])).sum(axis=0)


LOOPS = {
    "jit": lambda: _Jitted([_made(nn.Linear, 3, 8), _made(nn.Linear, 8, 2)]),
    "scan": lambda: _Recurrent(_made(nn.GRUCell, 1, 4), _made(nn.Linear, 4, 2)),
    "map": lambda: _Mapped(_made(nn.Linear, 3, 2)),
    "checkpoint": lambda: _made(nn.Linear, 3, 2),
}


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("q", [AbsMax(4), LSQ(4)], ids=lambda q: type(q).__name__)
@pytest.mark.parametrize("points", [2, 5, 8])
def test_loops_inside_of_a_model_are_differentiated_at_its_value(name, q, points):
    """As many points as a layer has outputs, and another number."""
    model = wrap(LOOPS[name](), q)
    plain = unwrap(model)
    call = jax.checkpoint(lambda m, x: m(x)) if name == "checkpoint" else lambda m, x: m(x)
    xs = jnp.sin(jnp.arange(3.0 * points)).reshape(points, 3)

    def loss(m, xs):
        return jnp.sum(jnp.sin(jax.vmap(lambda x: call(m, x))(xs)) ** 2)

    value, slopes = eqx.filter_value_and_grad(loss)(model, xs)
    assert float(value) == pytest.approx(float(loss(plain, xs)), rel=1e-12)
    # The derivative by the points, where no quantizer has a rule of its own.
    of_points = [jax.grad(loss, 1)(m, xs) for m in (model, plain)]
    np.testing.assert_allclose(*of_points, rtol=1e-10, atol=1e-13)
    # Members of an ensemble, which share the points or have their own.
    members = jax.tree.map(lambda a: jnp.stack([a, a]) if eqx.is_array(a) else a, model)
    for axis, given in ((None, xs), (0, jnp.stack([xs, xs]))):
        both = eqx.filter_vmap(eqx.filter_value_and_grad(loss), in_axes=(eqx.if_array(0), axis))
        values, of_members = both(members, given)
        np.testing.assert_allclose(values, [value, value], rtol=1e-12)
        for a, b in zip(jax.tree.leaves(of_members), jax.tree.leaves(slopes), strict=True):
            np.testing.assert_allclose(a, jnp.stack([b, b]), rtol=1e-9, atol=1e-12)
