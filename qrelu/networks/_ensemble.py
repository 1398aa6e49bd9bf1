"""Many networks as one pytree with a leading axis."""

import operator
from collections.abc import Sequence

import jax
import numpy as np

from ._matrices import enlarged, library, single
from ._network import ReLUNetwork


def stack(networks: Sequence[ReLUNetwork]) -> ReLUNetwork:
    r"""Networks of the same widths as one network whose parameters have a leading axis.

    Evaluate it with `jax.vmap(realize, in_axes=(0, None))(stacked, xs)`: one compiled program for
    all of them. Works for masks of `mask`, too.

    **Arguments:**

    - `networks`: at least one network; `pad` gives them common widths, `deepen` a common depth.

    **Returns:**

    A network with parameters of shapes $(n, N_l, N_{l-1})$ and $(n, N_l)$, in NumPy where all are.
    Sparse matrices must have the same entries, and are stacked by their values.

    **Raises:**

    - `ValueError`: for no network, different widths, or different entries of sparse matrices.
    """
    networks = tuple(networks)
    if not networks:
        raise ValueError("`stack(networks)` must be given at least one network; got none.")
    shapes = [[p.shape for p in (*net.weights, *net.biases)] for net in networks]
    odd = next((i for i, s in enumerate(shapes) if s != shapes[0]), None)
    if odd is not None:
        raise ValueError(
            "`stack(networks)` must be given networks of the same widths; got "
            f"{networks[0].widths} and {networks[odd].widths}. Use `deepen` for a common depth, "
            "then `pad` for common widths."
        )
    forms = [jax.tree.structure(net) for net in networks]
    odd = next((i for i, form in enumerate(forms) if form != forms[0]), None)
    if odd is not None:
        layer = next(
            i
            for i, (v, w) in enumerate(zip(networks[0].weights, networks[odd].weights, strict=True))
            if jax.tree.structure(v) != jax.tree.structure(w)
        )
        raise ValueError(
            "`stack(networks)` must be given networks whose sparse matrices have the same entries; "
            f"`weights[{layer}]` of networks 0 and {odd} differ. Use `sparsify(stack([densify(net) "
            "for net in networks]))` for a common pattern."
        )
    return jax.tree.map(lambda *parts: library(*parts).stack(parts), *networks)


def unstack(stacked: ReLUNetwork) -> tuple[ReLUNetwork, ...]:
    r"""The networks of a stack, one after the other: the inverse of `stack`.

    **Arguments:**

    - `stacked`: a network whose parameters have a leading axis.

    **Returns:**

    The networks, with the same kind of arrays (NumPy: views) and the same dtypes.

    **Raises:**

    - `ValueError`: for parameters without a common leading axis.
    """
    leaves = jax.tree.leaves(stacked)
    sizes = {p.shape[0] for p in leaves}
    if stacked.weights[0].ndim < 3 or len(sizes) != 1:
        raise ValueError(
            "`unstack(stacked)` must be given a network whose parameters have a common leading "
            f"axis; got the shapes {[p.shape for p in leaves]}. `stack` makes one."
        )
    return tuple(jax.tree.map(lambda p, i=i: p[i], stacked) for i in range(sizes.pop()))


def pad(network: ReLUNetwork, widths: Sequence[int]) -> ReLUNetwork:
    r"""The same function with more hidden neurons, all of whose parameters are zero.

    Connectivity and magnitude are unchanged. The added terms are exact zeros, so a value can only
    differ where a longer sum is added up in another order: not in exact arithmetic, and by rounding
    errors in floating point. (Parameters and points must be finite: $0 \cdot \infty$ is not 0.)

    With `realize`, the gradients with respect to the added parameters are zero, since an added
    neuron has the value $\rho(0) = 0$, gets the gradient $0$ from its outgoing weights, and JAX has
    $\rho'(0) = 0$: plain gradient steps leave the padding alone, and `mask` makes sure for
    everything else. Several networks of one depth fit into the widths
    `[max(n) for n in zip(*(net.widths for net in networks))]`.

    Sparse matrices only get another shape: their added parameters do not exist.

    **Arguments:**

    - `network`: the network.
    - `widths`: the numbers of units $(N_0, \ldots, N_L)$ of the result; as many as the network has,
      none below, inputs and outputs the same.

    **Returns:**

    A network with the same kinds of arrays and the same dtypes.

    **Raises:**

    - `ValueError`: for widths that do not fit.

    **Reference:** derived.
    """
    single("pad(network, widths)", network)
    before, after = network.widths, _fitting("pad", network, widths)
    return ReLUNetwork(
        [enlarged(w, (after[i + 1], after[i])) for i, w in enumerate(network.weights)],
        [
            library(b).pad(b, (0, after[i + 1] - before[i + 1]))
            for i, b in enumerate(network.biases)
        ],
    )


def mask(network: ReLUNetwork, widths: Sequence[int]) -> ReLUNetwork:
    r"""Which parameters of `pad(network, widths)` come from the network.

    Apply it to gradients or updates, entry by entry, with
    `jax.tree.map(jnp.multiply, updates, mask)`: then weight decay, noise, momentum or a quantizer
    without zero cannot make padding trainable. (`equinox.partition` and `optax.masked` choose whole
    arrays, and padding is a part of one. For them, train the small network and pad in the loss:
    `realize(pad(network, widths), xs)` is differentiable.)

    **Arguments:**

    - `network`: the network before padding.
    - `widths`: as of `pad`.

    **Returns:**

    A pytree of the same structure with NumPy booleans in the shapes of the padded parameters; masks
    of several networks stack.

    **Raises:**

    - `ValueError`: for widths that do not fit.
    """
    single("mask(network, widths)", network)
    _fitting("mask", network, widths)
    ones = jax.tree.map(lambda p: np.ones(p.shape), network)
    return jax.tree.map(lambda p: p != 0, pad(ones, widths))


def _fitting(call: str, network: ReLUNetwork, widths: Sequence[int]) -> tuple[int, ...]:
    before, after = network.widths, tuple(widths)
    whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in after)
    fits = len(after) == len(before) and all(map(operator.ge, after, before))
    if not whole or not fits:
        raise ValueError(
            f"`{call}(..., widths)` must be {len(before)} integers, none below those of the "
            f"network, {before}; got {after}. Use `deepen` first for more layers."
        )
    if (after[0], after[-1]) != (before[0], before[-1]):
        raise ValueError(
            f"`{call}(..., widths)` must keep the {before[0]} inputs and {before[-1]} outputs of "
            f"the network; got {after}. `affine_before` and `affine_after` change them."
        )
    return after
