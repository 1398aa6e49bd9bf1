"""Best M-term approximation by wavelets."""

import functools
import math

import equinox as eqx
import numpy as np

from ..norms import AbstractNorm
from ..targets import AbstractTarget
from ._approximant import Approximant
from ._family import AbstractFamily, check_types, checked_size
from ._piece_values import piece_values
from ._quadrature import Quadrature, quadrature
from ._refusals import refuse_jumps
from ._wavelet_sum import WaveletSum, analysis, center, level_ranges, synthesis

# Levels beyond log2 M, their least and their greatest number: a singular point needs deep levels.
_DEEPER, _LEAST, _MOST = 8, 10, 18
# Coefficients below this many units in the last place of the target are rounding.
_ROUNDING = 16
BOUNDARIES = ("reflected", "periodic")


class Wavelet(AbstractFamily):
    r"""The M largest coefficients in an orthonormal wavelet basis: best M-term in $L^2$.

    Haar wavelets are orthonormal on the interval as they are, and their coefficients are exact
    integrals of the target. For Daubechies wavelets the boundary is a choice: `"reflected"`
    continues the target evenly to twice the interval and that periodically (the continuation is
    continuous, with a kink at the ends at most), and leaves out wavelets that do not reach into the
    interval; `"periodic"` continues it periodically as it stands, with a jump where the values at
    the ends differ. Their coefficients come from values of the target at the finest level, and the
    approximant is the polygon through its exact values at the points of that level, $2^{-J}$ of the
    interval, J = log2 M + 8 (at least 10, at most 18): finer structure is not seen.

    Which terms were taken costs bits, which `bits` counts. A coefficient that is zero up to
    rounding is not counted. The same terms serve every norm; they are best in $L^2$.

    **Arguments:**

    - `wavelet`: a name of PyWavelets: `"haar"`, `"db2"`, ..., `"db8"`.
    - `boundary`: `"reflected"` or `"periodic"`; Haar needs none.

    **Reference:** [devore1998] for what best M-term approximation gives.
    """

    wavelet: str = eqx.field(static=True, default="haar")
    boundary: str = eqx.field(static=True, default="reflected")

    def __check_init__(self):
        known = ("haar", *(f"db{n}" for n in range(2, 9)))
        if self.wavelet not in known:
            raise ValueError(
                f"`Wavelet(wavelet)` must be one of {', '.join(known)}; got {self.wavelet!r}."
            )
        if self.boundary not in BOUNDARIES:
            raise ValueError(
                f'`Wavelet(boundary=...)` must be "reflected" or "periodic"; got {self.boundary!r}.'
            )

    @property
    def kind(self) -> str:
        """The word "wavelet" and its name."""
        return f"wavelet-{self.wavelet}"

    @property
    def name(self) -> str:
        """What tables show."""
        plain = self.wavelet == "haar" or self.boundary == "reflected"
        return f"wavelet {self.wavelet}" + ("" if plain else ", periodic")

    @property
    def minimum_size(self) -> int:
        """One."""
        return 1

    def pieces(self, size: int) -> int:
        """Most pieces: three breakpoints for each Haar wavelet, the cells of the finest level."""
        size = checked_size("Wavelet().pieces(size)", size, self.minimum_size)
        return 3 * size + 1 if self.wavelet == "haar" else 2 ** _levels(size)

    def fit(
        self, target: AbstractTarget, size: int, *, norm: AbstractNorm, key=None
    ) -> Approximant:
        """The sum of the `size` largest terms.

        **Arguments:**

        - `target`: what is approximated, on its domain.
        - `size`: number of coefficients that must not be exceeded, at least 1.
        - `norm`: `L1()`, `L2()` or `Sup()`; the sum is the same.
        - `key`: not used; the fit is deterministic.

        **Returns:**

        An `Approximant` whose `function` is a `WaveletSum`.

        **Raises:**

        - `TypeError`: what is no target, no norm or no whole number.
        - `ValueError`: a size below 1, a target with NaN or infinite values, or one that jumps, in
          the sup norm.
        """
        call = "Wavelet().fit(target, size, norm=...)"
        check_types(call, target, norm)
        size = checked_size("Wavelet().fit(target, size)", size, self.minimum_size)
        points = quadrature(target)
        refuse_jumps(call, points, norm.p, target.name)
        levels = _levels(size)
        reflected = self.wavelet != "haar" and self.boundary == "reflected"
        coefficients = self._coefficients(points, levels, reflected)
        length = points.upper - points.lower
        rounding = _ROUNDING * np.finfo(float).eps * points.scale * math.sqrt(length)
        usable = np.abs(coefficients) > rounding
        if reflected:
            usable &= _inside(self.wavelet, coefficients.size)
        terms = np.flatnonzero(usable)
        if terms.size == 0:
            terms = np.zeros(1, dtype=np.intp)
        if terms.size > size:
            order = np.argsort(-np.abs(coefficients[terms]), kind="stable")
            terms = np.sort(terms[order[:size]])
        function = WaveletSum(
            coefficients=coefficients[terms],
            terms=terms,
            domain=(points.lower, points.upper),
            wavelet=self.wavelet,
            levels=levels,
            reflected=reflected,
        )
        pieces = function.linear_pieces()[0].size - 1
        return Approximant(
            function,
            pieces,
            64.0,
            function.connectivity,
            notes=self._note(points),
            position_bits=function.position_bits,
        )

    def _coefficients(self, points: Quadrature, levels: int, reflected: bool) -> np.ndarray:
        a, b = points.lower, points.upper
        cells = 2**levels
        width = (b - a) / cells
        if self.wavelet == "haar":
            means = piece_values(points, np.linspace(a, b, cells + 1), 2.0)
            return analysis(means * math.sqrt(width), "haar")
        # The integral of f against a scaling function is sqrt(h) f at its mean, up to order h^3:
        # for Daubechies wavelets the second moment is the square of the first.
        place = np.arange(cells * (2 if reflected else 1)) + center(self.wavelet)
        place = np.mod(place, place.size)
        if reflected:
            place = np.minimum(place, place.size - place)
        x = np.clip(a + width * place, a, b)
        return analysis(points.function(x) * math.sqrt(width), self.wavelet)

    def _note(self, points: Quadrature) -> str:
        if self.wavelet == "haar" or self.boundary == "reflected":
            return ""
        first, last = points.function(np.array([points.lower, points.upper]))
        jump = abs(float(last - first))
        if jump <= 1e-9 * points.scale:
            return ""
        return f"not periodic: the values at the two ends differ by {jump:.4g}"


