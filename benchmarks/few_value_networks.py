"""Networks of few weight values: built in near-linear time, evaluated in seconds, as exact as said.

1. The largest function-independent network here (hundreds of thousands of edges) and the largest
   one-bit network are built and evaluated on 10,000 points by `realize`, the first time with
   compiling; the time to build per edge is compared over sizes.
2. Measured errors of function-independent networks, on points, beside their certificates.
3. One-bit networks over drawn 1-Lipschitz functions: (bits + 1) x error beside the least that
   entropy allows, for all weights and for those that depend on the function.
4. Connectivity times accuracy^(d/n) over powers of log(1/accuracy): the statement of a factor
   log^5 between upper and lower bounds for two values, which is log^4 here.
5. The best number of weight values, of the bound and of counts.
6. The network that shares what cells have in common, for random zigzags, which share least: with
   real weights, with weights +-1/2, and the one-bit network, which shares nothing.

Run it: `python benchmarks/few_value_networks.py`.
"""

import math
import time

import jax
import jax.numpy as jnp
import numpy as np

from qrelu import bounds, networks
from qrelu.constructions import (
    best_values,
    cached_lipschitz,
    few_value_sobolev,
    few_value_sobolev_counts,
    one_bit_lipschitz,
    two_value_cached_lipschitz,
    two_value_sobolev,
)

POINTS = 10_000
# Accuracies of the networks that share cells, from 2^-6 on in steps of 1/4.
CACHED = 6
# What the claim allows; machines differ and are shared.
SECONDS = 60
# The constant for all weights of the one-bit network: 23 edges per cell, and lower order.
ENTROPY = 25
FUNCTIONS = {
    1: [lambda x: jnp.sin(x[:, 0]), lambda x: jnp.cos(0.9 * x[:, 0])],
    2: [
        lambda x: jnp.sin(0.5 * x[:, 0] + 0.8 * x[:, 1]),
        lambda x: jnp.cos(x[:, 0]) * jnp.cos(x[:, 1]),
    ],
    3: [
        lambda x: jnp.cos(x[:, 0] - x[:, 1]) * jnp.cos(x[:, 2]),
        lambda x: jnp.sin(0.9 * (x[:, 0] + x[:, 1] + x[:, 2])),
    ],
}


def seconds(function, *arguments, **options):
    start = time.perf_counter()
    result = function(*arguments, **options)
    return time.perf_counter() - start, result


def evaluate(network, xs):
    """In float64 layer by layer, for errors; `realize` is what is timed."""
    h = xs.T
    for k, (w, b) in enumerate(zip(network.weights, network.biases, strict=True)):
        matrix = w.to_scipy() if isinstance(w, networks.SparseMatrix) else w
        h = matrix @ (np.maximum(h, 0) if k else h) + b[:, None]
    return h[0]


def served(network, xs):
    return jax.block_until_ready(networks.realize(network, xs))


def zigzag(seed: int, cells: int):
    steps = np.random.default_rng(seed).choice([-1.0, 1.0], cells) / cells
    heights = np.concatenate([[0.0], np.cumsum(steps)])
    return lambda x: np.interp(x, np.arange(cells + 1) / cells, heights)


def speed() -> None:
    print(
        f"\n{'network':>28} {'edges':>9} {'depth':>5} {'build s':>8} {'first s':>8} {'again s':>8}"
    )
    rng = np.random.default_rng(0)
    cases = [
        (
            "d=3, n=3, accuracy 0.4",
            3,
            lambda: two_value_sobolev(FUNCTIONS[3][0], 0.4, dimension=3, order=3),
        ),
        (
            "d=2, n=2, accuracy 0.01",
            2,
            lambda: two_value_sobolev(FUNCTIONS[2][0], 0.01, dimension=2, order=2),
        ),
        ("one bit, 2^14 cells", 1, lambda: one_bit_lipschitz(np.sin, steps=2**14)),
    ]
    for name, d, build in cases:
        building, result = seconds(build)
        xs = rng.uniform(size=(POINTS, d))
        first, values = seconds(served, result.network, xs)
        again, _ = seconds(served, result.network, xs)
        edges, depth = result.counts.connectivity, result.counts.depth
        print(f"{name:>28} {edges:9,} {depth:5} {building:8.2f} {first:8.2f} {again:8.2f}")
        assert np.abs(np.asarray(values)[:, 0] - evaluate(result.network, xs)).max() < 1e-9
        assert edges > 100_000 and building < SECONDS and again < SECONDS
    print("\nmicroseconds per edge to build one-bit networks")
    per_edge = []
    for p in (11, 13, 15, 17):
        times = [seconds(one_bit_lipschitz, np.sin, steps=2**p)[0] for _ in range(3)]
        per_edge.append(1e6 * float(np.median(times)) / (23 * 2**p))
        print(f"  2^{p} cells: {per_edge[-1]:.2f}")
    assert per_edge[-1] < 3 * min(per_edge)


def errors() -> None:
    print(
        f"\n{'alphabet':>14} d n {'accuracy':>8} {'bound':>9} {'error 1':>9} {'error 2':>9} "
        f"{'weights':>9} {'depth':>5} {'width':>6} {'bits':>10}"
    )
    rng = np.random.default_rng(1)
    alphabets = [(2, False), (3, False), (4, False), (2, True), (4, True), (16, True)]
    for values, linear in alphabets:
        for d, accuracy in ((1, 0.01), (2, 0.08), (3, 0.4)):
            for n in (1, 2, 3):
                found = []
                for f in FUNCTIONS[d]:
                    result = few_value_sobolev(
                        f, accuracy, dimension=d, order=n, values=values, linear=linear
                    )
                    xs = rng.uniform(size=(500, d))
                    found.append(float(np.abs(evaluate(result.network, xs) - f(xs)).max()))
                    assert found[-1] <= result.certificate.bound <= accuracy
                c = result.counts
                name = f"{'linear' if linear else 'nonlinear'} {values}"
                print(
                    f"{name:>14} {d} {n} {accuracy:8} {result.certificate.bound:9.2e} "
                    f"{found[0]:9.2e} {found[1]:9.2e} {c.connectivity:9,} {c.depth:5} "
                    f"{c.width:6} {c.memory:10,.0f}"
                )


