"""The limit that bits set to rates of approximation, and where it does not apply."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ..targets import AbstractFunctionClass
from ._checks import as_number, as_numbers, as_positive, as_whole
from ._classes import EncodingRate, encoding_rate
from ._covering import AbstractSequence, ReLUSequence
from ._growth import Growth
from ._outward import Number


class EncodingCheck(NamedTuple):
    r"""A rate of approximation held against the limit that encoding sets.

    **Attributes:**

    - `holds`: whether the rate, or its interval, reaches down to the limit or below.
    - `gamma`: the rate that was checked.
    - `limit`: $\kappa\, \gamma^*_{encod}$.
    - `verdict`: what that means, in a sentence.
    """

    holds: bool
    gamma: float
    limit: float
    verdict: str


# If log2 N(Sigma_M, M^-g) = O(M^(kappa + h)) for all g, h > 0, and sup_f d(f, Sigma_M) = O(M^-s),
# then the points of a covering of Sigma_M by radius M^-s cover the class at O(M^-s), so that
# log2 N(C, e) = O(e^(-(kappa + h)/s)): s <= kappa times the encoding rate.
def encoding_check(
    gamma: Any,
    function_class: AbstractFunctionClass | EncodingRate,
    *,
    draws_depend_on_size: Any,
    sequence: AbstractSequence | None = None,
) -> EncodingCheck:
    r"""Whether the rate of a whole class obeys $\gamma_{approx} \le \kappa\, \gamma_{encod}$.

    For a sequence of families whose coverings take $O(M^{\kappa + h})$ bits (1 for encodable
    sequences) no rate of approximation, of the worst function of the class at every size, exceeds
    $\kappa$ times the encoding rate. A single function, or any fixed and finite set of them, has no
    such limit: its rate may be infinite. So the worst draws must be sought anew for every size.

    **Arguments:**

    - `gamma`: the rate, a number or the result of `fit_rate`, whose interval is then used.
    - `function_class`: the class, such as `targets.Lipschitz()`, or its `encoding_rate`.
    - `draws_depend_on_size`: whether the functions behind the rate were drawn, or chosen, anew for
        every size; must be said, and must be true.
    - `sequence`: the families, for their `exponent`; encodable if left out.

    **Returns:**

    An `EncodingCheck`. If it does not hold, the sequence is not encodable (count its bits per
    weight), or the draws miss the worst functions, or the rate is not one.

    **Raises:**

    - `ValueError`: if the draws do not depend on the size, or for a rate that is not a number.

    **Reference:** [gonon2023] for encodable sequences; with the factor $\kappa$ derived, above the
    code.
    """
    if not isinstance(draws_depend_on_size, bool | np.bool_):
        raise TypeError(
            "`encoding_check(draws_depend_on_size=...)` must be True or False; got "
            f"{draws_depend_on_size!r}."
        )
    if not draws_depend_on_size:
        raise ValueError(
            "`encoding_check(draws_depend_on_size=...)` must be true: a single function, or a "
            "fixed set of functions, has no encoding limit, since its description need not grow "
            "with the accuracy; got a study whose functions do not depend on the size. Draw the "
            "functions anew for every size, and take the worst error."
        )
    if not (sequence is None or isinstance(sequence, AbstractSequence)):
        raise TypeError(
            "`encoding_check(sequence=...)` must be a sequence of families, such as "
            f"`ReLUSequence(...)`, or None; got {sequence!r}."
        )
    interval = getattr(gamma, "interval", None)
    value = as_number("encoding_check(gamma=...)", getattr(gamma, "gamma", gamma))
    if math.isnan(value):
        raise ValueError(
            "`encoding_check(gamma, ...)` must be given a rate; got NaN: no rate was established."
        )
    exponent = 1.0 if sequence is None else sequence.exponent
    known = (
        function_class
        if isinstance(function_class, EncodingRate)
        else encoding_rate(function_class)
    )
    limit = exponent * known.gamma
    lowest = value if interval is None else min(value, float(interval[0]))
    holds = lowest <= limit
    if math.isinf(limit):
        verdict = "the sequence is not known to be encodable: bits set no limit to its rate"
    elif holds:
        verdict = f"the rate {value:.3g} is compatible with the limit {limit:.3g}"
    else:
        verdict = (
            f"the rate {value:.3g} exceeds the limit {limit:.3g}: the sequence is not encodable, "
            "or the draws miss the worst functions, or the fit is no rate"
        )
    return EncodingCheck(holds, value, limit, verdict)


# The 2^K zigzags from 0 with slopes +-1 on K equal intervals are pairwise 2/K apart, so K bits are
# needed for any error below 1/K: K = ceil(1/accuracy) - 1. On the other hand g = 0 on [0, h],
# h = 1/n, and then g' = +1 or -1 on each further interval, whichever turns towards f at its right
# end, keeps |f - g| <= h: n - 1 bits for the error 1/n.
def lipschitz_bits(accuracy: Number | Fraction) -> int:
    r"""The fewest bits that describe every 1-Lipschitz $f$ on $[0, 1]$ with $f(0) = 0$.

    Exactly $\lceil 1/\varepsilon \rceil - 1$ for an error of at most $\varepsilon$ in the sup norm.

    **Arguments:**

    - `accuracy`: $\varepsilon$, positive; a float stands for its exact value, so that a third is
        `Fraction(1, 3)`.

    **Returns:**

    The bits.

    **Raises:**

    - `ValueError`: for an accuracy that is not positive and finite.

    **Reference:** classical (Kolmogorov and Tikhomirov); derived, both directions above the code.
    """
    as_positive("lipschitz_bits(accuracy=...)", accuracy)
    exact = accuracy if isinstance(accuracy, Fraction) else Fraction(float(accuracy))
    return math.ceil(1 / exact) - 1


class ConstantSequence(NamedTuple):
    r"""The sequence $\Sigma_M = C$ for all $M$.

    **Attributes:**

    - `sizes`: $M$.
    - `errors`: the worst error over the class, zero.
    - `log2_covering`: $\log_2 N(\Sigma_M, M^{-\gamma})$, exactly.
    """

    sizes: Float[np.ndarray, " sizes"]
    errors: Float[np.ndarray, " sizes"]
    log2_covering: Float[np.ndarray, " sizes"]


def constant_sequence(sizes: Sequence[int], gamma: Number) -> ConstantSequence:
    r"""A counter-example: families that are the whole class have any rate and are not encodable.

    $C$ is the class of `lipschitz_bits`. The error is zero at every size, so the rate is infinite,
    while the encoding rate is 1; covering $\Sigma_M$ at $M^{-\gamma}$ takes about $M^\gamma$ bits,
    for $\gamma > 1$ more than any $M^{1 + h}$ with $h < \gamma - 1$.

    **Arguments:**

    - `sizes`: the sizes $M$.
    - `gamma`: the exponent of the accuracy.

    **Returns:**

    A `ConstantSequence`.

    **Raises:**

    - `ValueError`: for sizes below 1 or an exponent that is not positive.

    **Reference:** [gonon2023]; executed with the exact entropy of `lipschitz_bits`.
    """
    numbers = as_numbers("constant_sequence(sizes=...)", sizes)
    if numbers.ndim != 1 or len(numbers) == 0 or not ((numbers >= 1) & (numbers < math.inf)).all():
        raise ValueError(f"`constant_sequence(sizes=...)` must be positive sizes; got {sizes}.")
    as_positive("constant_sequence(gamma=...)", gamma)
    bits = [lipschitz_bits(float(m) ** -float(gamma)) for m in sizes]
    return ConstantSequence(
        np.array(sizes, float), np.zeros(len(sizes)), np.array(bits, dtype=float)
    )


class DenseAtom(NamedTuple):
    r"""One atom of the dictionary of all zigzags.

    **Attributes:**

    - `index`: its number in the dictionary, from 1 on.
    - `bits`: the bits of the index.
    - `knots`, `values`: the atom, linear between the knots.
    - `accuracy`: $1/n$, a bound on its distance from the function.
    """

    index: int
    bits: int
    knots: Float[np.ndarray, " knots"]
    values: Float[np.ndarray, " knots"]
    accuracy: float


def dense_dictionary(function: Callable, pieces: int) -> DenseAtom:
    r"""A counter-example: with a dense dictionary one term reaches any accuracy.

    The dictionary holds, for $n = 1, 2, \ldots$, the $2^{n-1}$ functions that are 0 on
    $[0, 1/n]$ and have slopes $\pm 1$ on the further intervals of length $1/n$. Without a limit
    $\pi(M)$ on the index the rate of one-term approximation of the class of `lipschitz_bits` is
    infinite; the bits have moved into the index.

    **Arguments:**

    - `function`: a 1-Lipschitz function on $[0, 1]$ with $f(0) = 0$, of an array of points.
    - `pieces`: $n$, positive.

    **Returns:**

    The atom at a distance of at most $1/n$.

    **Raises:**

    - `ValueError`: for fewer than one piece, or values that refute the class.

    **Reference:** derived, above the code of `lipschitz_bits`.
    """
    pieces = as_whole("dense_dictionary(pieces=...)", pieces, 1, 2**20)
    if not callable(function):
        raise TypeError(
            f"`dense_dictionary(function=...)` must be a function of an array; got {function!r}."
        )
    knots = np.arange(pieces + 1) / pieces
    values = np.asarray(function(knots), dtype=np.float64)
    slack = 2.0**-40
    if values.shape != knots.shape or not (
        abs(values[0]) <= slack and (abs(np.diff(values)) <= (1 + slack) / pieces + slack).all()
    ):
        raise ValueError(
            "`dense_dictionary(function, ...)` must be 1-Lipschitz on [0, 1] with the value 0 at "
            "0, and map arrays to arrays of their shape."
        )
    level, code, levels = 0, 0, [0, 0]
    for value in values[2:]:
        up = value * pieces >= level
        level += 1 if up else -1
        code = 2 * code + int(up)
        levels.append(level)
    index = 2 ** (pieces - 1) + code
    return DenseAtom(index, index.bit_length(), knots, np.array(levels, float) / pieces, 1 / pieces)


def unbounded_line(coefficient: Number, accuracy: Number, *, atom_norm: Number = 1.0) -> float:
    r"""A counter-example: without a bound on coefficients a family has no finite covering.

    $\{c \varphi : |c| \le c_{max}\}$ is a segment of length $2 c_{max} \|\varphi\|$, and a ball of
    radius $\varepsilon$ holds at most $2 \varepsilon$ of it. The rate of such a family on a bounded
    class may still obey the encoding limit: encodability is sufficient for it, not necessary.

    **Arguments:**

    - `coefficient`: $c_{max}$; may be infinite.
    - `accuracy`: $\varepsilon$, positive.
    - `atom_norm`: $\|\varphi\|$.

    **Returns:**

    A lower bound of $\log_2 N(\varepsilon)$, infinite for an infinite coefficient.

    **Raises:**

    - `ValueError`: for numbers that are not positive.

    **Reference:** derived, above.
    """
    as_positive("unbounded_line(coefficient=...)", coefficient, infinite=True)
    as_positive("unbounded_line(accuracy=...)", accuracy)
    as_positive("unbounded_line(atom_norm=...)", atom_norm)
    ratio = float(coefficient) * float(atom_norm) / float(accuracy)
    return max(0.0, math.log2(ratio) * (1 - 2.0**-50)) if ratio < math.inf else math.inf


def deep_sequence(norm_bound: Number = 2.0) -> ReLUSequence:
    r"""A counter-example: depth growing like $M$ with norms beyond 1.

    The covering takes about $M^2$ bits, so only $\gamma_{approx} \le 2 \gamma_{encod}$ is proven;
    very deep networks attain it for Lipschitz functions (recalled), beating every encodable
    sequence. With `norm_bound` 1 the same depth is harmless.

    **Arguments:**

    - `norm_bound`: the bound $r$ on the norms of all layers.

    **Returns:**

    The `ReLUSequence`; see its `exponent` and `log2_covering`.

    **Raises:**

    - `ValueError`: for a bound that is not positive and finite.

    **Reference:** derived, above the code of `ReLUSequence`.
    """
    norm_bound = as_positive("deep_sequence(norm_bound=...)", norm_bound)
    return ReLUSequence(Growth(1.0, power=1.0), Growth(norm_bound))
