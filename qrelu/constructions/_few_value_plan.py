"""The sizes of a function-independent network for smooth functions, and its certificate."""

import math
from fractions import Fraction
from typing import NamedTuple

from ._alphabets import Alphabet, Linear, nonlinear


class SobolevPlan(NamedTuple):
    r"""What a function-independent network is built from.

    **Attributes:**

    - `refinements`: $p$; the grid has $N = 2^p$ cells per coordinate.
    - `levels`: $r$, the levels of squaring of a product; 0 where there are no products.
    - `units`: the units of the chain of a coefficient.
    - `bound`: the proven error for functions of the unit ball.
    """

    refinements: int
    levels: int
    units: int
    bound: Fraction


# With hat_m as in `hats`, z_{m,k} = N x_k - m_k and a_{m,nu} = D^nu f(m/N) / (nu! N^|nu|),
#     sum_m hat_m(x) sum_{|nu| < n} a_{m,nu} z_m^nu
# is at most sum_{|nu| = n} N^-n / nu! = (d/N)^n / n! from f: the hats are >= 0, sum to 1, and where
# one is not 0 all |z_{m,k}| <= 1, so that this bounds the remainder of each Taylor polynomial.
# The network has w_{m,nu} for a_{m,nu}, with |w - a| <= e and hence |w| <= N^-|nu| + e, and
# q_{m,nu} for hat_m z_m^nu, by |nu| products: |q - hat z^nu| <= |nu| 4^-r, and q = 0 where hat = 0,
# that is for all but d + 1 of the m. From w q - a hat z^nu = (w - a) hat z^nu + w (q - hat z^nu):
#     error <= (d/N)^n / n! + sum_{|nu| < n} (e + (d + 1) |nu| 4^-r (N^-|nu| + e)).
# A term with N^-|nu| <= e is left out, w = 0.
def bound(d: int, n: int, p: int, r: int, error: Fraction) -> Fraction:
    """The proven error of a network with 2^p cells and coefficients that are right up to error."""
    total = Fraction(d**n, math.factorial(n) * 2 ** (p * n))
    for k in range(n):
        size = Fraction(1, 2 ** (p * k))
        product = (d + 1) * k * Fraction(1, 4**r) * (size + error)
        total += math.comb(k + d - 1, d - 1) * (error + product)
    return total


def plan(d: int, n: int, accuracy: Fraction, values: int, linear: bool) -> SobolevPlan:
    """The coarsest grid whose Taylor error leaves a sixteenth; half of the rest for products."""
    p = 0
    while Fraction(d**n, math.factorial(n) * 2 ** (p * n)) * 16 > accuracy * 15:
        p += 1
    rest = accuracy - Fraction(d**n, math.factorial(n) * 2 ** (p * n))
    r = 0
    if n > 1:
        weight = sum(math.comb(k + d - 1, d - 1) * k * Fraction(1, 2 ** (p * k)) for k in range(n))
        r = 1
        while (d + 1) * weight * Fraction(1, 4**r) * 2 > rest:
            r += 1
    digits = 1
    while True:
        alphabet = alphabet_for(values, linear, digits)
        units = alphabet.length(digits)
        proven = bound(d, n, p, r, alphabet.error(units))
        if proven <= accuracy:
            return SobolevPlan(p, r, units, proven)
        digits += 1


def alphabet_for(values: int, linear: bool, digits: int) -> Alphabet:
    """The alphabet of so many values, made for coefficients of so many binary digits."""
    return Linear(values) if linear else nonlinear(values, digits)


def first_unit(alphabet: Alphabet, p: int, k: int) -> int:
    """The last unit of a chain whose scale is at least 2^-(p k)."""
    o = 0
    while alphabet.radix ** (o + 1) <= 2 ** (p * k):
        o += 1
    return o


def steps(alphabet: Alphabet, e: int) -> int:
    """The edges from the beginning of a chain to its unit e."""
    count = 0
    while e:
        e, count = alphabet.parent(e)[0], count + 1
    return count
