"""One fit of `FreeKnot` costs at most 2.2 times as much for twice as many pieces, 256 to 4,096.

The sizes are run in turn, several rounds, and medians are compared, so that a busy machine slows
all of them alike. The figure per target is the mean factor per doubling, (T_4096 / T_256)^(1/4).

Run it: `python benchmarks/free_knot_cost_grows_linearly.py [--rounds 7]`.
"""

import argparse
import importlib.metadata
import platform
import time

import numpy as np

from qrelu import families, norms, targets

NAMES = ("exp", "sine", "runge", "power1.5")
PIECES = (256, 512, 1024, 2048, 4096)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    print(platform.platform(), platform.python_version(), end=" ")
    print(*(f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "scipy", "qrelu")))
    worst = 0.0
    for norm, rounds in ((norms.L2(), arguments.rounds), (norms.Sup(), 1)):
        print(f"\n{norm.name}: median seconds of one fit, and the mean factor per doubling")
        print(f"{'':>10}" + "".join(f"{pieces:>9}" for pieces in PIECES) + f"{'factor':>9}")
        for name in NAMES:
            target = targets.get(name)
            families.FreeKnot().fit(target, 100, norm=norm)
            seconds = np.empty((rounds, len(PIECES)))
            for turn in range(rounds):
                for place, pieces in enumerate(PIECES):
                    begin = time.perf_counter()
                    families.FreeKnot().fit(target, 3 * pieces + 1, norm=norm)
                    seconds[turn, place] = time.perf_counter() - begin
            median = np.median(seconds, axis=0)
            factor = (median[-1] / median[0]) ** (1 / (len(PIECES) - 1))
            worst = max(worst, factor)
            print(f"{name:>10}" + "".join(f"{t:9.3f}" for t in median) + f"{factor:9.2f}")
    assert worst <= 2.2, f"{worst} per doubling"
    print(f"\nthe claim holds: at most {worst:.2f} per doubling")


if __name__ == "__main__":
    main()
