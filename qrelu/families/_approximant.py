"""The record that every family returns."""

import equinox as eqx

from .._misc import plain
from ..networks import ReLUNetwork
from ..quantizers import AbstractQuantizer
from ._formula import AbstractFormula


class Approximant(eqx.Module):
    """A function that approximates a target, with what it costs.

    **Attributes:**

    - `function`: a `ReLUNetwork` or another family's formula, NumPy float64 leaves; after
      rounding, values exactly on the grid.
    - `pieces`: smooth pieces that the family asked for, linear ones for networks (rounding can
      merge some).
    - `bits_per_weight`: bits that one parameter takes; 64 for an unquantized function.
    - `connectivity_before_rounding`: nonzeros before rounding, which may set some to zero.
    - `quantizer`: the grid of the parameters, or `None`.
    - `notes`: what a reader of the result should know, one sentence or empty.
    - `position_bits`: bits that say which terms were chosen; 0 where the family has no choice.
    - `network`: the function, where it is a network.
    - `connectivity`, `neurons`, `bits`: nonzero parameters, hidden neurons, total bits.
    """

    function: ReLUNetwork | AbstractFormula
    pieces: int = eqx.field(converter=plain, static=True)
    bits_per_weight: float = eqx.field(converter=plain, static=True)
    connectivity_before_rounding: int = eqx.field(converter=plain, static=True)
    quantizer: AbstractQuantizer | None = None
    notes: str = eqx.field(static=True, default="")
    position_bits: float = eqx.field(converter=plain, static=True, default=0.0)

    @property
    def network(self) -> ReLUNetwork:
        """The network of a ReLU family; other families have a `function` only."""
        if not isinstance(self.function, ReLUNetwork):
            raise AttributeError(
                "`Approximant.network` must be asked of a family of networks; got "
                f"{type(self.function).__name__}. Use `Approximant.function`."
            )
        return self.function

    @property
    def connectivity(self) -> int:
        """Nonzero parameters of the function as it is; for networks the weights and biases."""
        return self.function.connectivity

    @property
    def neurons(self) -> int:
        """Hidden neurons; 0 for a function that is no network."""
        function = self.function
        return sum(function.widths[1:-1]) if isinstance(function, ReLUNetwork) else 0

    @property
    def bits(self) -> float:
        """Bits of all that is stored: parameters nonzero before or after rounding, positions.

        Grids of one bit have no zero: there, rounding makes parameters of what was zero.
        """
        stored = max(self.connectivity_before_rounding, self.connectivity)
        return self.bits_per_weight * stored + self.position_bits
