"""Optimizers that ask for more than gradients, and losses that break."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from qrelu import networks, realize
from qrelu.quantizers import Codebook
from qrelu.training import _run, fit, fit_ensemble, fit_least_squares

X = np.linspace(-1, 1, 20)
Y = np.sin(3 * X)


def _net(seed=0):
    return networks.he_normal((1, 4, 1), key=jax.random.key(seed))


def _loss(net):
    return jnp.mean(jnp.square(realize(net, X[:, None])[:, 0] - Y))


def _sam(opaque):
    ascent = optax.chain(optax.contrib.normalize(), optax.sgd(0.05))
    return optax.contrib.sam(optax.sgd(0.1), ascent, opaque_mode=opaque)


@pytest.mark.parametrize("opaque", [False, True])
def test_sharpness_aware_steps_equal_a_loop_of_optax(opaque):
    optimizer, steps = _sam(opaque), 4
    net = _net()
    parameters, memory, losses = net, optimizer.init(net), []

    @jax.jit
    def step(parameters, memory):  # as its documentation says
        value, gradient = jax.value_and_grad(_loss)(parameters)
        updates, memory = optimizer.update(
            gradient, memory, parameters, grad_fn=jax.grad(lambda p, _: _loss(p))
        )
        return value, optax.apply_updates(parameters, updates), memory

    for _ in range(steps):
        value, parameters, memory = step(parameters, memory)
        losses.append(float(value))
    result = fit(net, (X, Y), steps=steps, optimizer=optimizer)
    np.testing.assert_allclose(result.history, losses, rtol=1e-6)
    for a, b in zip(jax.tree.leaves(result.model), jax.tree.leaves(parameters), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(
    "optimizer",
    [
        optax.contrib.schedule_free_sgd(0.1),
        optax.chain(optax.clip(1.0), optax.lookahead(optax.sgd(0.1), 5, 0.5)),
        optax.contrib.differentially_private_aggregate(1.0, 0.1, key=0),
    ],
)
def test_optimizers_that_need_a_loop_of_their_own_are_refused(optimizer):
    with pytest.raises(TypeError, match=r"`fit\(optimizer=...\)` must take one gradient .* Use"):
        fit(_net(), (X, Y), steps=1, optimizer=optimizer)


def test_a_loss_that_breaks_is_told():
    with pytest.warns(UserWarning, match=r"`fit\(model, data\)`: the loss became NaN .* Use"):
        result = fit(_net(), (X, Y), steps=100, optimizer=optax.sgd(1e3))
    assert result.stopped == "a loss that is not finite" and not result.finite
    # Nobody sees the loss after the last step in the history: it is told too.
    with pytest.warns(UserWarning, match="became NaN"):
        result = fit(_net(), (X, Y), steps=1, optimizer=optax.sgd(1e200))
    assert result.stopped == "a loss that is not finite" and not result.finite
    assert result.loss == pytest.approx(result.history[0])


@pytest.mark.filterwarnings("ignore:.*single value")
def test_a_codebook_with_as_many_values_as_members_is_one_for_all():
    q = Codebook([-1.0, -0.25, 0.5])
    nets = [_net(seed) for seed in range(3)]
    result = fit_ensemble(networks.stack(nets), (X, Y), steps=2, quantizer=q)
    alone = fit(nets[2], (X, Y), steps=2, quantizer=q).model
    member = networks.unstack(result.model)[2]
    for a, b in zip(jax.tree.leaves(member), jax.tree.leaves(alone), strict=True):
        np.testing.assert_array_equal(a, b)


class _Wants(eqx.Module):
    linear: eqx.nn.Linear
    dropout: eqx.nn.Dropout = eqx.nn.Dropout(0.5)

    def __call__(self, x, key=None):
        return self.dropout(self.linear(x), key=key)


def test_models_that_want_more_than_a_point():
    model = _Wants(eqx.nn.Linear(1, 1, key=jax.random.key(0)))
    with pytest.raises(ValueError, match=r"(?s)maps one point .* RuntimeError: Dropout .* Bind"):
        fit(model, (X, Y), steps=1)
    fit(eqx.nn.inference_mode(model), (X, Y), steps=1)


class _Mute(eqx.Module):
    weight: jax.Array

    def __call__(self, x):
        raise RuntimeError


def test_models_that_fail_without_a_word():
    with pytest.raises(ValueError, match="raised RuntimeError. Bind"):
        fit(_Mute(jnp.ones(1)), (X, Y), steps=1)


@pytest.mark.parametrize("call", [fit, fit_least_squares])
def test_complex_models(call):
    model = eqx.nn.Linear(1, 1, dtype=jnp.complex64, key=jax.random.key(0))
    with pytest.raises(TypeError, match="real parameters; got complex64"):
        call(model, (X, Y), steps=1)


def test_a_loss_may_return_a_plain_number():
    assert fit(_net(), (X, Y), steps=1, loss=lambda p, y: 0.0).loss == 0


@pytest.mark.filterwarnings("ignore:Some donated buffers")
def test_steps_write_in_place(monkeypatch):
    # Steps of large networks that copy their arrays take a tenth longer.
    class Seen(Exception):
        pass

    def seen(*arguments):
        raise Seen(arguments)

    step = _run.advance
    monkeypatch.setattr(_run, "advance", seen)
    with pytest.raises(Seen) as caught:
        fit(networks.he_normal((24, 40, 1), key=jax.random.key(0)), (np.ones((9, 24)), np.ones(9)))
    program = step.lower(*caught.value.args[0]).compile().compiled.as_text()
    assert "f64[40,24]" in program and not re.search(r"= f64\[40,24\]\S* copy\(", program)
