"""Pieces of a network with one hidden layer."""

import math
from fractions import Fraction
from typing import Any

import numpy as np

from ._integers import to_integers

# In float64, kinks closer than this many units in the last place are one breakpoint.
MERGE_ULPS = 4


def shallow_pieces(
    weights: list[np.ndarray], biases: list[np.ndarray], a: Any, b: Any, exact: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Breakpoints, values and slopes of $c + \sum_i v_i\,\rho(w_i x + b_i)$ on $[a, b]$.

    **Reference:** derived, above the code.
    """
    # Crossing the kink t_i = -b_i / w_i from left to right adds sign(w_i) v_i (w_i, b_i) to the
    # pair (slope, intercept): a neuron with w_i > 0 is switched on, one with w_i < 0 is switched
    # off. To the left of all kinks the neurons with w_i < 0 are on. All parameters are integers
    # times a power of two, so the running sums are Python integers without any rounding. Only the
    # kinks (and the quotients at the end) are rounded in floating point; at a rounded kink x the
    # pair to use is still decided by the exact sign of w_i x + b_i.
    hidden, p = to_integers(np.stack([weights[0][:, 0], biases[0]]))
    outer, q = to_integers(np.concatenate([weights[1].T, biases[1][None, :]]))
    jumps = [
        (w, c, [(v * w, v * c) if w > 0 else (-v * w, -v * c) for v in row])
        for w, c, row in zip(*hidden, outer[:-1].tolist(), strict=True)
        if w != 0
    ]
    state = [(0, c << p) for c in outer[-1]]
    for w, c, row in zip(*hidden, outer[:-1].tolist(), strict=True):
        if w < 0:
            state = [(s + v * w, t + v * c) for (s, t), v in zip(state, row, strict=True)]
        elif w == 0 and c > 0:
            state = [(s, t + v * c) for (s, t), v in zip(state, row, strict=True)]
    divide = Fraction if exact else _quotient
    kinks = [divide(-c, w) for w, c, _ in jumps]
    keys = [float(t) for t in kinks] if exact else kinks
    order = sorted(range(len(kinks)), key=lambda i: (keys[i], kinks[i]))

    # Nodes: a, the kinks inside, b; each with the kinks that are crossed there.
    low, high = (Fraction(a), Fraction(b)) if exact else (float(a), float(b))
    same = _equal if exact else _close
    nodes: list[tuple[Any, list[int]]] = [(low, [])]
    last: list[int] = []
    for i in order:
        t = kinks[i]
        if same(t, low):
            nodes[0][1].append(i)
        elif t < low:
            state = _cross(state, [jumps[i]])
        elif same(t, nodes[-1][0]):
            nodes[-1][1].append(i)
        elif same(t, high):
            last.append(i)
        elif t < high:
            nodes.append((t, [i]))
        else:
            break
    nodes.append((high, last))

    points, values, slopes = [], [], []
    for x, crossed in nodes:
        n, d = x.as_integer_ratio()
        done = [jumps[i] for i in crossed if (jumps[i][0] * n + jumps[i][1] * d) * jumps[i][0] > 0]
        at = _cross(state, done)
        points.append(x)
        values.append([divide(s * n + t * d, d << (p + q)) for s, t in at])
        state = _cross(state, [jumps[i] for i in crossed])
        slopes.append([divide(s, 1 << (p + q)) for s, _ in state])
    slopes.pop()

    keep = [0, *(k for k in range(1, len(slopes)) if slopes[k] != slopes[k - 1]), len(slopes)]
    dtype = object if exact else np.float64
    return (
        np.array([points[k] for k in keep], dtype=dtype),
        np.array([values[k] for k in keep], dtype=dtype),
        np.array([slopes[k] for k in keep[:-1]], dtype=dtype),
    )


def _cross(state, jumps):
    """The pairs (slope, intercept) of all outputs after these kinks."""
    for _, _, row in jumps:
        state = [(s + u, t + v) for (s, t), (u, v) in zip(state, row, strict=True)]
    return state


def _equal(t: Any, node: Any) -> bool:
    return t == node


def _close(t: Any, node: Any) -> bool:
    return abs(t - node) <= MERGE_ULPS * math.ulp(node)


def _quotient(n: int, d: int) -> float:
    """The correctly rounded quotient, infinite beyond float64."""
    try:
        return n / d
    except OverflowError:
        return float("inf") if (n > 0) == (d > 0) else float("-inf")
