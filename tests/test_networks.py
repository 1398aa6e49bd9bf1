"""The network pytree: construction, counts, evaluation, random draws."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest

from qrelu import networks
from qrelu.networks import ReLUNetwork, he_normal, realize
from qrelu.networks._realize import _realize


def _random(widths, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return ReLUNetwork(
        [
            rng.standard_normal((o, i)).astype(dtype)
            for i, o in zip(widths, widths[1:], strict=False)
        ],
        [rng.standard_normal(o).astype(dtype) for o in widths[1:]],
    )


def _as_mlp(network):
    """The same parameters in Equinox's own network."""
    inputs, *hidden, outputs = network.widths
    mlp = eqx.nn.MLP(inputs, outputs, hidden[0], len(hidden), key=jax.random.key(0))
    parameters = [jnp.asarray(p) for p in (*network.weights, *network.biases)]
    return eqx.tree_at(
        lambda m: [layer.weight for layer in m.layers] + [layer.bias for layer in m.layers],
        mlp,
        parameters,
    )


def test_counts():
    net = ReLUNetwork(
        [np.array([[1.0], [0.0], [-7.0]]), np.ones((2, 3))], [np.zeros(3), np.ones(2)]
    )
    assert net.widths == (1, 3, 2)
    assert net.depth == 2
    assert net.width == 3
    assert net.connectivity == 2 + 6 + 2
    assert net.magnitude == 7.0
    assert isinstance(net.connectivity, int) and isinstance(net.magnitude, float)


def test_width_includes_input_and_output():
    assert he_normal((9, 2, 3), key=jax.random.key(0)).width == 9
    assert he_normal((3, 2, 9), key=jax.random.key(0)).width == 9


def test_numpy_stays_numpy_and_jax_stays_jax():
    net = ReLUNetwork([np.ones((2, 1), np.float32), np.ones((1, 2))], [np.zeros(2), np.zeros(1)])
    assert all(type(p) is np.ndarray for p in jax.tree.leaves(net))
    assert net.weights[0].dtype == np.float32 and net.weights[1].dtype == np.float64
    net = ReLUNetwork([jnp.ones((2, 1), jnp.float32), [[1, 2]]], [(0, 0), jnp.zeros(1)])
    assert all(isinstance(p, jax.Array) for p in jax.tree.leaves(net))
    assert net.weights[0].dtype == jnp.float32 and net.weights[1].dtype == jnp.float64


def test_integer_parameters_become_floats():
    net = ReLUNetwork([np.array([[2]]), jnp.array([[3]])], [np.array([1]), jnp.array([1])])
    assert type(net.weights[0]) is np.ndarray and net.weights[0].dtype == np.float64
    assert isinstance(net.weights[1], jax.Array) and net.weights[1].dtype == jnp.float64
    assert realize(net, np.array([1.0]))[0] == 10.0


def test_float64_survives_without_x64():
    with jax.enable_x64(False):
        net = ReLUNetwork([np.array([[1 + 1e-15]])], [np.zeros(1)])
        assert net.weights[0][0, 0] == 1 + 1e-15
        assert realize(net, np.ones((3, 1))).dtype == jnp.float32


@pytest.mark.parametrize(
    ("weights", "biases", "text"),
    [
        ([], [], "at least one"),
        ([np.ones((1, 1))], [], "1 weights and 0 biases"),
        ([np.ones(3)], [np.ones(3)], r"weights\[0\].*matrix.*\(3,\)"),
        ([np.ones((0, 1))], [np.ones(0)], r"weights\[0\].*\(0, 1\)"),
        ([np.ones((2, 1))], [np.ones(3)], r"biases\[0\].*\(2,\).*\(3,\)"),
        ([np.ones((2, 1)), np.ones((1, 3))], [np.ones(2), np.ones(1)], r"weights\[1\].*2 columns"),
    ],
)
def test_wrong_shapes(weights, biases, text):
    with pytest.raises(ValueError, match=text):
        ReLUNetwork(weights, biases)


