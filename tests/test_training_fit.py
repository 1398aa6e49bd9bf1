"""Training by gradients, against loops of optax written out."""

import io
import os
import subprocess
import sys
import textwrap
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from qrelu import networks, norms, quantizers, realize, targets
from qrelu.quantizers import LSQ, AbsMax, Uniform
from qrelu.training import fit, fit_ensemble
from qrelu.training._losses import as_loss

KEY = jax.random.key(0)
X = np.linspace(-1, 1, 40)
Y = np.sin(3 * X)


def _net(seed=0, widths=(1, 8, 1)):
    return networks.he_normal(widths, key=jax.random.key(seed))


def _leaves(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array))]


def _close(a, b, rtol=1e-9):
    for u, v in zip(_leaves(a), _leaves(b), strict=True):
        np.testing.assert_allclose(u, v, rtol=rtol, atol=1e-12)


def _by_hand(model, optimizer, steps, loss):
    parameters, rest = eqx.partition(model, eqx.is_inexact_array)
    memory = optimizer.init(parameters)
    losses = []

    @jax.jit
    def step(parameters, memory):
        value, gradients = jax.value_and_grad(lambda p: loss(eqx.combine(p, rest)))(parameters)
        updates, memory = optimizer.update(gradients, memory, parameters)
        return value, optax.apply_updates(parameters, updates), memory

    for _ in range(steps):
        value, parameters, memory = step(parameters, memory)
        losses.append(float(value))
    return eqx.combine(parameters, rest), losses


def test_equals_a_loop_of_optax():
    net, optimizer = _net(), optax.adamw(3e-3)
    result = fit(net, (X, Y), steps=37, every=10, optimizer=optimizer)
    loss = lambda m: jnp.mean(jnp.square(realize(m, X[:, None])[:, 0] - Y))  # noqa: E731
    model, losses = _by_hand(net, optimizer, 37, loss)
    np.testing.assert_allclose(result.history, losses, rtol=1e-9)
    _close(result.model, model)
    assert result.steps == 37 and result.stopped == "all steps" and result.error is None
    assert result.loss == pytest.approx(float(loss(model)), rel=1e-9)
    assert result.settings["dtype"] == "float64"


def test_equals_a_loop_through_a_quantizer():
    mlp, optimizer = eqx.nn.MLP("scalar", "scalar", 6, 2, key=KEY), optax.sgd(1e-2)
    where = lambda m: [layer.weight for layer in m.layers]  # noqa: E731
    result = fit(
        mlp, (X, Y), steps=12, optimizer=optimizer, quantizer=AbsMax(3, "channel"), where=where
    )
    loss = lambda m: jnp.mean(jnp.square(jax.vmap(m)(jnp.asarray(X)) - Y))  # noqa: E731
    wrapped = quantizers.wrap(mlp, AbsMax(3, "channel"), where)
    model, losses = _by_hand(wrapped, optimizer, 12, loss)
    np.testing.assert_allclose(result.history, losses, rtol=1e-9)
    _close(result.model, quantizers.unwrap(model))
    for row in np.asarray(result.model.layers[1].weight):
        assert len(np.unique(row)) <= 7
    assert len(np.unique(result.latent.layers[1].weight[0])) == 6


def test_optimizers_that_ask_for_losses():
    loss = lambda m: jnp.mean(jnp.square(realize(m, X[:, None])[:, 0] - Y))  # noqa: E731
    net, optimizer = _net(), optax.lbfgs(memory_size=3)
    parameters, memory = net, optimizer.init(net)
    losses = []
    for _ in range(3):  # as its documentation says
        value, gradient = jax.value_and_grad(loss)(parameters)
        losses.append(float(value))
        updates, memory = optimizer.update(
            gradient, memory, parameters, value=value, grad=gradient, value_fn=loss
        )
        parameters = optax.apply_updates(parameters, updates)
    result = fit(net, (X, Y), steps=3, optimizer=optimizer)
    np.testing.assert_allclose(result.history, losses, rtol=1e-6)


@pytest.mark.parametrize("size, y", [(1, Y), ("scalar", Y > 0)])
def test_a_loss_of_ones_own_sees_columns(size, y):
    # (n, 1) and (n,) would make a matrix of all differences.
    model = eqx.nn.MLP(size, size, 3, 1, key=KEY)
    result = fit(model, (X, y), steps=1, loss=lambda p, y: jnp.mean(jnp.square(p - y)))
    values = np.asarray(jax.vmap(model)(X[:, None] if size == 1 else X)).ravel()
    assert result.history[0] == pytest.approx(np.mean((values - y) ** 2), rel=1e-12)


