"""Products of polynomials and of waves in two variables."""

import math

import equinox as eqx
import numpy as np

from ..norms import AbstractNorm
from ..targets import AbstractTarget
from ._approximant import Approximant
from ._family import AbstractFamily, checked_size
from ._largest_pairs import largest_pairs, projected
from ._plane import Box, plane
from ._tensor_series import TensorSeries

# Coefficients below this many units in the last place of the target are rounding.
_ROUNDING = 16
# The highest frequency of the lowest ones.
_HIGHEST = 128
# The highest index of a pair.
_LONGEST = 2048
# What a one-sided difference at a side looks at, as a share of the box.
_GAP = 2.0**-20

_ORDERS = {
    "total": lambda i, j: i + j,
    "tensor": np.maximum,
    "hyperbolic": lambda i, j: (i + 1) * (j + 1),
}


class TensorPolynomial(AbstractFamily):
    r"""Sums of M products $P_i(x) P_j(y)$ of Legendre polynomials, for functions of two variables.

    The pairs come in the order of i + j (`"total"`), of max(i, j) (`"tensor"`) or of
    (i + 1)(j + 1) (`"hyperbolic"`), and of i among equals; the first M are taken, whatever M is.
    The orthogonal projection in $L^2$, up to the quadrature; the same sum serves the other norms.

    **Arguments:**

    - `order`: `"total"`, `"tensor"` or `"hyperbolic"`.

    **Reference:** classical.
    """

    order: str = eqx.field(static=True, default="total")

    def __check_init__(self):
        if self.order not in _ORDERS:
            raise ValueError(
                '`TensorPolynomial(order=...)` must be "total", "tensor" or "hyperbolic"; got '
                f"{self.order!r}."
            )

    @property
    def kind(self) -> str:
        """The word "tensor-polynomial" and the order."""
        return f"tensor-polynomial-{self.order}"

    @property
    def name(self) -> str:
        """What tables show."""
        return f"polynomial, {self.order}" + (" degree" if self.order == "total" else "")

    @property
    def minimum_size(self) -> int:
        """One: a constant."""
        return 1

    def pieces(self, size: int) -> int:
        """One."""
        checked_size("TensorPolynomial().pieces(size)", size, self.minimum_size)
        return 1

    def fit(
        self, target: AbstractTarget, size: int, *, norm: AbstractNorm, key=None
    ) -> Approximant:
        """The sum of the first `size` products.

        **Arguments:**

        - `target`: a function of two variables, `targets.Multivariate`.
        - `size`: number of coefficients, at least 1.
        - `norm`: `L1()`, `L2()` or `Sup()`; the sum is the same.
        - `key`: not used; the fit is deterministic.

        **Returns:**

        An `Approximant` whose `function` is a `TensorSeries`.

        **Raises:**

        - `TypeError`: what is no target, no norm or no whole number.
        - `ValueError`: a size below 1, a target of another number of variables, one with NaN or
          infinite values, or one that jumps, in the sup norm.
        """
        call = "TensorPolynomial().fit(target, size, norm=...)"
        box = plane(call, target, norm, "Polynomial()")
        size = checked_size("TensorPolynomial().fit(target, size)", size, self.minimum_size)
        terms = _first(size, size, _ORDERS[self.order])
        count = int(terms.max()) + 1
        found, scale, _, _ = projected(target, box, (count, count), "legendre")
        k = 2 * np.arange(count) + 1
        found = found * np.outer(k, k)
        coefficients = found[terms[:, 0], terms[:, 1]]
        least = _ROUNDING * np.finfo(float).eps * scale * k[terms[:, 0]] * k[terms[:, 1]]
        return _approximant(coefficients, least, terms, box, "legendre", False, size)


