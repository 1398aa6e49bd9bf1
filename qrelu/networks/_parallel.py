"""Networks side by side, and their linear combinations."""

import functools
from collections.abc import Sequence
from typing import Any

from ._identity import deepen
from ._matrices import as_parameter, block_diagonal, columns, plus, rows, single, times
from ._network import ReLUNetwork


def parallel(*networks: ReLUNetwork, shared: bool = False) -> ReLUNetwork:
    r"""The network of $(x_1, \ldots, x_n) \mapsto (f_1(x_1), \ldots, f_n(x_n))$, or with one $x$.

    Shallower networks are first made as deep as the deepest one, $L = \max_i L_i$, by `deepen`.
    Then, with $M_i, W_i, B_i$ of the networks of equal depth: connectivity $\sum_i M_i$, magnitude
    $\max_i B_i$, layer widths the sums of the layer widths (except for shared inputs), so width at
    most $\sum_i W_i$. No parameter is rounded.

    The lemma is stated for equal depths; making them equal costs connectivity, may raise the width
    of a network to $2d'_i$ and its magnitude to 1.

    **Arguments:**

    - `networks`: the networks.
    - `shared`: whether all of them get the same $x$. Otherwise the inputs are concatenated.

    **Returns:**

    A network in NumPy where all parameters of a layer are.

    **Raises:**

    - `ValueError`: for no network, or different numbers of inputs when they are shared.

    **Reference:** [elbraechter2021], Lemma II.5, for unequal depths with Lemma II.4.
    """
    if not networks:
        raise ValueError("`parallel(*networks)` must be given at least one network; got none.")
    single("parallel(*networks)", *networks)
    if shared:
        _same("parallel(*networks, shared=True)", "inputs", [n.widths[0] for n in networks])
    depth = max(n.depth for n in networks)
    networks = tuple(deepen(n, depth) for n in networks)
    weights = [block_diagonal(layer) for layer in zip(*(n.weights for n in networks), strict=True)]
    if shared:
        weights[0] = rows([n.weights[0] for n in networks])
    biases = [rows(layer) for layer in zip(*(n.biases for n in networks), strict=True)]
    return ReLUNetwork(weights, biases)


def linear_combination(networks: Sequence[ReLUNetwork], coefficients: Any) -> ReLUNetwork:
    r"""The network of $x \mapsto \sum_i a_i f_i(x)$.

    The networks are put side by side with a shared input, and the last affine maps
    $(A_i, b_i)$ become $(a_1 A_1, \ldots, a_n A_n)$, $\sum_i a_i b_i$. With $M_i, W_i, B_i$ of the
    networks of equal depth $L$ (`deepen`): depth $L$, width at most $\sum_i W_i$, connectivity at
    most $\sum_i M_i$, and magnitude at most
    $\max\{\max_i B_i, \max_i |a_i| B_i, \sum_i |a_i| B_i\}$, the last term for the output bias.

    The lemma is stated with connectivity $\sum_i M_i$; since the output biases are added up (for
    $L = 1$ the matrices, too), that is only an upper bound. For $L \ge 2$ and coefficients that are
    not zero the connectivity is exactly $\sum_i M_i - \sum_i \|b_i\|_0 + \|\sum_i a_i b_i\|_0$.

    **Arguments:**

    - `networks`: the networks, with the same numbers of inputs and of outputs.
    - `coefficients`: the numbers $a_i$, one per network.

    **Returns:**

    A network in NumPy where all parameters of a layer are, and the coefficients for the last one.

    **Raises:**

    - `ValueError`: for no network, numbers of inputs, outputs or coefficients that do not fit.

    **Reference:** [elbraechter2021], Lemma II.6, with the output biases added.
    """
    call, networks = "linear_combination(networks, coefficients)", tuple(networks)
    if not networks:
        raise ValueError(f"`{call}` must be given at least one network; got none.")
    single(call, *networks)
    numbers = as_parameter(call, coefficients, networks[0].weights[-1])
    if numbers.shape != (len(networks),):
        raise ValueError(
            f"`{call}` must be given one number per network; got {len(networks)} networks and "
            f"coefficients of the shape {numbers.shape}."
        )
    return _combine(call, networks, list(numbers))


def add(f: ReLUNetwork, g: ReLUNetwork) -> ReLUNetwork:
    r"""The network of $f + g$: the linear combination with coefficients 1.

    **Arguments:**

    - `f`: a network.
    - `g`: another network, with the same numbers of inputs and of outputs.

    **Returns:**

    A network as of `linear_combination`, which states depth, width, connectivity and magnitude.

    **Raises:**

    - `ValueError`: for different numbers of inputs or of outputs.

    **Reference:** [elbraechter2021], Lemma II.6, with the output biases added.
    """
    single("add(f, g)", f, g)
    return _combine("add(f, g)", (f, g), (1.0, 1.0))


def _combine(call: str, networks: tuple[ReLUNetwork, ...], numbers: Sequence[Any]) -> ReLUNetwork:
    _same(call, "inputs", [n.widths[0] for n in networks])
    _same(call, "outputs", [n.widths[-1] for n in networks])
    depth = max(n.depth for n in networks)
    networks = tuple(deepen(n, depth) for n in networks)
    last = [
        (times(a, n.weights[-1]), times(a, n.biases[-1]))
        for a, n in zip(numbers, networks, strict=True)
    ]
    bias = sum([b for _, b in last[1:]], last[0][1])
    if depth == 1:
        return ReLUNetwork([functools.reduce(plus, [a for a, _ in last])], [bias])
    hidden = parallel(*networks, shared=True)
    weights = [*hidden.weights[:-1], columns([a for a, _ in last])]
    return ReLUNetwork(weights, [*hidden.biases[:-1], bias])


def _same(call: str, what: str, numbers: list[int]) -> None:
    if len(set(numbers)) > 1:
        raise ValueError(
            f"`{call}` must be given networks with the same number of {what}; got {numbers}."
        )
