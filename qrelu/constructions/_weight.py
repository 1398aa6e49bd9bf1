"""One weight out of few values."""

import math
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from ._alphabets import Alphabet, Linear, Nonlinear, nonlinear
from ._arguments import (
    Number,
    check_accuracy,
    check_dtype,
    check_either,
    check_number,
    check_whole,
    power_above,
    round_up,
)
from ._arguments import digits as digits_of
from ._circuit import Circuit, Wires
from ._construction import Certificate, Construction, count
from ._few_values import parts, weigh

# Codes of coefficients are computed in 64-bit integers.
MOST_BITS = 60


def most_values(linear: bool) -> int:
    """The most values of an alphabet; with more of them, nonlinear ones are no floats."""
    return 2**16 if linear else 64


Form = Literal["trie", "branch"]


def weight(
    value: Number,
    accuracy: Number | None = None,
    *,
    digits: int | None = None,
    values: int = 2,
    form: Form = "trie",
    linear: bool = False,
    dtype: Any = np.float64,
    allow_rounding: bool = False,
) -> Construction:
    r"""A connection of any weight $w \in [-1, 1]$ by a network with $\lambda$ values.

    The network is $x \mapsto w' x$ on all of $\mathbb{R}$ with $|w' - w| \le 2^{-t}$, where $t$ is
    `digits` and $\lambda$ is `values`. Which units are connected depends on $t$, $\lambda$
    and the form, not on $w$.

    *Nonlinear alphabet* $\{-\tfrac12\} \cup \{2^{-T^j} : j = 0, \ldots, \lambda - 2\}$ with
    $T = \lceil t^{1/(\lambda - 1)} \rceil$ (at least 2), and
    $w' = \sum_{i=1}^t s_i 2^{-i}$, $s_i = \pm 1$. With the digits of $e = \sum_j k_j T^j$, the
    number $2^{-e} x$ is reached by $\delta_e = \sum_j k_j$ single edges. Let $D$ be the largest
    $\delta_e$ for $e < t$, at most $(\lambda - 1)(T - 1)$.

    - `"branch"`, after the paper: one branch for each $e$, with $D - \delta_e$ identities in
      front. Depth $D + 3$, and
      $24 + 2 \sum_{e < t} (\max(0, 4 (D - \delta_e) - 2) + \delta_e + 1)$ weights for $t \ge 2$,
      hence $O(\lambda t^{1/(\lambda - 1) + 1})$.
    - `"trie"`: the units $2^{-e} x$ grow from each other, and accumulators collect
      $\pm 2^{-e} x$ layer by layer. Depth $D + 5$, and $6 t + 12 D + 38$ weights for $t \ge 2$:
      linear in $t$ for every $\lambda$.

    *Linear alphabet* $\{-1, 1/\lambda, \ldots, (\lambda - 1)/\lambda\}$, in the form `"trie"` only:
    digits of radix $\lambda$, each as a difference of two values, so that no edge is missing
    ($\lambda = 2$: one of two pairs of values). With the least $k$ such that
    $\lambda^k \ge 2^t$ ($k = t + 1$ for $\lambda = 2$) there are $k$ units per sign and the depth
    is $k + 4$.

    In float64 the network is evaluated without rounding where $x$ has at most $53 - t - 3$ binary
    digits (float32: 24 for 53); $t$ for which that leaves none is refused. The values of a linear
    alphabet are floats only if $\lambda$ is a power of two; others are refused as well.

    **Arguments:**

    - `value`: the weight $w$.
    - `accuracy`: the error that $w'$ may have, in $(0, 1)$: the least $t$ that reaches it is taken.
    - `digits`: the number $t$ itself, from 1 to 60, instead.
    - `values`: $\lambda$, from 2 to 64 (65536 for the linear alphabet).
    - `form`: `"trie"` or `"branch"`.
    - `linear`: whether the alphabet is the linear one.
    - `dtype`: float32 or float64.
    - `allow_rounding`: whether to build what the type does not hold. The certificate is then for
        the numbers that were rounded.

    **Returns:**

    A `Construction`; its certificate is exact: the error on $[-1, 1]$ is $|w' - w|$.

    **Raises:**

    - `ValueError`: unless exactly one of accuracy and digits is given, for a weight outside
      $[-1, 1]$, other arguments out of range, the form
      `"branch"` of the linear alphabet, or numbers that the type does not hold.

    **Reference:** [ding2019], Proposition 3 as recalled, not compared with the text, for the branch
    form; the trie and the linear alphabet derived, above the code and in the module of alphabets.
    """
    w = check_number("weight(value)", value)
    if not -1 <= w <= 1:
        raise ValueError(
            f"`weight(value)` must lie in [-1, 1]; got {value}. Divide it by a power of two, and "
            "multiply the output."
        )
    check_either("weight", accuracy, "digits", digits)
    if digits is None:
        t = max(1, power_above(1 / Fraction(check_accuracy("weight", accuracy))))
    else:
        t = check_whole("weight(digits=...)", digits, 1, MOST_BITS)
    lam = check_whole("weight(values=...)", values, 2, most_values(linear))
    kind = check_dtype("weight", dtype)
    if form not in ("trie", "branch") or (linear and form == "branch"):
        raise ValueError(
            '`weight(form=...)` must be "trie" or "branch", and "trie" for the linear alphabet; '
            f"got {form!r}."
        )
    most = min(digits_of(kind) - 4, MOST_BITS) if not allow_rounding else MOST_BITS
    if t > most:
        raise ValueError(
            f"`weight(...)` must need at most {most} digits in {kind}; got {t}: the values of the "
            "network would be rounded. `allow_rounding=True` builds up to 60 of them."
        )
    alphabet: Alphabet = Linear(lam) if linear else nonlinear(lam, t)
    check_alphabet("weight", alphabet, allow_rounding)
    circuit = Circuit(1)
    plus, minus = parts(circuit, alphabet, signed=True)
    assert minus is not None
    units = alphabet.length(t)
    up, down = alphabet.code(np.array([w]), 0, units)
    if form == "branch":
        assert isinstance(alphabet, Nonlinear)
        output = _branches(circuit, alphabet, (plus, minus), up[:, 0])
    else:
        total = weigh(circuit, alphabet, [(plus, minus, np.array([w]), 0)], units)
        output = [(alphabet.outlet, total[:1]), (-alphabet.outlet, total[1:])]
    network = circuit.network(alphabet, output, kind)
    error = abs(_decoded(alphabet, up[:, 0], down[:, 0]) - Fraction(w))
    certificate = Certificate(
        round_up(error),
        f"{w!r} x",
        ((-1.0,), (1.0,)),
        exact=True,
        assumptions=rounded_values(alphabet),
        source="[ding2019], Proposition 3 as recalled"
        if form == "branch"
        else "derived, after Proposition 3 of [ding2019] as recalled",
    )
    return Construction(network, certificate, count(network))


