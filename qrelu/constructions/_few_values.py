"""Parts of networks with few weights: squares, products, coefficients."""

import collections

import numpy as np

from ._alphabets import Alphabet, Linear
from ._circuit import Circuit, Wires


def inputs(circuit: Circuit, *, signed: bool) -> tuple[Wires, Wires | None]:
    """Half of the positive and half of the negative part of every input, one layer on."""
    plus = circuit.relu((0.5, circuit.inputs))
    return plus, circuit.relu((-0.5, circuit.inputs)) if signed else None


def parts(circuit: Circuit, alphabet: Alphabet, *, signed: bool) -> tuple[Wires, Wires | None]:
    """The positive and the negative part of every input, two layers on.

    An input is one unit: an edge from it is a single value of the alphabet.
    """
    if 0.5 in alphabet.values:
        up = 2
    else:
        assert isinstance(alphabet, Linear)
        up = alphabet.count
    plus = circuit.relu((up, circuit.relu((1 / up, circuit.inputs))))
    if not signed:
        return plus, None
    if -0.5 in alphabet.values:
        return plus, circuit.relu((2, circuit.relu((-0.5, circuit.inputs))))
    return plus, circuit.relu((1, circuit.relu((-1, circuit.inputs))))


# State: h_s = g_s / 4^s, A_s = f_s, C_s = 4^-s / 2, from h_0 = A_0 = t and C_0 = 1/2, where g_s is
# the sawtooth and f_s = t - sum_{i <= s} g_i / 4^i the interpolant of t^2 at multiples of 2^-s
# [yarotsky2017]. With D = relu(h - C) the tent is g(4^s h) = 4^s (2 h - 4 D), hence
#     h' = h / 2 - D,   A' = A - h' = A - h / 2 + D,   C' = C / 4,
# in two layers; all three are nonnegative, so the ReLU leaves them alone.
def squares(circuit: Circuit, t: Wires, levels: int) -> Wires:
    """The interpolant of t^2 at multiples of 2^-levels, for t in [0, 1], 2 levels layers on."""
    h = a = t
    c = circuit.constant(t.layer, 0.5)
    for _ in range(levels):
        d = circuit.relu((1, h), (-1, c))
        p = circuit.relu((1, h))
        b = circuit.relu((1, a))
        e = circuit.relu((0.5, c))
        h = circuit.relu((0.5, p), (-1, d))
        a = circuit.relu((1, b), (-0.5, p), (1, d))
        c = circuit.relu((0.5, e))
    return a


# With f = f_r the interpolant of t^2 at multiples of 2^-r, and x, y in [-1, 1],
#     xy ~ 2 (f(|x + y| / 2) - f(|x| / 2) - f(|y| / 2))
# is affine on the triangles that the lines x, y, x + y in 2^(1-r) Z cut, and right at their
# corners. So it interpolates xy there, has absolute values <= 1, is zero where x or y is, and its
# error is largest at the midpoints of the sides with x + y constant: (2^(1-r) / 2)^2 = 4^-r.
def products(
    circuit: Circuit,
    x: tuple[Wires, Wires | None],
    y: tuple[Wires, Wires | None],
    pairs: tuple[np.ndarray, np.ndarray],
    levels: int,
    half: float | int = 0.5,
) -> tuple[Wires, Wires]:
    """Positive and negative parts of x[i] y[j] for all given pairs, 2 levels + 3 layers on.

    The arguments are positive and negative parts, of which at most one is not zero, times
    1 / (2 half). Squares of single factors are shared among the pairs.
    """
    layer = max(part.layer for part in (*x, *y) if part is not None)
    x, y = (
        (circuit.carry(plus, layer), None if minus is None else circuit.carry(minus, layer))
        for plus, minus in (x, y)
    )
    i, j = pairs
    terms = [(half, x[0][i]), (half, y[0][j])]
    terms += [(-half, part[k]) for part, k in ((x[1], i), (y[1], j)) if part is not None]
    p = circuit.relu(*terms)
    q = circuit.relu(*((-gain, wires) for gain, wires in terms))
    singles = [
        circuit.relu(*((half, part) for part in factor if part is not None)) for factor in (x, y)
    ]
    sums = circuit.relu((1, p), (1, q))
    arguments = [sums, *(circuit.relu((1, s)) for s in singles)]
    index = np.concatenate([a.index for a in arguments])
    squared = squares(circuit, Wires(sums.layer, index), levels)
    first, second = len(i), len(i) + len(singles[0])
    terms = [(2, squared[:first]), (-2, squared[first + i]), (-2, squared[second + j])]
    plus = circuit.relu(*terms)
    return plus, circuit.relu(*((-gain, wires) for gain, wires in terms))


def weigh(
    circuit: Circuit,
    alphabet: Alphabet,
    terms: list[tuple[Wires, Wires | None, np.ndarray, int]],
    units: int,
) -> Wires:
    """Two units, whose difference times `alphabet.outlet` is the sum of coefficients times terms.

    A term is given by its positive and negative parts, its coefficients and the first unit of the
    chains that takes part: the coefficients are at most its scale.
    """
    layers = collections.defaultdict(list)
    for plus, minus, coefficients, start in terms:
        if start >= units:
            continue
        up, down = alphabet.code(coefficients, start, units)
        for part, first, second in ((plus, up, down), (minus, down, up)):
            if part is None:
                continue
            chain = [part]
            for e in range(1, units):
                parent, weight = alphabet.parent(e)
                chain.append(circuit.relu((weight, chain[parent])))
            for e in range(start, units):
                layers[chain[e].layer] += [
                    (0, first[e - start], chain[e]),
                    (1, second[e - start], chain[e]),
                ]
    total: Wires | None = None
    for layer in sorted(layers):
        sums = circuit.gather(2, layers[layer])
        if total is None:
            total = circuit.relu((alphabet.collect, sums))
        else:
            total = circuit.relu((1, circuit.carry(total, sums.layer)), (alphabet.collect, sums))
    assert total is not None, "no term has digits"
    return total
