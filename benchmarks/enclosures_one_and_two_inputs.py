"""`bounds.enclose` with one and two inputs is exact up to rounding, in seconds.

Claims, each asserted, for He-random networks and their copies rounded to nearest at 6 bits on
[-1, 1]^d, rounding errors of evaluation in float64 inside:

1. One input, six hidden layers of width 64: upper / lower - 1 <= 1e-6 in under 2 s.
2. The same in real arithmetic with rationals at the surviving candidates: 1e-12, the time stated.
3. Two inputs: 2-32-32-1 in under 1 s, 2-64-64-64-1 in under 15 s, to 1e-9.

Dense points stand beside each: none may exceed the upper bound.

Run it: `python benchmarks/enclosures_one_and_two_inputs.py [--seeds 3]`.
"""

import argparse
import importlib.metadata
import platform
import time

import numpy as np

from qrelu import bounds, networks, quantizers

# name, widths, evaluation, gap, seconds
CASES = (
    ("1-64x6-1", (1, *[64] * 6, 1), None, 1e-6, 2.0),
    ("1-64x6-1, rationals", (1, *[64] * 6, 1), "exact", 1e-12, np.inf),
    ("2-32-32-1", (2, 32, 32, 1), None, 1e-9, 1.0),
    ("2-64-64-64-1", (2, 64, 64, 64, 1), None, 1e-9, 15.0),
)


def he_random(widths, seed):
    rng = np.random.default_rng(seed)
    pairs = list(zip(widths, widths[1:], strict=False))
    weights = [rng.normal(size=(n, m)) * np.sqrt(2 / m) for m, n in pairs]
    return networks.ReLUNetwork(weights, [0.1 * rng.normal(size=n) for _, n in pairs])


def values(net, x):
    h = x.T
    for i, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        h = w @ (np.maximum(h, 0) if i else h) + b[:, None]
    return h


def main(seeds):
    versions = {name: importlib.metadata.version(name) for name in ("jax", "numpy")}
    print(f"{platform.processor() or platform.machine()}, {versions}")
    bounds.enclose(he_random((1, 2, 1), 0), he_random((1, 2, 1), 1), (0, 1))  # imports
    print(f"{'network':22}{'seconds':>9}{'cells':>9}{'upper/lower - 1':>17}{'sampled/upper':>15}")
    for name, widths, evaluation, gap, limit in CASES:
        times = []
        for seed in range(seeds):
            net = he_random(widths, seed)
            rounded = quantizers.quantize(net, quantizers.Uniform.from_bits(6, net.magnitude))
            begin = time.perf_counter()
            result = bounds.enclose(net, rounded, (-1, 1), gap=gap, evaluation=evaluation)
            times.append(time.perf_counter() - begin)
            x = np.random.default_rng(seed).uniform(-1, 1, (100_000, widths[0]))
            sampled = abs(values(net, x) - values(rounded, x)).max()
            ratio = result.upper / result.lower - 1
            share = sampled / result.upper
            print(f"{name:22}{times[-1]:9.2f}{result.boxes:9}{ratio:17.1e}{share:15.6f}")
            assert result.complete and ratio <= gap and share <= 1
        print(f"{'median':22}{np.median(times):9.2f}")
        assert np.median(times) < limit, f"{name}: {np.median(times):.2f} s"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    main(parser.parse_args().seeds)
