"""Branch and bound for the largest distance between linear pieces and a function."""

import math
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

EPS = 2.0**-52


class Cells(NamedTuple):
    """Intervals, each inside of one piece, with the difference and its error at both ends."""

    lower: np.ndarray
    upper: np.ndarray
    piece: np.ndarray
    a: np.ndarray
    b: np.ndarray
    error_a: np.ndarray
    error_b: np.ndarray

    def take(self, index: Any) -> "Cells":
        """Some of the cells."""
        return Cells(*(part[index] for part in self))


@runtime_checkable
class Difference(Protocol):
    """A line on each piece, minus a function."""

    batch: int

    def at(self, x: np.ndarray, piece: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The difference at points, and bounds on the errors of these numbers."""
        ...

    def curvature(self, cells: Cells) -> np.ndarray:
        """Bounds on |f''| inside of cells, infinite where none is known."""
        ...

    def other(self, cells: Cells, unbounded: np.ndarray) -> np.ndarray:
        """Bounds on |difference| that need no second derivative, infinite where none is known."""
        ...


class Search(NamedTuple):
    """What the search ended with."""

    lower: float
    upper: float
    witness: float
    boxes: int
    complete: bool


# On a cell [u, v] of length h let a = d(u), b = d(v) and |d''| <= B. The function d minus its
# linear interpolant vanishes at both ends, and x -> B (x - u)(v - x)/2 has the same zeros and the
# second derivative -B, so it lies above the former and its negative. With x = u + t h and
# c = B h^2/2,
#     +-d(x) <= +-(a + (b - a) t) + c t (1 - t),
# a parabola with its vertex at t = 1/2 +- (b - a)/(2c). If |b - a| < c it lies inside and
#     |d| <= |a + b|/2 + c/4 + (b - a)^2/(4c),
# otherwise |d| <= max(|a|, |b|). An error of at most e at both ends moves the interpolant by at
# most e. Each of the dozen roundings is of at most half of EPS.
def upper_bounds(difference: Difference, cells: Cells) -> tuple[np.ndarray, np.ndarray]:
    """Bounds on |d| on cells, and where to cut them, as parts of their lengths."""
    h = cells.upper - cells.lower
    a, b = cells.a, cells.b
    ends = np.maximum(np.abs(a), np.abs(b))
    with np.errstate(all="ignore"):
        c = 0.5 * difference.curvature(cells) * h**2 * (1 + 8 * EPS) + 2.0**-1000
    c = np.where(np.isnan(c), np.inf, c)
    unbounded = np.isinf(c)
    inside = (np.abs(b - a) < c) & ~unbounded
    safe = np.where(inside, c, 1.0)
    upper = np.where(inside, 0.5 * np.abs(a + b) + 0.25 * (safe + (b - a) ** 2 / safe), ends)
    upper = np.where(unbounded, np.inf, np.maximum(upper, ends))
    lean = np.where(a + b >= 0, b - a, a - b)
    # Never less than 1/32 of the cell: a loose bound may point at the same end again and again.
    split = np.clip(np.where(inside, 0.5 + 0.5 * lean / safe, 0.5), 1 / 32, 31 / 32)
    upper = upper * (1 + 8 * EPS) + np.maximum(cells.error_a, cells.error_b) * (1 + 2 * EPS)
    other = difference.other(cells, unbounded)
    split = np.where(other < upper, 0.5, split)
    return np.minimum(upper, other), split


def search(
    difference: Difference, nodes: np.ndarray, piece: np.ndarray, gap: float, budget: int
) -> Search:
    """Enclose the largest |difference| over the cells between the nodes, best first."""
    a, error_a = difference.at(nodes[:-1], piece)
    b, error_b = difference.at(nodes[1:], piece)
    cells = Cells(nodes[:-1], nodes[1:], piece, a, b, error_a, error_b)
    lower, witness = _best(cells, 0.0, float(nodes[0]))
    upper, split = upper_bounds(difference, cells)
    done, boxes = 0.0, len(upper)
    only_rounding = True
    while True:
        lower, witness = _best(cells, lower, witness)
        wanted = lower * (1 + gap) * (1 - 2 * EPS)
        ends = np.maximum(np.abs(cells.a) + cells.error_a, np.abs(cells.b) + cells.error_b)
        # Nothing but rounding errors is left where the bound is that of an end, or where a cell has
        # no float inside.
        noise = np.maximum(cells.error_a, cells.error_b)
        middle = cells.lower + split * (cells.upper - cells.lower)
        narrow = (middle <= cells.lower) | (middle >= cells.upper)
        finished = narrow | (upper <= ends + 4 * noise)
        open_ = (upper > wanted) & ~finished
        if not open_.all():
            closed = upper[~open_]
            done = max(done, float(closed.max()))
            stuck = closed > wanted
            only_rounding &= bool(np.isfinite(closed[stuck]).all())
            cells, upper, middle = cells.take(open_), upper[open_], middle[open_]
            split = split[open_]
        if not len(upper) or boxes >= budget:
            break
        chosen = np.argsort(-upper)[: min(difference.batch, budget - boxes)]
        parents, x = cells.take(chosen), middle[chosen]
        d, error = difference.at(x, parents.piece)
        children = Cells(
            np.concatenate([parents.lower, x]),
            np.concatenate([x, parents.upper]),
            np.concatenate([parents.piece] * 2),
            np.concatenate([parents.a, d]),
            np.concatenate([d, parents.b]),
            np.concatenate([parents.error_a, error]),
            np.concatenate([error, parents.error_b]),
        )
        fresh, fresh_split = upper_bounds(difference, children)
        # A child is bounded by its parent too.
        fresh = np.minimum(fresh, np.concatenate([upper[chosen]] * 2))
        kept = np.ones(len(upper), dtype=bool)
        kept[chosen] = False
        cells = Cells(*(np.concatenate([p[kept], q]) for p, q in zip(cells, children, strict=True)))
        upper = np.concatenate([upper[kept], fresh])
        split = np.concatenate([split[kept], fresh_split])
        boxes += len(chosen)
    complete = not len(upper) and only_rounding
    return Search(lower, max(done, float(upper.max(initial=0.0))), witness, boxes, complete)


def _best(cells: Cells, lower: float, witness: float) -> tuple[float, float]:
    """The largest proven |difference| at an end of a cell, and where."""
    for x, d, error in (
        (cells.lower, cells.a, cells.error_a),
        (cells.upper, cells.b, cells.error_b),
    ):
        proven = np.abs(d) * (1 - EPS) - error * (1 + EPS)
        if len(proven) and (best := float(proven.max())) > lower:
            lower, witness = math.nextafter(best, 0.0), float(x[proven.argmax()])
    return lower, witness
