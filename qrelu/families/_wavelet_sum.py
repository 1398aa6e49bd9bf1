"""Sums of orthonormal wavelets on an interval."""

import functools

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int

from ._formula import AbstractFormula, bits_of_choice

_EPS = float(np.finfo(np.float64).eps)
# No Daubechies wavelet or scaling function exceeds 1.74 (that of db2).
_LARGEST = 2.0


class WaveletSum(AbstractFormula):
    r"""$\sum_j c_j \psi_{k_j}$ in the orthonormal basis of a wavelet at resolution $2^J$.

    For Haar it is the step function itself. For the others, which have no closed form, it is the
    polygon through the values at the points of the resolution, which are exact.

    - `coefficients`: $c_j$, in the basis that is orthonormal on the domain (on its double, if
      reflected).
    - `terms`: $k_j$, increasing, in the order from coarse to fine.
    - `wavelet`: PyWavelets' name.
    - `levels`: J: the domain has $2^J$ cells.
    - `reflected`: whether the period is the domain and its mirror image.
    """

    coefficients: Float[np.ndarray, " terms"]
    terms: Int[np.ndarray, " terms"]
    domain: tuple[float, float] = eqx.field(static=True)
    wavelet: str = eqx.field(static=True)
    levels: int = eqx.field(static=True)
    reflected: bool = eqx.field(static=True)

    def linear_pieces(self) -> tuple[np.ndarray, np.ndarray]:
        """The pieces between breakpoints."""
        a, b = self.domain
        cells = 2**self.levels
        full = np.zeros(cells * (2 if self.reflected else 1))
        full[self.terms] = self.coefficients
        scaling = synthesis(full, self.wavelet)
        scaling = scaling / np.sqrt((b - a) / cells)
        ends = np.linspace(a, b, cells + 1)
        if self.wavelet == "haar":
            new = np.flatnonzero(np.diff(scaling)) + 1
            values = scaling[np.concatenate([[0], new])]
            return ends[np.concatenate([[0], new, [cells]])], np.stack([values, values])
        values = np.zeros(scaling.size)
        for shift, value in enumerate(at_integers(self.wavelet)):
            values += value * np.roll(scaling, shift)
        at_ends = values[np.arange(cells + 1) % scaling.size]
        return ends, np.stack([at_ends[:-1], at_ends[1:]])

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
        r"""As many wavelets of each level as overlap, at most $2^{j/2}$ times the largest."""
        a, b = self.domain
        period = (b - a) * (2 if self.reflected else 1)
        width = 1 if self.wavelet == "haar" else filter_length(self.wavelet) - 1
        largest = 1.0 if self.wavelet == "haar" else _LARGEST
        total = 0.0
        for start, stop in level_ranges(
            2**self.levels * (2 if self.reflected else 1), self.wavelet
        ):
            inside = int(np.count_nonzero((self.terms >= start) & (self.terms < stop)))
            scale = np.sqrt((stop - start) / period)
            total += min(inside, width) * largest * scale
        return float(total)

    @property
    def position_bits(self) -> float:
        """Bits that name the terms among all up to the finest level in use."""
        total = 2**self.levels * (2 if self.reflected else 1)
        last = int(self.terms.max(initial=0))
        stop = next(e for _, e in level_ranges(total, self.wavelet) if e > last)
        return bits_of_choice(self.terms.size, stop)

    @property
    def bounded(self) -> bool:
        """Always."""
        return True


def filter_length(wavelet: str) -> int:
    """Number of coefficients of the wavelet's filter."""
    return _filter(wavelet).size


@functools.lru_cache(maxsize=32)
def _filter(wavelet: str) -> np.ndarray:
    """The filter h that reconstructs, of sum sqrt(2)."""
    from pywt import Wavelet  # type: ignore[attr-defined]

    return np.array(Wavelet(wavelet).rec_lo)


def _depth(total: int, wavelet: str) -> int:
    # The coarsest level has at least as many scaling functions as the filter has coefficients.
    least = 1 if wavelet == "haar" else filter_length(wavelet)
    return max((total // least).bit_length() - 1, 0)


def level_ranges(total: int, wavelet: str) -> list[tuple[int, int]]:
    """Where the scaling functions and the wavelets of every level stand among all terms."""
    first = total >> _depth(total, wavelet)
    ranges = [(0, first)]
    while first < total:
        ranges.append((first, 2 * first))
        first *= 2
    return ranges


def analysis(scaling: np.ndarray, wavelet: str) -> np.ndarray:
    """All coefficients, from coarse to fine, of a periodic sequence of scaling coefficients."""
    import pywt

    depth = _depth(scaling.size, wavelet)
    parts, rest = [], scaling
    for _ in range(depth):
        rest, detail = pywt.dwt(rest, wavelet, mode="periodization")
        parts.append(detail)
    return np.concatenate([rest, *parts[::-1]])


def synthesis(coefficients: np.ndarray, wavelet: str) -> np.ndarray:
    """The scaling coefficients of the finest level: the inverse of `analysis`."""
    import pywt

    (_, first), *details = level_ranges(coefficients.size, wavelet)
    rest = coefficients[:first]
    for start, stop in details:
        rest = pywt.idwt(rest, coefficients[start:stop], wavelet, mode="periodization")
    return rest


@functools.lru_cache(maxsize=32)
def at_integers(wavelet: str) -> tuple[float, ...]:
    r"""The scaling function at 0, 1, ...: $\phi(m) = \sqrt2 \sum_k h_k \phi(2m-k)$."""
    h = _filter(wavelet) * np.sqrt(2)
    n = h.size
    index = 2 * np.arange(n)[:, None] - np.arange(n)
    matrix = np.where((index >= 0) & (index < n), h[np.clip(index, 0, n - 1)], 0.0)
    # Its values at the integers add up to 1, which singles out the fixed point.
    system = np.vstack([matrix - np.eye(n), np.ones(n)])
    right = np.append(np.zeros(n), 1.0)
    return tuple(np.linalg.lstsq(system, right, rcond=None)[0].tolist())


def center(wavelet: str) -> float:
    r"""The mean of the scaling function, $\int x \phi(x)\,dx = \sum_k k h_k / \sqrt2$."""
    h = _filter(wavelet)
    return float(np.arange(h.size) @ h / np.sqrt(2))
