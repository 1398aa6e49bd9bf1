"""Files of quantized approximants: measured bits beside the count, for every family and size.

The count is bits for one parameter times the number of parameters, plus the bits that name chosen
terms. A file also holds the step of the grid, how many parameters there are, and what they belong
to: at most 55 bits more than 1.1 times the count. From 600 counted bits on it is within the 10 %.
Every file is decoded, to the same parameters bit for bit. (Steps have 8 binary digits. Where over
two thirds of the parameters are on the grid before, as those of small networks for symmetric
functions may be, the step is kept as it is and takes its 64 bits.)

Run it: `python benchmarks/codes_take_what_is_counted.py`.
"""

import warnings

import jax
import numpy as np

from qrelu import codes, families, norms, targets

SIZES = (4, 8, 16, 32, 64, 128)
BITS = (2, 4, 8, 12, 24, 44, 52)
TARGETS = ("exp", "chirp", "sqrt")
# A file takes at most 1.1 times the count and so many bits; from so many counted ones without.
OVERHEAD, FROM = 55, 600
# Rational functions of larger size are not fitted, and have three parts with a grid each.
LAST = {"rational": 32}


def main():
    warnings.filterwarnings("ignore", category=RuntimeWarning)  # of SciPy's rational functions
    norm = norms.L2()
    print(f"{'bits over count, largest':25s}" + "".join(f"M = {size:<8d}" for size in SIZES))
    print("and most bits above it")
    for name in families.names():
        family, cells = families.get(name), []
        for size in SIZES:
            if not family.minimum_size <= size <= LAST.get(name, SIZES[-1]):
                cells.append(" " * 12)
                continue
            ratios, above = [], []
            for target in map(targets.get, TARGETS):
                fitted = family.fit(target, size, norm=norm)
                for bits in BITS:
                    rule = families.Quantized(family, families.Bits(bits))
                    rounded = rule.round(fitted, target, norm=norm)
                    code = codes.encode(rounded)
                    leaves = map(jax.tree.leaves, (codes.decode(code), rounded.function))
                    assert all(np.array_equal(a, b) for a, b in zip(*leaves, strict=True))
                    ratios.append(code.bits / rounded.bits)
                    above.append(code.bits - rounded.bits)
                    assert code.bits <= 1.1 * rounded.bits + OVERHEAD, (name, size, bits)
                    large = rounded.bits >= FROM
                    assert not large or ratios[-1] <= 1.1, (name, size, bits, target.name)
            cells.append(f"{max(ratios):4.2f} {max(above):+5.0f}  ")
        print(f"{name:25s}" + "".join(cells))


if __name__ == "__main__":
    main()
