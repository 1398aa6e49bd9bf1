"""Sums of sines and cosines."""

import math

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int

from ._formula import AbstractIntervalFormula, bits_of_choice

_EPS = float(np.finfo(np.float64).eps)
_LEAST_CELLS = 32
# Points evaluated at once: the tables of waves stay in the cache.
_BLOCK = 8192


class Waves(AbstractIntervalFormula):
    r"""$\sum_j c_j w_{k_j}(t)$ with t the place of x in the domain, as a part of its length.

    $w_0 = 1$, $w_{2k-1} = \sqrt2 \sin 2 \pi k t$, $w_{2k} = \sqrt2 \cos 2 \pi k t$: orthonormal
    on [0, 1].

    - `coefficients`: $c_j$.
    - `terms`: $k_j$, increasing whole numbers from 0 on.
    - `chosen`: whether the terms were chosen, so that naming them takes bits.
    """

    coefficients: Float[np.ndarray, " terms"]
    terms: Int[np.ndarray, " terms"]
    domain: tuple[float, float] = eqx.field(static=True)
    chosen: bool = eqx.field(static=True)

    @property
    def _highest(self) -> int:
        return (int(self.terms.max(initial=0)) + 1) // 2

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The values at `x`."""
        a, b = self.domain
        t = (np.asarray(x, np.float64) - a) / (b - a)
        flat, table = t.ravel(), self._table()
        values = np.empty_like(flat)
        for start in range(0, flat.size, _BLOCK):
            values[start : start + _BLOCK] = _evaluate(flat[start : start + _BLOCK], table)
        return values.reshape(t.shape)

    # With k = step * i + j the sum of c_k e^(2 pi i k t) is e^(2 pi i step i t) times a polynomial
    # in e^(2 pi i t), for all i at once: one matrix product and 2 sqrt(n) exponentials a point.
    def _table(self) -> np.ndarray:
        n = self._highest
        step = max(1, math.isqrt(n + 1))
        table = np.zeros((n // step + 1) * step, dtype=np.complex128)
        k = (self.terms + 1) // 2
        # c cos = Re(c e^(i .)), c sin = Re(-i c e^(i .)).
        factor = np.where(self.terms == 0, 1.0, math.sqrt(2))
        np.add.at(table, k, self.coefficients * factor * np.where(self.terms % 2, -1j, 1.0))
        return table.reshape(-1, step)

    @property
    def breakpoints(self) -> np.ndarray:
        """None: a finite sum is smooth."""
        return np.zeros(0)

    @property
    def mesh(self) -> np.ndarray:
        """Two cells for each period of the highest wave."""
        return np.linspace(*self.domain, max(2 * self._highest, _LEAST_CELLS) + 1)

    @property
    def roundoff(self) -> float:
        """Of every wave a unit for each factor, and those of t, which turn it by 2 pi k units."""
        k = (self.terms + 1) // 2
        # A wave has as many factors as k has binary digits.
        units = 8 + np.log2(k + 1) + 4 * math.pi * k
        return math.sqrt(2) * float(_EPS * np.abs(self.coefficients) @ units)

    @property
    def sensitivity(self) -> float:
        r"""$\sqrt2$ for each wave; a sine and a cosine of one frequency reach 2 together."""
        return math.sqrt(2) * self.terms.size

    @property
    def position_bits(self) -> float:
        """Bits that name the terms among all up to the highest frequency."""
        return bits_of_choice(self.terms.size, 2 * self._highest + 1) if self.chosen else 0.0

    @property
    def bounded(self) -> bool:
        """Always."""
        return True

    def linear_pieces(self) -> None:
        """It is not linear."""
        return None


def _evaluate(t: np.ndarray, table: np.ndarray) -> np.ndarray:
    rows, step = table.shape
    t = t - np.floor(t)
    fine, coarse = circled(t, step), circled(np.mod(step * t, 1.0), rows)
    return np.einsum("nr,nr->n", coarse, fine @ table.T).real


def circled(turns: np.ndarray, count: int) -> np.ndarray:
    r"""$e^{2 \pi i k t}$ for all turns t and k below `count`, (turns, count).

    Those of the second half are those of the first one times one number: few exponentials, and
    roundings as many as doublings.
    """
    result = np.empty((turns.size, count), dtype=np.complex128)
    result[:, 0] = 1.0
    done = 1
    while done < count:
        more = min(done, count - done)
        angle = 2j * np.pi * np.mod(done * turns, 1.0)
        np.multiply(result[:, :more], np.exp(angle)[:, None], out=result[:, done : done + more])
        done += more
    return result
