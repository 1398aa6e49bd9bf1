"""Fewer bits per weight, more layers: the same function exactly."""

import math
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from jaxtyping import Float

from ..networks import ReLUNetwork, SparseMatrix, sparsify
from ..quantizers import FixedPoint
from ._construction import Certificate, Construction, count

_HALVES = FixedPoint(1, 1)


# An affine map z = A h + beta with h >= 0. The digits of |A| and |beta| come in base 2^i before the
# point and in base 2^b after it. Let D_k >= 0 be the k-th digit of the positive (or negative)
# entries, applied to (h, 1). Horner's rule, all of whose states are not negative, so that rho does
# not change them:
#   before the point, most significant digit first:  I <- 2^i I + D_k = 2^(i-1) (I + I) + D_k,
#     with two copies of I, since 2^i itself is not below 2^i;
#   after the point, least significant digit first:  F <- 2^-b (F + D_k).
# Both end together in the last of R maps, z = 2^i (I+ - I-) + 2^-b (F+ - F-) + (the digit before
# and the digit after the point of A h + beta), whose entries are below 2^i in size and multiples
# of 2^-b. So R is the larger number of digits. State: h, two copies of I+ and I-, F+ and F-; sums
# that are zero whatever h is are left out.
def trade_depth_for_precision(
    network: ReLUNetwork,
    grid: FixedPoint | None = None,
    *,
    to: FixedPoint = _HALVES,
    signed: bool = False,
) -> Construction:
    r"""An equal network, deeper, whose parameters have fewer bits.

    For parameters in `FixedPoint(A, F)`, that is below $2^A$ in size and multiples of $2^{-F}$, and
    `to = FixedPoint(i, b)`, every affine map becomes
    $R = \max(\lceil A / i \rceil, \lceil F / b \rceil, 1)$ of them with parameters in `to`. So
    depth $L$ becomes $R L$, and width $W$ at most $7 W$: $n$ inputs and $n'$ outputs of a map take
    $n + 4 n' [A > i] + 2 n' [F > b]$ hidden units. With `to = FixedPoint(1, 1)`, all parameters are
    in $\{0, \pm 1/2, \pm 1, \pm 3/2\}$. With `A <= i` and $F = k b$, depth $L$ becomes $k L$ and
    width at most $3 W$: bits for depth, one for one.

    Exact in real arithmetic for all inputs $x \ge 0$, and for all inputs with `signed=True`. In
    floating point, hidden values of layer $l$ are multiples of $2^{-l F}$ times the step of $x$:
    nothing is rounded while they have at most 53 (float32: 24) bits.

    **Arguments:**

    - `network`: one network with fixed-point parameters.
    - `grid`: the grid that the parameters are on. Without it, every affine map gets as many digits
      as its own parameters need, which makes a less deep network.
    - `to`: the grid of the result, with at least one bit before the point.
    - `signed`: whether inputs may be negative. It costs one layer, that splits $x$ into $\rho(x)$
      and $\rho(-x)$, and width up to $8 W$.

    **Returns:**

    A `Construction` with error 0. Its depth is $R L$ (one more if `signed`), and without `grid` the
    sum of the $R$ of all maps.

    **Raises:**

    - `ValueError`: for parameters off the grid or not finite, or a `to` without a bit before the
      point, or without bits after the point where they are needed.

    **Reference:** the depth-precision tradeoff of [ou2024], recalled; with these constants derived,
    above the code.
    """
    if to.integer_bits < 1:
        raise ValueError(
            "`trade_depth_for_precision(to=...)` must have at least one bit before the point; got "
            f"{to.integer_bits}. `FixedPoint(1, 1)` has the fewest."
        )
    layers = [_entries(w, b) for w, b in zip(network.weights, network.biases, strict=True)]
    needs = [_bits(layer, f"layer {l}") for l, layer in enumerate(layers)]
    if grid is not None:
        _check_on(grid, needs)
        needs = [(grid.integer_bits, grid.fraction_bits)] * len(needs)
    if to.fraction_bits < 1 and any(after > 0 for _, after in needs):
        raise ValueError(
            "`trade_depth_for_precision(to=...)` must have at least one bit after the point for a "
            f"network with fractions; got {to.fraction_bits}."
        )
    if signed:
        first = layers[0]
        a, beta = first[:, :-1], first[:, -1:]
        layers[0] = scipy.sparse.csr_array(scipy.sparse.hstack([a, -a, beta]))
    result = _network(layers, needs, to.integer_bits, to.fraction_bits, signed)
    inputs = network.widths[0]
    certificate = Certificate(
        bound=0.0,
        target="the given network",
        domain=((-math.inf if signed else 0.0,) * inputs, (math.inf,) * inputs),
        exact=True,
        source="derived; the tradeoff is that of ou2024, recalled",
    )
    return Construction(result, certificate, count(result))


