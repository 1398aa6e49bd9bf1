"""Every row of the table of proven rates is recovered by measurement.

`studies.known_rates()` has at least 24 rows: a function, a family and a norm with the proven
exponent. Each is fitted at growing sizes, its error measured, and the rate found by `fit_rate`: it
must lie within 0.05 of the proven one, 0.1 where the proven rate carries a logarithm. No row is
left out. Beside it stands the rate after rounding with the theory's step.

Run it: `python benchmarks/known_rates_are_recovered.py`.
"""

import importlib.metadata
import platform
import time

import jax

from qrelu import studies


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    print(platform.platform(), platform.python_version(), end=" ")
    versions = ("numpy", "scipy", "PyWavelets", "jax", "qrelu")
    print(*(f"{name} {importlib.metadata.version(name)}" for name in versions))
    cases = studies.known_rates()
    print(f"{'function, family, norm':46s} proven        measured   off    rounded  bits  seconds")
    missed, begin = [], time.perf_counter()
    for case in cases:
        start = time.perf_counter()
        found = studies.measure_known(case)
        proven = f"{case.gamma:g}" + (f" log^{case.log_power:g}" if case.log_power else "")
        off = found.gamma - case.gamma
        print(
            f"{case.name:46s} {proven:12s} {found.gamma:8.4f} {off:+8.4f} {found.rounded:8.3f} "
            f"{found.bits:5.0f} {time.perf_counter() - start:6.1f}",
            flush=True,
        )
        if not found.recovered:
            missed.append(case.name)
    print(f"{len(cases)} rows in {time.perf_counter() - begin:.0f} s")
    assert len(cases) >= 24
    assert not missed, missed
    print("all rates are recovered")


if __name__ == "__main__":
    main()