def test_a_loss_of_ones_own_sees_whole_labels():
    cross = optax.softmax_cross_entropy_with_integer_labels
    labels = np.arange(40) % 3
    loss = lambda p, y: cross(p, y).mean()  # noqa: E731
    own = fit(_net(widths=(1, 3, 3)), (X, labels), steps=1, loss=loss)
    logits = np.asarray(realize(_net(widths=(1, 3, 3)), X[:, None]))
    want = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(40), labels]
    assert own.history[0] == pytest.approx(want.mean(), rel=1e-12)


def test_errors_without_a_norm_are_losses_at_other_points():
    target = targets.get("exp")
    result = fit(_net(), target, steps=1, loss=3)
    x = np.linspace(0, 1, 20001)
    values = np.asarray(realize(result.model, x[:, None]))[:, 0]
    want = np.trapezoid(np.abs(values - target(x)) ** 3, x)
    assert result.error_kind == "loss at other points"
    assert result.error == pytest.approx(want, rel=1e-4) and result.error != result.loss
    rule = norms.GaussLegendre((0, 1), 8, 3)
    pair = fit(_net(), (target, rule), steps=1)
    assert pair.error_kind == "exact distance"
    half = fit(_net(), (target, norms.GaussLegendre((0, 0.5), 8, 3)), steps=1)
    assert half.error_kind == "loss at other points"
    plane = fit(_net(widths=(2, 4, 1)), targets.get("gaussian2d"), steps=1)
    assert plane.error_kind == "measured distance" and plane.error.uncertainty > 0


def test_a_wrapped_model_trains_as_it_stands():
    model = quantizers.wrap(_net(), LSQ(3))
    before = [leaf for leaf in _leaves(model)]
    result = fit(model, (X, Y), steps=30, optimizer=optax.sgd(1e-2))
    assert result.loss < result.history[0]
    steps = [s for s, t in zip(before, _leaves(result.latent), strict=True) if s.ndim == 0]
    moved = [t for s, t in zip(before, _leaves(result.latent), strict=True) if s.ndim == 0]
    assert steps and not np.array_equal(steps, moved)
    _close(result.model, quantizers.unwrap(result.latent))


@pytest.mark.slow
def test_a_schedule_of_falling_bits():
    rules = [(0, None), (20, AbsMax(5)), (45, Uniform(2**-4))]
    result = fit(_net(), (X, Y), steps=60, every=15, quantizer=rules)
    plain = fit(_net(), (X, Y), steps=60, every=15)
    np.testing.assert_allclose(result.history[:20], plain.history[:20], rtol=1e-9)
    assert result.history[20] != pytest.approx(plain.history[20], rel=1e-6)
    for leaf in _leaves(result.model):
        assert np.array_equal(leaf * 16, np.round(leaf * 16))


def test_the_best_of_a_schedule_is_the_best_on_its_last_grid():
    # Float networks do better than any on two bits: they are no candidates.
    rules = [(0, None), (120, AbsMax(2))]
    options = dict(optimizer=optax.adam(3e-2), steps=180, every=30, quantizer=rules)
    result = fit(_net(), (X, Y), validation=(X, Y), **options)
    assert min(result.evaluations[:4]) < min(result.evaluations[4:])
    served = np.asarray(realize(result.model, X[:, None]))[:, 0]
    assert result.error == pytest.approx(np.mean(np.square(served - Y)), rel=1e-9)
    assert result.error == min(result.evaluations[4:])
    # Patience does not end training before the last grid.
    worse = fit(_net(), (X, Y), validation=(X, -Y), patience=1, **options)
    assert worse.evaluations[1] > worse.evaluations[0]
    assert worse.stopped == "no improvement" and worse.steps > 120


def test_the_state_of_each_epoch_sees_every_point_once():
    seen = []

    def loss(predictions, y):
        jax.debug.callback(lambda v: seen.append(np.asarray(v)), y, ordered=True)
        return jnp.mean(jnp.square(predictions - y))

    fit(_net(), (X[:, None], Y[:, None]), batch=8, steps=10, every=4, loss=loss, key=KEY)
    batches = np.concatenate(seen[:10], axis=0).reshape(10, 8)
    assert np.array_equal(np.sort(batches[:5].ravel()), np.sort(Y))
    assert np.array_equal(np.sort(batches[5:].ravel()), np.sort(Y))
    assert not np.array_equal(batches[:5], batches[5:])


