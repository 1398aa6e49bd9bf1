"""Smaller weights, more layers: the magnitude is made up for by copies that are added."""

import math
from typing import Any

import numpy as np
import scipy.sparse

from ..networks import ReLUNetwork, SparseMatrix, sparsify
from ._arguments import check_whole
from ._construction import Construction, count, network_of, passed_on


# Let 2^beta_l be the least power of two, at least 1, that is not below any parameter of the map
# (A_l, b_l), and s_l = 2^-beta_l. Multiplying every map by its s_l alone is wrong with biases:
# rho(x) + 1 would become s^2 rho(x) + s. With one more channel, that carries the product of the
# factors so far,
#     h~_1 = rho((s_1 A_1; 0) x + (s_1 b_1; s_1)),
#     h~_l = rho(((s_l A_l, s_l b_l); (0, s_l)) h~_{l-1}),
# h~_l is s_1 ... s_l (h_l, 1), since rho(s t) = s rho(t), and the output is s_1 ... s_L times that
# of the network. It is made larger again by adding copies: the last map gives r_1 copies of y and
# of -y, each of which is rho(y) or rho(-y); their sum, in r_2 copies, is r_1 times as large; and so
# on with r_1 ... r_J = 2^(beta_1 + ... + beta_L), all weights 1.
def lift(network: ReLUNetwork | Construction, fan_out: int | None = None) -> Construction:
    r"""An equal network whose parameters are at most 1 in size.

    With $2^{\beta_l}$ the least power of two, at least 1, above the parameters of layer $l$, and
    copies in groups of $r = 2^\rho$: depth $L$ becomes $L + \lceil \sum_l \beta_l / \rho \rceil$,
    width $W$ at most $\max(W + 1, 2 r d')$ for $d'$ outputs. Parameters with $b$ bits after the
    point get at most $\beta_l$ more. A network that has no parameter above 1 stays as it is.

    Where magnitudes are large and widths are, too, this is cheaper than
    `trade_depth_for_precision`, which spends layers on every map.

    Exact in real arithmetic for all inputs, signed ones too. In floating point parameters are only
    multiplied by powers of two: nothing is rounded that was not rounded before, but for copies
    being added, while values have at most 53 (float32: 24) bits.

    **Arguments:**

    - `network`: one network, or a construction.
    - `fan_out`: the number $r$ of copies, a power of two of at least 2. Without it, the largest
        that does not make the network wider than $W + 1$, or 2.

    **Returns:**

    A `Construction` with error 0; from a construction, with that one's certificate.

    **Raises:**

    - `ValueError`: for parameters that are not finite, or a `fan_out` that is not a power of two.

    **Reference:** that magnitude can be traded for depth is in [ou2024], recalled; the channel for
    the biases corrects it; derived, above the code.
    """
    given, network = network, network_of("lift", network)
    if not math.isfinite(network.magnitude):
        raise ValueError("`lift(network)` must get finite parameters; got NaN or infinity.")
    outputs = network.widths[-1]
    if fan_out is None:
        fan_out = 1 << max(((network.width + 1) // (2 * outputs)).bit_length() - 1, 1)
    copies = check_whole("lift(fan_out)", fan_out, 2)
    if copies & (copies - 1):
        raise ValueError(
            f"`lift(fan_out)` must be a power of two, so that nothing is rounded; got {copies}. "
            f"{1 << copies.bit_length()} is the next one."
        )
    layers = [
        (
            scipy.sparse.csr_array(
                w.to_scipy() if isinstance(w, SparseMatrix) else np.asarray(w)
            ).astype(np.float64),
            np.asarray(b, np.float64),
        )
        for w, b in zip(network.weights, network.biases, strict=True)
    ]
    needs = [_excess(a, b) for a, b in layers]
    how = "lifting of magnitudes as in [ou2024], recalled, biases corrected: derived"
    certificate = passed_on(given, how, -math.inf)
    missing = sum(needs)
    if missing == 0:
        return Construction(network, certificate, count(network))
    weights, biases = _scaled(layers, needs)
    step = copies.bit_length() - 1
    groups = [1 << min(step, missing - done) for done in range(0, missing, step)]
    a, b = weights[-1], biases[-1]
    both = scipy.sparse.vstack([a, -a]), np.concatenate([b, -b])
    weights[-1] = scipy.sparse.vstack([both[0]] * groups[0])
    biases[-1] = np.tile(both[1], groups[0])
    # Every group holds rho(y) and rho(-y) of all outputs.
    gather = scipy.sparse.eye_array(2 * outputs)
    for here, after in zip(groups, groups[1:], strict=False):
        weights.append(scipy.sparse.kron(np.ones((after, here)), gather))
        biases.append(np.zeros(2 * outputs * after))
    difference = scipy.sparse.hstack(
        [scipy.sparse.eye_array(outputs), -scipy.sparse.eye_array(outputs)]
    )
    weights.append(scipy.sparse.kron(np.ones((1, groups[-1])), difference))
    biases.append(np.zeros(outputs))
    small = [w.toarray() if w.shape[0] * w.shape[1] <= 1 << 16 else w for w in weights]
    result = sparsify(ReLUNetwork(small, biases))
    return Construction(result, certificate, count(result))


def _excess(a: Any, b: np.ndarray) -> int:
    """The least beta >= 0 with all parameters at most 2^beta."""
    largest = max(np.max(abs(a.data), initial=0.0), np.max(np.abs(b), initial=0.0))
    fraction, exponent = math.frexp(largest)
    return max(exponent - (fraction == 0.5), 0) if largest else 0


def _scaled(layers: list[Any], needs: list[int]) -> tuple[list[Any], list[np.ndarray]]:
    """The maps times 2^-need, with a channel for the product of the factors."""
    weights, biases = [], []
    for layer, ((a, b), need) in enumerate(zip(layers, needs, strict=True)):
        factor = 2.0**-need
        first, last = layer == 0, layer == len(layers) - 1
        matrix, bias = a * factor, b * factor
        if not first:
            matrix = scipy.sparse.hstack([matrix, scipy.sparse.csr_array(bias[:, None])])
            bias = np.zeros_like(bias)
        if not last:
            channel = np.zeros((1, a.shape[1] + (not first)))
            channel[0, -1] = 0.0 if first else factor
            matrix = scipy.sparse.vstack([matrix, scipy.sparse.csr_array(channel)])
            bias = np.append(bias, factor if first else 0.0)
        weights.append(scipy.sparse.csr_array(matrix))
        biases.append(bias)
    return weights, biases