def on_grid(network: ReLUNetwork, integer_bits: int, fraction_bits: int) -> ReLUNetwork:
    """`trade_depth_for_precision` with as few digits as possible, for grids of any size."""
    layers = [_entries(w, b) for w, b in zip(network.weights, network.biases, strict=True)]
    needs = [_bits(layer, f"layer {l}") for l, layer in enumerate(layers)]
    return _network(layers, needs, integer_bits, fraction_bits, False)


def _network(
    layers: list[Any], needs: list[tuple[int, int]], i: int, b: int, signed: bool
) -> ReLUNetwork:
    maps: list[_Map] = []
    if signed:
        identity = scipy.sparse.eye_array((layers[0].shape[1] - 1) // 2)
        split = scipy.sparse.vstack([identity, -identity])
        maps.append(_map(split, np.zeros(split.shape[0])))
    for layer, (before, after) in zip(layers, needs, strict=True):
        maps += _split(layer, before, after, i, b)
    return sparsify(ReLUNetwork([m.matrix for m in maps], [m.bias for m in maps]))


class _Map(NamedTuple):
    matrix: Any
    bias: Float[np.ndarray, " rows"]


def _map(matrix: Any, bias: np.ndarray) -> _Map:
    """A map; narrow matrices are dense, `sparsify` decides about the others."""
    matrix = scipy.sparse.csr_array(matrix)
    small = matrix.shape[0] * matrix.shape[1] <= 1 << 16  # half a megabyte
    return _Map(matrix.toarray() if small else matrix, np.asarray(bias, np.float64))


def _entries(weight: Any, bias: Any) -> Any:
    """The matrix with the bias as its last column, in float64."""
    w = weight.to_scipy() if isinstance(weight, SparseMatrix) else np.asarray(weight)
    column = scipy.sparse.csr_array(np.asarray(bias, np.float64)[:, None])
    joined = scipy.sparse.hstack([scipy.sparse.csr_array(w), column])
    result = scipy.sparse.csr_array(joined).astype(np.float64)
    result.eliminate_zeros()
    return result


def _bits(layer: Any, name: str) -> tuple[int, int]:
    """Bits before and after the point that the parameters of a map need."""
    values = np.abs(layer.data)
    if not np.isfinite(values).all():
        raise ValueError(
            "`trade_depth_for_precision(network)` must get finite parameters; got NaN or infinity "
            f"in {name}."
        )
    if not values.size:
        return 0, 0
    fractions, exponents = np.frexp(values)
    numbers = (fractions * 2.0**53).astype(np.int64)  # exact: a float64 has 53 bits
    zeros = np.log2((numbers & -numbers).astype(np.float64)).astype(np.int64)
    return max(int(exponents.max()), 0), max(int((53 - exponents - zeros).max()), 0)


def _check_on(grid: FixedPoint, needs: list[tuple[int, int]]) -> None:
    for layer, (before, after) in enumerate(needs):
        if before > grid.integer_bits or after > grid.fraction_bits:
            raise ValueError(
                "`trade_depth_for_precision(network, grid)` must get parameters on the grid, below "
                f"2^{grid.integer_bits} in size and multiples of 2^-{grid.fraction_bits}; those of "
                f"layer {layer} need {before} bits before and {after} bits after the point. "
                "`quantize(network, grid)` rounds them."
            )


def _split(layer: Any, before: int, after: int, i: int, b: int) -> list[_Map]:
    """The maps that together are this one."""
    whole = max(math.ceil(before / i), 1)
    broken = max(math.ceil(after / b), 1) if after else 1
    count_ = max(whole, broken)
    if count_ == 1:
        return [_map(layer[:, :-1], layer[:, [-1]].toarray()[:, 0])]
    size = layer.shape[1] - 1
    signs = [abs(layer.multiply(layer > 0)), abs(layer.multiply(layer < 0))]
    # Digits with their place value 1: highest[s][k] for k >= 0, lowest[s][k] for k >= 1.
    highest = [[_part(s, -i * (k + 1), -i * k) for k in range(whole)] for s in signs]
    lowest = [[None, *(_part(s, b * (k - 1), b * k) for k in range(1, broken + 1))] for s in signs]
    used_i = [_rows(parts[1:]) for parts in highest]
    used_f = [_rows(parts[2:]) for parts in lowest]
    maps = []
    # Columns of the state: h, two copies of I+ and I-, F+ and F-.
    copies = [len(rows) for rows in used_i for _ in range(2)]
    halves = [len(rows) for rows in used_f]
    there_i = there_f = False
    for step in range(1, count_):
        k, j = count_ - step, count_ - step + 1
        now_i, now_f = k < whole, j <= broken
        blocks = [_identity(size, 0, _widths(size, copies, halves, there_i, there_f))]
        biases = [np.zeros(size)]
        for sign in range(2) if now_i else ():
            digit = highest[sign][k][used_i[sign]]
            old = [(2.0 ** (i - 1), 2 * sign), (2.0 ** (i - 1), 2 * sign + 1)] if there_i else []
            block = _state(digit, size, copies, halves, there_i, there_f, i_terms=old)
            blocks += [block, block]
            biases += [digit[:, [-1]].toarray()[:, 0]] * 2
        for sign in range(2) if now_f else ():
            digit = 2.0**-b * lowest[sign][j][used_f[sign]]
            old = [(2.0**-b, sign)] if there_f else []
            block = _state(digit, size, copies, halves, there_i, there_f, f_terms=old)
            blocks.append(block)
            biases.append(digit[:, [-1]].toarray()[:, 0])
        maps.append(_map(scipy.sparse.vstack(blocks), np.concatenate(biases)))
        there_i, there_f = now_i, now_f
    last = highest[0][0] - highest[1][0]
    if after:
        last = last + 2.0**-b * (lowest[0][1] - lowest[1][1])
    last = scipy.sparse.csr_array(last)
    pieces = [last[:, :-1]]
    for sign, rows in enumerate(used_i) if there_i else ():
        pieces += [_spread(rows, last.shape[0], (1, -1)[sign] * 2.0 ** (i - 1))] * 2
    for sign, rows in enumerate(used_f) if there_f else ():
        pieces.append(_spread(rows, last.shape[0], (1, -1)[sign] * 2.0**-b))
    maps.append(_map(scipy.sparse.hstack(pieces), last[:, [-1]].toarray()[:, 0]))
    return maps


def _part(matrix: Any, high: int, low: int) -> Any:
    """The bits of value 2^-(high + 1) to 2^-low of positive entries, as whole numbers."""
    values = np.ldexp(matrix.data, low)
    digits = np.floor(np.fmod(values, 2.0 ** (low - high)))
    places = matrix.indices.copy(), matrix.indptr.copy()  # dropping zeros changes them in place
    result = scipy.sparse.csr_array((digits, *places), shape=matrix.shape)
    result.eliminate_zeros()
    return result


def _rows(parts: list[Any]) -> np.ndarray:
    """The rows in which one of the matrices has an entry."""
    if not parts:
        return np.zeros(0, np.int64)
    return np.flatnonzero(sum(np.diff(part.indptr) for part in parts))


def _widths(size, copies, halves, there_i, there_f) -> list[int]:
    return [size, *(copies if there_i else []), *(halves if there_f else [])]


def _identity(rows: int, place: int, widths: list[int]) -> Any:
    starts = np.cumsum([0, *widths])
    return scipy.sparse.eye_array(rows, int(starts[-1]), k=int(starts[place]), format="csr")


def _state(digit, size, copies, halves, there_i, there_f, i_terms=(), f_terms=()) -> Any:
    """Rows over the state: digits of h, and multiples of sums of the step before."""
    widths = _widths(size, copies, halves, there_i, there_f)
    rows = digit.shape[0]
    empty = scipy.sparse.csr_array((rows, sum(widths[1:])))
    result = scipy.sparse.csr_array(scipy.sparse.hstack([digit[:, :-1], empty]))
    for factor, place in i_terms:
        result = result + factor * _identity(rows, 1 + place, widths)
    for factor, place in f_terms:
        result = result + factor * _identity(rows, 1 + 4 * there_i + place, widths)
    return result


def _spread(rows: np.ndarray, outputs: int, factor: float) -> Any:
    """Sums back to the outputs they belong to."""
    values = np.full(len(rows), factor)
    return scipy.sparse.csr_array(
        (values, (rows, np.arange(len(rows)))), shape=(outputs, len(rows))
    )
