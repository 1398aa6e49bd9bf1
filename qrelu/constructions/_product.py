"""Products of two numbers, as differences of two squares."""

from fractions import Fraction
from typing import Any, Literal

import numpy as np

from ._arguments import (
    Number,
    check_accuracy,
    check_dtype,
    check_either,
    check_levels,
    check_positive,
    check_whole,
    digits,
    levels_for,
    power_above,
)
from ._construction import Certificate, Construction, count
from ._square import typed

Layers = tuple[list[np.ndarray], list[np.ndarray]]

# h/2 - relu(h - threshold) is the next h of a chain of squares; see `square_chain`.
_TEETH = np.array([0.5, -1.0])


def product(
    accuracy: Number | None = None,
    radius: Number = 1.0,
    *,
    levels: int | None = None,
    dtype: Any = np.float64,
    allow_rounding: bool = False,
) -> Construction:
    r"""The product $(x, y) \mapsto x y$ on $[-D, D]^2$, with parameters of at most 1.

    With $D'$ the least power of two that is at least 1 and $D$ = `radius`, and $f_m$ of `square`,
    the network with $m$ = `levels` is
    $$\Phi(x, y) = D'^2 \big(f_m(|x + y| / 2D') - f_m(|x - y| / 2D')\big).$$
    It is 0 wherever $x$ or $y$ is. Its error is exactly $D'^2 4^{-(m+1)}$, and at most that for
    $D < 2^{-(m+1)}$. The factor $D'^2$ takes $J = 2 \log_2 D'$ layers that double. Width 5, depth
    $m + 2 + J$, connectivity $15m + 14$ for $J = 0$ and $15m + 28 + 8J$ for $J \ge 1$.

    Where $x \pm y$ are multiples of $D' 2^{1-m}$, evaluation is exact in float32 up to $m = 11$
    and in float64 up to $m = 26$.

    **Arguments:**

    - `accuracy`: the error to reach, in $(0, 1)$: the least number of levels that does is taken.
    - `radius`: the number $D$.
    - `levels`: the number $m \ge 1$ itself, instead of the accuracy.
    - `dtype`: float32 or float64.
    - `allow_rounding`: whether to build networks that the type cannot evaluate exactly there.

    **Returns:**

    A `Construction` whose error equals its bound, as its certificate says.

    **Raises:**

    - `ValueError`: unless exactly one of accuracy and levels is given, for an accuracy outside of
      $(0, 1)$, a radius that is not positive and finite, and for more levels than the type holds.

    **Reference:** [elbraechter2021], Proposition III.3, with a power of two in the place of $D$, so
    that nothing is rounded, and an offset that products of different signs need. The exact
    error: derived, above the code.
    """
    # f_m(t) - t^2 lies in [0, e] with e = 4^-(m+1), so the difference of two of them lies in
    # [-e, e]; for x = y = D' 2^-(m+1) it is e. For x = 0 or y = 0 both terms are the same.
    #
    # f_l(|u|) - f_l(|v|) is at least -1 and may be negative: the accumulator carries 1 more.
    kind = check_dtype("product", dtype)
    check_either("product", accuracy, "levels", levels)
    p = max(0, power_above(Fraction(check_positive("product(radius=...)", radius))))
    if levels is None:
        m = levels_for(Fraction(check_accuracy("product", accuracy)) / 4**p)
    else:
        m = check_whole("product(levels=...)", levels, 1)
    check_levels("product(...)", m, _most(kind), kind, allow_rounding)
    weights, biases = doubled(*product_chain(m), 2 * p)
    network = typed([weights[0] * 2.0**-p, *weights[1:]], biases, kind)
    certificate = Certificate(
        float(Fraction(4) ** (p - m - 1)),
        "x y",
        ((-float(radius),) * 2, (float(radius),) * 2),
        exact=float(radius) >= 2.0 ** (p - m - 1),
        source="[elbraechter2021], Proposition III.3, with an offset; exact error: derived",
    )
    return Construction(network, certificate, count(network))


