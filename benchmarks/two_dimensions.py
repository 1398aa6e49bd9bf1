"""A cartoon-like picture by wavelets, waves, polynomials and networks: error against M and bits.

The picture, `targets.cartoon()`, is smooth but for a jump across an ellipse. Known in L^2, for
functions with C^2 parts and a C^2 edge (recalled, Donoho 2001 and DeVore 1998):

- best M-term wavelets M^-1/2, whatever the wavelet;
- best M-term waves, polynomials and linear methods M^-1/4;
- the encoding rate, which no family beats in bits up to logarithms: bits^-1.

The rates of polynomials, the lowest waves and Haar wavelets from M = 64 on are recovered within
0.1, and the errors stand beside what networks reach that were trained: one hidden layer, greedy;
two hidden layers, Levenberg-Marquardt. Their errors are what training found and bound the best ones
from above only.

Bits are those of files: every approximant is written by `codes.encode` within 1.1 times its error,
positions and shape included, read again and measured. Beside them stands the count of positions and
parameters, all of as many bits as that error needs; a code takes at most 1.1 times that, and 64 for
the step of its grid.

Run it: `python benchmarks/two_dimensions.py [folder]`; the figure goes to the folder.
"""

import importlib.metadata
import pathlib
import platform
import sys
import time

import jax
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import matplotlib.ticker
import numpy as np

from qrelu import codes, families, norms, rates, targets, training

TARGET = targets.cartoon()
# The distance to a function that jumps: a million values.
NORM, QUICK = norms.L2(points=2**20), norms.L2(points=2**14)
DOUBLING = (16, 32, 64, 128, 256, 512)
FAMILIES = (
    (families.TensorPolynomial(), DOUBLING, 0.25),
    (families.TensorFourier(), DOUBLING, 0.25),
    (families.TensorFourier("largest"), DOUBLING, None),
    (families.TensorWavelet(), DOUBLING, 0.5),
    (families.TensorWavelet("db2"), DOUBLING, None),
    (families.TensorWavelet("haar", basis="hyperbolic"), DOUBLING, None),
    (training.Trained(solver="greedy"), (33, 65, 129), None),
    (training.Trained(training.EqualWidths(3), "lm", rounds=1, starts=2), (33, 65, 129), None),
)
MOST_OFF = 0.1
# What rounding may add to an error, and a code to the count of its bits.
SLACK = 1.1


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    print(platform.platform(), platform.python_version(), end=" ")
    versions = ("numpy", "scipy", "PyWavelets", "jax", "qrelu")
    print(*(f"{name} {importlib.metadata.version(name)}" for name in versions))
    print(
        f"{'family':30s} {'M':>4s} {'error':>9s} {'+-':>8s} {'bits':>7s} {'decoded':>9s} "
        f"{'counted':>7s} seconds"
    )
    curves, shown, missed = {}, {}, []
    for family, sizes, proven in FAMILIES:
        rows = []
        for size in sizes:
            start = time.perf_counter()
            fitted = family.fit(TARGET, size, norm=NORM, key=jax.random.key(0))
            error = NORM.distance(fitted.function, TARGET)
            rule = families.Quantized(family, families.MatchedBits())
            counted = rule.round(fitted, TARGET, norm=QUICK).bits
            accuracy = SLACK * float(QUICK.distance(fitted.function, TARGET))
            code = codes.encode(fitted, target=TARGET, accuracy=accuracy, norm=QUICK)
            decoded = float(QUICK.distance(codes.decode(code), TARGET))
            rows.append((fitted.connectivity, float(error), code.bits, decoded))
            print(
                f"{family.name:30s} {fitted.connectivity:4d} {float(error):9.5f} "
                f"{error.uncertainty:8.1e} {code.bits:7d} {decoded:9.5f} {counted:7.0f} "
                f"{time.perf_counter() - start:6.1f}",
                flush=True,
            )
            assert decoded <= accuracy
            assert code.bits <= SLACK * (counted + 64), (code.bits, counted)
            if size <= 130:
                shown[family.name] = fitted
        curves[family.name] = np.array(rows)
        m, e, bits, reached = curves[family.name].T
        # The smooth parts dominate at first.
        late = m > 60 if (m > 60).sum() > 2 else m > 0
        gamma = float(rates.slope(m[late], e[late]))
        in_bits = float(rates.slope(bits[late], reached[late]))
        known = f" (known {proven:g})" if proven is not None else ""
        print(f"{'':30s} slope in M {gamma:.3f}{known}, in bits {in_bits:.3f}")
        if proven is not None and abs(gamma - proven) > MOST_OFF:
            missed.append((family.name, gamma, proven))
    if len(sys.argv) > 1:
        print(draw(curves, shown, pathlib.Path(sys.argv[1]) / "two_dimensions.png"))
    assert not missed, missed
    print("the known rates are recovered")


def draw(curves, shown, path: pathlib.Path) -> pathlib.Path:
    x = (np.arange(256) + 0.5) / 256
    points = np.stack(np.meshgrid(x, x, indexing="ij"), axis=-1)
    value_of = {"the picture": TARGET(points)}
    for name, fitted in shown.items():
        if name not in ("polynomial, total degree", "fourier", "wavelet haar, hyperbolic"):
            function = fitted.function
            call = function if not hasattr(function, "widths") else _realized(function)
            value_of[f"{name}, M = {fitted.connectivity}"] = call(points)
    figure, axes = plt.subplots(2, 4, figsize=(15, 7.6))
    for axis, (title, values) in zip(axes.flat, value_of.items(), strict=False):
        axis.imshow(values.T, origin="lower", vmin=0, vmax=1, cmap="gray", extent=(0, 1, 0, 1))
        axis.set_title(title, fontsize=9)
        axis.set_xticks([])
        axis.set_yticks([])
    for axis, columns, label in ((axes[1, 2], (0, 1), "M"), (axes[1, 3], (2, 3), "bits of a file")):
        for name, rows in curves.items():
            style = "s-" if name.startswith("trained") else "o-"
            axis.loglog(*rows[:, columns].T, style, ms=3, lw=1, label=name)
        axis.set_xlabel(label)
        axis.set_title(f"error in L2 against {label}", fontsize=9)
        axis.grid(alpha=0.3)
        axis.xaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
        axis.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
        axis.set_yticks([0.02, 0.05, 0.1], ["0.02", "0.05", "0.1"])
    axes[1, 2].set_xticks([16, 64, 256], ["16", "64", "256"])
    axes[1, 2].legend(fontsize=6)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    return path


def _realized(network):
    from qrelu import realize

    return lambda points: np.asarray(realize(network, points))[..., 0]


if __name__ == "__main__":
    main()
