"""Freezing parameters on the grid, part by part."""

import equinox as eqx
import jax
import numpy as np
import optax
import pytest

from qrelu import networks, quantizers, targets
from qrelu.quantizers import AbsMax, Uniform
from qrelu.training import _freezing, fit, freeze_gradually

X = np.linspace(-1, 1, 64)
Y = np.sin(3 * X)


@pytest.fixture(scope="module")
def trained():
    net = networks.he_normal((1, 12, 1), key=jax.random.key(1))
    return fit(net, (X, Y), steps=400).model


def test_all_parameters_end_on_their_grids(trained):
    q = AbsMax(4, "channel")
    result = freeze_gradually(trained, (X, Y), q, steps=150)
    grids = q.grids(jax.tree.leaves(trained))
    for leaf, grid in zip(jax.tree.leaves(result.model), grids, strict=True):
        assert np.array_equal(np.asarray(grid(leaf)), np.asarray(leaf))
    nearest = quantizers.quantize(trained, q)
    loss = lambda m: np.mean((np.asarray(jax.vmap(m)(X[:, None]))[:, 0] - Y) ** 2)  # noqa: E731
    assert float(result.loss) == pytest.approx(loss(result.model), rel=1e-9)
    assert float(result.loss) < loss(nearest)  # training between makes up for rounding
    assert result.steps == len(result.history) == 3 * 150


@pytest.mark.parametrize("order", ["largest", "nearest"])
def test_what_is_frozen_stays(trained, order, monkeypatch):
    seen = []

    def spy(model, data, *, mask, **options):
        seen.append((model, mask))
        return fit(model, data, mask=mask, **options)

    monkeypatch.setattr("qrelu.training._freezing.fit", spy)
    q = Uniform(0.125)
    shares = (0.4, 0.8, 1.0)
    result = freeze_gradually(trained, (X, Y), q, shares=shares, order=order, steps=20)
    final = jax.tree.leaves(result.model)
    before = jax.tree.leaves(trained)
    for (model, mask), share in zip(seen, shares[:-1], strict=True):
        for start, free, end in zip(
            jax.tree.leaves(model), jax.tree.leaves(mask), final, strict=True
        ):
            assert (~free).sum() == np.ceil(share * free.size)
            assert np.array_equal(np.asarray(start)[~free], np.asarray(end)[~free])
    first = jax.tree.leaves(seen[0][1])
    for values, free in zip(before, first, strict=True):
        values = np.asarray(values)
        key = -np.abs(values) if order == "largest" else np.abs(values - np.asarray(q(values)))
        if 0 < free.sum() < free.size:
            assert key[~free].max() <= key[free].min()


def test_never_worse_than_rounding_to_nearest(trained):
    q = AbsMax(6)
    wild = optax.adam(1.0)  # training between the roundings does harm
    result = freeze_gradually(trained, (X, Y), q, steps=20, optimizer=wild)
    nearest = quantizers.quantize(trained, q)
    values = np.asarray(jax.vmap(nearest)(X[:, None]))[:, 0]
    assert float(result.loss) == pytest.approx(np.mean((values - Y) ** 2), rel=1e-9)
    for a, b in zip(jax.tree.leaves(result.model), jax.tree.leaves(nearest), strict=True):
        assert np.array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.filterwarnings("ignore:.*NaN or infinite")
def test_a_training_that_broke_is_told(monkeypatch):
    runs = []

    def recorded(*args, **options):
        # The first training breaks, the others do not.
        runs.append(fit(*args, **options | {"optimizer": optax.sgd(0.0 if runs else 1e200)}))
        return runs[-1]

    monkeypatch.setattr(_freezing, "fit", recorded)
    net = networks.he_normal((1, 4, 1), key=jax.random.key(1))
    result = freeze_gradually(net, (X, Y), AbsMax(4), steps=2)
    assert [bool(run.finite) for run in runs] == [False, True, True]
    assert not result.finite and result.stopped == "a loss that is not finite"
    assert np.isfinite(result.loss)


def test_evaluations_of_all_roundings(trained, monkeypatch):
    runs = []
    monkeypatch.setattr(_freezing, "fit", lambda *a, **o: runs.append(fit(*a, **o)) or runs[-1])
    options = dict(steps=6, every=4, validation=(X, -Y), shares=(0.5, 0.75, 1.0))
    result = freeze_gradually(trained, (X, Y), AbsMax(4), **options)
    assert result.evaluated.tolist() == [0, 4, 6, 6, 10, 12] and result.steps == 12
    np.testing.assert_array_equal(result.evaluations, [e for run in runs for e in run.evaluations])


def test_equinox_models_and_targets():
    mlp = eqx.nn.MLP(1, 1, 8, 1, key=jax.random.key(0))
    result = freeze_gradually(mlp, targets.get("exp"), AbsMax(6), steps=10, shares=[0.5, 1.0])
    assert result.error_kind == "exact distance" and isinstance(result.model, eqx.nn.MLP)


@pytest.mark.parametrize(
    "options, match",
    [
        ({"shares": [0.5, 0.9]}, "increase"),
        ({"shares": [1.0]}, "quantize"),
        ({"shares": [0.5, 0.5, 1.0]}, "increase"),
        ({"order": "random"}, "nearest|Type-check"),
        ({"mask": None}, "decides"),
        ({"where": lambda m: m.weights}, "decides"),
        ({"backward": "latent"}, "decides"),
    ],
)
def test_bad_input(options, match):
    net = networks.he_normal((1, 2, 1), key=jax.random.key(1))
    with pytest.raises((ValueError, TypeError), match=match):
        freeze_gradually(net, (X, Y), AbsMax(4), **options)
    wrapped = quantizers.wrap(net, AbsMax(4))
    with pytest.raises(ValueError, match="unwrap"):
        freeze_gradually(wrapped, (X, Y), AbsMax(4))
