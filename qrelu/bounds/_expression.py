"""Functions given by an expression, so that ball arithmetic can enclose them."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from ._checks import as_number
from ._jet import Jet, ball, flint
from ._outward import Number


@dataclasses.dataclass(frozen=True)
class Expression:
    r"""A function on an interval whose values and derivatives ball arithmetic can enclose.

    - `function`: takes `x` and returns an expression of it: `lambda x: (3 * x).exp()`. `x` knows
        `+ - * / **`, `abs(x)` and the methods `exp log log1p sqrt sin cos tan sin_pi cos_pi sinh
        cosh tanh atan erf xlogx`, and mixes with numbers, `fractions.Fraction` and `flint.arb`.
        Floats stand for their exact values: write `Fraction(1, 10)`, or `x / 10`, for a tenth.
    - `domain`: (lower, upper).
    - `name`: how records call it.

    Needs python-flint, the extra `arb`.
    """

    function: Callable[[Any], Any]
    domain: Sequence[Number]
    name: str = "expression"

    def __post_init__(self):
        call = "`Expression(function, domain)`"
        if not callable(self.function):
            raise TypeError(f"{call} must get a function of x; got {self.function!r}.")
        if not (isinstance(self.domain, Sequence) and len(self.domain) == 2):
            raise ValueError(f"{call} must get a domain (lower, upper); got {self.domain!r}.")
        lower, upper = (as_number("Expression(domain=...)", t) for t in self.domain)
        if not (math.isfinite(lower) and math.isfinite(upper) and lower < upper):
            raise ValueError(
                f"{call} must get finite ends with lower < upper; got {lower} and {upper}."
            )
        arb = flint().arb
        at = arb(lower).union(arb(upper)).mid()
        try:
            result = self.function(Jet(at, arb(1), arb(0)))
            value = result.value if isinstance(result, Jet) else ball(result)
        except (AttributeError, TypeError) as error:
            raise TypeError(
                f"{call} must be written with what `x` knows, such as `x.sin()` instead of "
                f"`math.sin(x)`; evaluating it raised: {error}"
            ) from error
        if not value.is_finite():
            raise ValueError(
                f"{call} must be finite on its domain; at {float(at):.6g} it is not, or it needs "
                "a function that is not enclosed there."
            )

    def values(self, x: Any) -> Any:
        """An enclosure of the values on a ball."""
        result = self.function(Jet(x))
        return result.value if isinstance(result, Jet) else ball(result)

    def second_derivative(self, x: Any) -> Any:
        """An enclosure of the second derivatives on a ball; NaN where there are none."""
        arb = flint().arb
        result = self.function(Jet(x, arb(1), arb(0)))
        return result.second if isinstance(result, Jet) else arb(0)


def expression(name: str) -> Expression:
    r"""The expression of a built-in target, in exact constants.

    **Arguments:**

    - `name`: a name of `targets.names()`, other than "takagi" and "weierstrass", which are rough at
        every scale.

    **Returns:**

    An `Expression` of that name.

    **Raises:**

    - `ValueError`: if there is none of that name.
    - `ImportError`: without python-flint, the extra `arb`.

    **Reference:** the formulas of `targets.get(name)`, with exact constants instead of floats.
    """
    if not isinstance(name, str) or name not in _BUILT_IN:
        raise ValueError(
            f"`expression({name!r})` must name a built-in target with an expression: "
            f"{', '.join(_BUILT_IN)}."
        )
    function, domain = _BUILT_IN[name]
    return Expression(function, domain, name)


_HALF, _THIRD = Fraction(1, 2), Fraction(1, 3)
_UNIT = (0.0, 1.0)
_BUILT_IN: dict[str, tuple[Callable[[Any], Any], tuple[float, float]]] = {
    "square": (lambda x: x**2, _UNIT),
    "cubic": (lambda x: x**3, (-1.0, 1.0)),
    "exp": (lambda x: (3 * x).exp(), _UNIT),
    "reciprocal": (lambda x: 1 / x, (0.1, 1.0)),
    "sine": (lambda x: (2 * x).sin_pi(), _UNIT),
    "gaussian": (lambda x: (-50 * (x - _HALF) ** 2).exp(), _UNIT),
    "runge": (lambda x: 1 / (1 + 25 * (2 * x - 1) ** 2), _UNIT),
    "tanh": (lambda x: (50 * (x - _HALF)).tanh(), _UNIT),
    "oscillation": (lambda x: (16 * x).sin_pi(), _UNIT),
    "chirp": (lambda x: (16 * x**2).sin_pi(), _UNIT),
    "power1.5": (lambda x: x * x.sqrt(), _UNIT),
    "entropy": (lambda x: x.xlogx(), _UNIT),
    "sqrt": (lambda x: x.sqrt(), _UNIT),
    "kink": (lambda x: abs(x - _THIRD), _UNIT),
    "corners": (lambda x: abs((3 * x).sin_pi()), _UNIT),
    "cusp": (lambda x: abs(x - _THIRD).sqrt(), _UNIT),
}
