"""Constructed networks reach their certificates, and their errors fall at the proven rates.

For every construction a row of sizes: the error measured at many points against the certificate,
then the rate at which it falls with the connectivity M and with the bits of all parameters
(M times log2 of the number of distinct values; neither codebook nor topology are counted), beside
the proven one. Three laws:

- "power": error ~ M^-gamma, gamma by `fit_rate`;
- "exponential": log2 error = -c M; proven is 2 / (weights per level of squaring), counted on the
  networks;
- "root": log2 error = -c M^(1/2). Proven is the law, not the constant: asserted is that it
  describes the errors better than a power of M does.

Rates in bits are fitted in the same law. The proven ones are lower by logarithms there, since the
number of distinct values grows: none is asserted.

The waves are smoother than the class that `sobolev_taylor` is for, so its errors of odd orders fall
faster than proven.

Run it: `python benchmarks/constructions_error_against_size.py`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from qrelu import constructions, rates
from qrelu.networks import ReLUNetwork, SparseMatrix


class Case(NamedTuple):
    """A construction at growing sizes, the function it approximates and the law of its error."""

    name: str
    law: str
    proven: float | None  # None: counted on the networks
    built: list
    function: Callable
    margin: float = 0.1  # of the fitted rate, relative


def values(network: ReLUNetwork, points: np.ndarray) -> np.ndarray:
    """The network at points (P, inputs), in NumPy: nothing to compile for every architecture."""
    h = points.T
    for i, (w, b) in enumerate(zip(network.weights, network.biases, strict=True)):
        w = w.to_scipy() if isinstance(w, SparseMatrix) else np.asarray(w)
        h = w @ (np.maximum(h, 0) if i else h) + np.asarray(b)[:, None]
    return h[0]


def walk(rng: np.random.Generator, steps: int) -> Callable:
    """A Lipschitz function on [0, 1] that turns everywhere."""
    heights = np.concatenate([[0], np.cumsum(rng.choice([-1, 1], steps))]) / steps
    return lambda x: np.interp(np.ravel(x), np.linspace(0, 1, steps + 1), heights)


def wave(x: np.ndarray) -> np.ndarray:
    """sin(x_1 + x_2 + ...): all derivatives are at most 1."""
    return np.sin(x.sum(axis=-1))


def wave_derivative(order: tuple[int, ...], x: np.ndarray) -> np.ndarray:
    return np.sin(x.sum(axis=-1) + sum(order) * np.pi / 2)


def cases() -> list[Case]:
    c, rough = constructions, walk(np.random.default_rng(0), 2**14)
    xy = lambda x: x[:, 0] * x[:, 1]  # noqa: E731
    found = [
        Case("square", "exponential", None, [c.square(levels=m) for m in range(1, 13)], xx),
        Case(
            "product, D = 1", "exponential", None, [c.product(levels=m) for m in range(1, 11)], xy
        ),
        Case(
            "product, D = 4", "exponential", None, [c.product(4.0**-m, 4) for m in range(1, 10)], xy
        ),
        Case(
            "unit_product, midpoint",
            "exponential",
            None,
            [c.unit_product(levels=m, form="midpoint") for m in range(1, 11)],
            xy,
        ),
        Case(
            "monomial x^5",
            "exponential",
            None,
            [c.monomial(5, 4.0**-m) for m in range(2, 12)],
            lambda x: x[:, 0] ** 5,
        ),
        Case(
            "polynomial, degree 4, D = 2",
            "exponential",
            None,
            [c.polynomial([1, -2, 3, -4, 0.5], 4.0**-m, 2) for m in range(1, 10)],
            lambda x: np.polyval([0.5, -4, 3, -2, 1], x[:, 0]),
        ),
        Case(
            "smooth: 1/(2 + x)",
            "root",
            None,
            [c.smooth(lambda x: 1 / (2 + x), 10.0**-k, 0.9) for k in range(1, 11)],
            lambda x: 1 / (2 + x[:, 0]),
        ),
        Case(
            "cosine, a = 20",
            "root",
            None,
            [c.cosine(20, 10.0**-k) for k in range(1, 11)],
            lambda x: np.cos(20 * x[:, 0]),
        ),
        Case(
            "spline: sin on [0, 3]",
            "power",
            2.0,
            [c.spline(np.linspace(0, 3, 2**k + 1), np.sin, curvature=1) for k in range(3, 12)],
            lambda x: np.sin(x[:, 0]),
        ),
        Case(
            "cached_lipschitz: a walk",
            "power",
            1.0,
            [c.cached_lipschitz(rough, 2.0**-k) for k in range(4, 14)],
            rough,
            margin=0.15,  # a logarithm better
        ),
    ]
    for d, n, accuracies in [
        (1, 1, 2.0 ** -np.arange(3, 11)),
        (1, 2, 4.0 ** -np.arange(2, 10)),
        (1, 3, 8.0 ** -np.arange(2, 8)),
        (2, 1, 2.0 ** -np.arange(0.5, 5)),
        (2, 2, 4.0 ** -np.arange(0.5, 5)),
        (3, 2, 4.0 ** -np.arange(0.1, 2.4, 0.4)),
    ]:
        built = [
            c.sobolev_taylor(wave, float(e), dimension=d, order=n, derivative=wave_derivative)
            for e in accuracies
        ]
        # The levels of products are a logarithm; at few cells per axis the ends of [0, 1] count.
        found.append(Case(f"sobolev_taylor, d={d}, n={n}", "power", n / d, built, wave, 0.35))
    found += [
        Case(
            "two_value_square",
            "exponential",
            None,
            [c.two_value_square(levels=m) for m in range(1, 9)],
            xx,
        ),
        Case(
            "two_value_product",
            "exponential",
            None,
            [c.two_value_product(levels=m) for m in range(1, 9)],
            xy,
        ),
        Case(
            "one_bit_lipschitz: a walk",
            "power",
            1.0,
            [c.one_bit_lipschitz(rough, steps=2**p) for p in range(3, 12)],
            rough,
        ),
        Case(
            "two_value_cached_lipschitz: a walk",
            "power",
            1.0,
            [c.two_value_cached_lipschitz(rough, 2.0**-k) for k in range(4, 14)],
            rough,
            margin=0.15,  # a logarithm better
        ),
    ]
    return found


def xx(x: np.ndarray) -> np.ndarray:
    return x[:, 0] ** 2


def measure(case: Case, rng: np.random.Generator) -> np.ndarray:
    """The largest errors at 10,000 points of [0, 1]^d scaled to the domain, half of them dyadic."""
    errors = []
    for built in case.built:
        low, high = (np.array(end) for end in built.certificate.domain)
        # Middles of the finest cells of the squares, where their errors are attained.
        cells = 2 ** rng.integers(1, 16, 5_000)[:, None]
        dyadic = (2 * rng.integers(0, cells, (5_000, low.size)) + 1) / (2 * cells)
        unit = np.concatenate([rng.random((5_000, low.size)), dyadic])
        points = low + (high - low) * unit
        error = 0.0
        for block in np.split(points, 10):  # wide networks times all points would fill the memory
            there = values(built.network, block) - case.function(block)
            error = max(error, float(np.max(np.abs(there))))
        assert error <= built.certificate.bound * (1 + 1e-9) + 1e-12, (case.name, error, built)
        errors.append(error)
    return np.array(errors)


def slope(x: np.ndarray, errors: np.ndarray) -> float:
    return float(-np.polyfit(x, np.log2(errors), 1)[0])


def misfit(x: np.ndarray, errors: np.ndarray) -> float:
    """The root mean square distance of log2 errors from a line."""
    y = np.log2(errors)
    return float(np.sqrt(np.mean((y - np.polyval(np.polyfit(x, y, 1), x)) ** 2)))


def fitted(law: str, sizes: np.ndarray, errors: np.ndarray) -> float:
    if law == "power":
        fit = rates.fit_rate(sizes, errors)
        return fit.gamma if np.isfinite(fit.gamma) else slope(np.log2(sizes), errors)
    return slope(sizes if law == "exponential" else np.sqrt(sizes), errors)


def proven(case: Case) -> float | None:
    if case.law != "exponential":
        return case.proven
    # Every level divides the certificate by 4.
    first, last = case.built[1], case.built[-1]
    levels = np.log2(first.certificate.bound / last.certificate.bound)
    return float(levels / (last.counts.connectivity - first.counts.connectivity))


def main() -> None:
    rng = np.random.default_rng(0)
    head = f"{'construction':<30}{'law':<12}{'M':>16}{'bits':>18}{'error':>20}{'worst/bound':>12}"
    print(head + f"{'rate in M':>11}{'proven':>9}{'in bits':>10}")
    for case in cases():
        errors = measure(case, rng)
        size = np.array([b.counts.connectivity for b in case.built], np.float64)
        bits = np.array([b.counts.memory for b in case.built])
        bounds = np.array([b.certificate.bound for b in case.built])
        rate, in_bits = (fitted(case.law, s, errors) for s in (size, np.maximum(bits, 1)))
        wanted = proven(case)
        print(
            f"{case.name:<30}{case.law:<12}{f'{size[0]:,.0f}..{size[-1]:,.0f}':>16}"
            f"{f'{bits[0]:,.0f}..{bits[-1]:,.0f}':>18}{f'{errors[0]:.1e}..{errors[-1]:.1e}':>20}"
            f"{np.max(errors / bounds):>12.3f}{rate:>11.4f}"
            f"{'law' if wanted is None else f'{wanted:.4f}':>9}{in_bits:>10.4f}",
            flush=True,
        )
        if case.law == "root":
            assert misfit(np.sqrt(size), errors) < misfit(np.log2(size), errors), case.name
        else:
            assert wanted is not None and rate >= wanted * (1 - case.margin), (case.name, rate)


if __name__ == "__main__":
    main()
