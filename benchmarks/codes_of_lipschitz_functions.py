"""Codes of 1-Lipschitz functions: one attains the entropy of the class, the families pay more.

Functions with f(0) = 0 and slopes +-1 are drawn anew for every accuracy: random paths whose cells
are half as wide as the accuracy, so that none is reproduced. Of every code stands

- the path code: error at most 1/n in n - 1 bits, for every draw;
- (bits + 1) x error, the largest over the draws, for the path code and the families in the sup
  norm; by the entropy of the class no code has less than 1 for all functions of the class;
- the fitted rate in bits (~: the slope, where no rate is established) beside the
  encoding rate of the class, 1. Neither is a bound of the other: the drawn functions are some of
  the class.

Run it: `python benchmarks/codes_of_lipschitz_functions.py`.
"""

import warnings
from fractions import Fraction

import numpy as np

from qrelu import bounds, codes, families, fit_rate, norms, targets
from qrelu.rates import slope

COUNTS = (8, 16, 32, 64, 128, 256)
DRAWS = 2
# Families with the largest count: wavelets take many terms, and minutes, in the sup norm.
FAMILIES = {
    "uniform-knot": 256,
    "free-knot": 256,
    "linear-spline": 256,
    "piecewise-constant": 256,
    "db2": 64,
}
# The path code is also asked for this accuracy.
EXACT = 400


def draw(count, seed):
    """A path of slopes +-1 on cells of 1/(2 count), and what is known of it."""
    cells = 2 * count
    rng = np.random.default_rng((count, seed))
    values = np.concatenate([[0.0], np.cumsum(rng.choice([-1.0, 1.0], cells))]) / cells
    knots = np.arange(cells + 1) / cells

    def path(x):
        return np.interp(x, knots, values)

    inner = tuple(float(k) for k in knots[1:-1])
    return targets.Function(path, (0, 1), name=f"path {count}", breakpoints=inner, curvature=0)


def main():
    # The path code: every n, many draws.
    worst = 0.0
    for count in (1, 2, 5, 10, 50, EXACT):
        for seed in range(20):
            target = draw(count, seed)
            code = codes.lipschitz_path(target, Fraction(1, count))
            assert code.bits == count - 1 == bounds.lipschitz_bits(Fraction(1, count))
            error = float(norms.Sup().distance(codes.decode(code), target))
            assert error <= (1 + 1e-9) / count
            worst = max(worst, (code.bits + 1) * error)
    print(f"path code: error 1/n with n - 1 bits; (bits + 1) x error at most {worst:.4f}")
    print(f"           and a header of {code.header_bits} bits with the last byte filled up")
    print("family              largest (bits + 1) x error  rate in bits (class: 1)")
    for name, largest in FAMILIES.items():
        bits, errors, product = [], [], 0.0
        for count in (n for n in COUNTS if n <= largest):
            rows = []
            for seed in range(DRAWS):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)
                    try:
                        found = codes.shortest(
                            families.get(name), draw(count, seed), 1 / count, norm=norms.Sup()
                        )
                    except ValueError:
                        continue
                rows.append((found.bits, found.error))
                product = max(product, (found.bits + 1) * found.error)
            # The longest code and the largest error of a count, where that is longer than before.
            longest = max((b for b, _ in rows), default=0)
            if longest > max(bits, default=0):
                bits.append(longest)
                errors.append(max(e for _, e in rows))
        fit = fit_rate(bits, errors)
        gamma = f"{fit.gamma:.2f}" if fit.established else f"~{float(slope(bits, errors)):.2f}"
        shown = ", ".join(f"{b}: {e:.3g}" for b, e in zip(bits, errors, strict=True))
        print(f"{name:20s} {product:20.2f} {gamma:>24s}   {shown}", flush=True)
        assert product >= 1 or not bits


if __name__ == "__main__":
    main()