@pytest.mark.parametrize("entry", [np.ones((1, 1), complex), np.ones((1, 1), bool)])
def test_wrong_types(entry):
    with pytest.raises(TypeError, match=r"weights\[0\].*real numbers"):
        ReLUNetwork([entry], [np.ones(1)])


@pytest.mark.parametrize("widths", [(1, 5, 1), (3, 8, 8, 2), (2, 6, 6, 6, 6, 4)])
def test_realize_agrees_with_equinox(widths):
    net = _random(widths)
    mlp = _as_mlp(net)
    xs = np.random.default_rng(1).standard_normal((17, widths[0]))
    np.testing.assert_allclose(realize(net, xs), jax.vmap(mlp)(jnp.asarray(xs)), rtol=1e-12)
    np.testing.assert_allclose(net(xs[3]), mlp(jnp.asarray(xs[3])), rtol=1e-12)


@pytest.mark.parametrize("batch", [(), (1,), (7,), (2, 3, 4), (0,), (3, 0)])
def test_realize_takes_any_leading_shape(batch):
    net = _random((2, 5, 3))
    xs = np.random.default_rng(1).standard_normal((*batch, 2))
    ys = realize(net, xs)
    assert ys.shape == (*batch, 3)
    for index in np.ndindex(*batch):
        np.testing.assert_allclose(ys[index], net(xs[index]), rtol=1e-13)


def test_realize_refuses_wrong_points():
    with pytest.raises(TypeError, match="takes real points; got complex64"):
        realize(_random((1, 5, 3)), np.ones((4, 1), np.complex64))
    with pytest.raises(ValueError, match=r"\(\.\.\., 2\).*\(4, 3\)"):
        realize(_random((2, 5, 3)), np.ones((4, 3)))
    with pytest.raises(ValueError, match=r"xs\[\.\.\., None\]"):
        realize(_random((1, 5, 3)), np.ones(4))
    with pytest.raises(ValueError, match=r"`network\(x\)`.*\(2,\).*\(4, 2\)"):
        _random((2, 5, 3))(np.ones((4, 2)))


@pytest.mark.parametrize(
    ("parameters", "points", "result"),
    [
        (np.float32, np.float32, np.float32),
        (np.float64, np.float64, np.float64),
        (np.float32, np.float64, np.float64),
        (np.float64, np.float32, np.float64),
        (np.float32, np.int32, np.float32),
    ],
)
def test_dtype_follows_the_inputs(parameters, points, result):
    net = _random((1, 4, 1), dtype=parameters)
    assert realize(net, np.ones((3, 1), points)).dtype == result
    assert net(np.ones(1, points)).dtype == result


def test_one_trace_per_shape_and_dtype():
    net = _random((2, 11, 13, 1))
    before = _realize._cache_size()
    for seed in range(4):
        other = _random((2, 11, 13, 1), seed)
        for _ in range(3):
            realize(other, np.full((5, 2), float(seed)))
    assert _realize._cache_size() == before + 1
    realize(net, np.ones((6, 2)))
    realize(net, np.ones((5, 2), np.float32))
    assert _realize._cache_size() == before + 3


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_products_ask_for_the_highest_precision(platform):
    net = jax.tree.map(jnp.asarray, _random((2, 4, 3, 1), dtype=np.float32))
    traced = _realize.trace(net, jnp.ones((5, 2), jnp.float32))
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    products = [line for line in text.splitlines() if "dot_general" in line]
    assert len(products) == net.depth
    assert all("precision = [HIGHEST, HIGHEST]" in line for line in products)


def test_a_stack_needs_vmap():
    stacked = jax.tree.map(lambda p: np.stack([p, p]), _random((1, 3, 1)))
    with pytest.raises(ValueError, match="`jax.vmap`"):
        realize(stacked, np.ones((4, 1)))


