"""Errors against bits: certified, sampled, and by theory alone."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ..networks import ReLUNetwork
from ._outward import up
from ._steps import entry_constant, norm_constant

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class BitsCurve(NamedTuple):
    r"""Errors of a network whose parameters all have the same bits.

    **Attributes:**

    - `bits`: bits per parameter.
    - `certified`: proven upper bounds of the largest change; NaN where the time ran out before.
    - `sampled`: the largest change at random points of the box, not proven; likewise.
    - `apriori`: upper bounds from the norms and sizes of the layers alone.
    - `knee`: the bits where the certified curve, in logarithms, lies farthest below the line
        between its ends: from there on a bit gains less than before.
    """

    bits: Int[np.ndarray, " bits"]
    certified: Float[np.ndarray, " bits"]
    sampled: Float[np.ndarray, " bits"]
    apriori: Float[np.ndarray, " bits"]
    knee: int

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
    return BitsCurve(numbers, proven, seen, np.array(apriori), _knee(numbers, proven))


def _knee(bits: np.ndarray, errors: np.ndarray) -> int:
    there = np.isfinite(errors)
    bits, logs = bits[there], np.log2(np.maximum(errors[there], 2.0**-1000))
    if len(bits) < 3:
        return int(bits[0])
    chord = logs[0] + (logs[-1] - logs[0]) * (bits - bits[0]) / (bits[-1] - bits[0])
    return int(bits[np.argmax(chord - logs)])


# Rounding to nearest on the symmetric grid of b bits moves a parameter by at most half a step,
# magnitude/(2^b - 2), and a few units in the last place of the grid value. A change of at most d
# everywhere moves the function by at most d K(d), K that of the network's own norms or entries.
def apriori_errors(network: ReLUNetwork, radius: float, bits: Sequence[int]) -> list[float]:
    """Bounds of the change by rounding all parameters to these bits, from theory alone."""
    largest = [float(np.abs(p).max(initial=0)) for p in (*network.weights, *network.biases)]
    epsilon = max(float(np.finfo(p.dtype).eps) for p in (*network.weights, *network.biases))
    constants = [norm_constant(network, radius, p) for p in (1.0, math.inf)]
    constants.append(entry_constant(network, radius))
    errors = []
    for b in bits:
        half = up(max(largest) / (2**b - 2))
        change = up(up(half * (1 + 4 * epsilon)) + up(4 * epsilon * max(largest)))
        values = [up(change * constant(change)) for constant in constants]
        errors.append(min((v for v in values if not math.isnan(v)), default=math.inf))
    return errors
