"""The greatest step of which floating-point numbers are multiples, up to their rounding."""

import math

import numpy as np

# Binary digits of the types a network may have.
DIGITS = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}
# The step may differ by so many units in its last place from the largest value over its multiple.
_UNITS = (0, 1, -1, 2, -2)
# A product with a multiple of the step need not be that of the step: odd parts are tried.
_PARTS = (1, 3, 5, 7)


# Euclid's algorithm for all values and differences of neighbors at once: g becomes the smallest
# remainder that is not zero, at most g / 2. All of them have errors of at most u max(v), u a unit
# in the last place of 1. If g has the error e, the remainder of v has at most (v / g + 1) e +
# u max(v), and one below twice that may be zero.
def _rough_step(sizes: np.ndarray, unit: float) -> float | None:
    """A divisor of positive increasing numbers with an error that is small beside it."""
    error = noise = unit * sizes[-1]
    values = np.unique(np.concatenate([sizes, np.diff(sizes)]))
    step = values[0]
    while True:
        bounds = (values / step + 1) * error + noise
        if bounds[-1] > step / 4:
            return None
        rest = np.abs(values - np.rint(values / step) * step)
        left = np.where(rest > 2 * bounds, rest, np.inf)
        least = np.argmin(left)
        if left[least] == np.inf:
            return float(step)
        step, error = left[least], bounds[least]


def common_steps(values: np.ndarray, kind: str) -> list[float]:
    """Candidates for the greatest step s with code x s = value, rounded to the type `kind`."""
    sizes = np.unique(np.abs(values[values != 0]))
    # Ratios of other numbers leave float64 on the way.
    if sizes.size < 2 or not (sizes[0] > 2.0**-900 and sizes[-1] < 2.0**900):
        return []
    rough = _rough_step(sizes, 2.0 ** (1 - DIGITS[kind]))
    if rough is None:
        return []
    found = []
    for part in _PARTS:
        fraction, exponent = math.frexp(sizes[-1] / (part * np.rint(sizes[-1] / rough)))
        digits = round(math.ldexp(fraction, DIGITS[kind]))
        found += [math.ldexp(digits + unit, exponent - DIGITS[kind]) for unit in _UNITS]
    return found
