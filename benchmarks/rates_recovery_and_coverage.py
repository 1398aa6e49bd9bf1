"""`fit_rate` recovers known rates, and its 95 % intervals over replicates cover 93 to 98 %.

Run: python benchmarks/rates_recovery_and_coverage.py [--simulations 1000] [--others 500]

First exact sequences, with and without 1 % noise. Then simulated replicates: 3, 5 and 8 seeds, with
independent errors and AR(1) errors of 0.5 and 0.8 along the sizes, the model chosen inside every
fit. Under a plain power (`--simulations` draws) the coverage has to be 0.93 to 0.98. Under a
correction, a logarithm and a floor (`--others` draws) it has to be that up to three standard
errors, which are printed. Coverage is counted among the fits that give a rate. Beside it stands how
often none is given, and how often it is an envelope as no model fits to within the noise.
"""

import argparse
import itertools
import statistics
import time
from typing import NamedTuple

import numpy as np

from qrelu.rates import fit_rate


def recovery():
    """Exact sequences: (name, true rate, sizes, errors, allowed deviation)."""
    wide, floored = 2.0 ** np.arange(4, 15), 2.0 ** np.arange(2, 11)
    every, dyadic = np.arange(1.0, 129.0), 2.0 ** np.arange(8)
    yield "1/(4N(N+1)), N = 1..128", 2, every, 1 / (4 * every * (every + 1)), 0.02
    yield "1/(4N(N+1)), N dyadic", 2, dyadic, 1 / (4 * dyadic * (dyadic + 1)), 0.02
    for b in (0.5, 1.0, 1.5):
        yield f"log2(M)^{b} / M", 1, wide, np.log2(wide) ** b / wide, 0.05
    yield "M^-1.5 + 1e-3", 1.5, floored, floored**-1.5 + 1e-3, 0.05
    for count in (7, 9, 11):
        for a in (-1, 0, 2, 4):
            sizes = 24 * 2.0 ** np.arange(count)
            pieces = np.floor((sizes - 1) / 3)
            yield f"N^-2 (1 + {a}/N), {count} sizes", 2, sizes, pieces**-2 * (1 + a / pieces), 0.02


def noise(rng, shape, rho):
    """AR(1) noise of variance 1 along the sizes."""
    z = rng.standard_normal(shape)
    for i in range(1, shape[-1]):
        z[..., i] = rho * z[..., i - 1] + np.sqrt(1 - rho**2) * z[..., i]
    return z


def truths():
    """(name, true rate, sizes, errors, relative noise) for the simulations."""
    sizes = 24 * 2.0 ** np.arange(8)
    yield "power", 2.0, sizes, sizes**-2, 0.05
    pieces, wide = np.floor((sizes - 1) / 3), 2.0 ** np.arange(4, 15)
    floored = 2.0 ** np.arange(2, 11)
    yield "correction", 2.0, sizes, pieces**-2 * (1 + 2 / pieces), 0.02
    yield "logarithm", 1.0, wide, np.log2(wide) / wide, 0.02
    yield "floor", 1.5, floored, floored**-1.5 + 1e-3, 0.02


class Cell(NamedTuple):
    """What many simulations of one kind gave."""

    coverage: float
    none: float
    envelopes: float
    width: float
    standard_error: float


def simulate(gamma, sizes, errors, level, replicates, rho, simulations, seed) -> Cell:
    """Fit `simulations` draws of `replicates` noisy sequences."""
    rng = np.random.default_rng(seed)
    hits, widths, envelopes = 0, [], 0
    for _ in range(simulations):
        z = noise(rng, (replicates, len(sizes)), rho)
        fit = fit_rate(sizes, errors * np.exp(level * z))
        if fit.established:
            low, high = fit.interval
            hits += low <= gamma <= high
            widths.append(high - low)
            envelopes += fit.interval_kind == "envelope"
    given = max(len(widths), 1)
    return Cell(
        hits / given,
        1 - len(widths) / simulations,
        envelopes / given,
        statistics.median(widths),
        (0.95 * 0.05 / given) ** 0.5,
    )


def main():
    """Measure, print, assert."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--others", type=int, default=500)
    options = parser.parse_args()

    print(f"{'exact sequence':28s} {'gamma':>8s} {'lower':>8s} {'upper':>8s}  model")
    for name, gamma, sizes, errors, within in recovery():
        fit = fit_rate(sizes, errors)
        low, high = fit.interval
        print(f"{name:28s} {fit.gamma:8.4f} {low:8.4f} {high:8.4f}  {fit.model}")
        assert abs(fit.gamma - gamma) <= within and low <= gamma <= high
        if name.startswith("N^-2"):
            assert high - low <= 0.04
        draws = np.exp(0.01 * np.random.default_rng(0).standard_normal((20, len(sizes))))
        noisy = [fit_rate(sizes, errors * d) for d in draws]
        off = [abs(f.gamma - gamma) for f in noisy if f.established]
        held = np.mean([f.interval[0] <= gamma <= f.interval[1] for f in noisy if f.established])
        print(
            f"  with 1 % noise: median deviation {np.median(off):.4f}, {held:.2f} of the envelopes "
            f"hold the rate, {len(noisy) - len(off)} of {len(noisy)} give none"
        )
        # (log M)^0.5 bends a line by less than 1 % noise: one such sequence is read as a power 0.93
        # with an envelope that excludes 1 in about every second draw. Replicates show it (below).
        if "log" in name:
            assert np.median(off) <= 0.1
        else:
            assert held >= 0.8 and np.median(off) <= within

    sizes = 24 * 2.0 ** np.arange(7)
    times = []
    for _ in range(20):
        start = time.process_time()
        fit_rate(sizes, sizes**-2 * (1 + 2 / sizes))
        times.append(time.process_time() - start)
    print(
        f"one fit of 7 sizes: {1e3 * statistics.median(times):.1f} ms of processor time "
        "(median of 20)"
    )

    print("\ntruth      seeds  rho  noise  coverage (+-)    no rate  envelope  median width")
    wrong = []
    for name, gamma, sizes, errors, level in truths():
        for number, (replicates, rho) in enumerate(itertools.product((3, 5, 8), (0.0, 0.5, 0.8))):
            draws = options.simulations if name == "power" else options.others
            cell = simulate(gamma, sizes, errors, level, replicates, rho, draws, number)
            slack = 3 * cell.standard_error
            if name == "power" and options.simulations >= 1000:
                slack = 0.0
            bad = not 0.93 - slack <= cell.coverage <= 0.98 + slack
            print(
                f"{name:10s} {replicates:5d} {rho:4.1f} {level:6.2f} {cell.coverage:9.3f} "
                f"({cell.standard_error:.3f}) {cell.none:9.3f} {cell.envelopes:9.3f} "
                f"{cell.width:13.4f}{'  outside' if bad else ''}",
                flush=True,
            )
            if bad:
                wrong.append((name, replicates, rho, cell))
    assert not wrong, wrong


if __name__ == "__main__":
    main()
