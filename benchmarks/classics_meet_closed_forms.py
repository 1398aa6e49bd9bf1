"""The classical families against closed forms and against the libraries that their users know.

- Closed forms, to 1e-10: Haar sums of x and of a jump, Fourier sums of a jump and of |x|, best
  polynomials of a pole and of a power.
- Other libraries: Chebyshev coefficients against chebpy (package `chebfun`, where it is installed)
  to 1e-13, wavelet transforms against PyWavelets to 1e-12, splines against SciPy's least squares
  to 3e-8 (SciPy's is a sum over 20,000 points and not the integral).

Both sides are computed in one run. Run it: `python benchmarks/classics_meet_closed_forms.py`.
"""

import importlib.metadata
import math
import platform

import mpmath as mp
import numpy as np
import pywt
import scipy.interpolate

from qrelu import families, norms, targets
from qrelu.families._wavelet_sum import analysis, level_ranges

L2, SUP = norms.L2(), norms.Sup()
MISSED = []


def row(what: str, ours: float, judge: float, allowed: float, off: float | None = None) -> None:
    off = abs(ours - judge) if off is None else off
    print(f"{what:58s} {ours:16.12f} {judge:16.12f} {off:9.1e}", flush=True)
    if not off <= allowed:
        MISSED.append(what)


def error(family, target, size: int, norm) -> float:
    return float(norm.distance(family.fit(target, size, norm=norm).function, target))


def closed_forms() -> None:
    function = targets.Function
    identity = function(lambda x: 1.0 * x, (0.0, 1.0), name="x")
    third = function(lambda x: (x < 1 / 3) * 1.0, (0.0, 1.0), breakpoints=(1 / 3,), name="third")
    half = function(lambda x: (x < 0.5) * 1.0, (0.0, 1.0), breakpoints=(0.5,), name="half")
    kink = function(np.abs, (-0.5, 0.5), breakpoints=(0.0,), name="|x|")
    for levels in (0, 4, 8, 10):
        ours = error(families.Wavelet(), identity, 2**levels, L2)
        row(f"Haar, x, M = {2**levels}", ours, 2.0**-levels / math.sqrt(12), 1e-10)
    for levels in (1, 8, 16):
        ours = error(families.Wavelet(), third, levels + 1, L2)
        judge = 2.0 ** (-levels / 2) * math.sqrt(2) / 3
        row(f"Haar, 1 on [0, 1/3), M = {levels + 1}", ours, judge, 1e-10)
    for size in (2, 9, 101, 501):
        tail = float(mp.psi(1, size - 1 + mp.mpf(1) / 2)) / 4
        ours = error(families.Fourier("largest"), half, size, L2)
        row(f"Fourier, 1 on [0, 1/2), M = {size}", ours, math.sqrt(2 * tail) / math.pi, 1e-10)
        tail = float(mp.psi(3, size - 1 + mp.mpf(1) / 2)) / 96
        ours = error(families.Fourier("largest"), kink, size, L2)
        row(f"Fourier, |x|, M = {size}", ours, math.sqrt(2 * tail) / math.pi**2, 1e-10)
    a = 1.25
    pole = function(lambda x: 1 / (x - a), (-1.0, 1.0), name="pole")
    for degree in (1, 5, 20, 40):
        judge = (a - math.sqrt(a * a - 1)) ** degree / (a * a - 1)
        ours = error(families.Polynomial(), pole, degree + 1, SUP)
        row(f"best polynomial, 1/(x - 1.25), degree {degree}", ours, judge, 1e-10)
        power = function(lambda x, n=degree: x ** (n + 1), (-1.0, 1.0), name="power")
        ours = error(families.Polynomial(), power, degree + 1, SUP)
        row(f"best polynomial, x^{degree + 1}, degree {degree}", ours, 2.0**-degree, 1e-10)


def other_libraries() -> None:
    try:
        import chebpy
    except ImportError:
        print("chebpy (package chebfun) is not installed: its rows are left out")
    else:
        for name, size in (("exp", 24), ("sine", 32), ("runge", 200)):
            target = targets.get(name)
            judge = chebpy.chebfun(target, list(target.domain), n=size).funs[0].coeffs
            ours = families.Polynomial("chebyshev").fit(target, size, norm=SUP).function
            off = float(np.max(np.abs(ours.coefficients - judge)))
            row(
                f"Chebyshev coefficients, {name}, M = {size}: the second",
                float(ours.coefficients[1]),
                float(judge[1]),
                1e-13,
                off,
            )
    for name in ("haar", "db2", "db4", "db8"):
        sample = np.random.default_rng(5).normal(size=2**14)
        ours = analysis(sample, name)
        depth = len(level_ranges(sample.size, name)) - 1
        judge = np.concatenate(pywt.wavedec(sample, name, mode="periodization", level=depth))
        off = float(np.max(np.abs(ours - judge)))
        row(f"wavelet coefficients, {name}: the last", float(ours[-1]), judge[-1], 1e-12, off)
    for order in (3, 4, 6):
        target, pieces = targets.get("runge"), 12
        fitted = families.Spline(order).fit(target, pieces + order - 1, norm=L2).function
        x = (np.arange(20_000) + 0.5) / 20_000
        inner = np.arange(1, pieces) / pieces
        judge = scipy.interpolate.LSQUnivariateSpline(x, target(x), inner, k=order - 1)
        off = float(np.max(np.abs(fitted(x) - judge(x))))
        middle = np.array([0.5])
        row(
            f"spline of order {order}, runge, {pieces} pieces: at 1/2",
            float(fitted(middle)[0]),
            float(judge(middle)[0]),
            3e-8,
            off,
        )


def main() -> None:
    print(platform.platform(), platform.python_version(), end=" ")
    versions = ("numpy", "scipy", "PyWavelets", "mpmath", "qrelu")
    print(*(f"{name} {importlib.metadata.version(name)}" for name in versions))
    print(f"{'':58s} {'ours':>16s} {'judge':>16s} {'off':>9s}")
    closed_forms()
    other_libraries()
    assert not MISSED, MISSED
    print("all are met")


if __name__ == "__main__":
    main()
