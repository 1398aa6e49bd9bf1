"""Formulas of the classical families to bits and back, without loss."""

from collections.abc import Sequence

import numpy as np

from ..families import Barycentric, BSplines, OrthogonalSeries, WaveletSum, Waves
from ._arrays import code_array, code_step, grid_of, plain
from ._coder import Coder, Flag, cheapest, sized, whole
from ._integers import falling, positions
from ._lifting import growing

_BASES = ("legendre", "chebyshev")
WAVELETS = ("haar", *(f"db{n}" for n in range(2, 9)))
_DEEPEST = 52
# The most terms, pieces or cells in a file: beyond, a damaged number would fill the memory.
MOST = 2**24

Domain = tuple[float, float]


def size_of(coder: Coder, value: int, least: int = 1) -> int:
    """A number of things, at least `least`."""
    found = least + sized(coder, max(value - least, 0))
    if found > MOST:
        raise ValueError(f"it has {found} terms")
    return found


def splines(
    coder: Coder, function: BSplines | None, domain: Domain, steps: Sequence[float] = ()
) -> BSplines:
    """The order, whether knots are free, the number of coefficients, the knots, the coefficients.

    Knots lie on their own grid; their differences are what is coded.
    """
    free = function is not None and function.places is not None
    order = 1 + whole(coder, function.order - 1 if function else 0, 3)
    free = coder.bit(int(free), 0.5)
    count = size_of(coder, function.coefficients.size if function else 0, order)
    places = None
    if free:
        given = function.places if function and function.places is not None else np.zeros(0)
        places = code_array(coder, given, count - order, steps)
    given = function.coefficients if function else np.zeros(0)
    coefficients = code_array(coder, given, count, steps)
    return BSplines(coefficients=coefficients, places=places, domain=domain, order=order)


def series(
    coder: Coder, function: OrthogonalSeries | None, domain: Domain, steps: Sequence[float] = ()
) -> OrthogonalSeries:
    r"""The basis, the number of coefficients, then all of them on a grid, or which are not zero.

    Those are on a grid too, or plain. A grid has a step for all, or one that grows: that of $c_k$
    is the step times $2^{\lfloor \log_2 (2k+1) / 2 \rfloor}$, as the norm of $P_k$ falls. The whole
    numbers are `falling`; of even and of odd functions only every second one is written.
    """
    basis = coder.bit(_BASES.index(function.basis) if function else 0, 0.2)
    given = function.coefficients if function else np.zeros(0)
    count = size_of(coder, given.size)
    ways = [
        lambda c: _on_a_grid(c, given, growing(count), steps),
        lambda c: _not_zero(c, given, growing(count), steps),
    ]
    some = function is None or _grids(given, growing(count), steps)
    of_all = 1 - cheapest(coder, ways) if some else 0
    coefficients = ways[1 - coder.bit(of_all, 0.95)](coder)
    return OrthogonalSeries(coefficients=coefficients, domain=domain, basis=_BASES[basis])


def _grids(
    given: np.ndarray, scales: np.ndarray, steps: Sequence[float]
) -> dict[int, tuple[float, np.ndarray]]:
    """The grids of numbers as they are (0), and over their scales (1), where there are any."""
    scaled = given / scales
    # Numbers that end below float64 have the first way only.
    exact = np.array_equal(scaled * scales, given)
    tried = grid_of(given, steps), grid_of(scaled, steps) if exact else None
    return {k: grid for k, grid in enumerate(tried) if grid is not None}


def _on_a_grid(
    coder: Coder, given: np.ndarray, scales: np.ndarray, steps: Sequence[float]
) -> np.ndarray:
    """Whether steps grow, the step, whether every second number is zero, the others."""

    def numbers(c: Coder, grid: tuple[float, np.ndarray]) -> np.ndarray:
        step, (first, stride) = code_step(c, grid[0]), _strides(c, grid[1], scales.size)
        found = np.zeros(scales.size)
        kept = found[first::stride]
        kept[:] = falling(c, grid[1][first::stride], kept.size, step) * step
        return found

    nothing = (1.0, np.zeros(0, np.int64))
    grids = _grids(given, scales, steps) if given.size else {0: nothing, 1: nothing}
    shorter = cheapest(coder, [lambda c, g=grid: numbers(c, g) for grid in grids.values()])
    grows = coder.bit(list(grids)[shorter], 0.5)
    return numbers(coder, grids[grows]) * (scales if grows else 1.0)


def _strides(coder: Coder, codes: np.ndarray, count: int) -> tuple[int, int]:
    """The first number and the stride of those that may differ from zero."""
    if count < 3:
        return 0, 1
    parts = [codes[k::2].any() for k in (0, 1)]
    if coder.bit(int(not all(parts)), 0.2):
        return coder.bit(int(not parts[0]), 0.5), 2
    return 0, 1


