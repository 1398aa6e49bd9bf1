"""`bounds.enclose` by branch and bound: 4-32-32-1 to 1 % in 20 s, 8-32-32-1 to 1.6 in 60 s.

He-random networks and networks trained on a smooth function, rounded to nearest, rounding errors in
float64 inside: with four inputs at 4 to 8 bits on [0, 1]^4, with eight at 6 bits on [0, 1]^8 and on
[-1, 1]^8, which is 256 times as large. Compilation is counted every time.

The limits are asserted on the seconds of the processor, those of all cores together: they hardly
depend on what else runs, and two idle cores take no longer than that, and little more than half
where the search is long. The cost curves (upper / lower against boxes and seconds) follow.

Run it: `python benchmarks/enclosures_by_branch_and_bound.py [--seeds 5] [--bits 4,5,6,7,8]`.
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


def measure(net, other, box, **options):
    """The enclosure, seconds on the clock and seconds of the processor, compilation included."""
    jax.clear_caches()
    begin, start = time.perf_counter(), time.process_time()
    result = bounds.enclose(net, other, box, budget=20_000_000, **options)
    return result, time.perf_counter() - begin, time.process_time() - start


def cases(seeds, all_bits):
    for make in (he_random, trained):
        for bits in all_bits:
            yield make, (4, 32, 32, 1), (0.0, 1.0), bits, 0.01, 20.0, seeds
    for box in ((0.0, 1.0), (-1.0, 1.0)):
        for make in (he_random, trained):
            yield make, (8, 32, 32, 1), box, 6, 0.6, 60.0, seeds


def main(seeds, all_bits):
    versions = {name: importlib.metadata.version(name) for name in ("jax", "numpy")}
    print(f"{platform.processor() or platform.machine()}, {versions}")
    print(f"{'network':20}{'box':>10}{'bits':>5}{'processor s, each seed':>44}", end="")
    print(f"{'most boxes':>11}{'worst upper/lower':>18}")
    late = []
    for make, widths, box, bits, gap, limit, seeds_here in cases(seeds, all_bits):
        took, boxes, ratios = [], [], []
        for seed in range(seeds_here):
            net = make(widths, seed)
            result, _, processor = measure(net, rounded(net, bits), box, gap=gap)
            took.append(processor)
            boxes.append(result.boxes)
            ratios.append(result.upper / result.lower)
        name = f"{widths[0]}-32-32-1 {make.__name__.removeprefix('he_')}"
        seconds = "".join(f"{t:8.1f}" for t in took)
        place = f"[{box[0]:.0f}, {box[1]:.0f}]^{widths[0]}"
        print(
            f"{name:20}{place:>10}{bits:5}{seconds:>44}{max(boxes):11}{max(ratios):18.4f}",
            flush=True,
        )
        assert max(ratios) <= 1 + gap
        late += [(name, place, bits, t) for t in took if t > limit]
    curve()
    assert not late, late


def curve():
    print("\nupper/lower (processor s) of 8-32-32-1, 6 bits, seed 0, compilation included")
    print(f"{'boxes':>9}{'random [0, 1]^8':>20}{'random [-1, 1]^8':>20}{'trained [-1, 1]^8':>20}")
    for budget in (256, 2_048, 16_384, 131_072, 524_288):
        print(f"{budget:9}", end="")
        for make, low in ((he_random, 0.0), (he_random, -1.0), (trained, -1.0)):
            net = make((8, 32, 32, 1), 0)
            begin = time.process_time()
            result = bounds.enclose(net, rounded(net, 6), (low, 1.0), budget=budget, gap=0.05)
            took = time.process_time() - begin
            print(f"{result.upper / result.lower:12.3f} ({took:5.1f})", end="", flush=True)
        print()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--bits", default="4,5,6,7,8")
    arguments = parser.parse_args()
    main(arguments.seeds, [int(t) for t in arguments.bits.split(",")])
