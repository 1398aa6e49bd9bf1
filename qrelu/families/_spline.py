"""A continuous piecewise-linear function on an interval and the network that realizes it."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ..networks import ReLUNetwork


class Spline(NamedTuple):
    """The continuous piecewise-linear function through `(knots[i], values[i])`."""

    knots: Float[np.ndarray, " points"]
    values: Float[np.ndarray, " points"]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Value at `x` inside the interval."""
        return np.interp(x, self.knots, self.values)


# Knots keep this many units in the last place apart; beyond, rounding or a jump is being fitted.
_APART = 16
# And this share of the interval, so that no power of a gap leaves the range of float64.
_LEAST = 2.0**-100


def apart(knots: np.ndarray) -> np.ndarray:
    """Which gaps between the sorted knots (..., N + 1) are wide enough for a piece, (..., N)."""
    size = np.maximum(np.abs(knots[..., :-1]), np.abs(knots[..., 1:]))
    least = _LEAST * (knots[..., -1:] - knots[..., :1])
    return np.diff(knots, axis=-1) > np.maximum(_APART * np.spacing(size), least)


def parted(knots: np.ndarray) -> np.ndarray:
    """Sorted knots (N + 1,), those that coincide moved to the middles of the widest gaps."""
    kept = knots[np.append(True, apart(knots))]
    kept[-1] = knots[-1]
    while kept.size < knots.size:
        widest = np.argsort(-np.diff(kept), kind="stable")[: knots.size - kept.size]
        kept = np.sort(np.append(kept, (kept[widest] + kept[widest + 1]) / 2))
    return kept


# A hinge has an incoming weight, a bias and an outgoing weight.
HINGE = 3


def pieces_for(size: int) -> int:
    """Pieces of the largest shallow network with at most `size` nonzeros.

    N pieces take N hinges and one output bias: 3 N + 1.
    """
    return (size - 1) // HINGE


def unused(size: int) -> str:
    """A note on a size that no shallow network has; empty for the others."""
    most = HINGE * pieces_for(size) + 1
    return "" if most == size else f"{most} of {size} parameters: a piece takes three"


def network_from_spline(spline: Spline) -> ReLUNetwork:
    r"""One hidden layer that realizes a spline without cancellation, in NumPy float64.

    A pivot knot $t_p$ is chosen; knots right of it become $\mathrm{relu}(x - t_j)$, knots left of
    it $\mathrm{relu}(t_j - x)$, and the two slopes at the pivot become its two hinges:

    $$s(x) = v_p + m_p\,(x - t_p)_+ - m_{p-1}\,(t_p - x)_+
             + \sum_{j > p} d_j\,(x - t_j)_+ + \sum_{j < p} d_j\,(t_j - x)_+ ,$$

    with $m_i$ the slope of piece i and $d_j = m_j - m_{j-1}$. N pieces take N neurons.
    """
    knots, values = spline
    slopes = np.diff(values) / np.diff(knots)
    jumps = np.diff(slopes)
    pivot = _pivot(knots, values, slopes, jumps)
    last = knots.size - 1

    left = np.arange(1, pivot)
    right = np.arange(pivot + 1, last)
    signs = [-np.ones(left.size)]
    places = [knots[left]]
    outgoing = [jumps[left - 1]]
    if pivot > 0:
        signs.append(-np.ones(1))
        places.append(knots[[pivot]])
        outgoing.append(-slopes[[pivot - 1]])
    if pivot < last:
        signs.append(np.ones(1))
        places.append(knots[[pivot]])
        outgoing.append(slopes[[pivot]])
    signs.append(np.ones(right.size))
    places.append(knots[right])
    outgoing.append(jumps[right - 1])

    sign = np.concatenate(signs)
    weights = (sign[:, None], np.concatenate(outgoing)[None, :])
    biases = (-sign * np.concatenate(places) + 0.0, values[[pivot]])
    return ReLUNetwork(weights, biases)


def _pivot(knots, values, slopes, jumps) -> int:
    # The sum of |terms| grows away from the pivot, so its largest value stands at an end:
    #   at b: |v_p| + |m_p| (b - t_p) + sum_{j > p} |d_j| (b - t_j),  and mirrored at a.
    # All pivots at once by prefix sums of |d_j| (b - t_j) and |d_j| (t_j - a).
    lower, upper = knots[0], knots[-1]
    inner = knots[1:-1]
    from_right = np.concatenate([[0.0], np.cumsum((np.abs(jumps) * (upper - inner))[::-1])])[::-1]
    from_left = np.concatenate([[0.0], np.cumsum(np.abs(jumps) * (inner - lower))])
    # Pivot p leaves the jumps p+1..N-1 on its right and 1..p-1 on its left.
    right = np.concatenate([from_right, [0.0]])
    left = np.concatenate([[0.0], from_left])
    padded = np.abs(np.concatenate([[0.0], slopes, [0.0]]))
    at_upper = padded[1:] * (upper - knots) + right
    at_lower = padded[:-1] * (knots - lower) + left
    largest = np.abs(values) + np.maximum(at_upper, at_lower)
    # Where f is monotone and convex many pivots tie at one end: the smaller sum at the other end
    # decides, not rounding.
    tied = largest <= np.min(largest) * (1 + 1e-6)
    return int(np.argmin(np.where(tied, at_upper + at_lower, np.inf)))