def _branches(
    circuit: Circuit, alphabet: Nonlinear, signs: tuple[Wires, Wires], gains: np.ndarray
) -> list[tuple[float | int, Wires]]:
    """One branch per exponent: identities, then single edges, then the sign."""
    paths = []
    for e in range(len(gains)):
        path, rest = [], e
        while rest:
            rest, edge = alphabet.parent(rest)
            path.append(edge)
        paths.append(path)
    depth = max(len(path) for path in paths)
    steps = np.array([[1.0] * (depth - len(path)) + path for path in paths])
    output = []
    for part, sign in zip(signs, (1, -1), strict=True):
        wires = Wires(part.layer, np.repeat(part.index, len(gains)))
        for step in steps.T:
            wires = circuit.relu((step, wires))
        output += [(sign * float(g), wires[e]) for e, g in enumerate(gains)]
    return output


def _decoded(alphabet: Alphabet, up: np.ndarray, down: np.ndarray) -> Fraction:
    """The weight that a code stands for, for the exact values of the alphabet."""
    q = 2 if isinstance(alphabet, Nonlinear) else alphabet.count
    total = Fraction(0)
    for e, (a, b) in enumerate(zip(up.tolist(), down.tolist(), strict=True)):
        gain = Fraction(a) if b == -a else Fraction(round(a * q) - round(b * q), q)
        total += alphabet.scale(e) * gain
    collect = Fraction(round(alphabet.collect * q), q)
    return total * collect * alphabet.outlet


def check_alphabet(call: str, alphabet: Alphabet, allow_rounding: bool) -> None:
    """Refuse values that are no floats."""
    if rounded_values(alphabet) and not allow_rounding:
        near = 2 ** round(math.log2(alphabet.count))
        raise ValueError(
            f"`{call}(values=..., linear=True)` must be a power of two, since k/{alphabet.count} "
            f"is not a float; got {alphabet.count}. Take {near}, or `allow_rounding=True` for a "
            "network with the nearest floats."
        )


def rounded_values(alphabet: Alphabet) -> str:
    """What a certificate must say if the values of the alphabet are no floats."""
    if isinstance(alphabet, Nonlinear) or alphabet.count & (alphabet.count - 1) == 0:
        return ""
    return f"the parameters are the multiples of 1/{alphabet.count}, of which the floats are near"
