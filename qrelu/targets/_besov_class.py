"""Balls of Besov functions, by the coefficients in periodic wavelets."""

import functools
import math
from collections.abc import Sequence

import equinox as eqx
import numpy as np

from .._misc import plain
from ._abstract import AbstractTarget
from ._data import Data
from ._domain import interval
from ._function_class import AbstractFunctionClass, check_radius, is_number, with_radius
from ._random_paths import cascade, signs
from ._sobolev_class import check_compact, not_compact

# Daubechies wavelets and their Hoelder exponents, recalled; a Besov norm by their coefficients is
# that of the function for a smoothness below.
_REGULAR = {
    "db2": 0.55,
    "db3": 1.08,
    "db4": 1.61,
    "db5": 1.96,
    "db6": 2.18,
    "db7": 2.46,
    "db8": 2.76,
}
# The polygon has this many points per wavelet of the finest level.
_POINTS = 4


def _domain(value: Sequence[float | int]) -> tuple[float, float]:
    return interval(value, "Besov(domain=...)")


class Besov(AbstractFunctionClass):
    r"""The ball of $B^s_{p,q}$, periodic on an interval, in the norm of wavelet coefficients:

    $$\|f\|^q = |c_0|^q + \sum_{j \ge 0} \bigl(2^{j(s + 1/2 - 1/p)} \|\beta_j\|_p\bigr)^q \le r^q$$

    with the mean $c_0$ and the $2^j$ coefficients $\beta_j$ of level $j$ in orthonormal Daubechies
    wavelets made periodic on $[0, 1]$ (the interval scaled to it). That norm is equivalent to the
    one by moduli of smoothness for an $s$ below the regularity of the wavelets (recalled), which
    are chosen so for $s$ up to 2.76. In $d$ variables it has an encoding rate and no draws.

    A draw is the polygon through the values of a sum of wavelets at points four times as dense as
    the finest of them; its coefficients down to those points are exact and have norm $r$, up to
    rounding: the weight of level j enlarges that of the values by $2^{js}$, which `examine` takes
    off.

    Conditions: $p, q \in (0, \infty]$ and $s > d \max(1/p - 1/2, 0)$, without which the ball is not
    compact in $L^2$.

    **Arguments:**

    - `smoothness`: $s$.
    - `p`, `q`: the exponents, `math.inf` included.
    - `dimension`: $d$.
    - `radius`: $r$, positive.
    - `domain`: the interval.

    **Raises:**

    - `ValueError`: for numbers that break the conditions, or are out of range.
    """

    smoothness: float | int = eqx.field(converter=plain, static=True)
    p: float | int = eqx.field(converter=plain, static=True, default=2.0)
    q: float | int = eqx.field(converter=plain, static=True, default=2.0)
    dimension: int = eqx.field(converter=plain, static=True, default=1)
    radius: float | int = eqx.field(converter=plain, static=True, default=1.0)
    domain: tuple[float, float] = eqx.field(static=True, default=(0.0, 1.0), converter=_domain)

    def __check_init__(self):
        for name, exponent in (("p", self.p), ("q", self.q)):
            if not (is_number(exponent) and exponent > 0):
                raise ValueError(
                    f"`Besov({name}=...)` must be a positive number (`math.inf` included); got "
                    f"{exponent!r}. Leave it out for 2."
                )
        check_compact("Besov", self.smoothness, self.p, self.dimension)
        if self.dimension == 1 and self.smoothness >= max(_REGULAR.values()):
            raise ValueError(
                f"`Besov(smoothness=...)` must be below {max(_REGULAR.values())} in one variable; "
                f"got {self.smoothness:g}. Smoother wavelets than db8 are not used."
            )
        check_radius("Besov", self.radius)

    @property
    def name(self) -> str:
        """How tables and figures call it."""
        dimension = "" if self.dimension == 1 else f", d = {self.dimension}"
        name = f"Besov {self.smoothness:g},{self.p:g},{self.q:g}{dimension}"
        return with_radius(name, self.radius)

    @property
    def definition(self) -> str:
        """The condition in a line."""
        return (
            f"periodic, coefficients 2^(j (s + 1/2 - 1/p)) ||beta_j||_p in l^{self.q:g} at most "
            f"{self.radius:g}, s = {self.smoothness:g}, p = {self.p:g}, {self.wavelet}"
        )

    @property
    def wavelet(self) -> str:
        """The wavelets, by PyWavelets' name: the shortest ones that are regular enough."""
        return next((w for w, r in _REGULAR.items() if r > self.smoothness), "db8")

    def why_not_compact(self, p: float) -> str:
        """Empty if $s > d (1/p - 1/q)$ for the norm of $L^q$."""
        return not_compact(self.smoothness, self.p, self.dimension, p)

    def norm_of_coefficients(self, coefficients: np.ndarray) -> float:
        r"""The norm of a sum of wavelets.

        **Arguments:**

        - `coefficients`: the mean, then $\beta_0$ (1 of them), $\beta_1$ (2), $\beta_2$ (4), ...,
          for the interval scaled to $[0, 1]$; $2^J$ in all.

        **Returns:**

        The norm.

        **Raises:**

        - `ValueError`: for a number of coefficients that is no power of two.
        """
        count = coefficients.size
        if count < 1 or count & (count - 1):
            raise ValueError(
                "`Besov(...).norm_of_coefficients(coefficients)` must get 2^J coefficients; got "
                f"{count}."
            )
        parts = [abs(float(coefficients[0]))]
        for level in range(count.bit_length() - 1):
            parts.append(self._weight(level) * _norm(coefficients[1 << level : 2 << level], self.p))
        return _norm(np.array(parts), self.q)

    def _weight(self, level: int) -> float:
        return 2.0 ** (level * (self.smoothness + 0.5 - 1 / self.p))

    def _norm(self, function: AbstractTarget) -> tuple[float, float, str]:
        values = _dyadic_values(function)
        if values is None:
            return 0.0, math.inf, "coefficients are exact for `Data` on 2^J equal cells only"
        coefficients = coefficients_of_polygon(values, self.wavelet)
        rounding = rounding_of_coefficients(values, self.wavelet)
        certain = np.maximum(np.abs(coefficients) - rounding, 0.0)
        levels = values.size.bit_length() - 1
        basis = f"coefficients of the {levels} levels above its points, less their rounding"
        # A power and a sum of positive numbers lose a few units for every doubling of the terms.
        return self.norm_of_coefficients(certain) * (1 - 2.0**-44), math.inf, basis

    def _random(self, rng: np.random.Generator, cells: int, kind: int) -> AbstractTarget:
        coefficients = np.zeros(cells)
        for level in range(cells.bit_length() - 1):
            count = 1 << level
            size = np.ones(count) if kind % 2 == 0 else cascade(rng, count) ** (1 / min(self.p, 8))
            either = rng.choice([-1.0, 1.0], count)
            coefficients[count : 2 * count] = (
                either * size / (_norm(size, self.p) * self._weight(level))
            )
        return self._polygon(coefficients, ("flat", "cascade")[kind % 2] + " wavelet coefficients")

    def _extremal(self, rng: np.random.Generator, teeth: int, alternating: bool) -> AbstractTarget:
        level = (teeth - 1).bit_length()
        coefficients = np.zeros(2 << level)
        coefficients[1 << level :] = signs(rng, 1 << level, alternating)
        return self._polygon(coefficients, f"{1 << level} wavelets of one level")

    def _bumps(
        self, rng: np.random.Generator, size: int, fineness: int, count: int
    ) -> AbstractTarget:
        # Most of a wavelet of level j lies on about four lengths 2^-j.
        level = max((size * fineness - 1).bit_length() - 2, 0)
        coefficients = np.zeros(2 << level)
        places = (1 << level) + rng.choice(1 << level, min(count, 1 << level), replace=False)
        coefficients[places] = rng.choice([-1.0, 1.0], places.size)
        name = "one wavelet" if count == 1 else f"{places.size} wavelets"
        return self._polygon(coefficients, f"{name} of {1 << level} of a level")

    def _simplest(self, rng: np.random.Generator, cells: int) -> AbstractTarget:
        coefficients = np.zeros(max(cells // _POINTS, 2))
        coefficients[1] = rng.choice([-1.0, 1.0])
        return self._polygon(coefficients, "coarsest wavelet")

    def _polygon(self, coefficients: np.ndarray, name: str) -> Data:
        fine = np.zeros(max(_POINTS * coefficients.size, 32))
        fine[: coefficients.size] = coefficients
        values = _values(synthesis(fine, self.wavelet), self.wavelet)
        norm = self.norm_of_coefficients(coefficients_of_polygon(values, self.wavelet))
        values = values * (self.radius / norm)
        knots = np.linspace(*self.domain, values.size + 1)
        return Data(knots, np.append(values, values[0]), name=name)


def _norm(values: np.ndarray, p: float | int) -> float:
    size = np.abs(values)
    top = float(size.max())
    if math.isinf(p) or top == 0:
        return top
    return float(np.sum((size / top) ** p) ** (1 / p)) * top


def _dyadic_values(function: AbstractTarget) -> np.ndarray | None:
    """The values of a periodic polygon on 2^J equal cells, without the last one."""
    if not isinstance(function, Data):
        return None
    cells = function.knots.size - 1
    a, b = function.domain
    even = np.allclose(np.diff(function.knots), (b - a) / cells, rtol=1e-9, atol=0)
    gap = abs(float(function.values[-1] - function.values[0]))
    if cells & (cells - 1) or cells < 2 or not even:
        return None
    return function.values[:-1] if gap <= 1e-9 * float(np.abs(function.values).max()) else None


@functools.lru_cache(maxsize=16)
def _filter(wavelet: str) -> np.ndarray:
    """The filter h that reconstructs, of sum sqrt(2)."""
    from pywt import Wavelet  # type: ignore[attr-defined]

    return np.array(Wavelet(wavelet).rec_lo)


# phi(m) = sqrt(2) sum_k h_k phi(2m - k), and the values at the integers add up to 1.
@functools.lru_cache(maxsize=16)
def _at_integers(wavelet: str) -> np.ndarray:
    h = _filter(wavelet) * math.sqrt(2)
    return _fixed_point(h, np.arange(h.size))


# G(n), the integral of the hat around n times phi. From hat(y) = sum_a l_a hat(2y - a), where l is
# 1/2, 1, 1/2 for a = -1, 0, 1: G(n) = sqrt(1/2) sum_(a,k) l_a h_k G(2n + a - k). Their sum is 1.
@functools.lru_cache(maxsize=16)
def _hat_moments(wavelet: str) -> np.ndarray:
    """G(-1), G(0), ..., one more than the filter is long."""
    h = _filter(wavelet)
    # In m = k - a + 1 the double sum is a convolution: G(n) = sum_m w_m G(2n + 1 - m).
    w = np.convolve(h, [0.5, 1.0, 0.5]) / math.sqrt(2)
    # Shifted by one, G'(i) = G(i - 1): G'(i) = sum_m w_m G'(2i - m).
    return _fixed_point(w, np.arange(w.size))


def _fixed_point(weights: np.ndarray, places: np.ndarray) -> np.ndarray:
    """x with x_i = sum_m w_m x_(2i - m) and sum 1."""
    index = 2 * places[:, None] - places
    inside = (index >= 0) & (index < weights.size)
    matrix = np.where(inside, weights[np.clip(index, 0, weights.size - 1)], 0.0)
    system = np.vstack([matrix - np.eye(places.size), np.ones(places.size)])
    right = np.append(np.zeros(places.size), 1.0)
    return np.linalg.lstsq(system, right, rcond=None)[0]


def _values(scaling: np.ndarray, wavelet: str) -> np.ndarray:
    """The values at the points of the finest level from its scaling coefficients."""
    values = np.zeros(scaling.size)
    for shift, value in enumerate(_at_integers(wavelet)):
        values += value * np.roll(scaling, shift)
    return values * math.sqrt(scaling.size)


# a_k = 2^(-J/2) sum_i v_i G(i - k).
def coefficients_of_polygon(values: np.ndarray, wavelet: str) -> np.ndarray:
    """The wavelet coefficients of a periodic polygon on [0, 1] from its 2^J values, exactly."""
    scaling = np.zeros(values.size)
    for place, moment in enumerate(_hat_moments(wavelet)):
        scaling += moment * np.roll(values, -(place - 1))
    return analysis(scaling / math.sqrt(values.size), wavelet)


# Units u = 2^-53. One step of the transform, a sum of L products with the filter h, adds at most
# (L + 2) u |h|_1 A to every number, where A is the largest before it; n steps enlarge what was
# wrong before by |h^(n)|_1 <= 2^(n/2) C, where h^(n) is the filter iterated n times. The scaling
# coefficients of level i are at most C S 2^(-i/2) V with V the largest value and S the sum of the
# moments' sizes, and the finest ones are wrong by (34 T + 4) u 2^(-J/2) S V: T moments, each of
# them wrong by 32 units at most (40 digits show 18). In sum, on level j,
# u 2^(-j/2) V C^2 S |h|_1^2 (34 T + 4 + (J - j) (L + 2)), and the weight of the level enlarges it.
def rounding_of_coefficients(values: np.ndarray, wavelet: str) -> np.ndarray:
    """By how much each of `coefficients_of_polygon` may be wrong."""
    h, moments = _filter(wavelet), _hat_moments(wavelet)
    levels = values.size.bit_length() - 1
    level = np.maximum(np.log2(np.maximum(np.arange(values.size), 1)).astype(int), 0)
    terms = 34 * moments.size + 4 + (levels - level) * (h.size + 2)
    constant = _largest_gain(wavelet) ** 2 * np.abs(moments).sum() * np.abs(h).sum() ** 2
    return 2.0**-53 * constant * float(np.abs(values).max()) * terms * 2.0 ** (-level / 2)


@functools.lru_cache(maxsize=16)
def _largest_gain(wavelet: str) -> float:
    """C, the largest sum of |h^(n)| over 2^(n/2); it settles to the L1 norm of phi."""
    h = _filter(wavelet)
    iterated, found = h, []
    for n in range(1, 13):
        found.append(float(np.abs(iterated).sum()) / 2 ** (n / 2))
        spread = np.zeros(2 * iterated.size - 1)
        spread[::2] = iterated
        iterated = np.convolve(spread, h)
    return max(found)


# PyWavelets centers its filters, half of their length less one to the left of where the scaling
# functions stand; rolled back, coefficient k of a level belongs to the place 2^-j k on all levels.
def analysis(scaling: np.ndarray, wavelet: str) -> np.ndarray:
    """The mean and the wavelet coefficients of all levels, from coarse to fine."""
    import pywt

    shift = _filter(wavelet).size // 2 - 1
    parts, rest = [], scaling
    while rest.size > 1:
        rest, detail = pywt.dwt(np.roll(rest, -shift), wavelet, mode="periodization")
        parts.append(detail)
    return np.concatenate([rest, *parts[::-1]])


def synthesis(coefficients: np.ndarray, wavelet: str) -> np.ndarray:
    """The scaling coefficients of the finest level: the inverse of `analysis`."""
    import pywt

    shift = _filter(wavelet).size // 2 - 1
    rest, start = coefficients[:1], 1
    while start < coefficients.size:
        detail = coefficients[start : 2 * start]
        rest = np.roll(pywt.idwt(rest, detail, wavelet, mode="periodization"), shift)
        start *= 2
    return rest
