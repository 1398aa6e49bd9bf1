"""Where the difference changes its sign: the kinks of |difference| inside smooth cells."""

import numpy as np

from ._difference import Cells, Difference

# A root known to within delta moves the integral of |d| by |d'| delta^2, second order: 1e-7 of the
# cell is enough for 1e-14 of it.
_NARROW = 1e-7


def cuts(
    difference: Difference, cells: Cells, x: np.ndarray, d: np.ndarray, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Points where `d` changes sign, and the cells they lie in.

    `x` and `d` (samples, cells) go from end to end, `noise` (cells,) is what counts as zero: an
    interpolant's d at its knots is rounding, not a crossing. Three samples of one sign around a dip
    of |d| get the dip's vertex as one more sample: two crossings between neighboring samples are
    found there.
    """
    with np.errstate(invalid="ignore"):
        sign = np.where(np.abs(d) > noise, np.sign(d), 0.0)
    for row in range(1, len(sign)):
        sign[row] = np.where(sign[row] == 0, sign[row - 1], sign[row])
    row, index = np.nonzero(sign[:-1] * sign[1:] < 0)
    lower, upper = x[row, index], x[row + 1, index]
    at_lower, at_upper = d[row, index], d[row + 1, index]
    dip = _dips(difference, cells, x, d, sign)
    lower, upper, at_lower, at_upper, index = (
        np.concatenate(pair)
        for pair in zip((lower, upper, at_lower, at_upper, index), dip, strict=True)
    )
    if not len(index):
        return lower, index
    return _solve(difference, cells, index, lower, upper, at_lower, at_upper), index


def _dips(difference, cells, x, d, sign):
    """Brackets of pairs of crossings between samples of one sign."""
    size = np.abs(d)
    same = (sign[:-2] * sign[1:-1] > 0) & (sign[1:-1] * sign[2:] > 0)
    row, index = np.nonzero(same & ((size[1:-1] <= np.minimum(size[:-2], size[2:])) | _edge(size)))
    x0, x1, x2 = (x[row + k, index] for k in range(3))
    d0, d1, d2 = (d[row + k, index] for k in range(3))
    with np.errstate(all="ignore"):
        first, second = (d1 - d0) / (x1 - x0), (d2 - d1) / (x2 - x1)
        bend = (second - first) / (x2 - x0)
        vertex = 0.5 * (x0 + x1) - 0.5 * first / bend
        low = d0 + first * (vertex - x0) + bend * (vertex - x0) * (vertex - x1)
        # The parabola need not reach zero: half of the middle sample is near enough to look.
        look = (bend * d1 > 0) & (vertex > x0) & (vertex < x2) & (low * np.sign(d1) < 0.5 * abs(d1))
    x0, x2, d0, d2, vertex, index = (a[look] for a in (x0, x2, d0, d2, vertex, index))
    at_vertex = difference.linear(vertex, cells.owner[index]) - difference.of_target(vertex)
    crossed = at_vertex * d0 < 0
    x0, x2, d0, d2, vertex, at_vertex, index = (
        a[crossed] for a in (x0, x2, d0, d2, vertex, at_vertex, index)
    )
    return (
        np.concatenate([x0, vertex]),
        np.concatenate([vertex, x2]),
        np.concatenate([d0, at_vertex]),
        np.concatenate([at_vertex, d2]),
        np.concatenate([index, index]),
    )


def _edge(size: np.ndarray) -> np.ndarray:
    """The first and last triple, where |d| falls toward the end of the cell."""
    edge = np.zeros((len(size) - 2, size.shape[1]), dtype=bool)
    edge[0] = size[0] < size[1]
    edge[-1] |= size[-1] < size[-2]
    return edge


def _solve(difference, cells, index, lower, upper, at_lower, at_upper):
    """Illinois steps on all brackets at once, those that are narrow left out."""
    lower, upper, at_lower, at_upper = (np.array(a) for a in (lower, upper, at_lower, at_upper))
    narrow = _NARROW * (cells.upper - cells.lower)[index]
    at_lower, at_upper = np.nan_to_num(at_lower), np.nan_to_num(at_upper)
    root = 0.5 * (lower + upper)
    active = np.arange(len(root))
    # Illinois needs about 8 values; the plain halving that takes over at 12 ends at 1e-7 by 40.
    for step in range(40):
        u, v, du, dv = lower[active], upper[active], at_lower[active], at_upper[active]
        if step < 12:
            x = np.clip(u - du * (v - u) / (dv - du), u, v)
        else:
            x = 0.5 * (u + v)
        dx = difference.linear(x, cells.owner[index[active]]) - difference.of_target(x)
        moved = np.abs(x - root[active])
        root[active] = x
        left = dx * du > 0
        # The end that stays twice in a row has its value halved.
        lower[active] = np.where(left, x, u)
        at_lower[active] = np.where(left, dx, 0.5 * du)
        upper[active] = np.where(left, v, x)
        at_upper[active] = np.where(left, 0.5 * dv, dx)
        done = (
            (dx == 0)
            | (moved <= narrow[active])
            | (upper[active] - lower[active] <= narrow[active])
        )
        active = active[~done]
        if not len(active):
            break
    return root