def _levels(size: int) -> int:
    return min(max(math.ceil(math.log2(size)) + _DEEPER, _LEAST), _MOST)


# A wavelet of any level is the same up to scale and shift: where those of one level reach, with 16
# cells for each, says it for all levels whose wavelets do not wrap around.
@functools.lru_cache(maxsize=16)
def _reach(wavelet: str) -> tuple[int, int]:
    count, fine = 64, 1024
    ranges = level_ranges(fine, wavelet)
    start = next(begin for begin, end in ranges if end - begin == count)
    impulse = np.zeros(fine)
    impulse[start + count // 2] = 1.0
    cells = np.flatnonzero(np.abs(synthesis(impulse, wavelet)) > 0)
    scale = fine // count
    # The scaling functions of the finest level reach 16 cells beyond at most (db8).
    return (
        int(np.floor(cells.min() / scale)) - count // 2,
        int(np.ceil((cells.max() + 17) / scale)) - count // 2,
    )


def _inside(wavelet: str, total: int) -> np.ndarray:
    """Which terms reach into the first half of the period."""
    low, high = _reach(wavelet)
    kept = np.ones(total, dtype=bool)
    for start, stop in level_ranges(total, wavelet):
        count = stop - start
        if count < 2 * (high - low):
            continue
        k = np.arange(count)
        # From k + low to k + high, around the period; the first half is [0, count/2].
        left, right = k + low, k + high
        kept[start:stop] = (left < count // 2) | (right > count)
    return kept
