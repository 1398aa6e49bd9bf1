"""Sums of wavelets on a rectangle."""

import functools
import math
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int

from .._misc import plain
from ._formula import AbstractFormula, bits_of_choice
from ._plane import in_blocks
from ._wavelet_filters import (
    analysis,
    at_integers,
    coarsest,
    filter_length,
    level_ranges,
    shift,
    synthesis,
)

# No Daubechies wavelet or scaling function exceeds 1.74 (that of db2).
_LARGEST = 2.0


class TensorWaveletSum(AbstractFormula):
    r"""$\sum_j c_j \Psi_{k_j}$ in an orthonormal wavelet basis of a rectangle.

    With `hyperbolic`, $\Psi$ is a product of two wavelets of any two levels, and number
    $k 2^q + l$ the product of k and l, q the levels of a period. Otherwise it is isotropic:
    $\varphi\psi$, $\psi\varphi$ or $\psi\psi$ of one level q, numbered from $4^q$, $2 \cdot 4^q$,
    $3 \cdot 4^q$ on, row by row.

    For Haar it is the step function itself. For the others it is the bilinear interpolant of exact
    values on the grid of $2^{-J}$ of the sides.

    - `coefficients`, `terms`: $c_j$ and $k_j$, increasing.
    - `domain`: the ends (lower, upper), two tuples of two floats.
    - `wavelet`, `levels`, `reflected`: as in `WaveletSum`, for both variables.
    - `hyperbolic`: which basis.
    """

    coefficients: Float[np.ndarray, " terms"]
    terms: Int[np.ndarray, " terms"]
    domain: Any = eqx.field(static=True)
    wavelet: str = eqx.field(static=True)
    levels: int = eqx.field(converter=plain, static=True)
    reflected: bool = eqx.field(static=True)
    hyperbolic: bool = eqx.field(static=True)

    @property
    def grid(self) -> np.ndarray:
        """The values of the cells (Haar), or at the points of the grid, both ends included."""
        return _grid(
            self.coefficients.tobytes(),
            self.terms.astype(np.int64).tobytes(),
            self.domain,
            self.wavelet,
            self.levels,
            self.reflected,
            self.hyperbolic,
        )

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The values at points (..., 2), of shape (...)."""
        lower, upper = np.array(self.domain)
        cells, grid = 2**self.levels, self.grid

        def values(points):
            t = (points - lower) / (upper - lower) * cells
            cell = np.clip(np.floor(t).astype(np.int64), 0, cells - 1)
            i, j = cell.T
            if self.wavelet == "haar":
                return grid[i, j]
            u, v = (t - cell).T
            left = grid[i, j] + u * (grid[i + 1, j] - grid[i, j])
            right = grid[i, j + 1] + u * (grid[i + 1, j + 1] - grid[i, j + 1])
            return left + v * (right - left)

        return in_blocks(values, x, "TensorWaveletSum")

    @property
    def sensitivity(self) -> float:
        r"""As many products of each level as overlap, each at most $2^q$ times the largest."""
        places = 2 ** (self.levels + self.reflected)
        width = 1 if self.wavelet == "haar" else filter_length(self.wavelet) - 1
        largest = 1.0 if self.wavelet == "haar" else _LARGEST
        (a, c), (b, d) = self.domain
        area = (b - a) * (d - c) * 4.0**self.reflected
        ranges = level_ranges(places, self.wavelet)
        total = 0.0
        if self.hyperbolic:
            level = np.zeros(places, np.int64)
            for index, (start, stop) in enumerate(ranges):
                level[start:stop] = index
            row, column = np.divmod(self.terms, places)
            pairs = level[row] * len(ranges) + level[column]
            sizes = [stop - start for start, stop in ranges]
            for pair, count in zip(*np.unique(pairs, return_counts=True), strict=True):
                i, j = divmod(int(pair), len(ranges))
                total += min(count, width**2) * math.sqrt(sizes[i] * sizes[j] / area)
        else:
            for start, stop in ranges:
                low = 0 if start == 0 else start**2
                inside = np.count_nonzero((self.terms >= low) & (self.terms < stop**2))
                side = stop if start == 0 else start
                total += min(inside, 3 * width**2) * side / math.sqrt(area)
        return float(total * largest**2)

    @property
    def position_bits(self) -> float:
        r"""Bits that name the terms: among all to the finest level in use, or as a tree of squares.

        The tree of the squares of isotropic terms and all squares around them is one of
        $\binom{4n}{n} / (3n + 1)$ with n nodes; then the terms are named, three for each node.
        """
        last = int(self.terms.max(initial=0))
        if self.hyperbolic:
            row, column = np.divmod(self.terms, 2 ** (self.levels + self.reflected))
            sides = (1 << int(part.max(initial=0)).bit_length() for part in (row, column))
            return bits_of_choice(self.terms.size, math.prod(sides))
        flat = bits_of_choice(self.terms.size, 4 ** ((last.bit_length() + 1) // 2))
        coarse = 1 << coarsest(self.wavelet)
        waves = self.terms[self.terms >= coarse**2].astype(np.int64)
        nodes = _squares(waves, coarse)
        trees = bits_of_choice(nodes, 4 * nodes) - math.log2(3 * nodes + 1)
        scaling = bits_of_choice(self.terms.size - waves.size, coarse**2)
        return min(flat, max(trees, 0.0) + bits_of_choice(waves.size, 3 * nodes) + scaling)

    @property
    def bounded(self) -> bool:
        """Always."""
        return True


def _squares(terms: np.ndarray, coarse: int) -> int:
    """How many squares hold terms or lie around such squares."""
    level = (np.frexp(terms.astype(np.float64))[1].astype(np.int64) - 1) // 2
    count, row, column = 0, np.zeros(0, np.int64), np.zeros(0, np.int64)
    for q in range(int(level.max(initial=-1)), coarse.bit_length() - 2, -1):
        k, m = np.divmod((terms[level == q] - 4**q) % 4**q, 2**q)
        row, column = np.concatenate([row, k]), np.concatenate([column, m])
        here = np.unique((row << q) + column)
        count += here.size
        row, column = (here >> q) >> 1, (here & (2**q - 1)) >> 1
    return count


def isotropic_analysis(scaling: np.ndarray, wavelet: str) -> np.ndarray:
    """All coefficients by their numbers: the two variables take one step at a time."""
    import pywt

    found, rest = [], scaling
    for _ in level_ranges(len(scaling), wavelet)[1:]:
        low, high = pywt.dwt(rest, wavelet, mode="periodization", axis=0)
        rest, across = pywt.dwt(low, wavelet, mode="periodization", axis=1)
        along, both = pywt.dwt(high, wavelet, mode="periodization", axis=1)
        found.append(np.concatenate([part.ravel() for part in (across, along, both)]))
    return np.concatenate([rest.ravel(), *found[::-1]])


def isotropic_synthesis(coefficients: np.ndarray, wavelet: str) -> np.ndarray:
    """The inverse of `isotropic_analysis`."""
    import pywt

    side = 1 << coarsest(wavelet)
    rest = coefficients[: side**2].reshape(side, side)
    while rest.size < coefficients.size:
        side = len(rest)
        parts = coefficients[side**2 : 4 * side**2].reshape(3, side, side)
        low = pywt.idwt(rest, parts[0], wavelet, mode="periodization", axis=1)
        high = pywt.idwt(parts[1], parts[2], wavelet, mode="periodization", axis=1)
        rest = pywt.idwt(low, high, wavelet, mode="periodization", axis=0)
    return rest


def hyperbolic_analysis(scaling: np.ndarray, wavelet: str) -> np.ndarray:
    """All coefficients by their numbers: one variable to the end, then the other."""
    return _both(scaling, lambda part: analysis(part, wavelet)).ravel()


def _both(values: np.ndarray, step) -> np.ndarray:
    for _ in range(2):
        values = np.stack([step(row) for row in values]).T
    return values


# Distances ask for the values many times in a row.
@functools.lru_cache(maxsize=2)
def _grid(
    coefficients: bytes,
    terms: bytes,
    domain: Any,
    wavelet: str,
    levels: int,
    reflected: bool,
    hyperbolic: bool,
) -> np.ndarray:
    places = 2 ** (levels + reflected)
    full = np.zeros(places**2)
    full[np.frombuffer(terms, np.int64)] = np.frombuffer(coefficients)
    if hyperbolic:
        scaling = _both(full.reshape(places, places), lambda part: synthesis(part, wavelet))
    else:
        scaling = isotropic_synthesis(full, wavelet)
    (a, c), (b, d) = domain
    scaling = scaling * (places / math.sqrt((b - a) * (d - c) * 4.0**reflected))
    if wavelet == "haar":
        return scaling
    for axis in (0, 1):
        scaling = sum(
            value * np.roll(scaling, m - shift(wavelet), axis=axis)
            for m, value in enumerate(at_integers(wavelet))
        )
    at = np.arange(2**levels + 1) % places
    return np.asarray(scaling)[np.ix_(at, at)]
