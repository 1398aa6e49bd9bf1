"""How a number grows with the size of an approximant."""

import dataclasses
import math

from .._misc import plain
from ._checks import as_number
from ._outward import Number


@dataclasses.dataclass(frozen=True)
class Growth:
    r"""The law $M \mapsto c\, M^a (\log_2 M)^b$, for depths, norms and counts along a sequence.

    - `coefficient`: $c$, positive.
    - `power`: $a$.
    - `log_power`: $b$.
    """

    coefficient: Number
    power: Number = 0.0
    log_power: Number = 0.0

    def __post_init__(self):
        for name in ("coefficient", "power", "log_power"):
            object.__setattr__(self, name, plain(getattr(self, name)))
        numbers = [
            as_number(f"Growth({name}=...)", getattr(self, name))
            for name in ("coefficient", "power", "log_power")
        ]
        if not (all(math.isfinite(n) for n in numbers) and self.coefficient > 0):
            raise ValueError(
                "`Growth(coefficient, power, log_power)` must be finite with a positive "
                f"coefficient; got {tuple(numbers)}. For no bound at all pass None in its place."
            )

    def __call__(self, size: Number) -> float:
        """The value at a size $M$ of at least 2."""
        return 2.0 ** self.log2(size)

    def log2(self, size: Number) -> float:
        """The logarithm of the value at a size $M$ of at least 2; it does not overflow."""
        if not size >= 2:
            raise ValueError(f"`Growth(...)(size)` must get a size of at least 2; got {size}.")
        scale = math.log2(size)
        return math.log2(self.coefficient) + self.power * scale + self.log_power * math.log2(scale)

    @property
    def beyond_one(self) -> bool:
        """Whether the values stay above some number beyond 1 for large sizes."""
        return (self.power, self.log_power, self.coefficient) > (0, 0, 1)
