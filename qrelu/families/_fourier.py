"""Trigonometric sums."""

import equinox as eqx
import numpy as np

from ..norms import AbstractNorm
from ..targets import AbstractTarget
from ._approximant import Approximant
from ._family import AbstractFamily, check_types, checked_size
from ._fourier_coefficients import fourier_coefficients
from ._quadrature import Quadrature, quadrature
from ._refusals import refuse_jumps
from ._waves import Waves

# Frequencies searched for the largest coefficients: this many for each term and at least so many,
# four times as many while higher ones may be larger, and no more than that.
_SEARCHED, _LEAST_SEARCHED, _WIDER, _MOST_SEARCHED = 8, 2**10, 4, 2**15
# A coefficient below this share of the largest value is none, where higher ones are only bounded.
_NEGLIGIBLE = 2.0**-40
# A jump of the periodic continuation below this share of the largest value is none.
_PERIODIC = 1e-9
# Coefficients below this many units in the last place of the target are rounding.
_ROUNDING = 16
# What a one-sided difference over a gap must exceed to be called a jump of slopes.
_GAP = 2.0**-20


class Fourier(AbstractFamily):
    r"""Sums of M sines and cosines whose period is the length of the domain.

    `terms="lowest"`: the constant and the waves of the K lowest frequencies, M = 2 K + 1; an even
    size leaves one parameter unused and says so. `terms="largest"`: the M largest coefficients in
    the orthonormal real waves, the best M-term approximation in $L^2$. They are searched up to
    frequency 1,024 or 8 M, and higher until what is left of the function, or its variation, is too
    small for a larger one; if that is not so at 32,768, `notes` says it. Which terms were taken
    costs bits, which `bits` counts.

    M counts real coefficients: a pair of conjugate exponentials is a sine and a cosine, and only
    one of them where the function is even or odd around the middle of the domain. A coefficient
    that is zero up to rounding is not counted.

    The sums are the orthogonal projections in every norm; in $L^1$ and the sup norm they are
    near-best up to a factor of order log M. A target whose values or slopes at the two ends differ
    is not smooth as a periodic function, which `notes` says: its error falls slowly.

    **Arguments:**

    - `terms`: `"lowest"` or `"largest"`.

    **Reference:** classical.
    """

    terms: str = eqx.field(static=True, default="lowest")

    def __check_init__(self):
        if self.terms not in ("lowest", "largest"):
            raise ValueError(
                f'`Fourier(terms=...)` must be "lowest" or "largest"; got {self.terms!r}.'
            )

    @property
    def kind(self) -> str:
        """The word "fourier" and the terms."""
        return f"fourier-{self.terms}"

    @property
    def name(self) -> str:
        """What tables show."""
        return "fourier" if self.terms == "lowest" else "fourier, largest terms"

    @property
    def minimum_size(self) -> int:
        """One: a constant."""
        return 1

    def pieces(self, size: int) -> int:
        """One: the sums are smooth."""
        checked_size("Fourier().pieces(size)", size, self.minimum_size)
        return 1

    def fit(
        self, target: AbstractTarget, size: int, *, norm: AbstractNorm, key=None
    ) -> Approximant:
        """The sum with at most `size` terms.

        **Arguments:**

        - `target`: what is approximated, on its domain, which is the period.
        - `size`: number of coefficients that must not be exceeded, at least 1.
        - `norm`: `L1()`, `L2()` or `Sup()`; the sum is the same.
        - `key`: not used; the fit is deterministic.

        **Returns:**

        An `Approximant` whose `function` is a `Waves`.

        **Raises:**

        - `TypeError`: what is no target, no norm or no whole number.
        - `ValueError`: a size below 1, a target with NaN or infinite values, or, in the sup norm,
          one that jumps or takes different values at the two ends.
        """
        call = "Fourier().fit(target, size, norm=...)"
        check_types(call, target, norm)
        size = checked_size("Fourier().fit(target, size)", size, self.minimum_size)
        points = quadrature(target)
        refuse_jumps(call, points, norm.p, target.name)
        notes = [_periodicity(points, norm.p, target.name)]
        lowest = self.terms == "lowest"
        if lowest and size % 2 == 0:
            notes.append(f"{size - 1} of {size} parameters: a frequency has a sine and a cosine")
        # No square of a value leaves the range of float64.
        unit, points = points.unit, points.in_units()
        if lowest:
            coefficients = fourier_coefficients(points, (size - 1) // 2)[0]
            terms = _not_rounding(coefficients, points.scale)
        else:
            coefficients, terms, note = _largest(points, size)
            notes.append(note)
        function = Waves(
            coefficients=unit * coefficients[terms],
            terms=terms,
            domain=(points.lower, points.upper),
            chosen=not lowest,
        )
        return Approximant(
            function,
            1,
            64.0,
            function.connectivity,
            notes="; ".join(note for note in notes if note),
            position_bits=function.position_bits,
        )


def _not_rounding(coefficients: np.ndarray, scale: float) -> np.ndarray:
    terms = np.flatnonzero(np.abs(coefficients) > _ROUNDING * np.finfo(float).eps * scale)
    return terms if terms.size else np.zeros(1, dtype=np.intp)


def _largest(points: Quadrature, size: int) -> tuple[np.ndarray, np.ndarray, str]:
    """All coefficients that were searched, where the largest ones are, and a note."""
    highest = min(max(_SEARCHED * size, _LEAST_SEARCHED), _MOST_SEARCHED)
    while True:
        coefficients, higher = fourier_coefficients(points, highest)
        terms = _not_rounding(coefficients, points.scale)
        least = _NEGLIGIBLE * points.scale
        if terms.size >= size:
            order = np.argsort(-np.abs(coefficients[terms]), kind="stable")
            terms = np.sort(terms[order[:size]])
            least = max(least, float(np.min(np.abs(coefficients[terms]))))
        # As large as the smallest one is no better; the bound may be met by rounding.
        if higher <= least * (1 + 1e-9):
            return coefficients, terms, ""
        if highest == _MOST_SEARCHED:
            return coefficients, terms, f"largest terms up to frequency {highest} only"
        highest = min(_WIDER * highest, _MOST_SEARCHED)


def _periodicity(points: Quadrature, p: float, name: str) -> str:
    """A note on a target that is not periodic; refused where its error would not fall."""
    a, b = points.lower, points.upper
    gap = _GAP * (b - a)
    values = points.function(np.array([a, a + gap, a + 2 * gap, b - 2 * gap, b - gap, b]))
    jump = float(values[5] - values[0])
    if abs(jump) > _PERIODIC * points.scale:
        if p == np.inf:
            raise ValueError(
                "`Fourier().fit(target, size, norm=...)` must get a target with equal values at "
                f"both ends in the sup norm; `{name}` differs by {abs(jump):.4g}, and no error "
                f"falls below {abs(jump) / 2:.4g}. Use `L2()`, or a family that is not periodic."
            )
        return f"not periodic: the values at the two ends differ by {abs(jump):.4g}"
    # Through three points: a curvature does not count, and a third derivative not in the bend.
    left = (-3 * values[0] + 4 * values[1] - values[2]) / (2 * gap)
    slopes = left, (3 * values[5] - 4 * values[4] + values[3]) / (2 * gap)
    bend = slopes[1] - slopes[0]
    if abs(bend) > 1e-3 * (abs(slopes[0]) + abs(slopes[1]) + points.scale / (b - a)):
        return f"as a periodic function it has a kink: slopes {slopes[0]:.4g}, {slopes[1]:.4g}"
    return ""
