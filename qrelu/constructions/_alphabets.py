"""Alphabets of few weights: which gains they make, and how they write a coefficient."""

import dataclasses
import math
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

# A coefficient of a term u >= 0 is realized by a chain of units c_e, e = 0, 1, ..., which are u
# times a scale (c_0 = u, each reached from an earlier one by a single edge), and by edges from each
# c_e to two accumulators S+ and S-, of gains a_e and b_e that encode the coefficient. Either
# b_e = -a_e, and S+ and S- are the two parts of sum_e a_e c_e, or all gains are positive, and
# S+ - S- is sum_e (a_e - b_e) c_e; a term -u has a_e and b_e exchanged. `collect` and `outlet` are
# gains that all coefficients have in common. The places of the edges do not depend on coefficients.


@dataclasses.dataclass(frozen=True)
class Nonlinear:
    r"""The values $-1/2$ and $2^{-T^j}$ for $j = 0, \ldots, \lambda - 2$."""

    count: int
    base: int

    @property
    def values(self) -> tuple[float, ...]:
        """The values, ascending."""
        return (-0.5, *(2.0 ** -(self.base**j) for j in range(self.count - 2, -1, -1)))

    # S takes half of the sum, so that it needs one copy; the output takes twice the difference.
    collect = 0.5
    outlet = 2
    # The scale of a unit of a chain over the next one, if exponents go up by 1.
    radix = 2

    def recipe(self, gain: float) -> np.ndarray:
        """The gain as a sum of values, by as few as possible of those that are +-1/2."""
        if gain in self.values:
            return np.array([gain])
        halves = round(2 * gain)
        assert 2 * gain == halves, f"{gain} is not a multiple of 1/2"
        return np.full(abs(halves), math.copysign(0.5, gain))

    def length(self, digits: int) -> int:
        """The number of units of a chain for an error of 2^-digits."""
        return digits

    # Every e < T^(lambda - 1) is sum_j k_j T^j with k_j < T. Taking one unit off its lowest nonzero
    # digit gives an earlier exponent, so single edges of weight 2^-(T^j) reach all of them, after
    # as many layers as the sum of the digits.
    def parent(self, e: int) -> tuple[int, float]:
        """The unit before unit e of a chain, and the weight between them."""
        j = next(j for j in range(self.count - 1) if e % self.base ** (j + 1))
        return e - self.base**j, 2.0 ** -(self.base**j)

    def scale(self, e: int) -> Fraction:
        """Unit e over unit 0."""
        return Fraction(1, 2**e)

    # sum_{e=o}^{t-1} s_e 2^-(e+1) with signs s_e takes the values k 2^-t for odd k,
    # |k| <= 2^(t-o) - 1: the nearest is at most 2^-t from any number of [-2^-o, 2^-o].
    def code(
        self, coefficients: Float[np.ndarray, " terms"], start: int, digits: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Gains from units start, ..., digits - 1 to the two accumulators, (units, terms)."""
        most = 2 ** (digits - start) - 1
        odd = np.clip(2 * np.floor(np.ldexp(coefficients, digits - 1)) + 1, -most, most)
        whole = ((odd + most) / 2).astype(np.int64)
        bits = (whole[None, :] >> np.arange(digits - start - 1, -1, -1)[:, None]) & 1
        return bits - 0.5, 0.5 - bits

    def error(self, digits: int) -> Fraction:
        """The largest error of a coefficient."""
        return Fraction(1, 2**digits)


@dataclasses.dataclass(frozen=True)
class Linear:
    r"""The values $-1, 1/\lambda, \ldots, (\lambda - 1)/\lambda$."""

    count: int

    @property
    def values(self) -> tuple[float, ...]:
        """The values, ascending."""
        return (-1.0, *(k / self.count for k in range(1, self.count)))

    @property
    def radix(self) -> int:
        """The scale of a unit of a chain over the next one."""
        return self.count

    @property
    def collect(self) -> float:
        """The gain from the accumulators of a layer to those of all layers: one edge."""
        return (1 if self.count % 2 else self.count // 2) / self.count

    @property
    def outlet(self) -> int:
        """The gain at the output that makes up for it, with the factor 2 of the digits."""
        if self.count == 2:
            return 2
        return 2 * self.count if self.count % 2 else 4

    def recipe(self, gain: float) -> np.ndarray:
        """The gain, a multiple of 1/lambda, as a sum of as few values as possible."""
        top = self.count - 1
        parts = round(gain * self.count)
        assert abs(gain * self.count - parts) < 1e-9 * max(1, abs(parts)), f"{gain} cannot be made"
        minus = max(0, -(parts // self.count))
        if minus and -parts == minus * self.count:
            return np.full(minus, -1.0)
        whole, rest = divmod(parts + minus * self.count, top)
        numbers = [-self.count] * minus + [top] * whole + [rest] * (rest > 0)
        return np.array([n / self.count for n in numbers])

    def length(self, digits: int) -> int:
        """The number of units of a chain for an error of 2^-digits."""
        if self.count == 2:
            return digits + 1
        k = 1
        while self.count**k < 2**digits:
            k += 1
        return k

    def parent(self, e: int) -> tuple[int, float]:
        """The unit before unit e of a chain, and the weight between them."""
        return e - 1, 1 / self.count

    def scale(self, e: int) -> Fraction:
        """Unit e over unit 0."""
        return Fraction(1, self.count**e)

    # lambda >= 3: D_e / lambda = d/lambda - d'/lambda with d, d' in {1, ..., lambda - 1} takes all
    # integers |D_e| <= lambda - 2, at least the digits {-1, ..., lambda - 2} of radix lambda. With
    # k digits, 2 sum_{e=0}^{k-1} D_e lambda^-(e+1) takes all multiples of 2 lambda^-k up to
    # 2 (lambda - 2) (1 - lambda^-k) / (lambda - 1) >= 1 - lambda^-k in absolute value, so it is at
    # most lambda^-k from any number of [-1, 1]. Every digit has both edges: no edge is missing for
    # digit 0. Starting at unit o gives the same for [-lambda^-o, lambda^-o].
    #
    # lambda = 2, values -1 and 1/2: a gain of 1 = 1/2 + 1/2 or -1/2 = -1 + 1/2 takes two edges, its
    # negative -1 or 1/2 takes one, in either case: 1/4 +- 3/4. With k units their sum
    # sum_{e=o}^{k-1} (1/4 +- 3/4) 2^-e runs from -2^-o + 2^-k upwards by steps of 3 2^-k beyond
    # 2^-o, hence it is at most 1.5 2^-k = 0.75 2^-(k-1) from any number of [-2^-o, 2^-o].
    def code(
        self, coefficients: Float[np.ndarray, " terms"], start: int, units: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Gains from units start, ..., units - 1 to the two accumulators, (units, terms)."""
        k = units - start
        if self.count == 2:
            low = 2.0**-start - 2.0**-units
            steps = np.clip(np.rint(np.ldexp(coefficients + low, units) / 3), 0, 2**k - 1)
            bits = (steps.astype(np.int64)[None, :] >> np.arange(k - 1, -1, -1)[:, None]) & 1
            return 1.5 * bits - 0.5, 0.5 - 1.5 * bits
        most = (self.count - 2) * (self.count**k - 1) // (self.count - 1)
        half = Fraction(self.count**units, 2)
        wholes = [max(-most, min(most, round(Fraction(c) * half))) for c in coefficients.tolist()]
        rest = np.array(wholes, dtype=object)
        digits = np.zeros((k, len(wholes)), np.int64)
        for e in range(k - 1, -1, -1):
            digit = rest % self.count
            # The largest residue is not a digit: it is -1 with a carry; at the top, and only there,
            # anything up to lambda - 2 in absolute value may be left over.
            digit = np.where(digit == self.count - 1, -1, digit) if e else rest
            digits[e] = digit.astype(np.int64)
            rest = (rest - digit) // self.count
        return (
            np.maximum(1, 1 + digits) / self.count,
            np.maximum(1, 1 - digits) / self.count,
        )

    def error(self, units: int) -> Fraction:
        """The largest error of a coefficient."""
        if self.count == 2:
            return Fraction(3, 2 ** (units + 1))
        return Fraction(1, self.count**units)


Alphabet: TypeAlias = Nonlinear | Linear


def nonlinear(count: int, digits: int) -> Nonlinear:
    """The nonlinear alphabet whose chains of `digits` units are the least deep."""
    base = 2
    while base ** (count - 1) < digits:
        base += 1
    return Nonlinear(count, base)
