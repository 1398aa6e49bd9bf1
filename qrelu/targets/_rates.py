"""The rates that theory gives for piecewise-linear approximation in one dimension."""

import math
from typing import NamedTuple

UNIFORM = ("uniform-knot", "dyadic-tree")


class KnownRate(NamedTuple):
    r"""The error falls like $N^{-\gamma} (\log N)^{\texttt{log\_power}}$ in the number of pieces N.

    - `gamma`: the exponent; infinite where the function is reproduced from some size on.
    - `log_power`: the power of the logarithm that multiplies, 0 where there is none.
    - `source`: where it comes from, "derived" with a reason or the paper.
    - `estimated`: whether the regularity behind it was read off numerical values, so that the rate
      is likely but not proven.
    """

    gamma: float
    log_power: float
    source: str
    estimated: bool = False


class Regularity(NamedTuple):
    r"""What decides the rate.

    - `exponents`: an $a$ for every point where f'' grows like $|x - c|^{a - 2}$ (1 for $x \log x$);
      between these points and the kinks f is twice continuously differentiable.
    - `kinks`: whether the slope jumps somewhere between pieces with bounded second derivative.
    - `linear`: the number of pieces if f is itself piecewise linear.
    - `hoelder`: the exponent of a function that is rough at every point and every scale.
    """

    exponents: tuple[float, ...] = ()
    kinks: bool = False
    linear: int | None = None
    hoelder: float | None = None


def spline_rate(kind: str, p: float, regularity: Regularity) -> KnownRate | None:
    r"""The exponent of the best error in $L^p$ with N pieces, or None for other families.

    Free knots: rate 2 whenever $\int |f''|^{1/(2+1/p)}$ converges. For $f \sim |x-c|^a$ the
    integrand is $|x-c|^{(a-2)/(2+1/p)}$, integrable iff $a > -1/p$, that is always for $a > 0$.

    Uniform knots with spacing h: on the cell at the singular point the error is
    $h^a \cdot h^{1/p}$ by scaling; the cell number j beyond it adds $(h^a j^{a-2})^p h$, a sum that
    converges iff $(2 - a) p > 1$. So the exponent is $\min(2, a + 1/p)$, with a factor
    $(\log N)^{1/p}$ where the two are equal. A kink counts as $a = 1$ without that sum, so without
    the logarithm.

    A function whose graph repeats itself at every dyadic scale with factor $2^{-\alpha}$: no
    choice of knots helps, since half of 2N dyadic cells hold no knot.
    """
    if kind != "free-knot" and kind not in UNIFORM:
        return None
    if regularity.hoelder is not None:
        return KnownRate(
            regularity.hoelder,
            0.0,
            "classical (Hoelder class); no choice of knots helps a function rough at every scale",
        )
    if kind == "free-knot":
        if regularity.linear is not None:
            return KnownRate(
                math.inf, 0.0, f"derived: reproduced exactly by {regularity.linear} pieces"
            )
        return KnownRate(2.0, 0.0, "classical; [deboor1973], recalled")
    worst = min((a + 1 / p for a in regularity.exponents), default=math.inf)
    local = min(worst, 1 + 1 / p if regularity.kinks else math.inf)
    if local > 2:
        return KnownRate(2.0, 0.0, "classical")
    logarithm = 1 / p if worst == local == 2 else 0.0
    reason = "classical; local scaling at the "
    reason += "kink, unless it meets a knot" if local < worst else "singular point"
    return KnownRate(local, logarithm, reason)
