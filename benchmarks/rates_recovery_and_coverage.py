"""`fit_rate` recovers known rates, and its 95 % intervals over replicates cover 93 to 98 %.

Run: python benchmarks/rates_recovery_and_coverage.py [--simulations 1000] [--all]
`--all` adds truths with a logarithm, a correction and a floor, where the model has to be chosen.
"""

import argparse
import statistics
import time

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


def truths(everything):
    """(name, true rate, sizes, errors) for the simulations."""
    sizes = 24 * 2.0 ** np.arange(8)
    yield "power", 2.0, sizes, sizes**-2
    if everything:
        pieces, wide = np.floor((sizes - 1) / 3), 2.0 ** np.arange(4, 15)
        floored = 2.0 ** np.arange(2, 11)
        yield "correction", 2.0, sizes, pieces**-2 * (1 + 2 / pieces)
        yield "logarithm", 1.0, wide, np.log2(wide) / wide
        yield "floor", 1.5, floored, floored**-1.5 + 1e-3


def main():
    """Measure, print, assert."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--all", action="store_true")
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
        noisy = [abs(fit_rate(sizes, errors * d).gamma - gamma) for d in draws]
        print(f"{'  with 1 % noise':28s} median deviation {np.nanmedian(noisy):.4f}")
        assert np.nanmedian(noisy) <= within

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

    print(f"\n{'truth':10s} seeds  rho   noise  coverage  no rate  median width")
    for name, gamma, sizes, errors in truths(options.all):
        level = 0.05 if name == "power" else 0.02
        for replicates in (3, 5, 8):
            for rho in (0.0, 0.5, 0.8):
                rng = np.random.default_rng(0)
                hits, widths, none = 0, [], 0
                for _ in range(options.simulations):
                    z = noise(rng, (replicates, len(sizes)), rho)
                    low, high = fit_rate(sizes, errors * np.exp(level * z)).interval
                    if np.isnan(low):
                        none += 1
                        continue
                    hits += low <= gamma <= high
                    widths.append(high - low)
                rate = hits / max(len(widths), 1)
                print(
                    f"{name:10s} {replicates:5d} {rho:4.1f} {level:7.2f} {rate:9.3f} "
                    f"{none / options.simulations:8.3f} {statistics.median(widths):13.4f}",
                    flush=True,
                )
                slack = 3 * (0.95 * 0.05 / options.simulations) ** 0.5
                if name == "power":
                    assert (
                        0.93 - (slack if options.simulations < 1000 else 0)
                        <= rate
                        <= 0.98 + (slack if options.simulations < 1000 else 0)
                    )


if __name__ == "__main__":
    main()
