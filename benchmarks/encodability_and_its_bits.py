"""Rates over the Lipschitz class against its encoding rate 1: who obeys it, who breaks it, and why.

Functions are drawn anew for every size, and the worst sup error is taken. Families with O(log M)
bits for each of M parameters obey gamma_approx <= gamma_encod. Two do not:

- a dictionary without a limit on its depth: one term c phi_k, k below 2^(M^2), with M parameters on
  paper and M^2 bits in the index (an unbounded whole number);
- networks whose depth grows with M and whose weights are read bit by bit
  (`constructions.lipschitz_by_bits` with as many layers as cells): M parameters of about M bits.

Both reach the rate 2 in M. Against their bits, counted for what is stored, both fall back to the
rate 1, and (bits + 1) x error stays above 1, the limit that `bounds.lipschitz_bits` proves for
codes of the whole class.

Claims: the check holds for the encodable families and fails for the two; the bits of a parameter
grow like M^h with h at least 0.7 for the two and at most 0.4 for the others; in bits no rate is
above 1.2.

Run it: `python benchmarks/encodability_and_its_bits.py [--draws 4] [--figure path.png]`.
"""

import argparse
import importlib.metadata
import math
import platform
import time
import zlib
from typing import NamedTuple

import jax
import numpy as np

from qrelu import bounds, constructions, families, networks, norms, rates, targets

CLASS = targets.Lipschitz()
NORM = norms.Sup()
STEPS = (4, 5, 6, 8, 10, 12, 16)  # cells of the deep networks, and bits that each of them reads
POINTS = np.linspace(0.0, 1.0, 8193)  # the networks' errors: bounded by 1/n^2, measured here


def drawn(size: int, draws: int):
    key = jax.random.fold_in(jax.random.key(0), zlib.crc32(f"{size}".encode()) >> 1)
    return CLASS.draws(size, draws, key=key)


def of_family(family, sizes, draws: int):
    """Connectivity, worst error and most bits of a family rounded with the theory's step."""
    wrapped = families.Quantized(family, families.TheoryStep(gamma=1.0))
    rows = []
    for size in sizes:
        found = []
        for f in drawn(size, draws):
            fitted = wrapped.fit(f, size, norm=NORM)
            error = float(NORM.distance(fitted.function, f))
            found.append((fitted.connectivity_before_rounding, error, fitted.bits))
        rows.append([max(column) for column in zip(*found, strict=True)])
    return np.array(rows)


