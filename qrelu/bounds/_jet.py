"""Values and derivatives of an expression in ball arithmetic."""

import math
from collections.abc import Callable
from fractions import Fraction
from types import ModuleType
from typing import Any


def flint() -> ModuleType:
    """The ball arithmetic of python-flint, an optional dependency."""
    try:
        import flint as module
    except ImportError as error:
        raise ImportError(
            "`bounds.Expression` needs ball arithmetic: install python-flint, for example with "
            "`pip install 'qrelu[arb]'`. Targets with a bound on the second derivative do without."
        ) from error
    return module


# (f + g)'' = f'' + g'', (f g)'' = f'' g + 2 f' g' + f g'', (h o g)'' = h''(g) g'^2 + h'(g) g''. All
# numbers are balls, so what holds for every point of the ball of x holds for every ball here.
class Jet:
    r"""Enclosures of $f$, $f'$ and $f''$ on a ball, carried through an expression.

    It knows `+ - * / **`, `abs`, and the methods `exp log log1p sqrt sin cos tan sin_pi cos_pi sinh
    cosh tanh atan erf xlogx`; it mixes with integers, floats (their exact values), fractions and
    balls such as `flint.arb.pi()`. Without derivatives (None) it carries the value alone.
    """

    def __init__(self, value: Any, first: Any = None, second: Any = None):
        self.value = value
        self.first = first
        self.second = second

    def __add__(self, other: Any) -> "Jet":
        if isinstance(other, Jet):
            if self.first is None:
                return Jet(self.value + other.value)
            return Jet(
                self.value + other.value, self.first + other.first, self.second + other.second
            )
        return Jet(self.value + ball(other), self.first, self.second)

    __radd__ = __add__

    def __neg__(self) -> "Jet":
        if self.first is None:
            return Jet(-self.value)
        return Jet(-self.value, -self.first, -self.second)

    def __sub__(self, other: Any) -> "Jet":
        return self + (-other if isinstance(other, Jet) else -ball(other))

    def __rsub__(self, other: Any) -> "Jet":
        return -self + other

    def __mul__(self, other: Any) -> "Jet":
        if not isinstance(other, Jet):
            c = ball(other)
            if self.first is None:
                return Jet(self.value * c)
            return Jet(self.value * c, self.first * c, self.second * c)
        if self.first is None:
            return Jet(self.value * other.value)
        return Jet(
            self.value * other.value,
            self.first * other.value + self.value * other.first,
            self.second * other.value + 2 * self.first * other.first + self.value * other.second,
        )

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "Jet":
        return self * (other._reciprocal() if isinstance(other, Jet) else 1 / ball(other))

    def __rtruediv__(self, other: Any) -> "Jet":
        return self._reciprocal() * other

    def __pow__(self, exponent: Any) -> "Jet":
        if isinstance(exponent, int) and not isinstance(exponent, bool):
            n, v = exponent, self.value
            if n < 0:
                return (self**-n)._reciprocal()
            # v**0 is 1, so that no negative power of a ball around zero is formed.
            return self._chain(
                v**n,
                lambda: (n * v ** max(n - 1, 0), n * (n - 1) * v ** max(n - 2, 0)),
            )
        return (self.log() * exponent).exp()

    def __abs__(self) -> "Jet":
        if self.value > 0:
            return self
        if self.value < 0:
            return -self
        return self._chain(abs(self.value), lambda: (_nan(), _nan()))

    def _chain(self, value: Any, derivatives: Callable[[], tuple[Any, Any]]) -> "Jet":
        """A function of one variable, from its value and its two derivatives there."""
        if self.first is None:
            return Jet(value)
        h, k = derivatives()
        return Jet(value, h * self.first, k * self.first * self.first + h * self.second)

    def _reciprocal(self) -> "Jet":
        r = 1 / self.value
        return self._chain(r, lambda: (-r * r, 2 * r * r * r))

    def exp(self) -> "Jet":
        """The exponential."""
        e = self.value.exp()
        return self._chain(e, lambda: (e, e))

    def log(self) -> "Jet":
        """The natural logarithm."""
        r = 1 / self.value
        return self._chain(self.value.log(), lambda: (r, -r * r))

    def log1p(self) -> "Jet":
        """The natural logarithm of 1 + x."""
        return (self + 1).log()

    def sqrt(self) -> "Jet":
        """The square root; of a ball around zero, that of its part that is not negative."""
        v = self.value
        if v > 0:
            root = v.sqrt()
        else:
            # A ball is a little wider than the interval it stands for.
            top = v.upper()
            root = type(v)(0).union(top.sqrt()) if top >= 0 else _nan()
        return self._chain(root, lambda: (1 / (2 * root), -1 / (4 * root * v)))

    def sin(self) -> "Jet":
        """The sine."""
        s, c = self.value.sin_cos()
        return self._chain(s, lambda: (c, -s))

    def cos(self) -> "Jet":
        """The cosine."""
        s, c = self.value.sin_cos()
        return self._chain(c, lambda: (-s, -c))

    def sin_pi(self) -> "Jet":
        """The sine of pi x."""
        return (self * self.value.pi()).sin()

    def cos_pi(self) -> "Jet":
        """The cosine of pi x."""
        return (self * self.value.pi()).cos()

    def tan(self) -> "Jet":
        """The tangent."""
        t = self.value.tan()
        return self._chain(t, lambda: (1 + t * t, 2 * t * (1 + t * t)))

    def sinh(self) -> "Jet":
        """The hyperbolic sine."""
        s, c = self.value.sinh_cosh()
        return self._chain(s, lambda: (c, s))

    def cosh(self) -> "Jet":
        """The hyperbolic cosine."""
        s, c = self.value.sinh_cosh()
        return self._chain(c, lambda: (s, c))

    def tanh(self) -> "Jet":
        """The hyperbolic tangent."""
        t = self.value.tanh()
        return self._chain(t, lambda: (1 - t * t, -2 * t * (1 - t * t)))

    def atan(self) -> "Jet":
        """The arc tangent."""
        r = 1 / (1 + self.value * self.value)
        return self._chain(self.value.atan(), lambda: (r, -2 * self.value * r * r))

    def erf(self) -> "Jet":
        """The error function."""
        v = self.value
        h = 2 / v.pi().sqrt() * (-v * v).exp()
        return self._chain(v.erf(), lambda: (h, -2 * v * h))

    # x log x falls on [0, 1/e], from 0: on a ball that reaches below zero the values lie between
    # that at the upper end and 0.
    def xlogx(self) -> "Jet":
        """x log x, 0 at 0."""
        v = self.value
        if v > 0:
            return self * self.log()
        top = v.upper()
        if top > 0 and top < fraction_ball(Fraction(1, 3)):
            value = (top * top.log()).union(type(v)(0))
        else:
            value = type(v)(0) if v == 0 else _nan()
        return self._chain(value, lambda: (_nan(), _nan()))


