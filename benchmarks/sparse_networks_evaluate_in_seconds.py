"""A sparse network of 50 layers and 200,000 edges is evaluated on 10,000 points in seconds.

Widths of 3,000, 4,000 edges per layer, random. `realize` with `SparseMatrix` against the same
network with `jax.experimental.sparse.BCOO` (tile by tile as well, since in one piece it takes 6
GB), and against dense matrices, which are timed on fewer points and scaled up. Values and gradients
with respect to all values and all points, medians of interleaved runs; memory is what the compiled
programs allocate beyond their inputs and results. Then products of single matrices by density: the
default of `sparsify` must be where the sparse product is the faster one.

Run it: `python benchmarks/sparse_networks_evaluate_in_seconds.py [--double] [--rounds 3]`.
"""

import argparse
import functools
import time

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.sparse import BCOO

from qrelu.networks import ReLUNetwork, SparseMatrix, densify, realize
from qrelu.networks._matrices import product
from qrelu.networks._sparsify import MAX_DENSITY

LAYERS, WIDTH, EDGES, POINTS, INPUTS = 50, 3000, 4100, 10_000, 8
# The tile at which BCOO is fastest, of 64, 256, 1,024 and 10,000.
TILE = 64
DENSE_POINTS = 200
# What the claim allows; machines differ and are shared.
SECONDS = 20


def network(dtype) -> ReLUNetwork:
    rng = np.random.default_rng(0)
    widths = [INPUTS, *[WIDTH] * (LAYERS - 1), 1]
    weights, biases = [], []
    for columns, rows in zip(widths, widths[1:], strict=False):
        places = rng.choice(rows * columns, min(EDGES, rows * columns), replace=False)
        values = (0.8 * rng.standard_normal(places.size)).astype(dtype)
        weights.append(SparseMatrix(values, *divmod(places, columns), (rows, columns)))
        biases.append((0.1 * rng.standard_normal(rows)).astype(dtype))
    return jax.tree.map(jnp.asarray, ReLUNetwork(weights, biases))


def with_bcoo(layers, points):
    @jax.checkpoint
    def tile(part):
        h = part.T
        for i, (w, b) in enumerate(layers):
            h = w @ (jnp.maximum(h, 0) if i else h) + b[:, None]
        return h.T

    padded = jnp.pad(points, ((0, -points.shape[0] % TILE), (0, 0)))
    values = jax.lax.map(tile, padded.reshape(-1, TILE, points.shape[1]))
    return values.reshape(padded.shape[0], -1)[: points.shape[0]]


def bcoo(w: SparseMatrix) -> BCOO:
    places = jnp.stack([jnp.asarray(w.rows), jnp.asarray(w.columns)], axis=1)
    return BCOO((w.values, places), shape=w.shape, indices_sorted=True, unique_indices=True)


def bcoo_values(values, others, points):
    """The values of every matrix apart from its places, which have no gradient."""
    layers = [
        (BCOO((v, m.indices), shape=m.shape, indices_sorted=True, unique_indices=True), b)
        for v, (m, b) in zip(values, others, strict=True)
    ]
    return with_bcoo(layers, points)


def compiled(name, function, *arguments):
    start = time.perf_counter()
    program = jax.jit(function).lower(*arguments).compile()
    seconds = time.perf_counter() - start
    memory = program.memory_analysis()
    temporary = memory.temp_size_in_bytes / 1e6 if memory else float("nan")
    return name, functools.partial(program, *arguments), seconds, temporary


def products(dtype, rounds: int) -> None:
    """Sparse and dense products with 256 points, by width and density."""
    rng = np.random.default_rng(2)
    for width in (64, 256, 1024):
        for density in (1 / 64, MAX_DENSITY, 1 / 10):
            there = rng.random((width, width)) < density
            dense = np.where(there, rng.standard_normal(there.shape), 0).astype(dtype)
            h = jnp.asarray(rng.standard_normal((width, 256)).astype(dtype))
            pair = [jax.tree.map(jnp.asarray, SparseMatrix.from_dense(dense)), jnp.asarray(dense)]
            runs = [jax.jit(product).lower(a, h).compile() for a in pair]
            times = [[], []]
            for _ in range(3 + 2 * rounds):
                for a, run, t in zip(pair, runs, times, strict=True):
                    start = time.perf_counter()
                    for _ in range(max(4, 4096 // width)):
                        jax.block_until_ready(run(a, h))
                    t.append(time.perf_counter() - start)
            ratio = float(np.median(times[1]) / np.median(times[0]))
            print(f"width {width:4}, density 1/{1 / density:<2.0f}: dense / sparse = {ratio:.2f}")
            assert ratio > 1 or width < 256 or density > MAX_DENSITY


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--double", action="store_true", help="float64")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", options.double)
    dtype = np.float64 if options.double else np.float32
    net = network(dtype)
    xs = jnp.asarray(np.random.default_rng(1).standard_normal((POINTS, INPUTS)).astype(dtype))
    edges = sum(w.values.size for w in net.weights)
    layers = [(bcoo(w), b) for w, b in zip(net.weights, net.biases, strict=True)]
    values = [w.data for w, _ in layers]

    def slopes(function, last):
        return jax.grad(lambda *a: jnp.sum(function(*a)), argnums=(0, last))

    few = xs[:DENSE_POINTS]
    contenders = [
        compiled("values, realize", realize, net, xs),
        compiled("values, BCOO", bcoo_values, values, layers, xs),
        compiled("gradient, realize", slopes(realize, 1), net, xs),
        compiled("gradient, BCOO", slopes(bcoo_values, 2), values, layers, xs),
        compiled("values, dense", realize, densify(net), few),
    ]
    times = {name: [] for name, *_ in contenders}
    results = {}
    for _ in range(options.rounds):
        for name, run, *_ in contenders:
            start = time.perf_counter()
            results[name] = jax.block_until_ready(run())
            times[name].append(time.perf_counter() - start)

    print(f"{LAYERS} layers, {edges:,} edges, {POINTS:,} points, {np.dtype(dtype).name}")
    print(f"{'':>20} {'seconds':>9} {'compiling':>10} {'memory':>10}")
    median = {name: float(np.median(t)) for name, t in times.items()}
    median["values, dense"] *= POINTS / DENSE_POINTS
    for name, _, seconds, memory in contenders:
        print(f"{name:>20} {median[name]:9.2f} {seconds:10.1f} {memory:7.0f} MB")
    for kind in ("values", "gradient"):
        ratio = median[f"{kind}, BCOO"] / median[f"{kind}, realize"]
        print(f"{kind}: BCOO / realize = {ratio:.2f}")
        assert ratio > 1
    print(f"values: dense / realize = {median['values, dense'] / median['values, realize']:.1f}")
    np.testing.assert_allclose(
        results["values, realize"], results["values, BCOO"], rtol=1e-3, atol=1e-3
    )
    assert median["values, realize"] < SECONDS
    assert median["values, dense"] > median["values, realize"]
    products(dtype, options.rounds)


if __name__ == "__main__":
    main()