class TensorFourier(AbstractFamily):
    r"""Sums of M products of sines and cosines whose periods are the sides of the rectangle.

    `terms="lowest"`: in the order of the Euclidean length of the pair of frequencies.
    `terms="largest"`: the M largest coefficients. They are searched among frequencies up to 64 or
    $2\sqrt M$ in each variable, and while what is left of the function, or its variation, allows a
    larger one beyond, up to twice these and to 2 M (at least 256, at most 1,023) in one variable
    beside 16 in the other; if there may still be a larger one, `notes` says it. Which terms were
    taken costs bits, which `bits` counts. A target whose values or slopes at opposite sides differ
    is not smooth as a periodic function, which `notes` says: its error falls slowly.

    **Arguments:**

    - `terms`: `"lowest"` or `"largest"`.

    **Reference:** classical.
    """

    terms: str = eqx.field(static=True, default="lowest")

    def __check_init__(self):
        if self.terms not in ("lowest", "largest"):
            raise ValueError(
                f'`TensorFourier(terms=...)` must be "lowest" or "largest"; got {self.terms!r}.'
            )

    @property
    def kind(self) -> str:
        """The word "tensor-fourier" and the terms."""
        return f"tensor-fourier-{self.terms}"

    @property
    def name(self) -> str:
        """What tables show."""
        return "fourier" if self.terms == "lowest" else "fourier, largest terms"

    @property
    def minimum_size(self) -> int:
        """One: a constant."""
        return 1

    def pieces(self, size: int) -> int:
        """One."""
        checked_size("TensorFourier().pieces(size)", size, self.minimum_size)
        return 1

    def fit(
        self, target: AbstractTarget, size: int, *, norm: AbstractNorm, key=None
    ) -> Approximant:
        """The sum of `size` products.

        **Arguments:**

        - `target`: a function of two variables, `targets.Multivariate`.
        - `size`: number of coefficients that must not be exceeded, at least 1.
        - `norm`: `L1()`, `L2()` or `Sup()`; the sum is the same.
        - `key`: not used; the fit is deterministic.

        **Returns:**

        An `Approximant` whose `function` is a `TensorSeries`.

        **Raises:**

        - `TypeError`: what is no target, no norm or no whole number.
        - `ValueError`: a size below 1, a target of another number of variables, one with NaN or
          infinite values, or, in the sup norm, one that jumps or is not periodic.
        """
        call = "TensorFourier().fit(target, size, norm=...)"
        box = plane(call, target, norm, "Fourier()")
        size = checked_size("TensorFourier().fit(target, size)", size, self.minimum_size)
        note = _periodicity(call, target, box, norm.p)
        lowest = self.terms == "lowest"
        if lowest:
            # The lowest M pairs have frequencies below sqrt(M), and some lines beside.
            count = 2 * min(max(math.isqrt(size) + 2, 4), _HIGHEST) + 1
            frequency = (np.arange(count) + 1) // 2
            terms = _first(size, count, lambda i, j: frequency[i] ** 2 + frequency[j] ** 2)
            found, scale, _, _ = projected(target, box, (count, count), "waves")
            coefficients = found[terms[:, 0], terms[:, 1]]
        else:
            terms, coefficients, scale, more = largest_pairs(target, box, size)
            note = "; ".join(part for part in (note, more) if part)
        least = np.full(len(terms), _ROUNDING * np.finfo(float).eps * scale)
        return _approximant(coefficients, least, terms, box, "waves", not lowest, size, note)


def _first(size: int, count: int, key) -> np.ndarray:
    """The first pairs in the order of a key, as rows."""
    # In all orders an index among the first M is below M, and below M / log M where M is large.
    side = min(count, size, _LONGEST)
    i, j = np.divmod(np.arange(side * side), side)
    order = np.lexsort((i, key(i, j)))[:size]
    return np.stack([i[order], j[order]], axis=1)


def _approximant(
    coefficients: np.ndarray,
    least: np.ndarray,
    terms: np.ndarray,
    box: Box,
    basis: str,
    chosen: bool,
    size: int,
    note: str = "",
) -> Approximant:
    kept = np.abs(coefficients) > least
    kept[0] |= not kept.any()
    notes = [note] if note else []
    if len(terms) < size:
        notes.append(f"{len(terms)} of {size} parameters: frequencies end at {_HIGHEST}")
    function = TensorSeries(
        coefficients=coefficients[kept], terms=terms[kept], domain=box, basis=basis, chosen=chosen
    )
    return Approximant(
        function,
        1,
        64.0,
        function.connectivity,
        notes="; ".join(notes),
        position_bits=function.position_bits,
    )


def _periodicity(call: str, target: AbstractTarget, box: Box, p: float) -> str:
    """A note on a target that is not periodic; refused where its error would not fall."""
    lower, upper = np.array(box)
    length = upper - lower
    t = (np.arange(64) + 0.5) / 64
    # The largest value on the diagonals: at the sides it may vanish.
    places = lower + length * np.stack([np.tile(t, 2), np.append(t, 1 - t)], axis=1)
    scale = float(np.max(np.abs(np.asarray(target(places), np.float64))))
    gap, bent = 0.0, False
    for axis in (0, 1):
        points = np.empty((6, t.size, 2))
        near = _GAP * length[axis]
        inside = near * np.arange(3)
        ends = np.concatenate([lower[axis] + inside, upper[axis] - inside[::-1]])
        points[..., axis] = ends[:, None]
        points[..., 1 - axis] = lower[1 - axis] + length[1 - axis] * t
        sides = np.asarray(target(points), np.float64)
        gap = max(gap, float(np.max(np.abs(sides[5] - sides[0]))))
        scale = max(scale, float(np.max(np.abs(sides))))
        # Through three points, as in one variable.
        left = (-3 * sides[0] + 4 * sides[1] - sides[2]) / (2 * near)
        slopes = left, (3 * sides[5] - 4 * sides[4] + sides[3]) / (2 * near)
        usual = np.abs(slopes[0]) + np.abs(slopes[1]) + scale / length[axis]
        bent |= bool((np.abs(slopes[1] - slopes[0]) > 1e-3 * usual).any())
    if gap <= 1e-9 * scale:
        return "as a periodic function it has a kink at the sides" if bent else ""
    if p == np.inf:
        raise ValueError(
            f"`{call}` must get a target with equal values at opposite sides in the sup norm; "
            f"`{target.name}` differs by {gap:.4g}, and no error falls below {gap / 2:.4g}. Use "
            "`L2()`, or a family that is not periodic."
        )
    return f"not periodic: the values at opposite sides differ by {gap:.4g}"
