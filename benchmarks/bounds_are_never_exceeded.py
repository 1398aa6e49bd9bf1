"""No measured difference of two networks exceeds a bound, over thousands of random networks.

Every network meets a rounded copy (to nearest, floor, toward zero, stochastic, with feedback) or an
unrelated network, in float32 or float64, on a random box, some of whose sides have no width. Its
difference is measured in its own floating type at random points, corners and points moved uphill,
with sums in two orders, and with one input also exactly, at the breakpoints of both networks in
rationals. It is held against `enclose`, `difference_bound`, `enclose_points`, and against the
Lipschitz constants (`parameter_lipschitz`, `box_lipschitz`, `coarse_lipschitz`, `mean_lipschitz`)
times the largest change of a parameter. The pair of `extremal_pair` attains the exact constant.

Asserted: every ratio measured / bound is at most 1; the extremal ratio is 1 to 1e-6.

Run it: `python benchmarks/bounds_are_never_exceeded.py [--networks 3000] [--seed 0]`.
"""

import argparse
import collections
import importlib.metadata
import math
import platform
import time
import warnings
from fractions import Fraction

import jax
import numpy as np

from qrelu import bounds, networks, quantizers, rounding

# Many shapes with one and two inputs; more inputs are compiled once per shape and type.
WIDTHS = (
    (1, 6, 1),
    (1, 5, 5, 2),
    (1, 4, 4, 4, 1),
    (2, 6, 1),
    (2, 4, 4, 2),
    (3, 5, 4, 1),
    (5, 6, 2),
)
ROUNDINGS = ("nearest", "floor", "toward_zero", "stochastic", "feedback", "unrelated")


def random_network(rng, widths, dtype):
    density, scale = rng.choice([0.5, 1.0]), 10 ** rng.uniform(-0.5, 0.5)
    weights, biases = [], []
    for m, n in zip(widths, widths[1:], strict=False):
        weights.append(rng.normal(size=(n, m)) * np.sqrt(2 / m) * (rng.random((n, m)) < density))
        biases.append(rng.normal(size=n) / 3)
    weights[0] *= scale
    return networks.ReLUNetwork(
        [w.astype(dtype) for w in weights], [b.astype(dtype) for b in biases]
    )


def rounded(rng, net, kind, box):
    if kind == "unrelated":
        return random_network(rng, net.widths, net.weights[0].dtype)
    bits = int(rng.integers(2, 13))
    if kind == "stochastic":
        q = quantizers.Uniform.from_bits(bits, net.magnitude, rounding="stochastic")
        other = quantizers.quantize(net, q, key=jax.random.key(int(rng.integers(2**31))))
    elif kind == "feedback":
        q = quantizers.Uniform.from_bits(bits, net.magnitude)
        other = rounding.feedback(net, q, points(rng, *box, 64))
    else:
        other = quantizers.quantize(net, quantizers.Uniform.from_bits(bits, net.magnitude, kind))
    return jax.tree.map(np.asarray, other)


