"""Best M-term approximation by wavelets in two variables."""

import math

import equinox as eqx
import numpy as np

from ..norms import AbstractNorm
from ..targets import AbstractTarget
from ._approximant import Approximant
from ._family import AbstractFamily, checked_size
from ._plane import Box, on_grid, plane
from ._tensor_wavelet_sum import TensorWaveletSum, hyperbolic_analysis, isotropic_analysis
from ._wavelet import check_wavelet
from ._wavelet_filters import coarsest, integration_rule, shift

# Levels: this many more than log2 M (a curve meets 2^q wavelets of level q), at least, at most.
_FINER, _LEAST, _MOST = 1, 6, 10
# Coefficients below this many units in the last place of the target are rounding.
_ROUNDING = 16


class TensorWavelet(AbstractFamily):
    r"""The M largest coefficients in an orthonormal wavelet basis of a rectangle.

    Isotropic: $\varphi\psi$, $\psi\varphi$, $\psi\psi$ on the squares of every level, at which a
    function that jumps across a curve has the rate $M^{-1/2}$ in $L^2$ with any wavelet.
    Hyperbolic: products of wavelets of any two levels, which serve products and mixed smoothness.
    The boundary is that of `Wavelet`. Coefficients come from values on the grid of $2^J$ cells for
    each side, J = log2 M + 1 (at least 6, at most 10), whose structure is the finest seen: from
    means by four Gauss points for Haar. Which terms were taken costs bits, which `bits` counts.

    **Arguments:**

    - `wavelet`: a name of PyWavelets: `"haar"`, `"db2"`, ..., `"db8"`.
    - `boundary`: `"reflected"` or `"periodic"`; Haar needs none.
    - `basis`: `"isotropic"` or `"hyperbolic"`.

    **Reference:** [devore1998] for best M-term approximation; the rate at curves is recalled.
    """

    wavelet: str = eqx.field(static=True, default="haar")
    boundary: str = eqx.field(static=True, default="reflected")
    basis: str = eqx.field(static=True, default="isotropic")

    def __check_init__(self):
        check_wavelet("TensorWavelet", self.wavelet, self.boundary)
        if self.basis not in ("isotropic", "hyperbolic"):
            raise ValueError(
                '`TensorWavelet(basis=...)` must be "isotropic" or "hyperbolic"; got '
                f"{self.basis!r}."
            )

    @property
    def kind(self) -> str:
        """The word "tensor-wavelet", its name and basis."""
        return f"tensor-wavelet-{self.wavelet}-{self.basis}"

    @property
    def name(self) -> str:
        """What tables show."""
        plain = self.wavelet == "haar" or self.boundary == "reflected"
        name = f"wavelet {self.wavelet}" + ("" if plain else ", periodic")
        return name + (", hyperbolic" if self.basis == "hyperbolic" else "")

    @property
    def minimum_size(self) -> int:
        """One."""
        return 1

    def pieces(self, size: int) -> int:
        """Most pieces: the cells of the grid."""
        return 4 ** _levels(checked_size("TensorWavelet().pieces(size)", size, 1))

    def fit(
        self, target: AbstractTarget, size: int, *, norm: AbstractNorm, key=None
    ) -> Approximant:
        """The sum of the `size` largest terms.

        **Arguments:**

        - `target`: a function of two variables, `targets.Multivariate`.
        - `size`: number of coefficients that must not be exceeded, at least 1.
        - `norm`: `L1()`, `L2()` or `Sup()`; the sum is the same, best in `L2()`.
        - `key`: not used; the fit is deterministic.

        **Returns:**

        An `Approximant` whose `function` is a `TensorWaveletSum`.

        **Raises:**

        - `TypeError`: what is no target, no norm or no whole number.
        - `ValueError`: a size below 1, a target of another number of variables, one with NaN or
          infinite values, or one that jumps, in the sup norm.
        """
        call = "TensorWavelet().fit(target, size, norm=...)"
        box = plane(call, target, norm, "Wavelet()")
        size = checked_size("TensorWavelet().fit(target, size)", size, self.minimum_size)
        levels = _levels(size)
        reflected = self.wavelet != "haar" and self.boundary == "reflected"
        hyperbolic = self.basis == "hyperbolic"
        scaling, scale = _scaling(target, box, levels, self.wavelet, reflected)
        transform = hyperbolic_analysis if hyperbolic else isotropic_analysis
        found = transform(scaling, self.wavelet)
        (a, c), (b, d) = box
        usable = np.abs(found) > _ROUNDING * np.finfo(float).eps * scale * math.sqrt(
            (b - a) * (d - c)
        )
        if reflected:
            usable &= _inside(len(scaling), self.wavelet, hyperbolic)
        terms = np.flatnonzero(usable)
        if terms.size == 0:
            terms = np.zeros(1, dtype=np.int64)
        if terms.size > size:
            order = np.argsort(-np.abs(found[terms]), kind="stable")
            terms = np.sort(terms[order[:size]])
        function = TensorWaveletSum(
            coefficients=found[terms],
            terms=terms,
            domain=box,
            wavelet=self.wavelet,
            levels=levels,
            reflected=reflected,
            hyperbolic=hyperbolic,
        )
        return Approximant(
            function,
            4**levels,
            64.0,
            function.connectivity,
            position_bits=function.position_bits,
        )


def _levels(size: int) -> int:
    return min(max(math.ceil(math.log2(size)) + _FINER, _LEAST), _MOST)


def _scaling(
    target: AbstractTarget, box: Box, levels: int, wavelet: str, reflected: bool
) -> tuple[np.ndarray, float]:
    """Scaling coefficients of the finest level on the period, and the largest value."""
    cells = 2**levels
    (a, c), (b, d) = box
    area = (b - a) * (d - c) / cells**2
    if wavelet == "haar":
        node = (np.polynomial.legendre.leggauss(2)[0] + 1) / 2
        t = ((np.arange(cells)[:, None] + node) / cells).ravel()
        values = on_grid(target, a + (b - a) * t, c + (d - c) * t)
        means = values.reshape(cells, 2, cells, 2).mean(axis=(1, 3))
        return means * math.sqrt(area), float(np.max(np.abs(values)))
    t = np.arange(cells + 1) / cells
    values = on_grid(target, a + (b - a) * t, c + (d - c) * t)
    scale = float(np.max(np.abs(values)))
    period = cells * (2 if reflected else 1)
    at = np.arange(period)
    at = np.minimum(at, period - at) if reflected else at
    values = values[np.ix_(at, at)]
    start, weights = integration_rule(wavelet)
    for axis in (0, 1):
        values = sum(
            weight * np.roll(values, shift(wavelet) - start - i, axis=axis)
            for i, weight in enumerate(weights)
        )
    return np.asarray(values) * math.sqrt(area), scale


def _inside(places: int, wavelet: str, hyperbolic: bool) -> np.ndarray:
    """Which terms reach into the first quarter of the period."""
    s, first = shift(wavelet), 1 << coarsest(wavelet)

    def reaches(count):
        k = np.arange(count)
        return (k - s < count // 2) | (k + s + 1 > count)

    sides = [reaches(first)]
    while len(sides[-1]) * 2 <= places // 2 * 2 and sum(map(len, sides)) < places:
        sides.append(reaches(first << (len(sides) - 1)))
    if hyperbolic:
        one = np.concatenate(sides)
        return np.outer(one, one).ravel()
    squares = [np.outer(side, side).ravel() for side in sides]
    return np.concatenate([squares[0], *(np.tile(square, 3) for square in squares[1:])])
