"""The rate at which bits describe the functions of a class."""

from typing import Any, NamedTuple

from ..targets import (
    Besov,
    BoundedVariation,
    Cartoon,
    Hoelder,
    Lipschitz,
    PiecewiseSmooth,
    Sobolev,
)

_TABLE = "[gonon2023], after [elbraechter2021]"
_RECALLED = "[elbraechter2021], recalled"


class EncodingRate(NamedTuple):
    r"""How well bits can describe a class.

    **Attributes:**

    - `gamma`: the largest $\gamma$ such that $O(\varepsilon^{-1/\gamma})$ bits describe every
        function of the class up to $\varepsilon$.
    - `norm`: the norm in which the accuracy is measured.
    - `source`: where the rate is stated.
    """

    gamma: float
    norm: str
    source: str


# Cartoon: the smooth parts have the rate beta/d in L^2. The boundary is a graph over d - 1
# variables, known up to h in sup from h^(-(d-1)/beta) bits; a shift by h is an L^2 error of
# h^(1/2), so the rate is beta/(2 (d - 1)), which is no larger than beta/d for d >= 2.
#
# Piecewise smooth: J places, each known up to h from log2(1/h) bits; a shift by h is an error of
# at most 2 r h^(1/2). So J log2(1/e^2) bits and, for each part, those of the Hoelder ball are
# enough, of order e^(-1/s); fewer are not, since the class holds the Hoelder ball.
def encoding_rate(function_class: Any) -> EncodingRate:
    r"""The rate $\gamma^*_{encod}$ of a class in $L^2$.

    Lipschitz: 1. Hoelder $C^s$: $s$. Sobolev $W^m_p$ and Besov $B^m_{p,q}$ in $d$ variables:
    $m / d$, for $m > d \max(1/p - 1/2, 0)$; `targets` makes no others. Bounded variation: 1.
    Piecewise smooth with $C^s$ pieces: $s$. Cartoons with $C^\beta$ parts and boundary in $d$
    variables: $\beta / (2 (d - 1))$. The radius of the ball changes the constant and not the rate.

    **Arguments:**

    - `function_class`: a class of `targets`, such as `targets.Hoelder(0.5)`.

    **Returns:**

    An `EncodingRate`.

    **Raises:**

    - `TypeError`: for what is no class of functions, or one whose rate is not in the table.

    **Reference:** [gonon2023], after [elbraechter2021]; bounded variation and cartoons in two
    variables [elbraechter2021], recalled; cartoons in more variables and piecewise smooth
    functions derived, above the code.
    """
    if isinstance(function_class, Lipschitz):
        return EncodingRate(1.0, "L2", _TABLE)
    if isinstance(function_class, Hoelder):
        return EncodingRate(float(function_class.smoothness), "L2", _TABLE)
    if isinstance(function_class, Sobolev | Besov):
        return EncodingRate(function_class.smoothness / function_class.dimension, "L2", _TABLE)
    if isinstance(function_class, BoundedVariation):
        return EncodingRate(1.0, "L2", _RECALLED)
    if isinstance(function_class, PiecewiseSmooth):
        source = "derived from the Hoelder ball and the bits of the jumps' places"
        return EncodingRate(float(function_class.smoothness), "L2", source)
    if isinstance(function_class, Cartoon):
        dimension = function_class.dimension
        source = _RECALLED if dimension == 2 else "derived from the entropy of the boundary"
        return EncodingRate(function_class.smoothness / (2 * (dimension - 1)), "L2", source)
    raise TypeError(
        "`encoding_rate(function_class)` must be a class of functions whose rate is in the table; "
        f"got {function_class!r:.80}. Use a class of `targets`, such as `targets.Lipschitz()`."
    )
