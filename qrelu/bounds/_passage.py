"""The errors of single layers, carried to a unit far behind them with their signs."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ._outward import TINY, UNIT
from ._pair import product


class Passage(NamedTuple):
    """A layer, and how errors pass into it, in every cell."""

    weights: np.ndarray  # (n, inputs)
    share: np.ndarray  # (inputs, K), of the error before the activation, 0, 1/2 or 1
    slack: np.ndarray  # (inputs, K), what the activation may add to that
    fresh: np.ndarray  # (n, K), the errors of this layer itself
    loss: np.ndarray  # (K,), what underflow may cost in carrying rows through this layer


# Let A_l be the affine function of layer l in a cell, z_l the pre-activation, exact or computed,
# and e_l = z_l - A_l at a point of the cell. The sum of |W_l| |e_(l-1)| over the layers would grow
# with the product of absolute weights, which is much larger than the weights' product. But
#     e_l = W_l d_(l-1) + f_l,   d_l = D_l e_l + s_l,
# where d is the error after the activation, |f_l| <= fresh are the errors of this layer, D_l is
# diagonal with the shares below and |s_l| <= slack. Hence, for M_l a row of the unit matrix and
# M_(k-1) = M_k W_k D_(k-1) down to the first layer,
#     |e_l| <= sum over k of |M_k| |f_k| + |M_k W_k| |s_(k-1)|:
# the rows M_k hold the products of weights with their signs. The errors of the inputs are s_0.
#
# Rows are carried in floating point: what is computed is P = M_k W_k + R with
# |R| <= gamma_n |M_k| |W_k|, and |R d_(k-1)| <= |M_k| gamma_n |W_k| |d_(k-1)|, whatever M_k is. So
# it is enough that `fresh` holds gamma_n |W_k| |d_(k-1)| with a crude bound of d; nothing
# accumulates.
#
# The shares: let A be one of these functions, low <= A <= high, and y = A + e with |e| <= r. Taking
# A for relu(y), the error is e + max(0, -y), that is
#     e + s with |s| <= max(0, r - low), or
#     e/2 + s with |s| <= r/2 + max(0, -low): s = e/2 for y >= 0, and for y < 0, s = -A - e/2 is at
#     most -low + r/2, and at least -r/2 because -A > e.
# Taking 0, the error is max(0, y), that is
#     s with |s| <= max(0, high + r), or
#     e/2 + s with |s| <= r/2 + max(0, high): s = -e/2 for y < 0, and for y >= 0, s = A + e/2 is at
#     most high + r/2, and at least -r/2 because A >= -e.
def errors_at(path: Sequence[Passage], unit: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Bounds of |e| at units of the last layer of a path, each in one cell."""
    last = path[-1]
    total = last.fresh[unit, cell] + last.loss[cell]
    rows = np.ascontiguousarray(last.weights[unit].T)  # (inputs, pairs)
    for passage, before in zip(path[:0:-1], path[-2::-1], strict=True):
        total += (abs(rows) * passage.slack[:, cell]).sum(0)
        rows *= passage.share[:, cell]
        total += (abs(rows) * before.fresh[:, cell]).sum(0) + before.loss[cell]
        rows = product(before.weights.T, rows)
    total += (abs(rows) * path[0].slack[:, cell]).sum(0)
    # All terms are non-negative: their sum rounds relative to itself, and each product may
    # underflow.
    terms = 2 * sum(sum(passage.weights.shape) for passage in path)
    return np.where(np.isnan(total), np.inf, total * (1 + (terms + 8) * UNIT) + terms * TINY)