def ball(number: Any) -> Any:
    """A number as a ball; floats stand for their exact values."""
    module = flint()
    if isinstance(number, module.arb):
        return number
    if isinstance(number, Fraction):
        return fraction_ball(number)
    if isinstance(number, int | float | module.fmpq | module.fmpz):
        return module.arb(number)
    raise TypeError(
        "`Expression(function, ...)` must combine its argument with integers, floats, "
        f"`fractions.Fraction` or `flint.arb`; got {type(number).__name__}."
    )


def fraction_ball(number: Fraction) -> Any:
    """A fraction as a ball."""
    module = flint()
    return module.arb(module.fmpq(number.numerator, number.denominator))


def _nan() -> Any:
    return flint().arb("nan")


def upper_float(value: Any) -> float:
    """A float that is not below a ball's absolute value; infinite where it is not known."""
    top = float(value.abs_upper())
    return math.nextafter(top, math.inf) if math.isfinite(top) else math.inf


def middle_and_radius(value: Any) -> tuple[float, float]:
    """A float and a bound on its distance from every number of a ball."""
    middle, radius = float(value.mid()), float(value.rad())
    if not (math.isfinite(middle) and math.isfinite(radius)):
        return math.nan, math.inf
    # The conversion rounds to nearest.
    return middle, math.nextafter(radius + abs(middle) * 2.0**-52 + 2.0**-1070, math.inf)
