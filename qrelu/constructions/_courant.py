"""The piecewise-linear hats of a regular grid in several dimensions, without error."""

import numpy as np

from ._alphabets import Alphabet
from ._circuit import Circuit, Wires


def one(circuit: Circuit, alphabet: Alphabet, layer: int) -> Wires:
    """The unit of a layer that is 1."""
    if layer not in circuit.ones:
        part = 0.5 if 0.5 in alphabet.values else 1 / alphabet.count
        circuit.ones[layer] = circuit.relu((round(1 / part), circuit.constant(layer - 1, part)))
    return circuit.ones[layer]


# u = clip(2^l x - j, 0, 1) has the children clip(2^(l+1) x - 2j, 0, 1) = 2u - relu(2u - 1) and
# clip(2^(l+1) x - 2j - 1, 0, 1) = relu(2u - 1).
def leaves(circuit: Circuit, alphabet: Alphabet, x: Wires, levels: int) -> Wires:
    """clip(2^levels x - i, 0, 1) for i = 0, 1, ..., of one x in [0, 1], 2 levels layers on."""
    u = x
    for _ in range(levels):
        upper = circuit.relu((2, u), (-1, one(circuit, alphabet, u.layer)))
        double = circuit.relu((2, u))
        first = circuit.relu((1, double), (-1, upper))
        second = circuit.relu((1, upper))
        u = Wires(first.layer, np.stack([first.index, second.index], axis=1).ravel())
    return u


# The Kuhn triangulation cuts every cell of the grid along x_k - x_l = 0 (coordinates of the cell)
# into d! simplices, in which the coordinates are sorted: t_(1) >= ... >= t_(d). The corners of a
# simplex are v_j = the sum of the unit vectors of the j largest coordinates, and the barycentric
# coordinate of v_j is t_(j) - t_(j+1), with t_(0) = 1 and t_(d+1) = 0. Hence the hat of the corner
# v in {0, 1}^d is, inside of the cell,
#     relu(min{t_k : v_k = 1} - max{t_k : v_k = 0}),  min = 1 and max = 0 over the empty set:
# if v is no v_j, some t_k with v_k = 1 is at most some t_l with v_l = 0. With
# u_{k,i} = clip(N x_k - i, 0, 1), which is 1 in cells above i, 0 below and t_k in cell i, this is
#     hat_m(x) = relu(min_k u_{k,m_k - 1} - max_k u_{k,m_k}),  u_{k,-1} = 1, u_{k,N} = 0,
# on all of [0, 1]^d: in cells that do not touch m the minimum is 0 or the maximum is 1. The hats
# are >= 0, their sum is 1, at most d + 1 of them are not 0 at a point, and hat_m(x) > 0 only where
# |N x_k - m_k| < 1 for all k.
def hats(circuit: Circuit, alphabet: Alphabet, coordinates: list[Wires]) -> Wires:
    """All (N + 1)^d hats in the order of the grid, from the leaves u of every coordinate.

    They come one layer later for d = 1, and 2 (d - 1) layers later for more dimensions.
    """
    layer = coordinates[0].layer
    cells = len(coordinates[0])
    ones = one(circuit, alphabet, layer)
    # Lower and upper ends in one coordinate; where hi is 0 its gain is 0 and its wire any.
    lows = [Wires(layer, np.concatenate([ones.index, u.index])) for u in coordinates]
    highs = [Wires(layer, np.concatenate([u.index, u.index[:1]])) for u in coordinates]
    lo, hi = [(1.0, lows[0])], [(np.arange(cells + 1) < cells, highs[0])]
    for k in range(1, len(coordinates)):
        if k > 1:
            lo, hi = [(1.0, circuit.relu(*lo))], [(1.0, circuit.relu(*hi))]
        count = (cells + 1) ** k
        i, j = (part.ravel() for part in np.indices((count, cells + 1)))
        before, after = lo[0][1], hi[0][1]
        # min(a, b) = a - relu(a - b), except where a or b is 1.
        both = np.flatnonzero((i > 0) & (j > 0))
        # max(a, b) = b + relu(a - b), except where a or b is 0.
        above = np.flatnonzero((i < count - 1) & (j < cells))
        over = circuit.relu((1, after[i[above]]), (-1, highs[k][j[above]]))
        # In two dimensions these are the same differences u_{1,i} - u_{2,j}.
        under = over if k == 1 else circuit.relu((1, before[i[both]]), (-1, lows[k][j[both]]))
        lo = [
            ((i > 0) | (j == 0), before[i]),
            ((i == 0) & (j > 0), lows[k][j]),
            (-1.0 * np.isin(np.arange(i.size), both), _spread(under, both, i.size)),
        ]
        hi = [
            ((j == cells) & (i < count - 1), after[i]),
            (j < cells, highs[k][j]),
            (1.0 * np.isin(np.arange(i.size), above), _spread(over, above, i.size)),
        ]
    return circuit.relu(*lo, *((-1.0 * np.asarray(gain), wires) for gain, wires in hi))


def _spread(wires: Wires, places: np.ndarray, count: int) -> Wires:
    """The wires at their places among `count`; anything elsewhere."""
    index = np.full(count, wires.index[0])
    index[places] = wires.index
    return Wires(wires.layer, index)
