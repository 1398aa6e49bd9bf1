"""With the theory's step the rate is kept; with fixed bits there is none.

For exp(3x), sin(2 pi x), 1/(1+25(2x-1)^2) and x^1.5 in L^2, M = 24 ... 3,072:

1. `FreeKnot`: gamma within 0.02 of 2, in an interval of width at most 0.04 that contains 2.
2. `Quantized(.., TheoryStep())`: |gamma_Q - gamma| <= 0.05, for the shallow and the deep family,
   with the bits of a weight beside it.
3. Fixed bits: a floor or a rise, never a rate.

Run it: `python benchmarks/quantized_families_keep_the_rate.py`.
"""

import importlib.metadata
import platform
import time

import numpy as np

from qrelu import families, norms, rates, targets

NAMES = ("exp", "sine", "runge", "power1.5")
SIZES = [24 * 2**k for k in range(8)]
RULES = (families.TheoryStep(), families.Bits(4), families.Bits(6), families.Bits(8))


def main() -> None:
    print(platform.platform(), platform.python_version(), end=" ")
    print(*(f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "jax", "qrelu")))
    norm, failures = norms.L2(), []

    def claim(holds, text):
        print("   " if holds else " ! ", text, flush=True)
        if not holds:
            failures.append(text)

    for base in (families.FreeKnot(), families.DyadicTree()):
        for name in NAMES:
            begin, target = time.perf_counter(), targets.get(name)
            fits = [base.fit(target, size, norm=norm) for size in SIZES]
            sizes = np.array([fitted.connectivity for fitted in fits])
            # A tree takes the next smaller power of two: equal trees count once.
            kept = np.flatnonzero(np.diff(sizes, prepend=0) > 0)
            exact = [float(norm.distance(fits[k].network, target)) for k in kept]
            fit = rates.fit_rate(sizes[kept], exact)
            print(f"\n{base.name}, {name}: gamma {fit.gamma:.4f} in {_interval(fit)}")
            if base.kind == "free-knot":
                low, high = fit.interval
                claim(abs(fit.gamma - 2) <= 0.02, f"gamma {fit.gamma:.4f} within 0.02 of 2")
                claim(low <= 2 <= high and high - low <= 0.04, f"interval {_interval(fit)}")
            for rule in RULES:
                family = families.Quantized(base, rule)
                rounded = [family.round(fits[k], target, norm=norm) for k in kept]
                errors = [float(norm.distance(r.network, target)) for r in rounded]
                other = rates.fit_rate(sizes[kept], errors)
                bits = [int(r.bits_per_weight) for r in rounded]
                if isinstance(rule, families.TheoryStep):
                    text = f"{rule.name}: gamma {other.gamma:.4f}, bits {bits}"
                    claim(abs(other.gamma - fit.gamma) <= 0.05, text)
                else:
                    ratio = errors[-1] / min(errors)
                    text = f"{rule.name}: {other.verdict} (last/least error {ratio:.3g})"
                    claim(np.isnan(other.gamma), text)
            print(f"    {time.perf_counter() - begin:.1f} s")
    assert not failures, failures
    print("\nall claims hold")


def _interval(fit) -> str:
    return f"[{fit.interval[0]:.4f}, {fit.interval[1]:.4f}]"


if __name__ == "__main__":
    main()