def unit_product(
    accuracy: Number | None = None,
    *,
    levels: int | None = None,
    form: Literal["difference", "midpoint"] = "difference",
    dtype: Any = np.float64,
    allow_rounding: bool = False,
) -> Construction:
    r"""The product $(x, y) \mapsto x y$ on $[0, 1]^2$, in one of two forms.

    With $f_m$ of `square` and $e = 4^{-(m+1)}$:

    - "difference": $f_m((x + y)/2) - f_m(|x - y|/2)$. Width 5, depth $m + 2$, connectivity
      $15m + 7$; the error takes all values of $[-e, e]$ and no other.
    - "midpoint": $2 f_m((x + y)/2) - f_m(x)/2 - f_m(y)/2$. Width 7, depth $m + 1$, connectivity
      $22m - 2$; the error takes all values of $[-e, 2e]$ and no other.

    Both are non-negative; the first is 0 wherever $x$ or $y$ is. Where $x$, $y$ are multiples of
    $2^{1-m}$, evaluation is exact in float32 up to $m = 11$ and in float64 up to $m = 26$.

    **Arguments:**

    - `accuracy`: the error to reach, in $(0, 1)$: the least number of levels that does is taken.
    - `levels`: the number $m \ge 1$ itself, instead.
    - `form`: "difference" or "midpoint".
    - `dtype`: float32 or float64.
    - `allow_rounding`: whether to build networks that the type cannot evaluate exactly there.

    **Returns:**

    A `Construction` whose error equals its bound.

    **Raises:**

    - `ValueError`: unless exactly one of accuracy and levels is given, for values out of range, and
      for more levels than the type holds.

    **Reference:** [yarotsky2017], Proposition 3, in its second form; ranges and signs derived,
    above the code.
    """
    # Difference: as for `product`; f_m grows and (x + y)/2 >= |x - y|/2, so no offset is needed.
    # Midpoint: f_m(t) = t^2 + d(t) with 0 <= d <= e and xy = 2 ((x+y)/2)^2 - x^2/2 - y^2/2, so the
    # error is 2 d((x+y)/2) - d(x)/2 - d(y)/2: 2e at x = 0, y = 2^-m, and -e where x and y are
    # middles of neighboring cells, (x+y)/2 the point between. The network is affine between the
    # lines x = i 2^-m, y = j 2^-m, x + y = k 2^(1-m), which meet at points (i, j) 2^-m only; it is
    # not negative there, so nowhere.
    kind = check_dtype("unit_product", dtype)
    check_either("unit_product", accuracy, "levels", levels)
    if form not in ("difference", "midpoint"):
        raise ValueError(
            f'`unit_product(form=...)` must be "difference" or "midpoint"; got {form!r}.'
        )
    factor = 1 if form == "difference" else 2
    if levels is None:
        m = levels_for(Fraction(check_accuracy("unit_product", accuracy)) / factor)
    else:
        m = check_whole("unit_product(levels=...)", levels, 1)
    check_levels("unit_product(...)", m, _most(kind), kind, allow_rounding)
    network = typed(*(_difference(m) if form == "difference" else _midpoint(m)), kind)
    certificate = Certificate(
        factor * 0.25 ** (m + 1),
        "x y",
        ((0.0, 0.0), (1.0, 1.0)),
        exact=True,
        source="[yarotsky2017], Proposition 3, without |.|; exact error: derived",
    )
    return Construction(network, certificate, count(network))


def product_chain(m: int) -> Layers:
    """Weights and biases of f_m(|x + y| / 2) - f_m(|x - y| / 2)."""
    first = np.array([[0.5, 0.5], [-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5]])
    weights, biases = chains(m, np.array([[1.0, 1, 0, 0], [0, 0, 1, 1]]), np.array([1.0, -1]), 1.0)
    return [first, *weights], [np.zeros(4), *biases]


def doubled(weights: list[np.ndarray], biases: list[np.ndarray], times: int) -> Layers:
    """The same with one output, times 2^times, by that many layers of unit weights."""
    # Two units hold relu(z) and two relu(-z); one of each pair of pairs is 0, so two edges double.
    if times == 0:
        return weights, biases
    a, b, twice = weights[-1], biases[-1], np.kron(np.eye(2), np.ones((2, 2)))
    copies = np.array([1.0, 1, -1, -1])
    return (
        [*weights[:-1], np.outer(copies, a[0]), *[twice] * (times - 1), copies[None]],
        [*biases[:-1], copies * b[0], *[np.zeros(4)] * (times - 1), np.zeros(1)],
    )


def chains(m: int, forms: np.ndarray, signs: np.ndarray, offset: float = 0.0) -> Layers:
    """Weights and biases of sum_i signs_i f_m(t_i), the t_i in [0, 1] linear forms of the input.

    The accumulator that all share holds `offset` more, and must not get negative.
    """
    # Two units per chain, for h and relu(h - threshold), then the accumulator.
    count, rows = len(signs), np.repeat(forms, 2, axis=0)
    first = np.concatenate([rows, [signs @ forms]])
    step = np.zeros((2 * count + 1, 2 * count + 1))
    step[:-1, :-1] = np.kron(np.eye(count), np.tile(_TEETH, (2, 1)))
    step[-1] = [*np.kron(-signs, _TEETH), 1.0]
    biases = []
    for k in range(1, m + 1):
        shift = np.zeros(2 * count + 1)
        shift[1:-1:2] = -(2.0 ** (1 - 2 * k))
        biases.append(shift)
    biases[0][-1] = offset
    return [first, *[step] * (m - 1), step[-1:]], [*biases, np.array([-offset])]


def _difference(m: int) -> Layers:
    first = np.array([[0.5, 0.5], [0.5, -0.5], [-0.5, 0.5]])
    weights, biases = chains(m, np.array([[1.0, 0, 0], [0, 1, 1]]), np.array([1.0, -1]))
    return [first, *weights], [np.zeros(3), *biases]


def _midpoint(m: int) -> Layers:
    return chains(m, np.array([[0.5, 0.5], [1.0, 0], [0, 1]]), np.array([2.0, -0.5, -0.5]))


def _most(kind: np.dtype) -> int:
    # Values are multiples of 4^-m up to 2, with the offset.
    return (digits(kind) - 1) // 2
