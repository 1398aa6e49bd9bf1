"""Sums of powers of a number in [-1, 1], the part that polynomials and smooth functions share."""

from fractions import Fraction

import numpy as np

from ._product import Layers, chains

# A layer as forms: each block of units has rows, each row coefficients on blocks and a bias.
Forms = dict[str, list[tuple[dict[str, np.ndarray], float]]]

_PAIR = np.array([1.0, -1.0])
_HALVES = np.array([[1.0, 1], [-1, -1], [1, -1], [-1, 1]]) / 2


# p_2 = f_m(|t|) and p_k = Phi(t, p_{k-1}) = f_m(|t + p| / 2) - f_m(|t - p| / 2) for k >= 3. All are
# in [-1, 1], since f_m maps [0, 1] to itself. With |t| <= r and e = 4^-(m+1),
#     |p_2 - t^2| <= e,    |p_k - t^k| <= r |p_{k-1} - t^{k-1}| + e,
# hence |p_k - t^k| <= e (1 + r + ... + r^(k-2)).
def series_error(coefficients: list[Fraction], reach: Fraction) -> Fraction:
    """The error of `series` on [-reach, reach] as a multiple of e."""
    total, growth, power = Fraction(0), Fraction(0), Fraction(1)
    for c in coefficients[2:]:
        growth, power = growth + power, power * reach
        total += abs(c) * growth
    return total


def series(coefficients: list[float], m: int) -> Layers:
    """Weights and biases of c_0 + c_1 t + sum_k c_k p_k, for |t| <= 1; all |c_k| at most 1.

    The units of a layer hold t in a pair ("t"), the sum so far in a pair ("s"), and the chain that
    makes the next power ("p"): at most 2 + 2 + 5. The value of the chain is an affine form of it.
    """
    c = [*coefficients, 0.0] if len(coefficients) == 1 else coefficients
    degree = len(c) - 1
    if degree == 1:
        return [np.array([[c[1]]])], [np.array([c[0]])]
    first: Forms = {"t": [({"x": np.array([v])}, 0.0) for v in _PAIR]}
    if c[0] or c[1]:
        first["s"] = [({"x": np.array([v * c[1]])}, v * c[0]) for v in _PAIR]
    stack = [first]
    chain, source = chains(m, np.ones((1, 2)), np.ones(1)), "t"  # f_m(|t|)
    for k in range(2, degree + 1):
        weights, biases = chain
        for w, b in zip(weights[:-1], biases[:-1], strict=True):
            kept = [name for name in ("t", "s") if name in stack[-1] and (name, k) != ("t", degree)]
            units = [({source: row}, float(v)) for row, v in zip(w, b, strict=True)]
            stack.append({**{name: _carried(name) for name in kept}, "p": units})
            source = "p"
        power, shift = weights[-1][0], float(biases[-1][0])
        total = {"s": _PAIR} if "s" in stack[-1] else {}
        total |= {"p": c[k] * power} if c[k] else {}
        if k == degree:
            stack.append({"y": [(total, c[k] * shift)]})
        else:
            halves = [({"t": u * _PAIR, "p": v * power}, v * shift) for u, v in _HALVES]
            stack.append({"t": _carried("t"), "p": halves})
            if total:
                sums = [({n: v * row for n, row in total.items()}, v * c[k] * shift) for v in _PAIR]
                stack[-1]["s"] = sums
            chain = chains(m, np.array([[1.0, 1, 0, 0], [0, 0, 1, 1]]), _PAIR, 1.0)
    return _assembled(stack)


def _carried(name: str) -> list[tuple[dict[str, np.ndarray], float]]:
    return [({name: row}, 0.0) for row in np.eye(2)]


def _assembled(stack: list[Forms]) -> Layers:
    """The matrices and biases of layers given as forms."""
    weights, biases, before = [], [], {"x": 1}
    for forms in stack:
        starts = dict(zip(before, np.cumsum([0, *before.values()]).tolist(), strict=False))
        rows = [row for block in forms.values() for row in block]
        matrix = np.zeros((len(rows), sum(before.values())))
        for i, (coefficients, _) in enumerate(rows):
            for name, values in coefficients.items():
                matrix[i, starts[name] : starts[name] + len(values)] += values
        weights.append(matrix)
        biases.append(np.array([float(b) for _, b in rows]))
        before = {name: len(block) for name, block in forms.items()}
    return weights, biases
