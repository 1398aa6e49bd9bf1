"""The identity as a network, and deeper networks with the same function."""

from typing import Any

import numpy as np

from ._matrices import columns, eye, minus, rows, single, zeros
from ._network import ReLUNetwork


def identity(d: int, depth: int) -> ReLUNetwork:
    r"""The identity of $\mathbb R^d$ as a network.

    Since $t = \rho(t) - \rho(-t)$, the hidden layers carry $\rho(x)$ and $\rho(-x)$. The values are
    those of $x$ without any rounding. With $L$ = `depth` $\ge 2$: width $2d$, connectivity $2dL$,
    magnitude 1; for $L = 1$ width and connectivity are $d$.

    **Arguments:**

    - `d`: the dimension.
    - `depth`: the number of affine maps.

    **Returns:**

    A network with NumPy float64 parameters.

    **Raises:**

    - `ValueError`: unless both are positive integers.

    **Reference:** [elbraechter2021], in the proof of the extension lemma (II.4).
    """
    _positive("identity(d, ...)", d)
    _positive("identity(..., depth)", depth)
    return deepen(ReLUNetwork([np.eye(d)], [np.zeros(d)]), depth)


def deepen(network: ReLUNetwork, depth: int) -> ReLUNetwork:
    r"""The same function with more layers.

    The last affine map $(A, b)$ with $d'$ outputs becomes $(A; -A)$, $(b; -b)$, followed by
    $K - L$ maps that pass $\rho(t)$ and $\rho(-t)$ on and join them in the end. For $K > L$: depth
    $K$, width $\max\{2d', W\}$, magnitude $\max\{1, B\}$, and connectivity
    $M + \|A\|_0 + \|b\|_0 + 2d'(K - L) \le M + d'W + d' + 2d'(K - L)$.

    The lemma in the form restated in lecture notes lacks the term $d'$, which is needed when biases
    are counted: $x + 1$ as one affine map has $M = 2$ and needs 6, not 5, for $K = 2$.

    **Arguments:**

    - `network`: the network.
    - `depth`: the number $K$ of affine maps, at least the depth of the network.

    **Returns:**

    A network with the same kinds of arrays and the same dtypes.

    **Raises:**

    - `ValueError`: for a depth below that of the network.

    **Reference:** [elbraechter2021], Lemma II.4, with the term $d'$ added.
    """
    single("deepen(network, depth)", network)
    _positive("deepen(..., depth)", depth)
    if depth < network.depth:
        raise ValueError(
            f"`deepen(..., depth)` must be at least the depth {network.depth} of the network; got "
            f"{depth}. A network cannot be made shallower in general."
        )
    if depth == network.depth:
        return network
    a, b = network.weights[-1], network.biases[-1]
    outputs, extra = a.shape[0], depth - network.depth
    join = columns([eye(outputs, a), minus(eye(outputs, a))])
    return ReLUNetwork(
        [*network.weights[:-1], rows([a, minus(a)]), *[eye(2 * outputs, a)] * (extra - 1), join],
        [
            *network.biases[:-1],
            rows([b, minus(b)]),
            *[zeros(2 * outputs, b)] * (extra - 1),
            zeros(outputs, b),
        ],
    )


def _positive(name: str, value: Any) -> None:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < 1:
        raise ValueError(f"`{name}` must be a positive integer; got {value!r}.")
