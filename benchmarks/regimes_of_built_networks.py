"""Networks that are built show the three regimes, and are built in near-linear time.

(a) Width 64, depth 32: b x error stays within a factor 2.2 over a decade of bits b after the point,
then the error stops falling: proper and over-quantization. (b) Width 2049, depth 3: the error falls
like 2^(-cLb) with c = 2/3, until the width is used up: under-quantization. Errors are measured on
an adversarial zigzag and on drawn functions, and stand between a proven upper bound and the proven
lower bounds of the class. (c) `lipschitz_by_lookup` for growing numbers of cells: seconds per
parameter to build it, and seconds for 10,000 points.

Run it: `python benchmarks/regimes_of_built_networks.py [--figure FILE]`.
"""

import argparse
import statistics
import time

import jax
import numpy as np

from qrelu.constructions import RegimeDiagram, lipschitz_by_lookup, regime_diagram
from qrelu.networks import realize

DECADE = (4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40)
BEYOND = (48, 60, 100)
POINTS = 10_000
# What the claims allow.
FLAT, SECONDS, GROWTH = 2.2, 20, 2


def show(diagram: RegimeDiagram) -> None:
    print(
        f"\nwidth {diagram.width}, depth {diagram.depth}, weights below "
        f"2^{diagram.integer_bits + 1} with b bits after the point"
    )
    head = ("b", "lower", "active", "bound", "zigzag", "drawn", "b x zigzag", "(b+a+2) x zigzag")
    print("{:>4} {:>9} {:>7} {:>10} {:>10} {:>10} {:>11} {:>17}  network".format(*head))
    for n in diagram.networks:
        every = n.fraction_bits + diagram.integer_bits + 2
        print(
            f"{n.fraction_bits:4} {n.regime.lower:9.2g} {n.regime.name:>7} {n.bound:10.3g} "
            f"{n.zigzag:10.3g} {n.drawn:10.3g} {n.fraction_bits * n.zigzag:11.3g} "
            f"{every * n.zigzag:17.3g}  {n.design}"
        )
        assert n.regime.lower <= n.bound
        assert max(n.zigzag, n.drawn) <= n.bound * (1 + 1e-9)
        assert n.counts.width <= diagram.width and n.counts.depth <= diagram.depth


def spread(values) -> float:
    return max(values) / min(values)


def proper_and_over() -> RegimeDiagram:
    diagram = regime_diagram(64, 32, fraction_bits=[*DECADE, *BEYOND])
    show(diagram)
    there = [n for n in diagram.networks if n.fraction_bits in DECADE]
    after = [n for n in diagram.networks if n.fraction_bits in BEYOND]
    extra = diagram.integer_bits + 2
    flat = spread([n.fraction_bits * n.zigzag for n in there])
    whole = spread([(n.fraction_bits + extra) * n.zigzag for n in there])
    fall = there[0].zigzag / there[-1].zigzag
    print(
        f"b = {DECADE[0]} to {DECADE[-1]}: b x error within a factor {flat:.2f}, with all bits of "
        f"a weight {whole:.2f}, while the error falls by {fall:.1f}; "
        f"constant from {diagram.last} on"
    )
    assert DECADE[-1] >= 10 * DECADE[0] and flat < FLAT and fall > 4
    assert len({n.zigzag for n in after}) == 1 and after[0].fraction_bits >= diagram.last
    return diagram


def under() -> RegimeDiagram:
    diagram = regime_diagram(2049, 3, fraction_bits=range(1, 11))
    show(diagram)
    falling = [n for n in diagram.networks if n.fraction_bits <= diagram.last]
    bits = np.array([n.fraction_bits for n in falling], float)
    slope = float(np.polyfit(bits, np.log2([n.zigzag for n in falling]), 1)[0])
    print(
        f"b = 1 to {diagram.last}: error like 2^({slope:.3f} b) = 2^(-c L b) with c = "
        f"{-slope / 3:.3f}; then 1/2048"
    )
    assert len(falling) >= 5 and abs(slope + 2) < 0.1
    assert {n.regime.name for n in falling} == {"under"}
    return diagram


def scale() -> None:
    print(f"\n{'cells':>7} {'depth':>6} {'parameters':>11} {'s to build':>11} {'us each':>8}")
    xs = np.random.default_rng(0).uniform(0, 1, (POINTS, 1))
    each = []
    for r, p, q in ((4, 16, 4), (8, 32, 8), (14, 48, 12)):
        times = []
        for _ in range(3):
            start = time.perf_counter()
            made = lipschitz_by_lookup(np.sin, r, p, q, per_layer=2, layers=2)
            times.append(time.perf_counter() - start)
        seconds, count = statistics.median(times), made.counts.connectivity
        each.append(seconds / count)
        print(
            f"{r * p * q:7} {made.counts.depth:6} {count:11,} {seconds:11.2f} {1e6 * each[-1]:8.2f}"
        )
    run = jax.jit(realize).lower(made.network, xs).compile()
    start = time.perf_counter()
    values = np.asarray(jax.block_until_ready(run(made.network, xs)))
    seconds = time.perf_counter() - start
    error = np.abs(values - np.sin(xs)).max() / made.certificate.bound
    print(f"{POINTS:,} points of the largest: {seconds:.2f} s, error {error:.3f} of the bound")
    assert each[-1] < GROWTH * each[0] and seconds < SECONDS and error <= 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", help="where to draw both diagrams")
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    deep, shallow = proper_and_over(), under()
    scale()
    if options.figure:
        deep.figure(shallow).savefig(options.figure, dpi=150)


if __name__ == "__main__":
    main()
