"""Evaluation tile by tile: same values and derivatives, bounded memory, full precision."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qrelu as qr
from qrelu import networks, quantizers
from qrelu.networks._realize import SMALL
from qrelu.networks._tiles import accelerator_tiles, processor_tiles

# Widths on both sides of every change of plan, and numbers of points on both sides of a tile.
WIDTHS = [(1, 8, 8, 1), (3, 40, 2), (2, 64, 64, 64, 3), (1, 200, 1), (4, 1)]
COUNTS = [1, 1023, 4097, 33_001]


def _random(widths, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    pairs = list(zip(widths, widths[1:], strict=False))
    return networks.ReLUNetwork(
        [(rng.standard_normal((o, i)) / i**0.5).astype(dtype) for i, o in pairs],
        [rng.standard_normal(o).astype(dtype) for _, o in pairs],
    )


def _reference(net, xs):
    """NumPy, all points at once."""
    h = np.asarray(xs)
    for i, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        h = np.maximum(h, 0) if i > 0 else h
        h = h @ np.asarray(w).T + np.asarray(b)
    return h


def _plain(net, xs):
    """JAX, all points at once: the judge of derivatives."""
    h = xs
    for i, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        h = jax.nn.relu(h) if i > 0 else h
        h = h @ w.T + b[None, :]
    return h


@pytest.mark.parametrize("widths", WIDTHS, ids=str)
@pytest.mark.parametrize("count", COUNTS)
def test_values_do_not_depend_on_the_tiles(widths, count):
    net = _random(widths)
    xs = np.random.default_rng(1).standard_normal((count, widths[0]))
    expected = _reference(net, xs)
    # Sums of at most 200 terms in another order.
    np.testing.assert_allclose(qr.realize(net, xs), expected, rtol=0, atol=1e-13 * 200)


def test_float32_stays_within_its_rounding_errors():
    net = _random((2, 64, 64, 1), dtype=np.float32)
    xs = np.random.default_rng(1).standard_normal((40_000, 2)).astype(np.float32)
    wide = jax.tree.map(lambda p: p.astype(np.float64), net)
    # The a-priori bound of a sum in any order, (n + 2) eps times the sum of absolute terms,
    # through three layers.
    size, error = np.abs(xs).astype(np.float64), 0.0
    for w, b in zip(wide.weights, wide.biases, strict=True):
        total = size @ np.abs(w).T + np.abs(b)
        error = error @ np.abs(w).T if np.ndim(error) else np.zeros_like(total)
        error = error + (w.shape[1] + 2) * 2.0**-24 * total
        size = total
    got = qr.realize(net, xs)
    assert got.dtype == np.float32
    assert np.all(np.abs(got - _reference(wide, xs)) <= error)


@pytest.mark.parametrize("widths", [(1, 8, 1), (2, 64, 64, 1), (1, 200, 1)], ids=str)
def test_derivatives_agree_with_those_of_all_points_at_once(widths):
    net = jax.tree.map(jnp.asarray, _random(widths))
    xs = jnp.asarray(np.random.default_rng(2).standard_normal((33_001, widths[0])))
    tangents = jax.tree.map(
        lambda p: jnp.cos(jnp.arange(p.size, dtype=p.dtype)).reshape(p.shape), net
    )

    def loss(evaluate, net, xs):
        return jnp.mean(jnp.sin(evaluate(net, xs)))

    def derivatives(evaluate, net, xs, tangents):
        f = functools.partial(loss, evaluate)
        gradient = jax.grad(f, argnums=(0, 1))(net, xs)
        forward = jax.jvp(evaluate, (net, xs), (tangents, jnp.cos(xs)))[1]
        hessian = jax.jvp(lambda n: jax.grad(f)(n, xs), (net,), (tangents,))[1]
        reverse = jax.grad(lambda n: jax.jvp(lambda m: f(m, xs), (n,), (tangents,))[1])(net)
        return gradient, forward, hessian, reverse

    ours, theirs = (
        jax.jit(functools.partial(derivatives, evaluate))(net, xs, tangents)
        for evaluate in (qr.realize, _plain)
    )
    for got, expected in zip(*map(jax.tree.leaves, (ours, theirs)), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


def test_points_that_fill_a_tile_do_not_poison_gradients():
    # Evaluated at zero the network overflows; at the user's points it does not.
    net = networks.ReLUNetwork(
        [jnp.array([[-1e300]]), jnp.array([[1e10]])], [jnp.array([1e300]), jnp.zeros(1)]
    )
    xs = jnp.full((20_001, 1), 2.0)
    assert not np.isfinite(qr.realize(net, jnp.zeros((1, 1)))).any()
    gradient = jax.grad(lambda n: qr.realize(n, xs).sum())(net)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradient))


def test_no_points():
    net = _random((2, 64, 3))
    assert qr.realize(net, np.zeros((0, 2))).shape == (0, 3)
    assert qr.realize(net, np.zeros((4, 0, 2))).shape == (4, 0, 3)


@pytest.mark.parametrize("plan", [processor_tiles, accelerator_tiles])
@pytest.mark.parametrize("derivative", [False, True])
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_tiles_cover_the_points_and_waste_little(plan, derivative, widths):
    for count in (0, 1, 7, 500, 1_025, 4_096, 65_537, 10**6 + 1, 10**8):
        tiles = plan(count, widths, False, derivative)
        covered = tiles.repeats * tiles.points
        assert count <= covered <= max(1.05 * count + 64, 1)


@pytest.mark.parametrize("widths", [(1, 16, 16, 1), (1, 64, 64, 1), (1, 256, 256, 1)], ids=str)
def test_memory_for_a_hundred_million_points_does_not_grow_with_the_width(widths):
    net = networks.he_normal(widths, key=jax.random.key(0))
    points = jax.ShapeDtypeStruct((10**8, 1), net.weights[0].dtype)

    def loss(net, xs):
        return jnp.mean(qr.realize(net, xs) ** 2)

    for f in (qr.realize, jax.grad(loss, argnums=(0, 1))):
        memory = jax.jit(f).lower(net, points).compile().memory_analysis()
        # A few vectors of one number per point, never activations.
        assert memory.temp_size_in_bytes < 5 * 10**8 * net.weights[0].dtype.itemsize


def _precisions(text):
    products = [line for line in text.splitlines() if "stablehlo.dot_general" in line]
    return len(products), sum("HIGHEST" in line for line in products)


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
@pytest.mark.parametrize("widths", [(1, 8, 8, 1), (1, 64, 64, 1)], ids=str)
@pytest.mark.parametrize("quantized", [False, True])
def test_the_highest_precision_reaches_every_platform(platform, widths, quantized):
    net = jax.tree.map(jnp.float32, _random(widths))
    xs = jnp.ones((20_000, 1), jnp.float32)
    q = quantizers.Uniform(2.0**-6)

    def values(net, xs):
        return qr.realize(qr.quantize(net, q) if quantized else net, xs)

    def loss(net, xs):
        return jnp.mean(values(net, xs) ** 2)

    def product(net, xs):
        return jax.jvp(lambda n: jax.grad(loss)(n, xs), (net,), (net,))[1]

    for f in (values, jax.grad(loss, argnums=(0, 1)), product):
        exported = jax.export.export(jax.jit(f), platforms=[platform])(net, xs)
        count, highest = _precisions(exported.mlir_module())
        assert count == highest >= len(widths) - 1


def test_one_export_serves_all_platforms():
    net = jax.tree.map(jnp.float32, _random((1, 64, 64, 1)))
    xs = jnp.ones((40_000, 1), jnp.float32)
    exported = jax.export.export(jax.jit(qr.realize), platforms=["cpu", "cuda", "tpu"])(net, xs)
    np.testing.assert_array_equal(exported.call(net, xs), qr.realize(net, xs))


def test_one_export_serves_any_number_of_points():
    net = jax.tree.map(jnp.float32, _random((1, 8, 1)))
    (count,) = jax.export.symbolic_shape("count")
    points = jax.ShapeDtypeStruct((count, 1), jnp.float32)
    exported = jax.export.export(jax.jit(qr.realize))(net, points)
    for n in (1, 7, 20_000):
        xs = jnp.linspace(-1, 1, n, dtype=jnp.float32)[:, None]
        np.testing.assert_allclose(
            exported.call(net, xs), qr.realize(net, xs), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("count", [3, 300, 5_000])
def test_vmap_over_networks_points_or_both(count):
    nets = [_random((2, 16, 16, 3), seed) for seed in range(5)]
    assert 3 * 16 < SMALL < 300 * 16  # few points batch products, many go one after the other
    stacked = networks.stack(nets)
    many = np.random.default_rng(3).standard_normal((5, count, 2))
    for axes, points in (((0, None), many[0]), ((0, 0), many), ((None, 0), many)):
        net = stacked if axes[0] == 0 else nets[2]
        got = jax.jit(jax.vmap(qr.realize, in_axes=axes))(net, points)
        for i in range(5):
            one = nets[i] if axes[0] == 0 else nets[2]
            expected = _reference(one, points if axes[1] is None else points[i])
            np.testing.assert_allclose(got[i], expected, rtol=0, atol=1e-12)


def test_derivatives_of_a_stack():
    nets = [jax.tree.map(jnp.asarray, _random((2, 16, 1), seed)) for seed in range(3)]
    stacked = networks.stack(nets)
    xs = jnp.asarray(np.random.default_rng(3).standard_normal((3_000, 2)))

    def loss(net):
        return jnp.mean(qr.realize(net, xs) ** 2)

    inside = jax.jit(jax.vmap(jax.grad(loss)))(stacked)
    outside = jax.jit(jax.grad(lambda s: jnp.sum(jax.vmap(loss)(s))))(stacked)
    forward = jax.jit(jax.vmap(lambda n: jax.jvp(loss, (n,), (n,))[1]))(stacked)
    single = jax.jit(jax.grad(lambda n: jnp.mean(_plain(n, xs) ** 2)))
    for i, net in enumerate(nets):
        expected = single(net)
        slope = sum(
            jnp.vdot(g, p) for g, p in zip(*map(jax.tree.leaves, (expected, net)), strict=True)
        )
        np.testing.assert_allclose(forward[i], slope, rtol=1e-12)
        for got in (networks.unstack(inside)[i], networks.unstack(outside)[i]):
            for g, e in zip(*map(jax.tree.leaves, (got, expected)), strict=True):
                np.testing.assert_allclose(g, e, rtol=1e-10, atol=1e-14)


def test_nested_vmap():
    nets = [[_random((1, 16, 1), 2 * i + j) for j in range(2)] for i in range(3)]
    stacked = networks.stack([networks.stack(row) for row in nets])
    xs = np.linspace(-1, 1, 500)[:, None]
    got = jax.vmap(jax.vmap(qr.realize, in_axes=(0, None)), in_axes=(0, None))(stacked, xs)
    for i in range(3):
        for j in range(2):
            np.testing.assert_allclose(got[i, j], _reference(nets[i][j], xs), rtol=0, atol=1e-13)


def test_one_program_serves_all_sizes_seeds_and_bits():
    traces = []

    @jax.jit
    def errors(stacked, magnitude, bits, xs):
        traces.append(1)
        rounded = jax.vmap(lambda net, m, b: qr.quantize(net, quantizers.Uniform.from_bits(b, m)))(
            stacked, magnitude, bits
        )
        evaluate = jax.vmap(qr.realize, in_axes=(0, None))
        return jnp.max(jnp.abs(evaluate(rounded, xs) - evaluate(stacked, xs)), axis=(1, 2))

    xs = jnp.linspace(0, 1, 257)[:, None]
    for seed, widths in enumerate([(1, 3, 1), (1, 8, 1), (1, 12, 1)]):
        nets = [networks.pad(_random(widths, 10 * seed + i), (1, 16, 1)) for i in range(4)]
        magnitude = jnp.array([net.magnitude for net in nets])
        bits = jnp.array([3 + seed, 4, 6, 8])
        got = errors(networks.stack(nets), magnitude, bits, xs)
        for i, net in enumerate(nets):
            q = quantizers.Uniform.from_bits(int(bits[i]), float(magnitude[i]))
            one = jnp.max(jnp.abs(qr.realize(qr.quantize(net, q), xs) - qr.realize(net, xs)))
            np.testing.assert_allclose(got[i], one, rtol=1e-9)
    assert len(traces) == 1


@pytest.mark.parametrize("widths", [(1, 8, 8, 1), (1, 64, 64, 1)], ids=str)
def test_wrapped_networks_and_their_backward_pass(widths):
    # Two backward passes, written out: through the quantized or through the latent matrices.
    net = jax.tree.map(jnp.asarray, _random(widths))
    grid = quantizers.Uniform(0.125)
    rounded = qr.quantize(net, grid)
    # Kinks of the rounded network lie at simple fractions, these points do not.
    xs = jnp.asarray(np.random.default_rng(4).uniform(-1, 1, (20_000, 1)))
    values = {}
    for backward in ("quantized", "latent"):
        wrapped = quantizers.wrap(net, grid, backward=backward)
        values[backward] = qr.realize(wrapped, xs)
        np.testing.assert_array_equal(jnp.asarray(wrapped(xs[7])), rounded(xs[7]))
        slope = jax.grad(lambda x, w=wrapped: qr.realize(w, x).sum())(xs)
        used = rounded if backward == "quantized" else net
        masks, h = [], xs
        for w, b in zip(rounded.weights[:-1], rounded.biases[:-1], strict=True):
            h = jax.nn.relu(h @ w.T + b[None, :])
            masks.append(h > 0)
        cotangent = jnp.ones((xs.shape[0], 1)) @ used.weights[-1]
        for w, on in zip(used.weights[-2::-1], masks[::-1], strict=True):
            cotangent = (cotangent * on) @ w
        np.testing.assert_allclose(slope, cotangent, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(values["quantized"], qr.realize(rounded, xs))
    np.testing.assert_allclose(values["latent"], values["quantized"], rtol=0, atol=1e-12)
