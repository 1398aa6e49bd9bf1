"""Sums of products of polynomials or of waves to bits and back, without loss."""

import functools
from collections.abc import Callable, Sequence

import numpy as np

from ..families import TensorSeries
from ._arrays import code_array
from ._coder import Coder, cheapest, natural, whole
from ._integers import places_of
from ._lifting import growing

_BASES = ("legendre", "waves")
# More pairs would fill the memory.
_MOST_PAIRS = 2**22
# The orders in which pairs (i, j) are counted, and by i, then j, among equals: row by row, by the
# total degree, by the greater one, as a hyperbolic cross, by the length of a pair of frequencies.
_ORDERS: tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], ...] = (
    lambda i, j: i,
    lambda i, j: i + j,
    np.maximum,
    lambda i, j: (i + 1) * (j + 1),
    lambda i, j: ((i + 1) // 2) ** 2 + ((j + 1) // 2) ** 2,
)

Box = tuple[tuple[float, float], tuple[float, float]]


def plane_series(
    coder: Coder, function: TensorSeries | None, domain: Box, steps: Sequence[float] = ()
) -> TensorSeries:
    """The basis, whether terms were chosen, which pairs, the order of the rows, the coefficients.

    Pairs are named by their places in one of five orders, in which their coefficients come too.
    The rows of the function are in this order or in another one of the five, or else row by row.
    """
    basis = _BASES[coder.bit(_BASES.index(function.basis) if function else 0, 0.5)]
    chosen = coder.bit(int(function.chosen) if function else 0, 0.5)
    terms = function.terms if function else np.zeros((0, 2), np.int64)
    given = function.coefficients if function else np.zeros(0)
    sides = [1 + natural(coder, int(terms[:, k].max(initial=0))) for k in (0, 1)]
    if sides[0] * sides[1] > _MOST_PAIRS:
        raise ValueError(f"it has pairs among {sides[0]} x {sides[1]}")
    flat = terms @ np.array([sides[1], 1])
    if np.unique(flat).size < flat.size:
        raise ValueError("it has the same pair of terms twice")

    tried = (
        [np.sort(_places(k, sides)[flat]).astype(np.int64) for k in range(len(_ORDERS))]
        if function
        else []
    )
    order = cheapest(coder, [lambda c, p=p: _named(c, p, sides[0] * sides[1]) for p in tried])
    order = _order(coder, order)
    named = _named(coder, tried[order] if function else np.zeros(0, np.int64), sides[0] * sides[1])
    pairs = np.argsort(_places(order, sides), kind="stable")[named]

    rows = order
    if function:
        matching = [k for k in range(len(_ORDERS)) if (np.diff(_places(k, sides)[flat]) > 0).all()]
        rows = order if order in matching else (matching or [0])[0]
        given = given[np.argsort(_places(order, sides)[flat])]
    if not coder.bit(int(rows == order), 0.8):
        rows = _order(coder, rows)
    coefficients = _coefficients(coder, given, _growth(basis, pairs, sides), steps)
    shown = np.argsort(_places(rows, sides)[pairs])
    return TensorSeries(
        coefficients=coefficients[shown],
        terms=np.stack(np.divmod(pairs[shown], sides[1]), axis=1),
        domain=domain,
        basis=basis,
        chosen=bool(chosen),
    )


def _order(coder: Coder, order: int) -> int:
    order = whole(coder, order, 3)
    if order >= len(_ORDERS):
        raise ValueError(f"it has the order {order}")
    return order


def _places(order: int, sides: Sequence[int]) -> np.ndarray:
    """The place of every pair, counted row by row, in an order."""
    return _all_places(order, *sides)


# Every file asks for all orders more than once.
@functools.lru_cache(maxsize=len(_ORDERS))
def _all_places(order: int, rows: int, columns: int) -> np.ndarray:
    i, j = np.divmod(np.arange(rows * columns), columns)
    places = np.empty(i.size, np.int32)
    # Row by row they come by i, so that a stable sort leaves equals by i.
    places[np.argsort(_ORDERS[order](i, j), kind="stable")] = np.arange(i.size, dtype=np.int32)
    return places


def _named(coder: Coder, places: np.ndarray, total: int) -> np.ndarray:
    """How many places, how many are left out before the last one, and which ones."""
    count = natural(coder, len(places))
    last = count + natural(coder, int(places[-1]) + 1 - count if len(places) else 0)
    if last > total:
        raise ValueError(f"it names the place {last} among {total}")
    return places_of(coder, places, count, last)


def _growth(basis: str, pairs: np.ndarray, sides: Sequence[int]) -> np.ndarray:
    """Powers of two near the inverse norms of the products."""
    if basis == "waves":
        return np.ones(pairs.size)
    i, j = np.divmod(pairs, sides[1])
    return growing(sides[0])[i] * growing(sides[1])[j]


def _coefficients(
    coder: Coder, given: np.ndarray, growth: np.ndarray, steps: Sequence[float]
) -> np.ndarray:
    """With a step for all, or one times the growth; a bit tells which, if there is any growth."""
    scales = [np.ones(growth.size)]
    if (growth != 1).any():
        scales.append(growth)
    # Numbers that end below float64 have the first way only.
    exact = [s for s in scales if len(given) and np.array_equal(given / s * s, given)]
    grows = cheapest(
        coder, [lambda c, s=s: code_array(c, given / s, given.size, steps) for s in exact]
    )
    grows = coder.bit(grows, 0.5) if len(scales) > 1 else 0
    scale = scales[grows]
    return code_array(coder, given / scale if len(given) else given, scale.size, steps) * scale
