"""Three hidden layers from random starts against the best one hidden layer of equal connectivity.

Widths 4, 5 and 6 (53, 76 and 103 parameters), the L^2 distance measured exactly for both sides; the
shallow network is the better of `FreeKnot`'s and of four starts of `fit_shallow`. From random
starts of width 3 on, each width is one call of `training.fit_deep`, two searches at the same time
that grow what the call before found; "s" are the seconds of the processor for all calls so far,
halved for two cores.
Claims: at most 0.75 (exp(3x)), 0.85 (sin(2 pi x)), 0.8 (Runge) and 0.5 (sin(16 pi x)) of the
shallow error, after at most two minutes.

With `--rate` the widths are 3 to 12, nothing is claimed, and the rates fitted to the deep and the
shallow errors stand beside each other; `--figure` draws them.

Run it: `python benchmarks/deep_beats_shallow.py [--rounds 20] [--seed 0] [--targets exp sine]
[--seconds 1000] [--rate] [--figure path.png]`.
"""

import argparse
import importlib.metadata
import platform
import time

import jax
import numpy as np

from qrelu import families, norms, rates, targets, training

WANTED = {"exp": 0.75, "sine": 0.85, "runge": 0.8, "sin(16 pi x)": 0.5}
CLAIMED, LIMIT, CORES = (4, 5, 6), 120.0, 2


def target_of(name):
    if name == "sin(16 pi x)":
        return targets.Function(lambda x: np.sin(16 * np.pi * x), (0, 1), name=name)
    return targets.get(name)


def shallow_error(target, size, key) -> float:
    """The least known error of one hidden layer with `size` parameters: three for each neuron."""
    spline = families.FreeKnot().fit(target, size, norm=norms.L2()).network
    found = training.fit_shallow(target, (size - 1) // 3, key=key, starts=4)
    assert found.network.connectivity <= size
    return min(float(norms.L2().distance(spline, target)), float(found.error))


def draw(path, found) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(found), figsize=(3.4 * len(found), 3.4), squeeze=False)
    for axis, (name, rows) in zip(axes[0], found.items(), strict=True):
        sizes, shallow, deep = np.array(rows).T
        sides = ((shallow, "one hidden layer", "o"), (deep, "three hidden layers", "s"))
        for errors, word, marker in sides:
            axis.loglog(sizes, errors, marker=marker, label=word)
        axis.set(title=name, xlabel="connectivity")
        shown = sizes.astype(int)[:: max(1, len(sizes) // 4)]
        axis.set_xticks(shown, labels=map(str, shown))
        axis.minorticks_off()
    axes[0][0].set_ylabel("$L^2$ error")
    axes[0][0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1000.0, help="for each search, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--targets", nargs="+", default=list(WANTED))
    parser.add_argument("--widths", type=int, nargs="+", default=None)
    parser.add_argument("--rate", action="store_true")
    parser.add_argument("--figure", default=None)
    arguments = parser.parse_args()
    widths_of = arguments.widths or (range(3, 13) if arguments.rate else (3, 4, 5, 6))
    print(platform.platform(), platform.python_version(), end=" ")
    print(*(f"{name} {importlib.metadata.version(name)}" for name in ("jax", "numpy", "qrelu")))
    print(f"{'target':>14}{'width':>7}{'size':>6}{'shallow':>12}{'deep':>12}{'ratio':>8}{'s':>8}")
    missed, rows = [], {name: [] for name in arguments.targets}
    for name in arguments.targets:
        target, key, found = target_of(name), jax.random.key(arguments.seed), None
        spent = 0.0
        for width in widths_of:
            widths = (1, width, width, width, 1)
            begin = time.process_time()
            found = training.fit_deep(
                target,
                widths,
                key=jax.random.fold_in(key, width),
                rounds=arguments.rounds,
                seconds=arguments.seconds,
                start=found,
                grow=0,
                searches=CORES,
            )
            spent += (time.process_time() - begin) / CORES
            size = sum(a * b + b for a, b in zip(widths[:-1], widths[1:], strict=True))
            assert found.network.connectivity <= size
            error = shallow_error(target, size, jax.random.fold_in(key, width))
            ratio = float(found.error) / error
            row = f"{name:>14}{width:7d}{size:6d}{error:12.6f}{float(found.error):12.6f}"
            print(f"{row}{ratio:8.3f}{spent:8.1f}", flush=True)
            rows[name].append((size, error, float(found.error)))
            if width in CLAIMED and not arguments.rate:
                missed += [(name, width, ratio)] * (ratio > WANTED[name])
                missed += [(name, width, f"{spent:.0f} s")] * (spent > LIMIT)
        if arguments.rate:
            sizes, *both = np.array(rows[name]).T
            for word, errors in zip(("shallow", "deep"), both, strict=True):
                fitted = rates.fit_rate(sizes, errors)
                print(f"{name:>14} {word:>8}: gamma {fitted.gamma:.3f} in {fitted.interval}")
                print(f"{'':>14} {fitted.verdict}", flush=True)
    if arguments.figure:
        draw(arguments.figure, rows)
    assert not missed, missed
    if not arguments.rate:
        print("all claims hold")


if __name__ == "__main__":
    main()
