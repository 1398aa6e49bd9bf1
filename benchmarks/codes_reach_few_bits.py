"""A ReLU network for exp(3x) on [0, 1] in few bits: all of it, to a file and back.

For L^2 errors from 1e-2 to 1e-6 the total bits of the payload of a file (plus a header of 11 bytes)
that decodes to a `ReLUNetwork` with that measured error, beside

- plain packing: the free-knot network of the best of some sizes, every parameter in as many bits as
  rounding to nearest needs;
- the same by feedback rounding, its error fed forward from knot to knot (to 1e-3: it takes long);
- the entropy of the ball {g: |g''|_2 <= |f''|_2} in L^2, asymptotically 2 / (pi ln 2) (R / e)^(1/2)
  bits: what a code needs that knows nothing but two derivatives. A code may need fewer bits for a
  function that is smoother, as here.

Run it: `python benchmarks/codes_reach_few_bits.py [figure.png]`.
"""

import math
import pathlib
import sys
import tempfile
import time

import numpy as np

from qrelu import codes, families, norms, quantizers, rounding, targets
from qrelu.networks import normalize
from qrelu.networks import pieces as pieces_of

ACCURACIES = (1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 1e-6)
# Error: the most bits.
ASKED = {1e-3: 200, 1e-4: 480, 3e-5: 800}
# Feedback rounding is asked for no more than this.
FEEDBACK = 1e-3
# bits x sqrt(error) is at most this all along.
PRODUCT = 6.0
SIZES = (1.05, 1.15, 1.3, 1.5)
# |f''|_2 of exp(3x): 9 ((e^6 - 1) / 6)^(1/2).
CURVATURE = 9 * math.sqrt(math.expm1(6) / 6)


def fewest(target, accuracy, rounded):
    """Connectivity times bits of the free-knot network for which that is least."""
    pieces = math.sqrt(1.7443 / accuracy)
    found = []
    for factor in SIZES:
        size = 3 * math.ceil(factor * pieces) + 1
        network = normalize(families.FreeKnot().fit(target, size, norm=norms.L2()).network)
        for bits in range(4, 33):
            grid = quantizers.Uniform.from_bits(bits, network.magnitude)
            if float(norms.L2().distance(rounded(network, grid), target)) <= accuracy:
                found.append(bits * network.connectivity)
                break
    return min(found)


def plain(target, accuracy):
    """Bits by rounding to nearest."""
    return fewest(target, accuracy, quantizers.quantize)


def feedback(target, accuracy):
    """Bits by feedback rounding."""

    def rounded(network, grid):
        knots = pieces_of(network, *target.domain).breakpoints
        inside = np.unique(np.concatenate([knots, np.linspace(*target.domain, 257)]))
        x = ((inside[1:] + inside[:-1]) / 2)[:, None]
        mass = np.diff(inside)
        return rounding.feedback(network, grid, x, values=target(x), point_weights=mass)

    return fewest(target, accuracy, rounded)


def entropy(accuracy):
    """Of the ball of functions with that curvature, asymptotically."""
    return 2 / (math.pi * math.log(2)) * math.sqrt(CURVATURE / accuracy)


def main():
    target, norm = targets.get("exp"), norms.L2()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for accuracy in ACCURACIES:
            start = time.perf_counter()
            found = codes.shortest(families.FreeKnot(), target, accuracy)
            seconds = time.perf_counter() - start
            path = pathlib.Path(folder) / "network.qrelu"
            found.code.save(path)
            network = codes.decode(codes.load(path))
            error = float(norm.distance(network, target))
            size = 8 * path.stat().st_size
            assert size == found.bits + found.code.header_bits
            assert size <= found.bits + 8 * 11 + 7
            packed = plain(target, accuracy) if accuracy >= 1e-5 else math.nan
            fed = feedback(target, accuracy) if accuracy >= FEEDBACK else math.nan
            columns = (found.bits, packed, fed, entropy(accuracy), network.widths[1], seconds)
            rows.append((accuracy, error, *columns))
    print("accuracy     error    bits  bits x sqrt(error)  plain feedback entropy pieces seconds")
    for accuracy, error, bits, packed, fed, limit, pieces, seconds in rows:
        product = bits * math.sqrt(error)
        print(
            f"{accuracy:8.0e} {error:9.2e} {bits:7d} {product:19.2f} {packed:6.0f} {fed:8.0f} "
            f"{limit:7.0f} {pieces:6d} {seconds:7.1f}"
        )
        assert error <= accuracy
        if accuracy in ASKED:
            assert bits <= ASKED[accuracy]
        if not math.isnan(fed):
            assert bits < fed / 4 and fed <= packed
        assert product <= PRODUCT
    if len(sys.argv) > 1:
        draw(np.array(rows), sys.argv[1])


def draw(rows, path):
    """Error against bits."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    accuracies, errors, bits, packed, fed, limit, _, _ = rows.T
    axes.loglog(packed, accuracies, "s-", label="free knots, rounded to nearest")
    axes.loglog(fed, accuracies, "v-", label="free knots, feedback rounding")
    axes.loglog(bits, errors, "o-", label="code")
    axes.loglog(limit, accuracies, "k--", label="entropy of |g''| ≤ |f''|, asymptotic")
    axes.set_xlabel("bits")
    axes.set_ylabel("L² error")
    axes.set_title("A ReLU network for exp(3x)")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
