"""A study killed (kill -9) at ten random moments ends with the table of an undisturbed run.

Every start of the study is a process of its own; the parent waits until the process has stored
some parts more than it found, waits a random time longer, and kills it. So the kills are spread
over the whole study and fall at random points of a part: its fit, its measurement, its file. Such a
kill seldom meets the moment in which a file is written, so three more processes die there, between
the last byte of a part and its name. In the end the table, the rates and the bytes of the CSV files
and of the figure must be equal, and no stored part may have been damaged.

Run it: `python benchmarks/study_survives_kill.py [--kills 10] [--seed 0]`.
"""

import argparse
import importlib.metadata
import os
import pathlib
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time

CHILD = """
import os, signal, sys
from qrelu import families, norms, studies, targets

bases = [families.FreeKnot(), families.UniformKnot(), families.DyadicTree()]
rules = [families.Bits(6), families.MatchedBits(), families.TheoryStep()]
study = studies.Study(
    targets=[targets.get(name) for name in ("exp", "sine", "runge", "sqrt")],
    families=[f for b in bases for f in (b, *(families.Quantized(b, r) for r in rules))],
    sizes=[24, 48, 96, 192, 384, 768],
    norm=norms.L2(),
)
left = int(sys.argv[2])
replace = os.replace

def dying(*names):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(*names)

os.replace = dying
study.run(sys.argv[1]).save(sys.argv[1])
"""
FITS = 4 * 3 * 6


def finished(directory: pathlib.Path) -> int:
    """How many parts are stored."""
    return len(list((directory / "parts").glob("*.parquet")))


def start(directory: pathlib.Path, dies_at: int = 0) -> subprocess.Popen:
    """The study in a process of its own, which may die before it names its file `dies_at`."""
    return subprocess.Popen([sys.executable, "-c", CHILD, str(directory), str(dies_at)])


def killed(directory: pathlib.Path, after: int, wait: float) -> bool:
    """Run the study; kill it `wait` seconds after the part number `after` was stored."""
    process = start(directory)
    while process.poll() is None and finished(directory) < after:
        time.sleep(0.002)
    time.sleep(wait)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def main() -> None:
    """Measure both sides, compare them, print the line for RESULTS.md."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--kills", type=int, default=10)
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    moments = random.Random(options.seed)

    with tempfile.TemporaryDirectory() as folder:
        disturbed, whole = (pathlib.Path(folder) / name for name in ("disturbed", "whole"))
        leftovers = count = 0
        for number in range(options.kills):
            after = max(finished(disturbed) + 1, (number + 1) * FITS // (options.kills + 2))
            count += killed(disturbed, after, moments.uniform(0.0, 0.15))
            unfinished = len(list(disturbed.rglob(".unfinished-*")))
            leftovers += unfinished
            print(
                f"kill {number + 1}: {finished(disturbed)} of {FITS} fits stored, "
                f"{unfinished} half-written files left"
            )
        assert count == options.kills, f"only {count} of {options.kills} runs were still going"
        for dies_at in (1, 2, 1):
            assert start(disturbed, dies_at).wait() == -signal.SIGKILL
            leftovers += 1
            assert len(list(disturbed.rglob(".unfinished-*"))) == 1
        for directory in (disturbed, whole):
            assert start(directory).wait() == 0

        from qrelu import studies

        first, second = (studies.load(directory) for directory in (disturbed, whole))
        assert first.missing == second.missing == 0
        assert first.table().equals(second.table()), "the tables differ"
        assert first.rates().equals(second.rates()), "the rates differ"
        for name in ("table.csv", "rates.csv", "figure.svg"):
            assert (disturbed / name).read_bytes() == (whole / name).read_bytes(), name
        assert not (disturbed / "damaged").exists(), "a stored part was damaged"
        assert not list(disturbed.rglob(".unfinished-*"))
        print(
            f"{count} kills at random and 3 inside a write, {leftovers} half-written files met and "
            f"removed: the same table of {first.table().height} rows, rates and figure. "
            f"({platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
            f"qrelu {importlib.metadata.version('qrelu')})"
        )


if __name__ == "__main__":
    main()
