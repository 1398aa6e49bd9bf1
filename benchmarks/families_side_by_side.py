"""Three classes of functions, six families: the worst draw in M and in bits, in one table.

For every class, size and family the same functions are drawn, anew for every size, and the worst L2
error is taken: what an algorithm reached, a bound of nothing. Beside it stand the proven lower
bound of the error of the family over the whole class (`bounds.class_error`) and, for the rate, the
encoding rate of the class, which no encodable family exceeds; ~ is the slope where no rate is
established. In bits: each fit is written as a code with an error of at most 1.2 times that worst
one (`codes.encode`); the longest code counts. bits x error is bits times error^(1/encoding rate),
which stays above a constant for every code of the whole class.

Claims: the table takes less than three minutes of processor time; no rate in M is above the
encoding rate as far as its interval tells; no error is below the lower bound where that is exact.

Run it: `python benchmarks/families_side_by_side.py [--draws 3] [--figure path.png]`.
"""

import argparse
import importlib.metadata
import math
import platform
import time
import zlib

import jax
import numpy as np

from qrelu import bounds, codes, families, norms, rates, targets

CLASSES = (targets.Lipschitz(), targets.PiecewiseSmooth(2), targets.Besov(1.5, 1.0, 1.0))
FAMILIES = ("free-knot", "uniform-knot", "piecewise-constant", "cubic-spline", "fourier", "db3")
SIZES = (16, 32, 64, 128)
SLACK = 1.2  # what a code may add to the error
LIMIT = 180.0  # seconds


def measure(function_class, family, sizes, draws, norm):
    """The worst error, the longest code and the lower bound at each size."""
    worst, longest, least = [], [], []
    for size in sizes:
        word = f"{function_class.name}/{size}".encode()
        key = jax.random.fold_in(jax.random.key(0), zlib.crc32(word) >> 1)
        drawn = function_class.draws(size, draws, key=key)
        fits = [family.fit(f, size, norm=norm) for f in drawn]
        pairs = list(zip(fits, drawn, strict=True))
        worst.append(max(float(norm.distance(fit.function, f)) for fit, f in pairs))
        accuracy = SLACK * worst[-1]
        found = [codes.encode(fit, target=f, accuracy=accuracy, norm=norm) for fit, f in pairs]
        longest.append(max(code.bits for code in found))
        least.append(bounds.class_error(function_class, family, size, norm).lower)
    return np.array(worst), np.array(longest, float), np.array(least)


def rate(sizes, errors) -> tuple[str, float]:
    """The rate in words and the lower end of its interval; a slope with a ~ where none is found."""
    fit = rates.fit_rate(np.asarray(sizes, float), errors)
    if fit.established:
        return f"{fit.gamma:.2f}", fit.interval[0]
    slope = float(rates.slope(np.asarray(sizes, float), errors))
    return f"~{slope:.2f}", 0.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--figure", default=None)
    arguments = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    print(platform.platform(), platform.python_version(), end=" ")
    print(*(f"{n} {importlib.metadata.version(n)}" for n in ("numpy", "scipy", "jax", "qrelu")))
    norm, start = norms.L2(), time.process_time()
    sizes, found = arguments.sizes, {}
    last = sizes[-1]
    print(
        f"{'class':22s} {'family':20s} {f'error at {last}':>13s} {'class at least':>14s} "
        f"{'gamma in M':>10s} {'bits':>7s} {'bits x error':>13s} {'encoding':>8s} {'seconds':>7s}"
    )
    for function_class in CLASSES:
        limit = bounds.encoding_rate(function_class).gamma
        for name in FAMILIES:
            family, begin = families.get(name), time.process_time()
            errors, bits, least = measure(function_class, family, sizes, arguments.draws, norm)
            gamma, lowest = rate(sizes, errors)
            product = bits[-1] * errors[-1] ** (1 / limit)
            found[function_class.name, name] = (errors, bits, least)
            print(
                f"{function_class.name:22s} {name:20s} {errors[-1]:13.3g} "
                f"{least[-1] if least[-1] else math.nan:14.3g} {gamma:>10s} {bits[-1]:7.0f} "
                f"{product:13.3g} {limit:8.2f} {time.process_time() - begin:7.1f}",
                flush=True,
            )
            assert lowest <= limit + 0.05, (function_class.name, name, gamma, limit)
            known = bounds.class_error(function_class, family, last, norm)
            assert not known.exact or errors[-1] <= known.upper * (1 + 1e-9)
    seconds = time.process_time() - start
    print(f"{len(found)} curves in {seconds:.0f} s of processor time")
    if arguments.figure:
        draw(found, sizes, arguments.draws, arguments.figure)
    assert seconds < LIMIT, f"{seconds:.0f} s"


def draw(found, sizes, draws: int, path: str) -> None:
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter

    colors = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
    figure, axes = plt.subplots(2, len(CLASSES), figsize=(11, 7), sharey="col")
    for j, function_class in enumerate(CLASSES):
        limit = bounds.encoding_rate(function_class).gamma
        for name, color in zip(FAMILIES, colors, strict=True):
            errors, bits, least = found[function_class.name, name]
            axes[0, j].loglog(sizes, errors, "o-", color=color, label=name, markersize=4)
            axes[1, j].loglog(bits, errors, "o-", color=color, markersize=4)
            if least[-1] > 0:
                axes[0, j].loglog(sizes, least, ":", color=color, linewidth=1)
        for row, x in ((0, np.array(sizes, float)), (1, _span(found, function_class))):
            top = max(found[function_class.name, name][0][0] for name in FAMILIES)
            guide = top * (x / x[0]) ** -limit
            axes[row, j].loglog(x, guide, color="#F0E442", linewidth=6, alpha=0.8, zorder=0)
        axes[0, j].set_title(f"{function_class.name}: encoding rate {limit:g}", fontsize=10)
        axes[0, j].set_xlabel("M")
        axes[0, j].set_xticks(sizes, [str(size) for size in sizes])
        axes[0, j].minorticks_off()
        axes[1, j].set_xlabel("bits")
        axes[1, j].xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes[1, j].xaxis.set_major_formatter("{x:g}")
        axes[1, j].xaxis.set_minor_formatter(NullFormatter())
    for row in (0, 1):
        axes[row, 0].set_ylabel(f"worst L2 error of {draws} draws")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=6, fontsize=9, frameon=False)
    figure.suptitle("Families on classes (dotted: proven lower bounds; yellow: the encoding rate)")
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    figure.savefig(path, dpi=110)


def _span(found, function_class) -> np.ndarray:
    bits = np.concatenate([found[function_class.name, name][1] for name in FAMILIES])
    return np.geomspace(bits.min(), bits.max(), 20)


if __name__ == "__main__":
    main()
