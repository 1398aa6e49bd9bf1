"""Sums of orthonormal wavelets on an interval."""

import math

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int

from .._misc import plain
from ._formula import AbstractIntervalFormula, bits_of_choice
from ._wavelet_cones import deepest_level
from ._wavelet_filters import analysis as analysis
from ._wavelet_filters import at_integers as at_integers
from ._wavelet_filters import center as center
from ._wavelet_filters import filter_length
from ._wavelet_filters import level_ranges as level_ranges
from ._wavelet_filters import synthesis as synthesis
from ._wavelet_mesh import polygon, step_values

_EPS = float(np.finfo(np.float64).eps)
# No Daubechies wavelet or scaling function exceeds 1.74 (that of db2).
_LARGEST = 2.0
# Even cells of a polygon: this many halvings more than there are terms need, at least, at most.
_FINER, _LEAST, _MOST = 8, 10, 18
# Cells of the mesh are up to 2^4 times finer than those of the deepest wavelets.
_BELOW = 4


class WaveletSum(AbstractIntervalFormula):
    r"""$\sum_j c_j \psi_{k_j}$ in the orthonormal basis of a wavelet, sparse down to any level.

    For Haar it is the step function itself. For the others, which have no closed form, it is the
    polygon through values, which are exact, at even points ($2^8$ for each term) and, under deep
    wavelets, at finer ones, $2^6$ for each place of a wavelet.

    - `coefficients`: $c_j$, in the basis that is orthonormal on the domain (on its double, if
      reflected).
    - `terms`: $k_j$, increasing, in the order from coarse to fine: $2^q + k$ is wavelet k of
      the $2^q$ of level q.
    - `wavelet`: PyWavelets' name.
    - `levels`: J: all terms are below $2^J$, twice that if reflected.
    - `reflected`: whether the period is the domain and its mirror image.
    """

    coefficients: Float[np.ndarray, " terms"]
    terms: Int[np.ndarray, " terms"]
    domain: tuple[float, float] = eqx.field(static=True)
    wavelet: str = eqx.field(static=True)
    levels: int = eqx.field(converter=plain, static=True)
    reflected: bool = eqx.field(static=True)

    def linear_pieces(self) -> tuple[np.ndarray, np.ndarray]:
        """The pieces between breakpoints."""
        a, b = self.domain
        terms = self.terms.astype(np.int64)
        if self.wavelet == "haar":
            places, values = step_values(self.coefficients, terms, b - a)
            values = np.stack([values, values])
        else:
            double = int(self.reflected)
            even = even_level(terms.size) + double
            deepest = max(deepest_level(a, b) + _BELOW, self.levels, even - double) + double
            places, at_ends = polygon(
                self.coefficients, terms, self.wavelet, even, deepest, self.reflected
            )
            places = places * 2.0**double
            at_ends = at_ends / math.sqrt((b - a) * 2.0**double)
            values = np.stack([at_ends[:-1], at_ends[1:]])
        ends = a + (b - a) * places
        ends[-1] = b
        return ends, values

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The values at `x`; at a jump those of the piece on the right."""
        x = np.asarray(x, np.float64)
        ends, (left, right) = self.linear_pieces()
        piece = np.clip(np.searchsorted(ends, x, side="right") - 1, 0, left.size - 1)
        share = (x - ends[piece]) / (ends[piece + 1] - ends[piece])
        return left[piece] + share * (right[piece] - left[piece])

    @property
    def breakpoints(self) -> np.ndarray:
        """The inner ends of the pieces."""
        return self.linear_pieces()[0][1:-1]

    @property
    def mesh(self) -> np.ndarray:
        """The ends of the pieces."""
        return self.linear_pieces()[0]

    @property
    def roundoff(self) -> float:
        """Of one value from each of J levels."""
        return 4 * self.levels * _EPS * float(np.max(np.abs(self.linear_pieces()[1])))

    @property
    def sensitivity(self) -> float:
        r"""As many wavelets of each level as overlap, at most $2^{q/2}$ times the largest."""
        a, b = self.domain
        period = (b - a) * (2 if self.reflected else 1)
        width = 1 if self.wavelet == "haar" else filter_length(self.wavelet) - 1
        largest = 1.0 if self.wavelet == "haar" else _LARGEST
        total = 0.0
        for start, stop in level_ranges(
            2**self.levels * (2 if self.reflected else 1), self.wavelet
        ):
            inside = int(np.count_nonzero((self.terms >= start) & (self.terms < stop)))
            scale = np.sqrt(max(stop - start, 1) / period)
            total += min(inside, width) * largest * scale
        return float(total)

    @property
    def position_bits(self) -> float:
        r"""Bits that name the terms: among all to the finest level in use, or as a tree.

        The tree of the terms and all their ancestors, place k/2 above place k, is one of a Catalan
        number of binary trees; then its nodes that are terms are named.
        """
        terms = self.terms.astype(np.int64)
        last = int(terms.max(initial=0))
        flat = bits_of_choice(terms.size, 1 << last.bit_length())
        nodes = tree_size(terms)
        catalan = bits_of_choice(nodes, 2 * nodes) - math.log2(nodes + 1)
        return min(flat, max(catalan, 0.0) + bits_of_choice(terms.size, nodes + 1))

    @property
    def bounded(self) -> bool:
        """Always."""
        return True


def even_level(terms: int) -> int:
    """The level of the even points of a polygon."""
    return min(max(math.ceil(math.log2(max(terms, 1))) + _FINER, _LEAST), _MOST)


def tree_size(terms: np.ndarray) -> int:
    """How many numbers beside 0 are terms or, halved and halved again, come from terms."""
    level, count = np.unique(terms[terms > 0]), 0
    while level.size:
        # The largest of a level first: halves may be terms themselves.
        bits = int(level[-1]).bit_length() - 1
        top = level >= (1 << bits)
        count += int(np.count_nonzero(top))
        level = np.union1d(level[~top], level[top] >> 1)
        level = level[level > 0]
    return count
