"""How the bits per parameter grow with the depth."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from ._checks import as_exponent, as_number, as_positive, as_whole
from ._class_steps import necessary_bits, sufficient_bits
from ._outward import Number
from ._steps import Rounding, check_rounding


class BitsByDepth(NamedTuple):
    r"""Bits per parameter that a class of networks needs, depth by depth.

    **Attributes:**

    - `depths`: the depths $L$.
    - `sufficient`: bits that are enough at each depth, for every network of the class.
    - `necessary`: bits below which a uniform grid fails for some network of the class.
    - `per_layer`: $\log_2 \max(r, 1)$, the bits that every further layer costs in the long run.
    """

    depths: Int[np.ndarray, " depths"]
    sufficient: Int[np.ndarray, " depths"]
    necessary: Int[np.ndarray, " depths"]
    per_layer: float


# At fixed widths and D, K lies between c r^(L-1) and a polynomial in L times r^L for r > 1, and
# between c and a polynomial in L for r <= 1; both steps are accuracy/K up to constants.
def bits_by_depth(
    depths: Sequence[int],
    norm_bound: Number,
    accuracy: Number,
    *,
    width: int = 1,
    input_radius: Number = 1.0,
    p: Number = math.inf,
    rounding: Rounding = "nearest",
) -> BitsByDepth:
    r"""The bits per parameter of networks with one input and one output, for growing depth.

    With norms up to $r > 1$ both counts grow by $\log_2 r$ per layer: linearly in the depth. With
    $r \le 1$ they grow like the logarithm of the depth only. Parameters and grids are in real
    arithmetic, so the bits may exceed those of a floating type.

    **Arguments:**

    - `depths`: the depths $L$, positive.
    - `norm_bound`: the bound $r$ on the norms of weights and biases of all layers.
    - `accuracy`: the error that is allowed, positive.
    - `width`: the width of the hidden layers.
    - `input_radius`, `p`, `rounding`: as in `sufficient_step`.

    **Returns:**

    A `BitsByDepth` record.

    **Raises:**

    - `ValueError`: for depths or a width below 1, or what `sufficient_step` refuses.

    **Reference:** that bits must be linear in the depth is due to [gonon2023]; that $r > 1$ is
    needed for it is derived, above the code.
    """
    call = "bits_by_depth"
    if isinstance(depths, str) or not isinstance(depths, Iterable):
        raise TypeError(f"`{call}(depths=...)` must be a sequence of integers; got {depths!r}.")
    numbers = [as_whole(f"{call}(depths=...)", depth, 1) for depth in depths]
    if not numbers:
        raise ValueError(f"`{call}(depths=...)` must hold at least one depth; got none.")
    width = as_whole(f"{call}(width=...)", width, 1)
    as_positive(f"{call}(accuracy=...)", accuracy)
    as_exponent(f"{call}(p=...)", p)
    for name, value in (("norm_bound", norm_bound), ("input_radius", input_radius)):
        if not 0 <= as_number(f"{call}({name}=...)", value) < math.inf:
            raise ValueError(f"`{call}({name}=...)` must be non-negative and finite; got {value}.")
    check_rounding(call, rounding)
    enough, needed = [], []
    for depth in numbers:
        widths = (1, *[width] * (depth - 1), 1)
        enough.append(
            sufficient_bits(
                widths, norm_bound, input_radius, accuracy, p, rounding=rounding, dtype=None
            )
        )
        needed.append(
            necessary_bits(widths, norm_bound, input_radius, accuracy, p, rounding=rounding)
        )
    return BitsByDepth(
        np.array(numbers), np.array(enough), np.array(needed), math.log2(max(norm_bound, 1))
    )
