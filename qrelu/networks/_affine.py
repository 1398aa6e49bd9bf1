"""Affine maps before and after a network."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import ArrayLike

from ._matrices import Parameter, as_parameter, library, product, single, times
from ._network import ReLUNetwork


def scale(network: ReLUNetwork, factor: ArrayLike) -> ReLUNetwork:
    r"""The network of $c f$, for a number $c$.

    The last affine map is multiplied by $c$: same depth and width, magnitude at most
    $\max\{B, |c| B\}$, same connectivity unless $c = 0$. (The papers keep all magnitudes below 1
    instead, and pay with about $\log_2 |c|$ layers.)

    **Arguments:**

    - `network`: the network of $f$.
    - `factor`: the number $c$.

    **Returns:**

    A network with the same kinds of arrays, in JAX where `factor` is a JAX array.

    **Raises:**

    - `ValueError`: when `factor` is not a single number.
    - `TypeError`: when it is not real.

    **Reference:** derived.
    """
    single("scale(network, factor)", network)
    if np.ndim(factor) != 0:
        raise ValueError(
            f"`scale(..., factor)` must be a number; got the shape {np.shape(factor)}. Use "
            "`affine_after` for matrices."
        )
    factor = as_parameter("scale(..., factor)", factor, network.weights[-1])
    return affine_after(network, factor)


def affine_after(
    network: ReLUNetwork, matrix: Any, offset: ArrayLike | Sequence = 0.0
) -> ReLUNetwork:
    r"""The network of $x \mapsto T f(x) + t$.

    The last affine map $(A, b)$ becomes $(TA, Tb + t)$: same depth and hidden widths, `T` may
    change the number of outputs. A number $T$ only scales: it keeps zeros.

    **Arguments:**

    - `network`: the network of $f$.
    - `matrix`: $T$, with one column per output of the network, dense or sparse, or a number.
    - `offset`: $t$, with one entry per row of $T$, or a number for all of them.

    **Returns:**

    A network with the same kinds of arrays, in JAX where the map is a JAX array.

    **Raises:**

    - `ValueError`: for shapes that do not fit.

    **Reference:** derived: composition with merging.
    """
    single("affine_after(network, ...)", network)
    a, b = network.weights[-1], network.biases[-1]
    m, t = _affine("affine_after", matrix, offset, a, (1, a.shape[0]))
    a, b = (times(m, a), times(m, b)) if m.ndim == 0 else (product(m, a), product(m, b))
    t = _offset("affine_after", t, a.shape[0])
    return ReLUNetwork([*network.weights[:-1], a], [*network.biases[:-1], b + t])


def affine_before(
    network: ReLUNetwork, matrix: Any, offset: ArrayLike | Sequence = 0.0
) -> ReLUNetwork:
    r"""The network of $x \mapsto f(T x + t)$.

    The first affine map $(A, b)$ becomes $(AT, At + b)$: same depth and hidden widths, `T` may
    change the number of inputs. A number $T$ only scales: it keeps zeros.

    **Arguments:**

    - `network`: the network of $f$.
    - `matrix`: $T$, with one row per input of the network, dense or sparse, or a number.
    - `offset`: $t$, with one entry per row of $T$, or a number for all of them.

    **Returns:**

    A network with the same kinds of arrays, in JAX where the map is a JAX array.

    **Raises:**

    - `ValueError`: for shapes that do not fit.

    **Reference:** derived: composition with merging.
    """
    single("affine_before(network, ...)", network)
    a, b = network.weights[0], network.biases[0]
    m, t = _affine("affine_before", matrix, offset, a, (0, a.shape[1]))
    t = _offset("affine_before", t, a.shape[1])
    b = product(a, t) + b
    a = times(m, a) if m.ndim == 0 else product(a, m)
    return ReLUNetwork([a, *network.weights[1:]], [b, *network.biases[1:]])


def _affine(
    call: str, matrix: Any, offset: Any, like: Parameter, wanted: tuple[int, int]
) -> tuple[Parameter, Parameter]:
    m = as_parameter(f"{call}(..., matrix)", matrix, like)
    t = as_parameter(f"{call}(..., offset)", offset, like)
    axis, n = wanted
    if m.ndim != 0 and (m.ndim != 2 or m.shape[axis] != n):
        raise ValueError(
            f"`{call}(..., matrix)` must be a number or a matrix with {n} "
            f"{('rows', 'columns')[axis]}; got the shape {m.shape}."
        )
    return m, t


def _offset(call: str, t: Parameter, n: int) -> Parameter:
    if t.ndim == 0:
        return library(t).broadcast_to(t, (n,))
    if t.shape != (n,):
        raise ValueError(
            f"`{call}(..., offset)` must be a number or have the shape ({n},); got {t.shape}."
        )
    return t
