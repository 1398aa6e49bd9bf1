"""Fewer bits per weight, more layers: the same function exactly."""

import math
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from jaxtyping import Float

from ..networks import ReLUNetwork, SparseMatrix, sparsify
from ..quantizers import FixedPoint
from ._construction import Construction, count, network_of, passed_on

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
    network: ReLUNetwork | Construction,
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

    - `network`: one network with fixed-point parameters, or a construction.
    - `grid`: the grid that the parameters are on. Without it, every affine map gets as many digits
      as its own parameters need, which makes a less deep network.
    - `to`: the grid of the result, with at least one bit before the point.
    - `signed`: whether inputs may be negative. It costs one layer, that splits $x$ into $\rho(x)$
      and $\rho(-x)$, and width up to $8 W$.

    **Returns:**

    A `Construction` with error 0; from a construction, with that one's certificate. Its depth is
    $R L$ (one more if `signed`), and without `grid` the sum of the $R$ of all maps.

    **Raises:**

    - `ValueError`: for parameters off the grid or not finite, or a `to` without a bit before the
      point, or without bits after the point where they are needed, and for a construction with
      negative inputs unless `signed`.

    **Reference:** the depth-precision tradeoff of [ou2024], recalled; with these constants derived,
    above the code.
    """
    given, network = network, network_of("trade_depth_for_precision", network)
    for name, value in (("grid", grid), ("to", to)):
        if not isinstance(value, FixedPoint) and (name, value) != ("grid", None):
            raise TypeError(
                f"`trade_depth_for_precision({name}=...)` must be a `quantizers.FixedPoint`; got "
                f"{value!r}."
            )
    if isinstance(given, Construction) and not signed and min(given.certificate.domain[0]) < 0:
        raise ValueError(
            "`trade_depth_for_precision(network, signed=False)` holds for inputs from 0 on; those "
            f"of this construction go down to {min(given.certificate.domain[0]):g}. Pass "
            "`signed=True`."
        )
    if to.integer_bits < 1:
        raise ValueError(
            "`trade_depth_for_precision(to=...)` must have at least one bit before the point; got "
            f"{to.integer_bits}. `FixedPoint(1, 1)` has the fewest."
        )
    layers = [_entries(w, b) for w, b in zip(network.weights, network.biases, strict=True)]
    needs = [_bits(layer, f"layer {place}") for place, layer in enumerate(layers)]
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
    how = "depth for precision as in [ou2024], recalled: derived"
    certificate = passed_on(given, how, -math.inf if signed else 0.0)
    return Construction(result, certificate, count(result))


def on_grid(network: ReLUNetwork, integer_bits: int, fraction_bits: int) -> ReLUNetwork:
    """`trade_depth_for_precision` with as few digits as possible, for grids of any size."""
    layers = [_entries(w, b) for w, b in zip(network.weights, network.biases, strict=True)]
    needs = [_bits(layer, f"layer {place}") for place, layer in enumerate(layers)]
    return _network(layers, needs, integer_bits, fraction_bits, False)


def _network(
    layers: list[Any], needs: list[tuple[int, int]], i: int, b: int, signed: bool
) -> ReLUNetwork:
    maps: list[_Map] = []
    if signed:
        inputs = (layers[0].shape[1] - 1) // 2
        identity = scipy.sparse.eye_array(inputs)
        split = scipy.sparse.vstack([identity, -identity])
        maps.append(_map(split, np.zeros(2 * inputs)))
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
    joined = scipy.sparse.hstack([scipy.sparse.csr_array(w, dtype=np.float64), column])
    result: Any = scipy.sparse.csr_array(joined)
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


class _State(NamedTuple):
    """The widths of what a hidden layer holds; sums that are not there have no entry."""

    inputs: int
    wholes: list[int]  # two copies of I+, two copies of I-
    parts: list[int]  # F+, F-

    def read(self, digits: Any) -> Any:
        """Rows that multiply h."""
        rest = sum(self.wholes) + sum(self.parts)
        empty = scipy.sparse.csr_array((digits.shape[0], rest))
        return scipy.sparse.csr_array(scipy.sparse.hstack([digits, empty]))

    def pick(self, place: int) -> Any:
        """Rows that are one of the sums, counted from 0; -1 for h."""
        widths = [self.inputs, *self.wholes, *self.parts]
        starts = np.cumsum([0, *widths]).tolist()
        return scipy.sparse.eye_array(widths[place + 1], starts[-1], k=starts[place + 1])


def _split(layer: Any, before: int, after: int, i: int, b: int) -> list[_Map]:
    """The maps that together are this one."""
    wholes, parts = max(math.ceil(before / i), 1), max(math.ceil(after / b) if after else 0, 1)
    steps = max(wholes, parts)
    if steps == 1:
        return [_map(layer[:, :-1], layer[:, [-1]].toarray()[:, 0])]
    signs = [abs(layer.multiply(layer > 0)), abs(layer.multiply(layer < 0))]
    # Digits by sign and place: before the point from place 0 on, after it from place 1 on (here 0).
    highest = [[_digit(s, -i * k, i) for k in range(wholes)] for s in signs]
    lowest = [[_digit(s, b * (k + 1), b) for k in range(parts)] for s in signs]
    used_i = [_rows(digits[1:]) for digits in highest]
    used_f = [_rows(digits[1:]) for digits in lowest]
    maps, state = [], _State(layer.shape[1] - 1, [], [])
    for place in range(steps - 1, 0, -1):
        rows, biases = [state.pick(-1)], [np.zeros(state.inputs)]
        following = _State(state.inputs, [], [])
        for sign in range(2) if place < wholes else ():
            digit = highest[sign][place][used_i[sign]]
            row = state.read(digit[:, :-1])
            if state.wholes:
                row = row + 2.0 ** (i - 1) * (state.pick(2 * sign) + state.pick(2 * sign + 1))
            rows += [row, row]
            biases += [digit[:, [-1]].toarray()[:, 0]] * 2
            following.wholes.extend([row.shape[0]] * 2)
        for sign in range(2) if place < parts else ():
            digit = 2.0**-b * lowest[sign][place][used_f[sign]]
            row = state.read(digit[:, :-1])
            if state.parts:
                row = row + 2.0**-b * state.pick(len(state.wholes) + sign)
            rows.append(row)
            biases.append(digit[:, [-1]].toarray()[:, 0])
            following.parts.append(row.shape[0])
        maps.append(_map(scipy.sparse.vstack(rows), np.concatenate(biases)))
        state = following
    last = highest[0][0] - highest[1][0]
    if after:
        last = last + 2.0**-b * (lowest[0][0] - lowest[1][0])
    pieces = [last[:, :-1]]
    for sign, factor in enumerate((1.0, -1.0)):
        if state.wholes:
            pieces += [_spread(used_i[sign], last.shape[0], factor * 2.0 ** (i - 1))] * 2
    for sign, factor in enumerate((1.0, -1.0)):
        if state.parts:
            pieces.append(_spread(used_f[sign], last.shape[0], factor * 2.0**-b))
    maps.append(_map(scipy.sparse.hstack(pieces), last[:, [-1]].toarray()[:, 0]))
    return maps


def _digit(matrix: Any, shift: int, bits: int) -> Any:
    """The last bits before the point of positive entries times 2^shift, as whole numbers."""
    digits = np.floor(np.fmod(np.ldexp(matrix.data, shift), 2.0**bits))
    places = matrix.indices.copy(), matrix.indptr.copy()  # dropping zeros changes them in place
    result: Any = scipy.sparse.csr_array((digits, *places), shape=matrix.shape)
    result.eliminate_zeros()
    return result


def _rows(parts: list[Any]) -> np.ndarray:
    """The rows in which one of the matrices has an entry."""
    if not parts:
        return np.zeros(0, np.int64)
    return np.flatnonzero(sum(np.diff(part.indptr) for part in parts))


def _spread(rows: np.ndarray, outputs: int, factor: float) -> Any:
    """Sums back to the outputs they belong to."""
    values = np.full(len(rows), factor)
    return scipy.sparse.csr_array(
        (values, (rows, np.arange(len(rows)))), shape=(outputs, len(rows))
    )