def test_the_same_key_gives_the_same_numbers():
    run = lambda seed: fit(_net(), (X, Y), batch=10, steps=9, key=jax.random.key(seed))  # noqa: E731
    first, again, other = run(1), run(1), run(2)
    assert np.array_equal(first.history, again.history)
    assert not np.array_equal(first.history, other.history)


@pytest.mark.parametrize(
    "loss, norm",
    [pytest.param("l1", norms.L1, marks=pytest.mark.slow), ("l2", norms.L2), ("sup", norms.Sup)],
)
def test_a_target_is_met_in_its_norm(loss, norm):
    target = targets.get("exp")
    result = fit(_net(widths=(1, 12, 1)), target, steps=200, loss=loss)
    assert result.error_kind == "exact distance"
    network = jax.tree.map(np.asarray, result.model)
    assert float(result.error) == float(norm().distance(network, target))
    start = norm().distance(jax.tree.map(np.asarray, _net(widths=(1, 12, 1))), target)
    assert float(result.error) < 0.5 * float(start)


def test_functions_of_several_variables():
    rule = norms.GaussLegendre((0, 1), cells=(6, 6), points=2)
    f = lambda x: x[:, 0] * x[:, 1]  # noqa: E731
    net = _net(widths=(2, 8, 1))
    result = fit(net, (f, rule), steps=1)
    values = np.asarray(realize(net, rule.nodes))[:, 0]
    assert result.history[0] == pytest.approx(rule.weights @ (values - f(rule.nodes)) ** 2)


def test_classes():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    labels = (x[:, 0] > x[:, 1]).astype(np.int64)
    result = fit(
        _net(widths=(2, 8, 2)), (x, labels), steps=150, loss="cross_entropy", validation=(x, labels)
    )
    right = np.asarray(realize(result.model, x)).argmax(axis=1) == labels
    assert right.mean() > 0.95
    assert result.error == pytest.approx(result.evaluations.min()) and result.error_kind != "none"


def test_the_best_model_is_kept_and_training_ends_early():
    # Validation labels are the negatives: the better the fit, the worse the validation.
    result = fit(
        _net(),
        (X, Y),
        steps=400,
        every=5,
        validation=(X, -Y),
        patience=4,
        optimizer=optax.adam(1e-2),
    )
    assert result.stopped == "no improvement" and result.steps < 400
    best = int(np.argmin(result.evaluations))
    assert len(result.evaluations) == best + 1 + 4
    values = np.asarray(realize(result.model, X[:, None]))[:, 0]
    assert np.mean((values + Y) ** 2) == pytest.approx(result.evaluations[best])


def test_a_loss_that_is_not_finite_ends_training_in_the_last_good_state():
    with pytest.warns(UserWarning, match="NaN or infinite"):
        result = fit(_net(), (X, Y), steps=100, every=7, optimizer=optax.sgd(1e3))
    assert result.stopped == "a loss that is not finite" and not result.finite
    assert np.isfinite(result.history[:-1]).all() and not np.isfinite(result.history[-1])
    assert result.steps == len(result.history) - 1 < 100
    assert result.loss == pytest.approx(result.history[-2], rel=1e-9)
    assert all(np.isfinite(leaf).all() for leaf in _leaves(result.model))


