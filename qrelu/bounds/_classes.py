"""Classes of functions with the rate at which bits describe them."""

import abc
import math

import equinox as eqx

from ._outward import Number


class AbstractFunctionClass(eqx.Module):
    r"""The unit ball of a space of functions, or another compact class.

    - `encoding_rate`: the largest $\gamma$ such that $O(\varepsilon^{-1/\gamma})$ bits describe
        every function of the class up to $\varepsilon$.
    - `norm`: the norm in which the accuracy is measured.
    - `source`: where the rate is stated.
    - `dimension`: the number of variables.
    """

    @property
    @abc.abstractmethod
    def encoding_rate(self) -> float:
        """The rate."""

    @property
    @abc.abstractmethod
    def source(self) -> str:
        """Where the rate is stated."""

    @property
    def norm(self) -> str:
        """The norm in which the accuracy is measured."""
        return "L2"


_TABLE = "[gonon2023], after [elbraechter2021]"
_RECALLED = "[elbraechter2021], recalled"


class Hoelder(AbstractFunctionClass):
    r"""The unit ball of $C^\alpha([0, 1])$, $\alpha > 0$; encoding rate $\alpha$.

    **Reference:** [gonon2023], after [elbraechter2021].
    """

    smoothness: Number = eqx.field(static=True)

    def __check_init__(self):
        _check_positive("Hoelder(smoothness=...)", self.smoothness)

    @property
    def encoding_rate(self) -> float:
        """The smoothness."""
        return float(self.smoothness)

    @property
    def source(self) -> str:
        """Where the rate is stated."""
        return _TABLE


class Sobolev(AbstractFunctionClass):
    r"""The unit ball of $W^m_p([0, 1]^d)$; encoding rate $m / d$.

    Conditions: $1 \le p \le \infty$ and $m > d \max(1/p - 1/2, 0)$, without which the ball is not
    compact in $L^2$.

    **Reference:** [gonon2023], after [elbraechter2021].
    """

    smoothness: Number = eqx.field(static=True)
    p: Number = eqx.field(static=True, default=2.0)
    dimension: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        if not self.p >= 1:
            raise ValueError(
                f"`Sobolev(p=...)` must be at least 1 (`math.inf` included); got {self.p}. "
                "`Besov` admits smaller exponents."
            )
        _check_smoothness("Sobolev", self.smoothness, self.p, self.dimension)

    @property
    def encoding_rate(self) -> float:
        """Smoothness over dimension."""
        return self.smoothness / self.dimension

    @property
    def source(self) -> str:
        """Where the rate is stated."""
        return _TABLE


class Besov(AbstractFunctionClass):
    r"""The unit ball of $B^m_{p,q}([0, 1]^d)$; encoding rate $m / d$.

    Conditions: $p, q \in (0, \infty]$ and $m > d \max(1/p - 1/2, 0)$.

    **Reference:** [gonon2023], after [elbraechter2021].
    """

    smoothness: Number = eqx.field(static=True)
    p: Number = eqx.field(static=True, default=2.0)
    q: Number = eqx.field(static=True, default=2.0)
    dimension: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        for name, exponent in (("p", self.p), ("q", self.q)):
            if not exponent > 0:
                raise ValueError(
                    f"`Besov({name}=...)` must be positive (`math.inf` included); got {exponent}."
                )
        _check_smoothness("Besov", self.smoothness, self.p, self.dimension)

    @property
    def encoding_rate(self) -> float:
        """Smoothness over dimension."""
        return self.smoothness / self.dimension

    @property
    def source(self) -> str:
        """Where the rate is stated."""
        return _TABLE


class BoundedVariation(AbstractFunctionClass):
    r"""Functions on $[0, 1]$ of variation and size at most 1; encoding rate 1 in $L^2$.

    **Reference:** [elbraechter2021], recalled.
    """

    @property
    def encoding_rate(self) -> float:
        """1."""
        return 1.0

    @property
    def source(self) -> str:
        """Where the rate is stated."""
        return _RECALLED


# The smooth parts have the rate beta/d in L^2. The boundary is a graph over d - 1 variables, known
# up to h in sup from h^(-(d-1)/beta) bits; a shift by h is an L^2 error of h^(1/2), so the rate is
# beta/(2 (d - 1)), which is no larger than beta/d for d >= 2.
class Cartoon(AbstractFunctionClass):
    r"""Two $C^\beta$ parts in $[0, 1]^d$ with a $C^\beta$ boundary; rate $\beta / (2 (d - 1))$.

    **Reference:** [elbraechter2021] for $d = 2$, recalled; other dimensions derived, above the
    code, from the entropy of the boundary.
    """

    smoothness: Number = eqx.field(static=True)
    dimension: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        _check_positive("Cartoon(smoothness=...)", self.smoothness)
        if self.dimension < 2:
            raise ValueError(
                f"`Cartoon(dimension=...)` must be at least 2; got {self.dimension}. In one "
                "dimension the boundary is a point."
            )

    @property
    def encoding_rate(self) -> float:
        """Half of the smoothness over the dimension of the boundary."""
        return self.smoothness / (2 * (self.dimension - 1))

    @property
    def source(self) -> str:
        """Where the rate is stated."""
        return _RECALLED if self.dimension == 2 else "derived from the entropy of the boundary"


def _check_positive(call: str, value: Number) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"`{call}` must be positive and finite; got {value}.")


def _check_smoothness(name: str, smoothness: Number, p: Number, dimension: int) -> None:
    if dimension < 1:
        raise ValueError(f"`{name}(dimension=...)` must be at least 1; got {dimension}.")
    _check_positive(f"{name}(smoothness=...)", smoothness)
    least = dimension * max(1 / p - 1 / 2, 0.0)
    if not smoothness > least:
        raise ValueError(
            f"`{name}(smoothness=...)` must be above d max(1/p - 1/2, 0) = {least:g} for p = {p:g} "
            f"in dimension {dimension}; got {smoothness:g}. Below that the class is not compact in "
            "L2, and no number of bits describes it."
        )
