"""Points in the form that a model takes: rows or scalars, floats or whole numbers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from qrelu import networks, norms, targets
from qrelu.quantizers import AbsMax
from qrelu.training import fit, fit_ensemble, fit_least_squares
from qrelu.training._losses import Power
from qrelu.training._problem import as_problem

KEY = jax.random.key(0)
X = np.linspace(0, 1, 16)
TOKENS = np.arange(12) % 5
TABLE = np.array([0.5, -1.0, 2.0, 0.0, 3.0])


def _scalar(key=KEY, activation=jax.nn.relu):
    return eqx.nn.MLP("scalar", "scalar", 8, 1, activation=activation, key=key)


class _Column(eqx.Module):
    """A scalar model that does not say so."""

    weight: jax.Array

    def __call__(self, x):
        assert x.shape == ()
        return x * self.weight


class _Sentence(eqx.Module):
    """The sum of what words mean."""

    words: eqx.nn.Embedding

    def __call__(self, x):
        return jnp.sum(jax.vmap(self.words)(x), axis=0)


def _embedding(key=KEY):
    return eqx.nn.Embedding(5, 1, key=key)


@pytest.mark.parametrize("activation", [jax.nn.relu, jnp.tanh])
@pytest.mark.parametrize(
    "data",
    [
        targets.get("exp"),
        (targets.get("exp"), norms.GaussLegendre((0, 1), cells=16)),
        (lambda x: np.sin(x[:, 0]), norms.GaussLegendre((0, 1), cells=16)),
        (X[:, None], X[:, None] ** 2),
        (X, X**2),
    ],
)
def test_scalar_models_take_all_data(data, activation):
    row = eqx.nn.MLP(1, 1, 8, 1, activation=activation, key=KEY)
    parts = lambda m: [p for layer in m.layers for p in (layer.weight, layer.bias)]  # noqa: E731
    model = eqx.tree_at(parts, _scalar(activation=activation), parts(row))
    found, judge = (fit(m, data, steps=3) for m in (model, row))
    assert np.allclose(found.history, judge.history, rtol=1e-5)
    assert found.error_kind == judge.error_kind
    assert found.error is None or np.isclose(float(found.error), float(judge.error), rtol=1e-5)


@pytest.mark.parametrize("call", [fit, fit_least_squares])
def test_a_scalar_model_that_does_not_say_so(call):
    result = call(_Column(jnp.float32(0.1)), (X, 0.6 * X), steps=400)
    assert float(result.model.weight) == pytest.approx(0.6, rel=1e-3)


def test_ensembles_of_scalar_models_take_targets():
    models = eqx.filter_vmap(_scalar)(jax.random.split(KEY, 3))
    result = fit_ensemble(models, targets.get("exp"), steps=3)
    assert result.error.shape == (3,)


@pytest.mark.parametrize("shape", [(12,), (12, 1)])
@pytest.mark.parametrize("batch", [None, 4])
def test_an_embedding_learns_its_table(shape, batch):
    tokens = TOKENS.reshape(shape)
    options = dict(steps=400, batch=batch, optimizer=optax.adam(0.05))
    result = fit(_embedding(), (tokens, TABLE[TOKENS]), **options)
    assert np.allclose(np.ravel(result.model.weight), TABLE, atol=0.02)
    # The losses are floats, and the first one is that of the model at the start.
    assert jnp.issubdtype(result.history.dtype, jnp.floating)
    if batch is None:
        first = np.mean((np.ravel(_embedding().weight)[TOKENS] - TABLE[TOKENS]) ** 2)
        assert result.history[0] == pytest.approx(first, rel=1e-5)


def test_large_whole_numbers_are_not_rounded():
    # In bfloat16 300 and 301 are the same number.
    table = eqx.nn.Embedding(302, 1, key=KEY, dtype=jnp.bfloat16)
    problem = as_problem("data", ([300, 301], [0.0, 1.0]), Power(2.0), table, jnp.bfloat16)
    assert jnp.issubdtype(problem.x.dtype, jnp.integer) and problem.weights.dtype == jnp.bfloat16
    assert problem.x.tolist() == [300, 301]


def test_sentences_ensembles_grids_and_validation(tmp_path):
    data = (np.arange(24).reshape(8, 3) % 5, np.arange(8.0) / 8)
    model = _Sentence(_embedding())
    result = fit(
        model,
        data,
        steps=20,
        quantizer=AbsMax(4),
        validation=data,
        every=5,
        checkpoint=tmp_path / "run.ckpt",
    )
    sums = np.ravel(result.model.words.weight)[data[0]].sum(axis=1)
    assert float(result.loss) == pytest.approx(np.mean((sums - data[1]) ** 2), rel=1e-5)
    models = eqx.filter_vmap(lambda k: _Sentence(_embedding(k)))(jax.random.split(KEY, 3))
    assert fit_ensemble(models, data, steps=2).loss.shape == (3,)
    least = fit_least_squares(model, data, steps=50)
    counts = np.stack([np.bincount(row, minlength=5) for row in data[0]])
    residual = counts @ np.linalg.lstsq(counts, data[1], rcond=None)[0] - data[1]
    assert float(least.loss) == pytest.approx(np.mean(residual**2), rel=1e-6)


@pytest.mark.parametrize(
    "model", [networks.he_normal((1, 4, 1), key=KEY), eqx.nn.MLP(1, 1, 4, 1, key=KEY), _scalar()]
)
def test_whole_numbers_are_floats_to_models_of_floats(model):
    problem = as_problem("data", (TOKENS, TOKENS), Power(2.0), model, jnp.float32)
    assert isinstance(problem.x, jax.Array) and problem.x.dtype == jnp.float32
    assert problem.x.shape == ((12,) if getattr(model, "in_size", 1) == "scalar" else (12, 1))


def test_a_point_that_no_form_fits_is_told():
    with pytest.raises(ValueError, match=r"a point of shape \(2,\), raised ValueError"):
        fit(_embedding(), (np.arange(8).reshape(4, 2), np.zeros(4)), steps=1)
