"""One network after the other."""

from ._matrices import columns, minus, product, rows, single
from ._network import ReLUNetwork


def compose(outer: ReLUNetwork, inner: ReLUNetwork, *, merge: bool = False) -> ReLUNetwork:
    r"""The network of $x \mapsto \text{outer}(\text{inner}(x))$.

    With $d$ the number of outputs of the inner network, $(A, b)$ its last and $(C, c)$ the first
    affine map of the outer network, indices 1 for outer and 2 for inner:

    - without merging, $(A; -A)$, $(b; -b)$ is followed by $(C, -C)$, $c$. Depth $L_1 + L_2$, width
      $\max\{2d, W_1, W_2\}$, magnitude $\max\{B_1, B_2\}$, connectivity
      $M_1 + M_2 + \|A\|_0 + \|b\|_0 + \|C\|_0 \le 2M_1 + 2M_2$. No parameter is rounded.
    - with merging, both become $(CA, Cb + c)$, which rounds. Depth $L_1 + L_2 - 1$, width at most
      $\max\{W_1, W_2\}$, magnitude at most $\max\{B_1, B_2, d B_1 B_2 + B_1\}$, connectivity
      $M_1 + M_2 - \|A\|_0 - \|b\|_0 - \|C\|_0 - \|c\|_0 + \|CA\|_0 + \|Cb + c\|_0$.

    The lemma states the width without merging as an upper bound; it is attained.

    **Arguments:**

    - `outer`: the network that is applied second.
    - `inner`: the network that is applied first, with as many outputs as `outer` has inputs.
    - `merge`: whether to multiply the two affine maps in the middle.

    **Returns:**

    A network in NumPy where the affected parameters are.

    **Raises:**

    - `ValueError`: when the dimensions do not fit.

    **Reference:** [elbraechter2021], Lemma II.3; merging: derived.
    """
    single("compose(outer, inner)", outer, inner)
    if outer.widths[0] != inner.widths[-1]:
        raise ValueError(
            "`compose(outer, inner)` must be given an inner network with as many outputs as the "
            f"outer one has inputs; got {inner.widths[-1]} outputs and {outer.widths[0]} inputs. "
            "The network that is applied first comes second."
        )
    a, b = inner.weights[-1], inner.biases[-1]
    c, shift = outer.weights[0], outer.biases[0]
    if merge:
        weights, biases = [product(c, a)], [product(c, b) + shift]
    else:
        weights, biases = (
            [rows([a, minus(a)]), columns([c, minus(c)])],
            [rows([b, minus(b)]), shift],
        )
    return ReLUNetwork(
        [*inner.weights[:-1], *weights, *outer.weights[1:]],
        [*inner.biases[:-1], *biases, *outer.biases[1:]],
    )
