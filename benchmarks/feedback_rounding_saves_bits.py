"""Feedback rounding needs one bit more per doubling of the pieces, rounding to nearest up to two.

One hidden layer relu(x - t_j) at equidistributed knots and an output bias, coefficients by least
squares, every parameter on 2^-b Z. The table shows the fewest bits b with an L^2 error of at most
1.5 times the unrounded one, beside the errors there and one bit below. "fine bias" gives the
output bias 2 b bits after the point. "magnitude" is the largest weight of a layer after feedback
rounding over the one before: below 2, it takes no bit more before the point.

Run it: `python benchmarks/feedback_rounding_saves_bits.py [--largest 1024]`.
"""

import argparse
import functools
import importlib.metadata
import platform
import warnings

import numpy as np
import scipy.linalg

from qrelu import norms, quantizers, rounding, targets
from qrelu.networks import ReLUNetwork

PIECES = (8, 16, 32, 64, 128, 256, 512, 1024)
FACTOR = 1.5
CLAIMS = {
    ("exp", False): (5, 6, 7, 8, 9, 10, 11, 12),
    ("runge", True): (3, 5, 7, 8, 9, 10, 11, 12),
}


def equidistributed(target, pieces: int) -> np.ndarray:
    """Knots with equal integrals of |f''|^(2/5) between them, best in L^2 as pieces grow."""
    x = np.linspace(0.0, 1.0, 200_001)
    second = np.diff(target(x), 2)
    density = np.abs(np.concatenate([second[:1], second, second[-1:]])) ** 0.4
    running = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return np.interp(np.linspace(0.0, running[-1], pieces + 1), running, x)


def gauss(knots: np.ndarray):
    """Points and weights: three Gauss points on each half of each piece."""
    edges = np.sort(np.concatenate([knots, (knots[1:] + knots[:-1]) / 2]))
    nodes, weights = np.polynomial.legendre.leggauss(3)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (1 + nodes)).ravel(), (half * weights).ravel()


def unrounded(target, pieces: int):
    knots = equidistributed(target, pieces)
    x, mass = gauss(knots)
    features = np.column_stack([np.maximum(x[:, None] - knots[:-1], 0.0), np.ones(x.size)])
    root = np.sqrt(mass)
    rows, values = features * root[:, None], target(x) * root
    coefficients = scipy.linalg.lstsq(rows, values, lapack_driver="gelsy")[0]
    network = ReLUNetwork(
        (np.ones((pieces, 1)), coefficients[None, :-1]), (-knots[:-1], coefficients[-1:])
    )
    return network, x, mass


def ratios(target, pieces: int, fine: bool):
    """The L^2 errors after feedback and after nearest rounding, by bits, over the unrounded one."""
    norm = norms.L2()
    network, x, mass = unrounded(target, pieces)
    error = float(norm.distance(network, target))
    largest: dict[int, float] = {}

    @functools.cache
    def feedback(bits: int) -> float:
        rounded = rounding.feedback(
            network,
            quantizers.Uniform(2.0**-bits),
            x[:, None],
            values=target(x)[:, None],
            point_weights=mass,
            bias_quantizer=quantizers.Uniform(2.0 ** (-2 * bits)) if fine else None,
        )
        for before, after in zip(network.weights, rounded.weights, strict=True):
            largest[bits] = max(largest.get(bits, 0.0), np.abs(after).max() / np.abs(before).max())
        return float(norm.distance(rounded, target)) / error

    @functools.cache
    def nearest(bits: int) -> float:
        rounded = quantizers.quantize(network, quantizers.Uniform(2.0**-bits))
        return float(norm.distance(rounded, target)) / error

    return feedback, nearest, largest


def fewest(ratio, start: int = 1) -> int:
    """The first number of bits, counted up from `start`, with a ratio of at most FACTOR."""
    return next(bits for bits in range(start, 30) if ratio(bits) <= FACTOR)


def main() -> None:
    # Nearest rounding with few bits may leave nothing but zeros: that is the point.
    warnings.filterwarnings("ignore", message=".*single value")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=PIECES[-1])
    arguments = parser.parse_args()
    print(platform.platform(), platform.python_version(), end=" ")
    print(*(f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "jax", "qrelu")))
    for (name, fine), claim in CLAIMS.items():
        target = targets.get(name)
        print(f"\n{name}{', fine bias' if fine else ''}: bits after the point")
        print(f"{'pieces':>7}{'nearest':>9}{'feedback':>10}{'claim':>7}{'error there':>13}", end="")
        print(f"{'a bit below':>13}{'magnitude':>11}")
        for pieces, claimed in zip(PIECES, claim, strict=True):
            if pieces > arguments.largest:
                break
            feedback, nearest, largest = ratios(target, pieces, fine)
            bits = fewest(feedback, max(1, claimed - 5))
            plain = fewest(nearest)
            print(f"{pieces:>7}{plain:>9}{bits:>10}{claimed:>7}{feedback(bits):>13.3f}", end="")
            print(f"{feedback(bits - 1):>13.3f}{largest[bits]:>11.2f}", flush=True)
            assert bits <= claimed, f"{name}, {pieces} pieces: {bits} bits, not {claimed}"
            assert plain >= bits
            # The coarsest grids hold few functions: from 32 pieces on a bit is left over, too.
            if pieces >= 32:
                assert bits < claimed, f"{name}, {pieces} pieces: no bit fewer than the claim"
                assert largest[bits] < 2, f"{name}, {pieces} pieces: the magnitude grows"
    print("\nthe claim holds")


if __name__ == "__main__":
    main()
