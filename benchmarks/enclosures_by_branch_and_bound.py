"""`bounds.enclose` by branch and bound: 4-32-32-1 to 1 % in 20 s, 8-32-32-1 to 1.6 in 60 s.

He-random networks and networks trained on a smooth function, on the unit box, rounded to nearest
at 4 to 8 bits, rounding errors in float64 inside, compilation included. The cost curve (bound over
lower bound against boxes) of one network with eight inputs follows, and the larger box [-1, 1]^8.

Run it: `python benchmarks/enclosures_by_branch_and_bound.py [--seeds 5] [--bits 4,6,8]`.
"""

import argparse
import importlib.metadata
import platform
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from qrelu import bounds, networks, quantizers


def he_random(widths, seed):
    return jax.tree.map(np.float64, networks.he_normal(widths, key=jax.random.key(seed)))


def trained(widths, seed, steps=1000):
    """Adam on sin(3 x_1) x_2 + cos(2 x_3) + sums of squares, 1,024 fresh points per step."""
    net = networks.he_normal(widths, key=jax.random.key(seed))
    optimizer = optax.adam(3e-3)

    def target(x):
        return jnp.sin(3 * x[:, 0]) * x[:, 1] + jnp.cos(2 * x[:, 2]) + (x**2).mean(1)

    @jax.jit
    def train(net, key):
        def step(carry, key):
            net, state = carry
            x = jax.random.uniform(key, (1024, widths[0]))

            def loss(n):
                return jnp.mean((networks.realize(n, x)[:, 0] - target(x)) ** 2)

            updates, state = optimizer.update(jax.grad(loss)(net), state)
            return (optax.apply_updates(net, updates), state), None

        keys = jax.random.split(key, steps)
        return jax.lax.scan(step, (net, optimizer.init(net)), keys)[0][0]

    return jax.tree.map(np.float64, train(net, jax.random.key(seed + 1)))


def rounded(net, bits):
    return quantizers.quantize(net, quantizers.Uniform.from_bits(bits, net.magnitude))


def main(seeds, all_bits):
    versions = {name: importlib.metadata.version(name) for name in ("jax", "numpy")}
    print(f"{platform.processor() or platform.machine()}, {versions}")
    print(f"{'network':20}{'bits':>5}{'seed':>5}{'seconds':>9}{'boxes':>9}{'upper/lower':>13}")
    for inputs, gap, limit, bits_here in ((4, 0.01, 20.0, all_bits), (8, 0.6, 60.0, (6,))):
        for kind, make in (("random", he_random), ("trained", trained)):
            for bits in bits_here:
                for seed in range(seeds):
                    net = make((inputs, 32, 32, 1), seed)
                    jax.clear_caches()  # compilation is counted every time
                    begin = time.perf_counter()
                    result = bounds.enclose(net, rounded(net, bits), (0, 1), gap=gap, seconds=limit)
                    took = time.perf_counter() - begin
                    ratio = result.upper / result.lower
                    name = f"{inputs}-32-32-1 {kind}"
                    print(f"{name:20}{bits:5}{seed:5}{took:9.2f}{result.boxes:9}{ratio:13.4f}")
                    assert ratio <= 1 + gap and took < limit
    print("\nboxes against upper/lower, 8-32-32-1 random, 6 bits, seed 0, [0, 1]^8 and [-1, 1]^8")
    net = he_random((8, 32, 32, 1), 0)
    for budget in (1, 2_048, 8_192, 32_768, 65_536):
        ratios = []
        for lower in (0.0, -1.0):
            result = bounds.enclose(net, rounded(net, 6), (lower, 1.0), budget=budget)
            ratios.append(result.upper / result.lower)
        print(f"{budget:9}{ratios[0]:10.4f}{ratios[1]:10.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--bits", default="4,5,6,7,8")
    arguments = parser.parse_args()
    main(arguments.seeds, [int(t) for t in arguments.bits.split(",")])
