"""Quantized training by turns, against searches through all networks and other ways to round."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qrelu import networks, norms, quantizers, realize, rounding, targets
from qrelu.quantizers import AbsMax, Codebook, FixedPoint, Uniform
from qrelu.training import alternate, fit, fit_shallow
from qrelu.training._code_moves import Grids, descended

KEY = jax.random.key(0)
X = np.linspace(-1, 1, 64)
Y = np.sin(3 * X)


@pytest.fixture(scope="module")
def exp():
    return jax.tree.map(np.asarray, fit_shallow(targets.get("exp"), 6, key=KEY, starts=2).network)


def _error(net, x=X, y=Y):
    values = np.asarray(realize(net, np.asarray(x)[:, None]))[:, 0]
    return float(np.mean((values - y) ** 2))


def _on_grid(net, grids):
    leaves = jax.tree.leaves(net)
    return all(
        np.array_equal(np.asarray(g(p)), np.asarray(p)) for g, p in zip(grids, leaves, strict=True)
    )


@pytest.mark.parametrize(
    "q",
    [
        pytest.param(AbsMax(4, "network"), marks=pytest.mark.slow),
        AbsMax(3, "channel"),
        pytest.param(Uniform(0.125), marks=pytest.mark.slow),
        pytest.param(FixedPoint(2, 3), marks=pytest.mark.slow),
        Codebook([-2.0, -1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 2.0]),
    ],
    ids=["network", "channel", "unbounded", "fixed point", "codebook"],
)
def test_ends_on_the_grid_and_beats_other_ways_to_round(q):
    net = fit(networks.he_normal((1, 10, 1), key=KEY), (X, Y), steps=500).model
    net = jax.tree.map(np.asarray, net)
    leaves = jax.tree.leaves(net)
    grids = q.grids(leaves) if hasattr(q, "grids") else [q] * len(leaves)
    result = alternate(net, (X, Y), q, rounds=2)
    assert _on_grid(result.model, grids)
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(result.model))
    assert float(result.loss) == pytest.approx(_error(result.model), rel=1e-9)
    assert result.error is None and result.error_kind == "none"
    nearest = _error(quantizers.quantize(net, q))
    with_feedback = _error(rounding.feedback(net, q, X[:, None], values=Y[:, None]))
    assert float(result.loss) < nearest
    assert float(result.loss) <= with_feedback * (1 + 1e-12)
    assert (np.diff(result.history) <= 0).all() and len(result.history) == 2 + result.steps


def test_no_network_on_the_grid_is_better_than_the_best_of_all():
    # Seven parameters of three values each: all 2,187 networks can be listed.
    grid = Uniform(0.75, bits=2)
    values = np.array([-0.75, 0.0, 0.75])
    net = networks.ReLUNetwork(
        [np.array([[0.9], [-0.2]]), np.array([[0.7, 0.1]])], [np.array([0.6, -0.5]), np.zeros(1)]
    )
    y = np.abs(X) - 0.4
    found = []
    for w in itertools.product(values, repeat=7):
        w = np.array(w)
        hidden = np.maximum(X[:, None] * w[:2] + w[4:6], 0)
        found.append(np.mean((hidden @ w[2:4] + w[6] - y) ** 2))
    result = alternate(net, (X, y), grid, rounds=30, key=jax.random.key(1))
    assert float(result.loss) == pytest.approx(min(found), rel=1e-9)


def test_descent_ends_where_no_code_helps():
    rng = np.random.default_rng(1)
    net = networks.ReLUNetwork(
        [rng.normal(size=(5, 1)), rng.normal(size=(1, 5))], [rng.normal(size=5), rng.normal(size=1)]
    )
    from qrelu.training._losses import Power
    from qrelu.training._problem import as_problem

    q = Uniform(0.25, bits=4)
    problem = as_problem("data", (X, Y), Power(2.0), net, jnp.float64)
    start = quantizers.quantize(net, q)
    best, least = descended(start, Grids([q] * 4), problem, 200)
    assert least == pytest.approx(_error(best), rel=1e-9) and least < _error(start)
    leaves, structure = jax.tree.flatten(best)
    for i, leaf in enumerate(leaves):
        for place in np.ndindex(leaf.shape):
            for way in (-0.25, 0.25):
                moved = [p.copy() for p in leaves]
                moved[i][place] = q(moved[i][place] + way)
                other = _error(jax.tree.unflatten(structure, moved))
                assert other >= least * (1 - 1e-8)


def test_the_exact_distance_decides(exp, monkeypatch):
    target, q = targets.get("exp"), AbsMax(5, "network")
    result = alternate(exp, target, q, rounds=1)
    distance = lambda net: float(norms.L2().distance(net, target))  # noqa: E731
    assert result.error_kind == "exact distance"
    assert float(result.error) == distance(result.model)
    nearest = quantizers.quantize(exp, q)
    assert float(result.error) < distance(nearest)
    # Were all it finds worse, rounding to nearest would be returned.
    from qrelu.training import _alternating

    worse = jax.tree.map(np.zeros_like, exp)
    monkeypatch.setattr(_alternating, "descended", lambda *_: (worse, 0.0))
    again = alternate(exp, target, q, rounds=1)
    assert float(again.error) == distance(nearest)
    for a, b in zip(jax.tree.leaves(again.model), jax.tree.leaves(nearest), strict=True):
        assert np.array_equal(a, b)


def test_float32_mlps_keep_their_class_and_type():
    mlp = eqx.nn.MLP("scalar", "scalar", 4, 2, key=KEY, dtype=jnp.float32)
    q = AbsMax(4, "channel")
    result = alternate(mlp, (X, Y), q, rounds=0, sweeps=2)
    assert isinstance(result.model, eqx.nn.MLP)
    leaves = jax.tree.leaves(eqx.filter(result.model, eqx.is_array))
    before = jax.tree.leaves(eqx.filter(mlp, eqx.is_array))
    for leaf, old in zip(leaves, before, strict=True):
        assert leaf.dtype == jnp.float32 and leaf.shape == old.shape
        assert np.array_equal(np.asarray(q.grid(old)(leaf)), np.asarray(leaf))
    values = np.asarray(jax.vmap(result.model)(jnp.asarray(X, jnp.float32)))
    assert float(result.loss) == pytest.approx(np.mean((values - Y) ** 2), rel=1e-3)
    plain = np.asarray(jax.vmap(quantizers.quantize(mlp, q))(jnp.asarray(X, jnp.float32)))
    assert float(result.loss) <= np.mean((plain - Y) ** 2)


@pytest.mark.slow
def test_the_same_key_gives_the_same_network():
    net = fit(networks.he_normal((1, 10, 1), key=KEY), (X, Y), steps=500).model
    run = lambda seed: alternate(  # noqa: E731
        net, (X, Y), AbsMax(6, "network"), rounds=4, sweeps=3, key=jax.random.key(seed)
    )
    first, again, other = run(1), run(1), run(2)
    assert np.array_equal(first.history, again.history)
    assert not np.array_equal(first.history, other.history)


def test_several_inputs_and_outputs():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (80, 3))
    y = np.stack([np.abs(x[:, 0]), x[:, 1] * x[:, 2]], 1)
    net = jax.tree.map(np.asarray, networks.he_normal((3, 4, 2), key=KEY))
    result = alternate(net, (x, y), AbsMax(4), rounds=0, sweeps=2)
    mean = np.sum(np.square(np.asarray(realize(result.model, x)) - y)) / 80
    assert float(result.loss) == pytest.approx(mean, rel=1e-9)


@pytest.mark.parametrize(
    "options, error, match",
    [
        ({"share": 1.0}, ValueError, "between 0 and 1"),
        ({"rounds": -1}, ValueError, "from 0 on"),
        ({"sweeps": 0}, ValueError, "from 1 on"),
        ({"data": (X, Y[:-1])}, ValueError, "one label per point"),
        ({"data": (X, np.where(X > 0.9, np.nan, Y))}, ValueError, "is not"),
        ({"quantizer": AbsMax(4, rounding="stochastic")}, ValueError, "deterministic"),
        ({"model": eqx.nn.Linear(1, 1, key=KEY)}, TypeError, "freeze_gradually"),
        ({"model": eqx.nn.MLP(1, 1, 3, 2, use_bias=False, key=KEY)}, TypeError, "biases"),
        ({"model": eqx.nn.MLP(1, 1, 3, 3, scan=True, key=KEY)}, TypeError, "scan"),
        ({"model": networks.stack([networks.he_normal((1, 3, 1), key=KEY)])}, TypeError, "unstack"),
        (
            {"model": quantizers.wrap(networks.he_normal((1, 3, 1), key=KEY), AbsMax(4))},
            ValueError,
            "unwrap",
        ),
    ],
)
def test_bad_input(options, error, match):
    given = {"model": networks.he_normal((1, 3, 1), key=KEY), "data": (X, Y)}
    given |= {"quantizer": AbsMax(4)} | options
    with pytest.raises(error, match=match):
        alternate(given.pop("model"), given.pop("data"), given.pop("quantizer"), **given)


def test_what_quantizes_everything_to_zero_says_so():
    net = jax.tree.map(np.asarray, networks.he_normal((1, 3, 1), key=KEY))
    with pytest.warns(UserWarning, match="single value"):
        alternate(net, (X, Y), Uniform(64.0), rounds=0)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("q", [AbsMax(4), Uniform(0.125)])
def test_networks_of_short_floats(dtype, q):
    net = jax.tree.map(lambda p: p.astype(dtype), networks.he_normal((1, 4, 1), key=KEY))
    result = alternate(net, (X, Y), q, rounds=1)
    leaves = jax.tree.leaves(net)
    assert all(leaf.dtype == dtype for leaf in jax.tree.leaves(result.model))
    assert _on_grid(result.model, q.grids(leaves) if hasattr(q, "grids") else [q] * len(leaves))
    wide = jax.tree.map(
        lambda p: np.asarray(p, np.float64), (result.model, quantizers.quantize(net, q))
    )
    assert float(result.loss) == pytest.approx(_error(wide[0]), rel=1e-9)
    assert _error(wide[0]) < _error(wide[1])
