"""Errors against bits: certified, sampled, and by theory alone."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Int

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class BitsCurve(NamedTuple):
    r"""Errors of a network whose parameters all have the same bits.

    **Attributes:**

    - `bits`: bits per parameter.
    - `certified`: proven upper bounds of the largest change; NaN where the time ran out before.
    - `sampled`: the largest change at random points of the box, not proven; likewise.
    - `apriori`: upper bounds from the norms and sizes of the layers alone.
    - `knee`: from these bits on a bit gains at most half of what it gained before, or None.
    """

    bits: Int[np.ndarray, " bits"]
    certified: Float[np.ndarray, " bits"]
    sampled: Float[np.ndarray, " bits"]
    apriori: Float[np.ndarray, " bits"]

    @property
    def knee(self) -> int | None:
        r"""From these bits on a bit gains at most half of what it gained before.

        The bend of the broken line that fits the logarithm of $\max_{b' \ge b} e_{b'}$ best, in
        least squares, where $e_b$ is the certified error: a number of bits that does well by
        chance is no knee. None where every bit gains alike: where the bend is no such one, or
        where the Bayesian information criterion prefers a straight line.
        """
        line = broken_line(self.bits, self.certified)
        return None if line is None else line.knee

    def figure(self, accuracy: float | None = None) -> "Figure":
        """The three errors against the bits, the knee and the accuracy marked.

        **Arguments:**

        - `accuracy`: the accuracy that was asked for, if any.

        **Returns:**

        A figure that belongs to no window; `savefig` writes it.
        """
        from ._curve_figure import draw  # plotting is loaded when a figure is asked for

        return draw(self, accuracy)


def bits_curve(
    bits: Sequence[int],
    errors: Callable[[int], tuple[float, float]],
    apriori: Sequence[float],
) -> BitsCurve:
    """The curve from a function of the bits: the certified and the sampled error."""
    numbers = np.array(list(bits))
    proven, seen = np.array([errors(b) for b in bits]).T
    return BitsCurve(numbers, proven, seen, np.array(apriori))


class BrokenLine(NamedTuple):
    """A line with one bend through the logarithm (base 2) of an error."""

    knee: int
    bits: np.ndarray
    logs: np.ndarray


def broken_line(bits: np.ndarray, errors: np.ndarray) -> BrokenLine | None:
    """The best line with a bend through what is proven for so many bits or more, if it bends."""
    there = np.isfinite(errors) & (errors > 0)
    bits, count = bits[there], int(there.sum())
    logs = np.log2(np.maximum.accumulate(errors[there][::-1])[::-1])

    def fit(*columns: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        matrix = np.stack([np.ones(count), *columns], 1)
        coefficients = np.linalg.lstsq(matrix, logs)[0]
        line = matrix @ coefficients
        return float(((line - logs) ** 2).sum()), coefficients, line

    x = (bits - bits[0]).astype(np.float64)
    # The largest of the last errors stands for all of them: less than three bits say nothing.
    bends = {k: fit(x, np.maximum(x - x[k], 0.0)) for k in range(2, count - 3)}
    if not bends:
        return None
    k = min(bends, key=lambda k: bends[k][0])
    rest, (_, slope, change), line = bends[k]
    # Two more numbers, the place of the bend and its size, cost two halves of log(count) each.
    better = count * math.log(max(fit(x)[0], 1e-300) / max(rest, 1e-300)) > 2 * math.log(count)
    bends_up = slope < 0 and -(slope + change) <= 0.5 * -slope
    return BrokenLine(int(bits[k]), bits, line) if better and bends_up else None
