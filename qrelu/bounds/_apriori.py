"""What rounding to nearest can do to a network, from the norms and sizes of its layers alone."""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..networks import ReLUNetwork
from ._bit_grids import as_dense, check_bits
from ._outward import up
from ._pair import as_box, as_layers, as_network
from ._steps import entry_constant, norm_constant


def apriori_bound(network: Any, bits: int, box: Any) -> float:
    r"""How much a network can change at most when its parameters get so many bits.

    For rounding to nearest on the symmetric grid of $b$ bits up to the largest parameter (or on
    finer grids, of single arrays or channels), for every input of the box and every output, in real
    arithmetic. It knows the norms and absolute values of the layers and nothing else: it takes no
    time, and is far above what `certify_bits` proves for the rounded network.

    **Arguments:**

    - `network`: a `ReLUNetwork` or `equinox.nn.MLP`.
    - `bits`: bits per parameter $b$, at least 2 and at most what the parameters' type holds.
    - `box`: the ends (lower, upper) of the inputs' box, numbers or arrays of shape $(N_0,)$.

    **Returns:**

    The bound, rounded upwards; infinite where it leaves the range of float64.

    **Raises:**

    - `ValueError`: for bits out of range, an unbounded or inverted box, or parameters that are not
        finite.
    - `TypeError`: for something else than a network, or bits that are no whole number.

    **Reference:** derived, above the code, with the constant of `parameter_lipschitz` for the
    network at hand.
    """
    call = "apriori_bound"
    net = as_network(f"{call}(network, ...)", network)
    layers = as_layers(f"{call}(network, ...)", net, "exact")
    ends = as_box(call, box, layers.inputs)
    dense = as_dense(net)
    return apriori_errors(dense, ends, [check_bits(call, bits, dense)])[0]


# Rounding to nearest on the symmetric grid of b bits moves a parameter by at most half a step,
# magnitude/(2^b - 2), and a few units in the last place of the grid value. A change of at most d
# everywhere moves the function by at most d K(d), K that of the network's own norms or entries.
def apriori_errors(
    network: ReLUNetwork, box: tuple[np.ndarray, np.ndarray], bits: Sequence[int]
) -> list[float]:
    """Bounds of the change by rounding all parameters to these bits, from theory alone."""
    radius = float(np.maximum(np.abs(box[0]), np.abs(box[1])).max())
    largest = [float(np.abs(p).max(initial=0)) for p in (*network.weights, *network.biases)]
    epsilon = max(float(jnp.finfo(p.dtype).eps) for p in (*network.weights, *network.biases))
    constants = [norm_constant(network, radius, p) for p in (1.0, math.inf)]
    constants.append(entry_constant(network, radius))
    errors = []
    for b in bits:
        half = up(max(largest) / (2**b - 2))
        change = up(up(half * (1 + 4 * epsilon)) + up(4 * epsilon * max(largest)))
        values = [up(change * constant(change)) for constant in constants]
        errors.append(min((v for v in values if not math.isnan(v)), default=math.inf))
    return errors
