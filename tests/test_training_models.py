"""Models of all sorts under a quantizer: the loss is that of what is served, at every step."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from equinox import nn

from qrelu.quantizers import AbsMax, unwrap, wrap
from qrelu.training import fit

KEYS = jax.random.split(jax.random.key(0), 3)


class _Jitted(eqx.Module):
    layers: list

    @eqx.filter_jit
    def __call__(self, x):
        return self.layers[1](jnp.tanh(self.layers[0](x)))


class _Recurrent(eqx.Module):
    cell: eqx.Module
    out: nn.Linear
    pair: bool = eqx.field(static=True)

    def __call__(self, x):
        zero = jnp.zeros(4, x.dtype)
        state = (zero, zero) if self.pair else zero
        state, _ = jax.lax.scan(lambda h, xi: (self.cell(xi, h), None), state, x[:, None])
        return self.out(state[0] if self.pair else state)


class _Normed(eqx.Module):
    first: nn.WeightNorm
    last: nn.Linear

    def __call__(self, x):
        return self.last(jnp.tanh(self.first(x)))


GRIDS = {"tensor": AbsMax(4), "channel": AbsMax(5, "channel")}
MODELS = {
    "jit": lambda: _Jitted([nn.Linear(3, 8, key=KEYS[0]), nn.Linear(8, 1, key=KEYS[1])]),
    "gru": lambda: _Recurrent(
        nn.GRUCell(1, 4, key=KEYS[0]), nn.Linear(4, 1, key=KEYS[1]), pair=False
    ),
    "lstm": lambda: _Recurrent(
        nn.LSTMCell(1, 4, key=KEYS[0]), nn.Linear(4, 1, key=KEYS[1]), pair=True
    ),
    "weight norm": lambda: _Normed(
        nn.WeightNorm(nn.Linear(3, 8, key=KEYS[0])), nn.Linear(8, 1, key=KEYS[1])
    ),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("grid, points", [("tensor", 8), ("tensor", 5), ("channel", 5)])
def test_training_starts_at_the_loss_of_the_quantized_model(name, grid, points):
    """With as many points as a layer has outputs, and with another number."""
    model, q = MODELS[name](), GRIDS[grid]
    x = np.random.default_rng(1).normal(size=(points, 3))
    y = x[:, :1] * x[:, 1:2]

    def loss(m):
        return jnp.mean((jax.vmap(m)(jnp.asarray(x)) - y) ** 2)

    # The first step, by hand: the gradient at the grid values, for the latent ones.
    latent, rest = eqx.partition(model, eqx.is_inexact_array)
    rounded = unwrap(wrap(model, q))
    slopes = eqx.filter_grad(loss)(rounded)
    by_hand = eqx.combine(jax.tree.map(lambda p, g: p - 0.1 * g, latent, slopes), rest)
    result = fit(model, (x, y), steps=2, every=1, quantizer=q, optimizer=optax.sgd(0.1))
    expected = [float(loss(rounded)), float(loss(unwrap(wrap(by_hand, q))))]
    np.testing.assert_allclose(result.history, expected, rtol=1e-9)
    assert result.loss == pytest.approx(float(loss(result.model)), rel=1e-9)