@pytest.mark.parametrize("grids", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_an_ensemble_is_its_members(grids):
    nets = [_net(seed) for seed in range(2)]
    rates, bits = [1e-3, 3e-2], [3, 6]
    result = fit_ensemble(
        networks.stack(nets),
        (X, Y),
        steps=25,
        every=10,
        batch=20,
        key=KEY,
        learning_rates=rates,
        quantizer=AbsMax(jnp.array(bits)) if grids else None,
    )
    assert result.history.shape == (25, 2) and result.finite.all()
    for i, net in enumerate(nets):
        alone = fit(
            net,
            (X, Y),
            steps=25,
            every=10,
            batch=20,
            key=KEY,
            optimizer=optax.adam(rates[i]),
            quantizer=AbsMax(bits[i]) if grids else None,
        )
        np.testing.assert_allclose(result.history[:, i], alone.history, rtol=1e-6)
        _close(networks.unstack(result.model)[i], alone.model, rtol=1e-6)


class _Picked(eqx.Module):
    """A linear function of some of the entries of a point, which arrays of other kinds choose."""

    weights: jax.Array
    which: jax.Array | np.ndarray
    first: jax.Array

    def __call__(self, x):
        return jnp.sum(x[self.which] * self.weights) + x[self.first]


@pytest.mark.parametrize("kind", [jnp.asarray, np.asarray])
def test_members_have_their_own_arrays_of_whole_numbers(kind):
    x = np.random.default_rng(0).normal(size=(50, 4))
    y = x @ np.arange(1.0, 5.0)
    which, first = kind([[0, 1], [2, 3], [1, 3]]), jnp.array([2, 0, 2])
    optimizer, options = optax.adam(0.05), dict(steps=60, every=30, validation=(x, y))
    ensemble = _Picked(jnp.ones((3, 2)), which, first)
    result = fit_ensemble(ensemble, (x, y), optimizer=optimizer, **options)
    for i in range(3):
        member = _Picked(jnp.ones(2), jnp.asarray(which[i]), first[i])
        alone = fit(member, (x, y), optimizer=optimizer, **options)
        np.testing.assert_allclose(result.history[:, i], alone.history, rtol=1e-9)
        np.testing.assert_allclose(result.loss[i], alone.loss, rtol=1e-9)
    assert len(set(result.loss.tolist())) == 3
    with pytest.raises(
        ValueError, match=r"leading axis of members; got the axes \[\(2,\), \(3,\)\]"
    ):
        fit_ensemble(_Picked(jnp.ones((3, 2)), kind([0, 1]), first), (x, y), steps=1)


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
def test_a_grid_of_the_network_holds_for_what_is_chosen(rounding):
    # Two bits: the largest of the chosen parameters with both signs, and zero.
    where, still = (lambda m: [m.weights[1], m.biases[1]]), optax.sgd(0.0)
    q = AbsMax(2, "network", rounding)
    net = networks.he_normal((1, 8, 1), key=KEY)
    result = fit(net, (X, Y), steps=1, optimizer=still, quantizer=q, where=where)
    top = np.abs(net.weights[1]).max()
    assert np.array_equal(result.model.weights[0], net.weights[0])
    assert np.isin(result.model.weights[1], [-top, 0, top]).all()
    with pytest.raises(TypeError, match="real floating-point numbers"):
        fit(net, (X, Y), steps=1, quantizer=q, where=lambda m: "weights")


def test_gradients_past_a_grid_of_the_network():
    # The grid of the network is that of its first matrix, whose largest parameter it has.
    net = networks.ReLUNetwork(
        [np.array([[1.0], [-0.7]]), np.array([[0.9, 0.6]])], [np.array([0.2, 0.3]), np.zeros(1)]
    )
    found = {}
    for backward in ("quantized", "latent"):
        options = dict(steps=1, optimizer=optax.sgd(0.1), backward=backward)
        found[backward] = fit(net, (X, Y), quantizer=AbsMax(3, "network"), **options)
        fixed = fit(net, (X, Y), quantizer=Uniform(1 / 3, bits=3), **options)
        _close(found[backward].latent, fixed.latent)
    quantized, latent = (found[name].latent for name in ("quantized", "latent"))
    assert np.abs(quantized.weights[0] - latent.weights[0]).max() > 1e-4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", ["sup", 9, 3])
def test_no_error_at_all_has_the_derivative_zero(p, dtype):
    net = jax.tree.map(lambda w: jnp.zeros(w.shape, dtype), _net())
    result = fit(net, (X, 0 * Y), steps=3, loss=p)
    assert np.array_equal(result.history, np.zeros(3)) and result.stopped == "all steps"
    assert not any(leaf.any() for leaf in _leaves(result.model))


@pytest.mark.parametrize("size", [1.0, 1e-25])
def test_the_derivative_of_the_largest_error(size):
    # By the chain rule; the squares of errors of 1e-25 are zero in float32.
    errors = np.array([0.3, -1.0, 0.8, 0.0])
    norm = np.mean(np.abs(errors) ** 32) ** (1 / 32)
    want = np.sign(errors) * (np.abs(errors) / norm) ** 31 / 4
    loss = lambda v: as_loss("sup")(v[:, None], jnp.zeros((4, 1)), jnp.full(4, 0.25))  # noqa: E731
    found = jax.grad(loss)(jnp.asarray(size * errors, jnp.float32))
    np.testing.assert_allclose(found, want, rtol=1e-4)


def test_seconds_are_those_of_the_call():
    begun = time.perf_counter()
    result = fit(_net(), (X, Y), steps=2, validation=(X, Y))
    assert 0 < result.seconds <= time.perf_counter() - begun


def test_members_round_by_chances_of_their_own():
    nets, q = networks.stack([_net()] * 3), AbsMax(3, rounding="stochastic")
    run = lambda q: fit_ensemble(nets, (X, Y), steps=4, quantizer=q, key=KEY)  # noqa: E731
    result = run(q)
    assert all(len(set(losses)) == 3 for losses in result.history)
    assert len(set(result.loss.tolist())) == 3  # also in what is served
    for member, loss in zip(networks.unstack(result.model), result.loss, strict=True):
        values = np.asarray(realize(member, X[:, None]))[:, 0]
        assert np.mean((values - Y) ** 2) == pytest.approx(loss, rel=1e-9)
    assert np.array_equal(result.history, run(q).history)
    assert all(len(set(losses)) == 1 for losses in run(AbsMax(3)).history)


@pytest.mark.slow
def test_members_on_two_devices_equal_those_on_one(tmp_path):
    script = tmp_path / "grid.py"
    script.write_text(
        textwrap.dedent("""
        import sys, jax, jax.numpy as jnp, numpy as np
        from qrelu import networks
        from qrelu.quantizers import AbsMax
        from qrelu.training import fit_ensemble
        assert len(jax.devices()) == int(sys.argv[1])
        wide = (1, 6, 1)
        nets = [networks.he_normal((1, n, 1), key=jax.random.key(n)) for n in (3, 4, 5, 6)]
        mask = networks.stack([networks.mask(net, wide) for net in nets])
        nets = networks.stack([networks.pad(net, wide) for net in nets])
        x = np.linspace(-1, 1, 30)
        result = fit_ensemble(
            nets, (x, np.sin(3 * x)), steps=12, every=6, batch=10, mask=mask,
            learning_rates=[1e-3, 1e-2, 1e-3, 1e-2], quantizer=AbsMax(jnp.array([3, 4, 5, 6])),
        )
        assert len(result.latent.weights[0].sharding.device_set) == int(sys.argv[1])
        np.save(sys.argv[2], result.history)
        """)
    )
    found = []
    for count in (1, 2):
        flags = f"--xla_force_host_platform_device_count={count}"
        place = tmp_path / f"{count}.npy"
        call = [sys.executable, str(script), str(count), str(place)]
        subprocess.run(call, check=True, env=os.environ | {"XLA_FLAGS": flags})
        found.append(np.load(place))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


@pytest.mark.slow
def test_one_member_that_fails_leaves_the_others_alone():
    nets = networks.stack([_net(0), _net(1)])
    rates = [1e-2, 1e3]
    with pytest.warns(UserWarning, match="1 of 2 members"):
        result = fit_ensemble(nets, (X, Y), steps=60, optimizer=optax.sgd, learning_rates=rates)
    assert result.finite.tolist() == [True, False] and result.stopped == "all steps"
    assert np.isfinite(result.loss).all()
    alone = fit(_net(0), (X, Y), steps=60, optimizer=optax.sgd(1e-2))
    np.testing.assert_allclose(result.history[:, 0], alone.history, rtol=1e-6)


@pytest.mark.slow
def test_padding_stays_zero():
    small, widths = _net(0, (1, 3, 1)), (1, 5, 1)
    nets = networks.stack([networks.pad(small, widths), _net(1, widths)])
    mask = networks.stack([networks.mask(small, widths), networks.mask(_net(1, widths), widths)])
    optimizer = optax.adamw(1e-2, weight_decay=0.1)
    result = fit_ensemble(nets, (X, Y), steps=20, mask=mask, optimizer=optimizer)
    alone = fit(small, (X, Y), steps=20, optimizer=optimizer)
    _close(networks.unstack(result.model)[0], networks.pad(alone.model, widths), rtol=1e-6)


def test_the_line_on_the_terminal(monkeypatch):
    from rich.console import Console

    from qrelu.training import _progress

    shown = io.StringIO()
    terminal = lambda **_: Console(file=shown, force_terminal=True, width=90)  # noqa: E731
    monkeypatch.setattr(_progress, "Console", terminal)
    with _progress.reporting(True, 200, 40) as report:
        report(120, 0.012345)
    assert "120/200 steps, loss 0.0123" in shown.getvalue() and "left" in shown.getvalue()


def test_numpy_models_are_left_as_they_were():
    net = jax.tree.map(np.asarray, _net())
    before = [leaf.copy() for leaf in jax.tree.leaves(net)]
    in_jax = _net()
    fit(net, (X, Y), steps=3)
    fit(in_jax, (X, Y), steps=3)
    assert all(np.array_equal(a, b) for a, b in zip(before, jax.tree.leaves(in_jax), strict=True))


@pytest.mark.parametrize(
    "options, error, match",
    [
        ({"batch": 41}, ValueError, "at most the 40 points"),
        ({"batch": 0}, ValueError, "positive"),
        ({"steps": 0}, ValueError, "positive"),
        ({"loss": "mse"}, ValueError, "cross_entropy"),
        ({"loss": 0.5}, ValueError, "p >= 1"),
        ({"patience": 3}, ValueError, "validation"),
        ({"quantizer": 4}, TypeError, "AbsMax"),
        ({"quantizer": LSQ(4)}, TypeError, "quantizers.wrap"),
        ({"quantizer": [(5, AbsMax(4))]}, ValueError, "from step 0"),
        ({"quantizer": [(0, None), (0, AbsMax(4))]}, ValueError, "increasing"),
        ({"backward": "other"}, ValueError, "latent"),
        ({"checkpoint": "/nowhere/run.ckpt"}, ValueError, "existing folder"),
        ({"data": (X, Y[:-1])}, ValueError, "one label per point"),
        ({"data": (X, np.where(X > 0.9, np.nan, Y))}, ValueError, r"y\[38\] is not"),
        ({"data": (X, np.stack([Y, Y], 1))}, ValueError, "1 numbers per point and the data 2"),
        ({"data": (np.zeros((0, 1)), np.zeros(0))}, ValueError, "one label"),
        ({"data": "exp"}, TypeError, "a target"),
        ({"loss": "cross_entropy"}, ValueError, "whole-number labels"),
        ({"model": {"n": 3}}, ValueError, "floating-point"),
        ({"optimizer": "adam"}, TypeError, "got 'adam'"),
        ({"optimizer": optax.adam}, TypeError, "optimizer of optax"),
        ({"key": 0}, TypeError, "got 0"),
        ({"data": np.sin}, TypeError, "targets.Function"),
        ({"data": (np.ones((5, 3)), np.ones(5))}, ValueError, r"\(n, 1\) for a model of 1"),
        ({"loss": lambda p, y: p - y}, ValueError, "one number for all points"),
        ({"loss": "cross_entropy", "data": (X, np.full(40, 3))}, ValueError, "from 0 to 0"),
    ],
)
def test_bad_input(options, error, match):
    options = {"model": _net(), "data": (X, Y), "steps": 2} | options
    with pytest.raises(error, match=match):
        fit(options.pop("model"), options.pop("data"), **options)


def test_a_start_that_is_not_finite():
    net = jax.tree.map(lambda leaf: leaf * np.inf, _net())
    with pytest.raises(ValueError, match="finite loss"):
        fit(net, (X, Y), steps=5)


def test_a_grid_that_zeroes_a_layer_is_told():
    coarse = Uniform(16.0)
    with pytest.warns(UserWarning, match="single value") as caught:
        fit(_net(), (X, Y), steps=1, quantizer=coarse)
    assert {warning.filename for warning in caught} == {__file__}
    with pytest.warns(UserWarning, match=r"weights\[1\]. at a single value in 1 of 2 members"):
        grid = Uniform(jnp.array([16.0, 0.01]))
        nets = networks.stack([_net(0), _net(1)])
        where = lambda m: m.weights[1]  # noqa: E731
        fit_ensemble(nets, (X, Y), steps=1, quantizer=grid, where=where)


def test_learning_rates_ask_for_a_function():
    with pytest.raises(TypeError, match="function of a learning rate"):
        nets = networks.stack([_net(0), _net(1)])
        fit_ensemble(nets, (X, Y), optimizer=optax.adam(1e-3), learning_rates=[1e-3, 1e-2])


def test_a_stack_is_needed_for_an_ensemble():
    with pytest.raises(ValueError, match="leading axis"):
        fit_ensemble(_net(), (X, Y), steps=2)