def test_gradients_agree_with_finite_differences():
    net = jax.tree.map(jnp.asarray, _random((2, 6, 6, 2)))
    xs = jax.random.normal(jax.random.key(3), (4, 2))
    jax.test_util.check_grads(lambda n: realize(n, xs), (net,), order=1, modes=("fwd", "rev"))
    jax.test_util.check_grads(lambda x: realize(net, x), (xs,), order=1, modes=("fwd", "rev"))


def test_gradient_at_a_kink_follows_jax():
    net = ReLUNetwork([jnp.ones((1, 1)), jnp.ones((1, 1))], [jnp.zeros(1), jnp.zeros(1)])
    assert jax.grad(lambda x: net(x)[0])(jnp.zeros(1)) == jax.grad(jax.nn.relu)(0.0)


def test_vmap_over_stacked_networks():
    nets = [jax.tree.map(jnp.asarray, _random((1, 5, 2), seed)) for seed in range(3)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *nets)
    xs = jnp.linspace(-1.0, 1.0, 9)[:, None]
    ys = jax.vmap(realize, in_axes=(0, None))(stacked, xs)
    assert ys.shape == (3, 9, 2)
    for net, y in zip(nets, ys, strict=True):
        np.testing.assert_allclose(y, realize(net, xs), rtol=1e-13)
    assert stacked.widths == (1, 5, 2)


def test_networks_can_be_made_under_vmap():
    keys = jax.random.split(jax.random.key(0), 4)
    stacked = jax.vmap(lambda key: he_normal((1, 3, 1), key=key))(keys)
    assert stacked.weights[0].shape == (4, 3, 1)
    one = he_normal((1, 3, 1), key=keys[2])
    np.testing.assert_array_equal(stacked.weights[1][2], one.weights[1])


def test_he_normal_has_the_stated_variance():
    widths = (40, 100, 60, 30)
    net = he_normal(widths, key=jax.random.key(5))
    assert net.widths == widths
    for w, b in zip(net.weights, net.biases, strict=True):
        n = w.size
        # The sample variance of n Gaussians has standard deviation sqrt(2/n) times the variance.
        assert abs(float(jnp.mean(w**2)) * w.shape[1] / 2 - 1) < 4 * (2 / n) ** 0.5
        assert abs(float(jnp.mean(w))) < 4 * (2 / w.shape[1] / n) ** 0.5
        assert not b.any()


def test_he_normal_depends_on_the_key_only():
    a, b, c = (he_normal((2, 4, 1), key=jax.random.key(k)) for k in (0, 0, 1))
    assert eqx.tree_equal(a, b) and not eqx.tree_equal(a, c)
    assert not np.array_equal(a.weights[0].ravel()[:4], a.weights[1].ravel())
    legacy = he_normal((2, 4, 1), key=jax.random.PRNGKey(0))
    assert legacy.widths == (2, 4, 1)


@pytest.mark.parametrize("widths", [(), (3,), (1, 0, 1), (1, -2, 1), (1, 2.5, 1), (1, True, 1)])
def test_he_normal_refuses_wrong_widths(widths):
    with pytest.raises((ValueError, TypeError), match="he_normal"):
        he_normal(widths, key=jax.random.key(0))


@pytest.mark.parametrize(
    "call",
    [
        lambda net: net.connectivity,
        lambda net: net.magnitude,
        lambda net: networks.normalize(net).weights[0],
        lambda net: networks.realize_exact(net, [0.5])[0],
    ],
    ids=["connectivity", "magnitude", "normalize", "realize_exact"],
)
def test_what_runs_in_numpy_refuses_traced_parameters(call):
    net = networks.he_normal((1, 3, 1), key=jax.random.key(0))
    with pytest.raises(TypeError, match="must be given concrete parameters: it runs outside of"):
        jax.jit(call)(net)
