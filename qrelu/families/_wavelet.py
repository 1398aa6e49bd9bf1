"""Best M-term approximation by wavelets."""

import math

import equinox as eqx
import numpy as np

from ..norms import AbstractNorm
from ..targets import AbstractTarget
from ._approximant import Approximant
from ._family import AbstractFamily, check_types, checked_size
from ._quadrature import Quadrature, quadrature
from ._refusals import refuse_jumps
from ._wavelet_cones import daubechies_terms, haar_terms
from ._wavelet_filters import coarsest, filter_length, shift
from ._wavelet_mesh import RESOLUTION
from ._wavelet_sum import WaveletSum, even_level

# Coefficients below this many units in the last place of the target are rounding.
_ROUNDING = 16
BOUNDARIES = ("reflected", "periodic")


class Wavelet(AbstractFamily):
    r"""The M largest coefficients in orthonormal wavelets: best M-term approximation in $L^2$.

    Haar wavelets are orthonormal on the interval as they are, and their coefficients are exact
    integrals of the target. For Daubechies wavelets the boundary is a choice: `"reflected"`
    continues the target evenly to twice the interval and that periodically (the continuation is
    continuous, with a kink at the ends at most), and leaves out wavelets that do not reach into the
    interval; `"periodic"` continues it periodically as it stands, with a jump where the values at
    the ends differ. Their coefficients come from values of the target, by a rule that is exact to
    degree 7 (3 for db2, 5 for db3), and the approximant is the polygon through exact values of the
    sum, which `WaveletSum` describes.

    All levels to J = log2 M + 8 (at least 10, at most 18) are seen everywhere; below them, to
    $2^{-48}$ of the interval or 64 units in the last place of its larger end, those at the target's
    breakpoints, at its jumps, and at the ends of the interval. So a jump costs a few terms of each
    level, and a piecewise smooth function has the rate of its smooth parts up to logarithms, down
    to an error of about 1e-7 of the jump in $L^2$.

    Which terms were taken costs bits, which `bits` counts. A coefficient that is zero up to
    rounding is not counted. The same terms serve every norm. They are best in $L^2$, with the
    boundary `"reflected"` in that of twice the interval: on the interval, where wavelets that reach
    beyond an end are not orthogonal, the error is at most the root of the sum of the squares of
    the coefficients left out, and among the first few terms one more can make it a little larger.

    **Arguments:**

    - `wavelet`: a name of PyWavelets: `"haar"`, `"db2"`, ..., `"db8"`.
    - `boundary`: `"reflected"` or `"periodic"`; Haar needs none.

    **Reference:** [devore1998] for what best M-term approximation gives.
    """

    wavelet: str = eqx.field(static=True, default="haar")
    boundary: str = eqx.field(static=True, default="reflected")

    def __check_init__(self):
        check_wavelet("Wavelet", self.wavelet, self.boundary)

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
        """Most pieces: three breakpoints for each Haar wavelet, the cells of the polygon."""
        size = checked_size("Wavelet().pieces(size)", size, self.minimum_size)
        if self.wavelet == "haar":
            return 3 * size + 1
        # The even cells, and those under each wavelet where it is deeper than they are fine.
        return 2 ** even_level(size) + size * (filter_length(self.wavelet) - 1) * 2**RESOLUTION

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
        levels = even_level(size)
        reflected = self.wavelet != "haar" and self.boundary == "reflected"
        if self.wavelet == "haar":
            numbers, coefficients = haar_terms(points, levels)
        else:
            numbers, coefficients = daubechies_terms(points, levels, self.wavelet, reflected)
        length = points.upper - points.lower
        rounding = _ROUNDING * np.finfo(float).eps * points.scale * math.sqrt(length)
        usable = np.abs(coefficients) > rounding
        if reflected:
            usable &= _inside(numbers, self.wavelet)
        chosen = np.flatnonzero(usable)
        if chosen.size == 0:
            chosen = np.zeros(1, dtype=np.intp)
        if chosen.size > size:
            order = np.argsort(-np.abs(coefficients[chosen]), kind="stable")
            chosen = np.sort(chosen[order[:size]])
        terms = numbers[chosen]
        levels = max(int(terms[-1]).bit_length() - int(reflected), coarsest(self.wavelet))
        function = WaveletSum(
            coefficients=coefficients[chosen],
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

    def _note(self, points: Quadrature) -> str:
        if self.wavelet == "haar" or self.boundary == "reflected":
            return ""
        first, last = points.function(np.array([points.lower, points.upper]))
        jump = abs(float(last - first))
        if jump <= 1e-9 * points.scale:
            return ""
        return f"not periodic: the values at the two ends differ by {jump:.4g}"


def check_wavelet(call: str, wavelet: str, boundary: str) -> None:
    """An error for an unknown wavelet or boundary."""
    known = ("haar", *(f"db{n}" for n in range(2, 9)))
    if wavelet not in known:
        raise ValueError(f"`{call}(wavelet)` must be one of {', '.join(known)}; got {wavelet!r}.")
    if boundary not in BOUNDARIES:
        raise ValueError(
            f'`{call}(boundary=...)` must be "reflected" or "periodic"; got {boundary!r}.'
        )


def _inside(terms: np.ndarray, wavelet: str) -> np.ndarray:
    """Which terms reach into the first half of the period."""
    first = 1 << coarsest(wavelet)
    level = np.frexp(terms.astype(np.float64))[1].astype(np.int64) - 1
    places = np.where(terms < first, first, np.int64(1) << np.maximum(level, 0))
    number = np.where(terms < first, terms, terms - places)
    s = shift(wavelet)
    return (number - s < places // 2) | (number + s + 1 > places)