def points(rng, lower, upper, count):
    shares = rng.random((count, len(lower)))
    shares[count // 2 :] = rng.integers(0, 2, (count - count // 2, len(lower)))
    return np.clip(lower + shares * (upper - lower), lower, upper)


def values(net, x, order=None):
    """In the network's own type; with an order, unit after unit."""
    h = x.T.astype(net.weights[0].dtype)
    for i, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        h = np.maximum(h, 0) if i else h
        if order is None:
            h = w @ h + b[:, None]
        else:
            total = np.repeat(b[:, None], h.shape[1], 1)
            for j in order.permutation(w.shape[1]):
                total = total + w[:, j, None] * h[j]
            h = total
    return h


def difference(net, other, x, rng):
    """The largest difference per point, over two orders of sums."""
    plain = abs(values(net, x) - values(other, x)).max(0)
    return np.maximum(plain, abs(values(net, x, rng) - values(other, x, rng)).max(0))


def measured(rng, net, other, lower, upper):
    """The largest difference at random points, corners, and from there uphill."""
    x = points(rng, lower, upper, 300)
    sizes = difference(net, other, x, rng)
    best, at = float(sizes.max()), x[sizes.argmax()]
    for step in 0.3 * 0.6 ** np.arange(12):
        moves = np.concatenate([np.eye(len(at)), -np.eye(len(at))]) * (upper - lower) * step
        trial = np.clip(at + moves, lower, upper)
        sizes = difference(net, other, trial, rng)
        if sizes.max() > best:
            best, at = float(sizes.max()), trial[sizes.argmax()]
    return best


def exact_pieces(net, other, lower, upper):
    """The largest difference of one-input networks on an interval, in rationals."""
    wide = [
        networks.ReLUNetwork(*jax.tree.map(np.float64, (n.weights, n.biases))) for n in (net, other)
    ]
    first, second = (networks.pieces(n, Fraction(lower), Fraction(upper), exact=True) for n in wide)
    nodes = np.unique(np.concatenate([first.breakpoints, second.breakpoints]))
    return max(abs(t) for t in (first(nodes) - second(nodes)).ravel())


def constants(net, other, radius):
    """Lipschitz constants of the class that holds both networks, and the change between them."""
    wide = [jax.tree.map(np.float64, n) for n in (net, other)]
    pairs = [list(zip(n.weights, n.biases, strict=True)) for n in wide]
    change = max(
        abs(p - q).max() for a, b in zip(*pairs, strict=True) for p, q in zip(a, b, strict=True)
    )
    # Row sums in rationals are not worth it here: one part in 10^12 more than their floats.
    more = 1 + 1e-12
    radii = [
        max(abs(p[0]).sum(1).max() for p in layer) * more for layer in zip(*pairs, strict=True)
    ]
    offsets = [max(abs(p[1]).max() for p in layer) for layer in zip(*pairs, strict=True)]
    entries = [
        max(max(abs(p[0]).max(), abs(p[1]).max()) for p in layer)
        for layer in zip(*pairs, strict=True)
    ]
    largest = max(1.0, *radii, *offsets)
    widths = net.widths
    sharp = bounds.parameter_lipschitz(widths, radii, radius, bias_bound=offsets)
    assert bounds.chain_lipschitz(radii, radius) <= sharp
    return (
        change,
        {
            "parameter_lipschitz": sharp,
            "box_lipschitz": bounds.box_lipschitz(widths, entries, radius),
            "coarse_lipschitz": bounds.coarse_lipschitz(widths, largest, radius),
        },
        bounds.mean_lipschitz(widths, radii, radius, 2, bias_bound=offsets),
    )


def one(rng, widths, dtype, kind, worst, counts):
    net = random_network(rng, widths, dtype)
    lower = rng.normal(size=widths[0]).astype(np.float32).astype(float)
    width = 10 ** rng.uniform(-4, 0.5, widths[0]) * (rng.random(widths[0]) < 0.9)
    upper = lower + width
    other = rounded(rng, net, kind, (lower, upper))
    name = np.dtype(dtype).name

    def hold(bound, size, what):
        counts[what, name] += 1
        assert size <= bound, (what, name, kind, net, other, lower, upper)
        ratio = float(size / bound) if bound > 0 else (0.0 if size == 0 else math.inf)
        worst[what, name] = max(worst[what, name], ratio)

    seen = measured(rng, net, other, lower, upper)
    found = bounds.enclose(net, other, (lower, upper), budget=1024)
    assert found.lower <= found.upper
    hold(found.upper, seen, "enclose")
    here = difference(net, other, found.witness[None], rng)[0]
    hold(here, found.lower, "witness of enclose")
    if widths[0] == 1 and lower[0] < upper[0]:
        exact = exact_pieces(net, other, lower[0], upper[0])
        hold(Fraction(found.upper), exact, "enclose, exact pieces")
        # The bound of the functions in real arithmetic leaves no room for evaluation.
        real = bounds.enclose(net, other, (lower, upper), evaluation="exact")
        hold(Fraction(real.upper), exact, "enclose(exact), exact pieces")
    wide = [jax.tree.map(np.float64, n) for n in (net, other)]
    x = points(rng, lower, upper, 300)
    real = abs(values(wide[0], x) - values(wide[1], x)).max()
    if widths in ((2, 4, 4, 2), (3, 5, 4, 1)):
        cheap = float(DIFFERENCE[name](net, other, (lower.astype(dtype), upper.astype(dtype))))
        inside = np.clip(x, lower.astype(dtype), upper.astype(dtype)).astype(float)
        real_inside = abs(values(wide[0], inside) - values(wide[1], inside)).max()
        hold(cheap, real_inside * (1 - 1e-12), "difference_bound")
        radius = float(10 ** rng.uniform(-3, -0.5))
        balls = bounds.enclose_points(net, other, x[:16], radius)
        moved = x[:16] + radius * (1 - 1e-12) * rng.choice([-1, 0.5, 1], (16, widths[0]))
        sizes = difference(net, other, moved, rng)
        hold(1.0, max(sizes / balls.upper), "enclose_points")
    radius = bounds.input_radius(lower, upper)
    change, sharp, mean = constants(net, other, radius)
    if change > 0:
        for what, constant in sharp.items():
            hold(constant * change, real * (1 - 1e-12), what)
        cube = rng.uniform(-radius, radius, (300, widths[0]))
        distances = abs(values(wide[0], cube) - values(wide[1], cube)).max(0)
        hold(mean * change, np.sqrt((distances**2).mean()), "mean_lipschitz (sampled)")


DIFFERENCE = {name: jax.jit(bounds.difference_bound) for name in ("float32", "float64")}


def extremal(rng, count):
    """How far the extremal pair is from its constant, at most."""
    gaps = []
    while len(gaps) < count:
        widths = [int(n) for n in rng.integers(1, 9, rng.integers(2, 7))]
        p = float(rng.choice([1.0, 1.5, 2.0, 3.0, math.inf]))
        radii = rng.uniform(0.3, 3, len(widths) - 1).tolist()
        pair = bounds.extremal_pair(widths, radii, rng.uniform(0.1, 3), p)
        d = values(pair.first, pair.point[None]) - values(pair.second, pair.point[None])
        gaps.append(abs(np.linalg.norm(d[:, 0], p) / pair.shift / pair.constant - 1))
    return max(gaps)


def main(count, seed):
    versions = {name: importlib.metadata.version(name) for name in ("jax", "numpy")}
    print(f"{platform.processor() or platform.machine()}, {versions}")
    rng = np.random.default_rng(seed)
    worst, counts = collections.defaultdict(float), collections.defaultdict(int)
    begin = time.process_time()
    with jax.enable_x64(True), warnings.catch_warnings():
        # Grids coarser than every parameter round all of them to one value, and say so.
        warnings.simplefilter("ignore", UserWarning)
        for i in range(count):
            dtype = (np.float32, np.float64)[int(rng.integers(2))]
            kind = ROUNDINGS[i % len(ROUNDINGS)]
            one(rng, WIDTHS[int(rng.integers(len(WIDTHS)))], dtype, kind, worst, counts)
        attained = extremal(rng, max(20, count // 10))
    print(f"{count} networks, {time.process_time() - begin:.0f} s of processor time")
    print(f"{'bound':32}{'type':10}{'cases':>8}{'largest measured / bound':>26}")
    for key in sorted(worst):
        print(f"{key[0]:32}{key[1]:10}{counts[key]:8}{worst[key]:26.12f}")
    print(f"extremal pairs: {max(20, count // 10)}, constant attained to {attained:.1e}")
    assert max(worst.values()) <= 1 and attained <= 1e-6


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--networks", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    main(arguments.networks, arguments.seed)
