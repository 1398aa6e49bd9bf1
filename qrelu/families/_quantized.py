"""Any family with its parameters rounded to a grid."""

from ..networks import ReLUNetwork, normalize
from ..norms import AbstractNorm
from ..targets import AbstractTarget
from ._approximant import Approximant
from ._family import AbstractFamily, check_types
from ._rules import AbstractRule


class Quantized(AbstractFamily):
    """A family whose parameters are rounded; networks are brought to the normal form before.

    **Arguments:**

    - `family`: the family that fits.
    - `rule`: how many bits the parameters get: `Bits(8)`, `MatchedBits()`, `TheoryStep()`.
    """

    family: AbstractFamily
    rule: AbstractRule

    def __check_init__(self):
        for given, wanted, example in (
            (self.family, AbstractFamily, "a family, for example `FreeKnot()`"),
            (self.rule, AbstractRule, "a rule, for example `Bits(8)`"),
        ):
            if not isinstance(given, wanted):
                raise TypeError(f"`Quantized(family, rule)` must get {example}; got {given!r}.")
        if isinstance(self.family, Quantized):
            raise ValueError(
                "`Quantized(family, rule)` must wrap a family with float64 parameters; got a "
                "quantized one. Wrap its inner family."
            )

    @property
    def kind(self) -> str:
        """The kind of the wrapped family."""
        return self.family.kind

    @property
    def name(self) -> str:
        """The wrapped family and the rule."""
        return f"{self.family.name}, {self.rule.name}"

    @property
    def minimum_size(self) -> int:
        """As the wrapped family."""
        return self.family.minimum_size

    def pieces(self, size: int) -> int:
        """As the wrapped family."""
        return self.family.pieces(size)

    def fit(
        self, target: AbstractTarget, size: int, *, norm: AbstractNorm, key=None
    ) -> Approximant:
        """Fit with the wrapped family, then round.

        **Arguments, returns, raises:** as the wrapped family; `connectivity` may be smaller after
        rounding, `connectivity_before_rounding` stands beside it.
        """
        fitted = self.family.fit(target, size, norm=norm, key=key)
        return self.round(fitted, target, norm=norm)

    def round(
        self, approximant: Approximant, target: AbstractTarget, *, norm: AbstractNorm
    ) -> Approximant:
        """Round an approximant of the wrapped family, so that one fit serves many rules.

        **Arguments:**

        - `approximant`: what `family.fit(target, size, norm=norm)` returned.
        - `target`, `norm`: the same as there.

        **Returns:**

        An `Approximant` with values exactly on the grid.
        """
        call = "Quantized(family, rule).round(..., target, norm=...)"
        check_types(call, target, norm, several=True)
        function = approximant.function
        if isinstance(function, ReLUNetwork):
            function = normalize(function)
        rounded = self.rule.round(function, target, self.family, norm)
        notes = "; ".join(note for note in (approximant.notes, rounded.notes) if note)
        return Approximant(
            rounded.function,
            approximant.pieces,
            rounded.bits_per_weight,
            approximant.connectivity,
            rounded.quantizer,
            notes,
            approximant.position_bits,
        )