def _not_zero(
    coder: Coder, given: np.ndarray, scales: np.ndarray, steps: Sequence[float]
) -> np.ndarray:
    """Which numbers are not zero, then a bit: these on a grid, or in their 64 bits."""
    places = positions(coder, np.flatnonzero(given), scales.size)
    kept = given[places] if given.size else given
    found = np.zeros(scales.size)
    if coder.bit(int(bool(_grids(kept, scales[places], steps))) if given.size else 0, 0.5):
        found[places] = _on_a_grid(coder, kept, scales[places], steps)
    else:
        found[places] = plain(coder, kept, places.size)
    return found


def waves(
    coder: Coder, function: Waves | None, domain: Domain, steps: Sequence[float] = ()
) -> Waves:
    """Whether terms were chosen, the highest one, all up to it or which ones, the coefficients."""
    chosen = coder.bit(int(function.chosen) if function else 0, 0.5)
    terms = function.terms if function else np.zeros(0, np.int64)
    total = size_of(coder, int(terms.max(initial=0)) + 1)
    given = function.coefficients if function else np.zeros(0)
    if coder.bit(int(terms.size == total), 0.2 if chosen else 0.95):
        terms = np.arange(total)
    else:
        terms = positions(coder, terms, total)
    coefficients = code_array(coder, given, terms.size, steps)
    return Waves(coefficients=coefficients, terms=terms, domain=domain, chosen=bool(chosen))


def wavelets(
    coder: Coder, function: WaveletSum | None, domain: Domain, steps: Sequence[float] = ()
) -> WaveletSum:
    """The wavelet, levels, reflected or not, the terms, their coefficients from coarse to fine.

    A bit tells whether the terms are a tree in which each has its parent, place k half of 2 k and
    2 k + 1, or are named by `positions`.
    """
    name = WAVELETS.index(function.wavelet) if function else 0
    wavelet = WAVELETS[whole(coder, name, 3)]
    levels = whole(coder, function.levels if function else 0, 6)
    if levels > _DEEPEST:
        raise ValueError(f"it has {levels} levels")
    reflected = bool(coder.bit(int(function.reflected) if function else 0, 0.5))
    terms = function.terms if function else np.zeros(0, np.int64)
    terms = _tree_or_positions(coder, terms, 2**levels * (2 if reflected else 1))
    given = function.coefficients if function else np.zeros(0)
    coefficients = code_array(coder, given, terms.size, steps)
    return WaveletSum(
        coefficients=coefficients,
        terms=terms,
        domain=domain,
        wavelet=wavelet,
        levels=levels,
        reflected=reflected,
    )


def _tree_or_positions(coder: Coder, terms: np.ndarray, total: int) -> np.ndarray:
    ways = (positions, _tree)
    tree = cheapest(coder, [lambda c, w=w: w(c, terms, total) for w in ways])
    return ways[coder.bit(tree, 0.5)](coder, terms, total)


# Levels begin at powers of two, so that the halves of place k are the places 2 k and 2 k + 1. Place
# 0 stands apart.
def _tree(coder: Coder, terms: np.ndarray, total: int) -> np.ndarray:
    """Which places are taken, from the root: whether anything below, whether the place itself."""
    taken = set(np.asarray(terms).tolist())
    above = set()
    for term in taken:
        place = term
        while place and place not in above:
            above.add(place)
            place //= 2
    depth = total.bit_length()
    below, itself = [Flag() for _ in range(depth + 1)], [Flag(0.5, 1.0) for _ in range(2)]
    found = []
    if itself[0].code(coder, int(0 in taken)):
        found.append(0)
    level = [1] if total > 1 else []
    while level:
        following = []
        for place in level:
            here = below[place.bit_length()]
            if not here.code(coder, int(place in above)):
                continue
            children = [child for child in (2 * place, 2 * place + 1) if child < total]
            ends = not children
            if ends or itself[1].code(coder, int(place in taken)):
                found.append(place)
            following += children
        level = following
    return np.array(sorted(found), np.int64)


def quotients(
    coder: Coder, function: Barycentric | None, domain: Domain, steps: Sequence[float] = ()
) -> Barycentric:
    """The number of terms, then places, values and weights, ordered as they are in the function."""
    count = size_of(coder, function.places.size if function else 0)
    nothing = np.zeros(0)
    parts = (function.places, function.values, function.weights) if function else (nothing,) * 3
    places, values, weights = (code_array(coder, part, count, steps) for part in parts)
    return Barycentric(places=places, values=values, weights=weights, domain=domain)