def of_dictionary(sizes, draws: int):
    """One zigzag of 2^(M^2): M is the size on paper, the bits are those of its index."""
    rows = []
    for size in sizes:
        error, bits = 0.0, 0
        for f in drawn(size**2 // 4, draws):
            start = float(f(np.zeros(1))[0])
            atom = bounds.dense_dictionary(lambda x: f(x) - start, size**2)  # noqa: B023
            polygon = targets.Data(atom.knots, atom.values + start)
            x = np.union1d(f.knots, atom.knots)  # both are linear between these
            error = max(error, float(np.abs(f(x) - polygon(x)).max()))
            bits = max(bits, atom.bits)
        rows.append([size, error, bits])
    return np.array(rows, float)


def of_deep_networks(draws: int):
    """Bit extraction with n cells of n bits: the bits of a parameter that its grid and size ask."""
    rows = []
    for n in STEPS:
        found = []
        for f in drawn(n * n // 4, draws):
            built = constructions.lipschitz_by_bits(f, n, n)
            values = np.asarray(networks.realize(built.network, POINTS[:, None]))[:, 0]
            error = float(np.abs(values - f(POINTS)).max())
            assert error <= float(built.certificate.bound)
            magnitude = max(float(built.network.magnitude), 1.0)
            # A sign, the digits before the point, and 2 n - 2 behind it (log2 of n^2 in the last).
            bits = 1 + math.ceil(math.log2(magnitude + 1)) + 2 * n - 2
            found.append((built.counts.connectivity, error, bits * built.counts.connectivity))
        rows.append([max(column) for column in zip(*found, strict=True)])
    return np.array(rows, float)


class Slope(NamedTuple):
    """The slope of all sizes, and the least and the largest over two neighbors."""

    gamma: float
    interval: tuple[float, float]


def rate(m, error):
    """The rate that `fit_rate` finds, or slopes where it finds none."""
    fit = rates.fit_rate(m, error)
    if fit.established:
        return fit
    pairs = -np.diff(np.log(error)) / np.diff(np.log(m))
    whole = -np.polyfit(np.log(m), np.log(error), 1)[0]
    return Slope(float(whole), (float(pairs.min()), float(pairs.max())))


def slope(x, y) -> float:
    """The slope of the larger half, in logarithms."""
    half = len(x) // 2
    return float(np.polyfit(np.log(x[half:]), np.log(y[half:]), 1)[0])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--figure", default=None)
    arguments = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    print(platform.platform(), platform.python_version(), end=" ")
    print(*(f"{n} {importlib.metadata.version(n)}" for n in ("numpy", "jax", "qrelu")))
    start, draws = time.process_time(), arguments.draws
    sizes, trees = (16, 32, 64, 128, 256, 512), (28, 56, 112, 224, 448)
    found = {
        "piecewise-constant": of_family(families.PiecewiseConstant(), sizes, draws),
        "uniform-knot network": of_family(families.UniformKnot(), sizes, draws),
        "network, depth like log M": of_family(families.DyadicTree(), trees, draws),
        "dictionary, 2^(M^2) deep": of_dictionary((6, 8, 12, 16, 24, 32), draws),
        "network, depth like M": of_deep_networks(draws),
    }
    print(
        f"{'family':26s} {'M':>12s} {'gamma':>6s} {'interval':>14s} {'limit':>5s} {'holds':>5s} "
        f"{'bits/parameter':>15s} {'growth':>6s} {'in bits':>7s} {'(bits + 1) x error':>18s}"
    )
    for name, (m, error, bits) in ((name, rows.T) for name, rows in found.items()):
        fit = rate(m, error)
        check = bounds.encoding_check(fit, CLASS, draws_depend_on_size=True)
        growth, in_bits = slope(m, bits / m), -slope(bits, error)
        low, high = fit.interval
        product = (bits + 1) * error
        print(
            f"{name:26s} {f'{m[0]:.0f} to {m[-1]:.0f}':>12s} {check.gamma:6.2f} "
            f"{f'{low:.2f} to {high:.2f}':>14s} {check.limit:5.2f} {str(check.holds):>5s} "
            f"{f'{bits[0] / m[0]:.0f} to {bits[-1] / m[-1]:.0f}':>15s} {growth:6.2f} "
            f"{in_bits:7.2f} {f'{product.min():.2f} to {product.max():.2f}':>18s}",
            flush=True,
        )
        broken = name.startswith("dictionary") or name.endswith("like M")
        assert check.holds is not broken, (name, check)
        assert growth >= 0.7 if broken else growth <= 0.4, (name, growth)
        assert in_bits <= 1.2, (name, in_bits)
    print(f"{time.process_time() - start:.0f} s of processor time")
    if arguments.figure:
        draw(found, draws, arguments.figure)


def draw(found, draws: int, path: str) -> None:
    import matplotlib.pyplot as plt

    colors = ("#000000", "#0072B2", "#009E73", "#D55E00", "#CC79A7")
    figure, axes = plt.subplots(1, 2, figsize=(10.5, 4.8), sharey=True)
    for (name, rows), color in zip(found.items(), colors, strict=True):
        m, error, bits = rows.T
        axes[0].loglog(m, error, "o-", color=color, markersize=4, label=name)
        axes[1].loglog(bits, error, "o-", color=color, markersize=4)
    x = np.array([6.0, 2000.0])
    axes[0].loglog(
        x, 3 / x, color="#F0E442", linewidth=6, zorder=0, label="rate 1: the encoding rate"
    )
    axes[0].loglog(x, 1.2 / x**2, color="0.75", linewidth=2, zorder=0, label="rate 2")
    x = np.array([30.0, 60000.0])
    axes[1].loglog(
        x,
        1 / (x + 1),
        color="#F0E442",
        linewidth=6,
        zorder=0,
        label="1/(bits + 1): no code is below",
    )
    axes[0].set(xlabel="parameters M", ylabel=f"worst sup error of {draws} draws", title="in M")
    axes[1].set(xlabel="bits", title="in bits")
    for ax in axes:
        ax.legend(fontsize=8, frameon=False, loc="lower left")
        ax.grid(color="0.92")
        ax.set_axisbelow(True)
    axes[0].set_ylim(bottom=3e-6)
    figure.suptitle("Lipschitz functions: two families beat the encoding rate in M, none in bits")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
