"""How wide a network of a given connectivity is."""

import abc
import numbers

import equinox as eqx

from .._misc import plain


class AbstractWidths(eqx.Module):
    """A rule that gives the widths of the largest network that does not exceed a size."""

    @abc.abstractmethod
    def __call__(self, inputs: int, size: int) -> tuple[int, ...] | None:
        """The widths (inputs, N_1, ..., 1), or None where the size allows no network.

        **Arguments:**

        - `inputs`: the number of variables.
        - `size`: connectivity that must not be exceeded, all weights and biases counted.
        """

    @property
    @abc.abstractmethod
    def depth(self) -> int:
        """The number of affine maps."""

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """What tables show; empty for one hidden layer."""


class EqualWidths(AbstractWidths):
    """Hidden layers of one width.

    **Arguments:**

    - `depth`: the number of affine maps, at least 2: hidden layers and one more.
    """

    depth: int = eqx.field(converter=plain, static=True, default=2)

    def __check_init__(self):
        whole = isinstance(self.depth, numbers.Integral) and not isinstance(self.depth, bool)
        if not whole or self.depth < 2:
            raise ValueError(
                f"`EqualWidths(depth)` must be a whole number from 2 on; got {self.depth!r}. It "
                "counts affine maps: 2 is one hidden layer."
            )

    @property
    def name(self) -> str:
        """What tables show."""
        return "" if self.depth == 2 else f"depth {self.depth}"

    def __call__(self, inputs: int, size: int) -> tuple[int, ...] | None:
        """The widths; see `AbstractWidths`."""
        width = 0
        while _connectivity(self._widths(inputs, width + 1)) <= size:
            width += 1
        return self._widths(inputs, width) if width else None

    def _widths(self, inputs: int, width: int) -> tuple[int, ...]:
        return (inputs, *[width] * (self.depth - 1), 1)


def _connectivity(widths: tuple[int, ...]) -> int:
    """All weights and biases."""
    return sum(a * b + b for a, b in zip(widths[:-1], widths[1:], strict=True))