def entropy() -> None:
    print(
        f"\n{'cells':>6} {'worst error/h':>13} {'(bits + 1) x error':>18} "
        f"{'(signs + 1) x error':>19}   least of both by entropy: 1"
    )
    for p in range(4, 15):
        cells = 2**p
        worst = 0.0
        functions = [zigzag(seed, c) for seed, c in enumerate((cells // 2, cells - 1, 3 * cells))]
        functions += [np.sin, lambda x: 0 * x, lambda x: np.abs(x - 1 / 3), lambda x: -x]
        xs = np.unique(
            np.linspace(0, 1, 500 + 1).tolist()
            + [k / cells for k in range(0, cells, max(1, cells // 256))]
        )
        for f in functions:
            result = one_bit_lipschitz(f, steps=cells)
            worst = max(worst, float(np.abs(evaluate(result.network, xs[:, None]) - f(xs)).max()))
        bits, signs = result.counts.memory, cells + p + 1
        # No code with fewer bits has a smaller worst error.
        assert bounds.lipschitz_bits(1 / cells) == cells - 1
        print(
            f"{cells:6} {worst * cells:13.6f} {(bits + 1) / cells:18.2f} "
            f"{(signs + 1) / cells:19.3f}"
        )
        assert worst * cells <= 1 + 1e-9
        if p >= 8:
            assert 1 <= (signs + 1) / cells <= 1.1 and 1 <= (bits + 1) / cells <= ENTROPY


def overhead() -> None:
    print(
        f"\n d n {'accuracy':>10} {'weights':>14} {'overhead / ln^4':>16} {'overhead / ln^5':>16}"
        "   overhead = weights x accuracy^(d/n) x ln^3"
    )
    for d, n in ((1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (3, 3)):
        rows = []
        for k in (2, 4, 8, 16, 32):
            accuracy = 10.0**-k
            sizes = few_value_sobolev_counts(accuracy, dimension=d, order=n)
            log = math.log(1 / accuracy)
            # Over the lower bound with constant 1, for depths of order log.
            # N is a power of two above d / (n! accuracy)^(1/n): what that adds is taken out.
            ideal = (math.factorial(n) * accuracy) ** (1 / n) / d
            jumps = (sizes.cells * ideal) ** d
            factor = sizes.connectivity / jumps * accuracy ** (d / n) * log**3
            rows.append((factor / log**4, factor / log**5))
            print(
                f" {d} {n} {accuracy:10.0e} {sizes.connectivity:14.3e} {rows[-1][0]:16.2f} "
                f"{rows[-1][1]:16.3f}"
            )
        assert rows[-1][0] < 1.5 * rows[1][0], "more than log^4"
        assert rows[-1][1] < 0.5 * rows[0][1], "no less than log^5"


def values() -> None:
    print(
        f"\n{'log2(1/accuracy)':>17} {'bound':>6} {'branch':>7} {'trie':>5}   best number of values"
    )
    for digits in (4, 8, 16, 20, 24, 32, 48, 64, 100, 256, 512):
        best = [best_values(2.0**-digits, form=f).values for f in ("bound", "branch", "trie")]
        print(f"{digits:17} {best[0]:6} {best[1]:7} {best[2]:5}")
        assert 2 <= best[0] <= 6


def cached() -> None:
    print(
        f"\n{'accuracy':>9} {'depth':>5} {'error/bound':>11} {'weights +-1/2':>13} "
        f"{'x eps ln(1/eps)':>15} {'/ lnln':>6} {'one bit':>9} {'ratio':>6} {'real weights':>12}"
        f" {'their bits':>11}"
    )
    rows = []
    for k in range(6, 6 + 2 * CACHED, 2):
        accuracy = 2.0**-k
        f = zigzag(k, 2 ** (k + 2))
        made = two_value_cached_lipschitz(f, accuracy)
        single = one_bit_lipschitz(f, accuracy).counts
        real = cached_lipschitz(f, accuracy).counts
        xs = np.random.default_rng(k).integers(0, 2 ** (k + 2) + 1, 200) / 2 ** (k + 2)
        error = float(np.abs(evaluate(made.network, xs[:, None]) - f(xs)).max())
        c, log = made.counts, math.log(1 / accuracy)
        scaled = c.connectivity * accuracy * log
        rows.append((scaled / math.log(log), c.connectivity / single.connectivity))
        print(
            f"{'2^-' + str(k):>9} {c.depth:5} {error / accuracy:11.6f} "
            f"{c.connectivity:13,} {scaled:15.1f} {rows[-1][0]:6.1f} {single.connectivity:9,} "
            f"{rows[-1][1]:6.2f} {real.connectivity:12,} {real.memory:11,.0f}"
        )
        assert error <= accuracy * (1 + 1e-9)
    assert rows[-1][0] < 1.2 * max(row[0] for row in rows[:-1]), "more than stated"
    assert rows[-1][1] < 0.6, "no fewer weights than the one-bit network"


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    speed()
    entropy()
    overhead()
    values()
    cached()
    errors()


if __name__ == "__main__":
    main()
