"""Sums of wavelets on a rectangle to bits and back, without loss."""

from collections.abc import Iterator, Sequence

import numpy as np

from ..families import TensorWaveletSum
from ..families._wavelet_filters import coarsest, level_ranges
from ._arrays import code_array
from ._coder import Coder, Flag, cheapest, natural, whole
from ._formulas import WAVELETS
from ._integers import Integers, places_of, positions
from ._plane_series import Box

# The grid of more levels would fill the memory.
_DEEPEST = 12


def plane_wavelets(
    coder: Coder, function: TensorWaveletSum | None, domain: Box, steps: Sequence[float] = ()
) -> TensorWaveletSum:
    """The wavelet, levels, reflected or not, the basis, the terms, their coefficients.

    Terms are named by blocks of two levels in the hyperbolic basis. In the isotropic one they are a
    tree of squares or are named by `positions`, whichever is shorter.
    """
    wavelet = WAVELETS[whole(coder, WAVELETS.index(function.wavelet) if function else 0, 3)]
    levels = natural(coder, function.levels if function else 0)
    if levels > _DEEPEST:
        raise ValueError(f"it has {levels} levels")
    reflected = bool(coder.bit(int(function.reflected) if function else 0, 0.5))
    hyperbolic = bool(coder.bit(int(function.hyperbolic) if function else 0, 0.2))
    terms = function.terms.astype(np.int64) if function else np.zeros(0, np.int64)
    given = function.coefficients if function else np.zeros(0)
    side = 2 ** (levels + reflected)
    if terms.size and not ((np.diff(terms) > 0).all() and 0 <= terms[0] <= terms[-1] < side**2):
        raise ValueError("its terms are not increasing numbers of wavelets")
    if hyperbolic:
        terms = _blocks(coder, terms, side, wavelet)
        # Blocks come from coarse to fine, and so do their coefficients.
        order = np.argsort(terms)
        if function:
            back = np.empty(order.size, np.int64)
            back[order] = np.arange(order.size)
            given = given[back]
        coefficients = code_array(coder, given, terms.size, steps)[order]
        terms = terms[order]
    else:
        coarse = min(1 << coarsest(wavelet), side)
        ways = (
            lambda c: positions(c, terms, side**2),
            lambda c: _squares(c, terms, coarse, side),
        )
        terms = ways[coder.bit(cheapest(coder, ways), 0.8)](coder)
        coefficients = code_array(coder, given, terms.size, steps)
    return TensorWaveletSum(
        coefficients=coefficients,
        terms=terms,
        domain=domain,
        wavelet=wavelet,
        levels=levels,
        reflected=reflected,
        hyperbolic=hyperbolic,
    )


def _blocks(coder: Coder, terms: np.ndarray, side: int, wavelet: str) -> np.ndarray:
    """Products of a level of one variable and a level of the other, by the sum of the levels.

    First the finest level in use of both variables; then of each block how many terms it has, as
    `Integers`, and which ones, row by row.
    """
    ranges = level_ranges(side, wavelet)
    starts = np.array([start for start, _ in ranges])
    parts = np.divmod(terms, side)
    used = [np.searchsorted(starts, part, side="right") - 1 for part in parts]
    last = [natural(coder, int(level.max(initial=0))) for level in used]
    if max(last) >= len(ranges):
        raise ValueError(f"it has wavelets of level {max(last)}")
    counts = Integers()
    found = []
    for first, second in _pairs(*last):
        (a, b), (c, d) = ranges[first], ranges[second]
        here = (used[0] == first) & (used[1] == second)
        places = (parts[0][here] - a) * (d - c) + parts[1][here] - c
        count = counts.code(coder, places.size)
        if not 0 <= count <= (b - a) * (d - c):
            raise ValueError(f"it names {count} of {(b - a) * (d - c)} wavelets")
        row, column = np.divmod(places_of(coder, places, count, (b - a) * (d - c)), d - c)
        found.append((row + a) * side + column + c)
    return np.concatenate(found)


def _pairs(first: int, second: int) -> Iterator[tuple[int, int]]:
    for total in range(first + second + 1):
        for i in range(max(0, total - second), min(first, total) + 1):
            yield i, total - i


# Squares of level q are numbered row by row, and square (row, column) has the four parts
# (2 row + 0 or 1, 2 column + 0 or 1). Wavelet o of three on square k has the number
# (o + 1) 4^q + k.
def _squares(coder: Coder, terms: np.ndarray, coarse: int, side: int) -> np.ndarray:
    """From coarse to fine: which squares have terms on them or below, and which of their three.

    First the scaling functions, then how many levels are in use. That a square has terms is learnt
    apart by how many of its left and upper neighbors and of its parent's own terms there are; that
    a wavelet is taken, by the parent's of the same sort and those taken before on the square.
    """
    scaling = positions(coder, terms[terms < coarse**2], coarse**2)
    waves = terms[terms >= coarse**2]
    first = coarse.bit_length() - 1
    deepest = (int(waves[-1]).bit_length() - 1) // 2 if waves.size else first - 1
    stop = first + natural(coder, deepest + 1 - first)
    if 2**stop > side:
        raise ValueError(f"it has wavelets of level {stop - 1}")
    taken, above = _taken(waves, first, stop)
    here = [[Flag() for _ in range(3)] for _ in range(2)]
    own = [[[Flag() for _ in range(3)] for _ in range(2)] for _ in range(3)]
    found = [scaling]
    parents = {k: 0 for k in range(coarse**2)}  # squares to look at, with what the parent has
    for q in range(first, stop):
        marked: dict[int, int] = {}
        for square in sorted(parents):
            beside = (square - 1 in marked and square % 2**q > 0) + (square - 2**q in marked)
            flag = here[int(parents[square] > 0)][beside]
            if not flag.code(coder, int(square in above[q])):
                continue
            mask = 0
            for kind in range(3):
                before = parents[square] >> kind & 1
                flag = own[kind][before][mask.bit_count()]
                mask |= flag.code(coder, int((kind, square) in taken[q])) << kind
            marked[square] = mask
        found += [
            np.array([k for k, mask in marked.items() if mask >> kind & 1], np.int64)
            + (kind + 1) * 4**q
            for kind in range(3)
        ]
        parents = {}
        for square, mask in marked.items():
            row, column = divmod(square, 2**q)
            for part in (0, 1, 2 ** (q + 1), 2 ** (q + 1) + 1):
                parents[2 * row * 2 ** (q + 1) + 2 * column + part] = mask
    return np.concatenate(found)


def _taken(waves: np.ndarray, first: int, stop: int) -> tuple[dict, dict]:
    """For each level the wavelets that are taken, and the squares with terms on them or below."""
    taken: dict[int, set] = {q: set() for q in range(first, stop)}
    above: dict[int, set] = {q: set() for q in range(first, stop)}
    for wave in waves.tolist():
        q = (wave.bit_length() - 1) // 2
        kind, square = divmod(wave - 4**q, 4**q)
        taken[q].add((kind, square))
        row, column = divmod(square, 2**q)
        while q >= first and (row << q) + column not in above[q]:
            above[q].add((row << q) + column)
            row, column, q = row >> 1, column >> 1, q - 1
    return taken, above
