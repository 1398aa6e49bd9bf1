"""The record that every family returns."""

import equinox as eqx

from ..networks import ReLUNetwork
from ..quantizers import AbstractQuantizer


class Approximant(eqx.Module):
    """A network that approximates a target, with what it costs.

    **Attributes:**

    - `network`: the network, NumPy float64 leaves; after rounding, values exactly on the grid.
    - `pieces`: linear pieces that the family asked for (rounding can merge some).
    - `bits_per_weight`: bits that one parameter takes; 64 for an unquantized network.
    - `connectivity_before_rounding`: nonzeros before rounding, which may set some to zero.
    - `quantizer`: the grid of the parameters, or `None`.
    - `notes`: what a reader of the result should know, one sentence or empty.
    - `connectivity`, `neurons`, `bits`: nonzero parameters, hidden neurons, total bits.
    """

    network: ReLUNetwork
    pieces: int = eqx.field(static=True)
    bits_per_weight: float = eqx.field(static=True)
    connectivity_before_rounding: int = eqx.field(static=True)
    quantizer: AbstractQuantizer | None = None
    notes: str = eqx.field(static=True, default="")

    @property
    def connectivity(self) -> int:
        """Nonzero weights and biases of the network as it is."""
        return self.network.connectivity

    @property
    def neurons(self) -> int:
        """Hidden neurons."""
        return sum(self.network.widths[1:-1])

    @property
    def bits(self) -> float:
        """Bits of all parameters that are stored: those that were nonzero before rounding."""
        return self.bits_per_weight * self.connectivity_before_rounding
