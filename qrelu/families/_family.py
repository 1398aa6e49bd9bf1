"""The interface of all approximating families."""

import abc
import numbers
from typing import Any

import equinox as eqx

from ..norms import AbstractNorm
from ..targets import AbstractTarget
from ._approximant import Approximant


class AbstractFamily(eqx.Module):
    """A sequence of sets of functions: for every size, how to approximate a target.

    **Attributes:**

    - `kind`: the word that theory uses, for example `"free-knot"`.
    - `name`: what tables show.
    """

    @property
    @abc.abstractmethod
    def kind(self) -> str:
        """The word that theory uses."""

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """What tables show."""

    @property
    @abc.abstractmethod
    def minimum_size(self) -> int:
        """The least connectivity that this family can have."""

    @abc.abstractmethod
    def pieces(self, size: int) -> int:
        """Most pieces of an approximant of connectivity at most `size`; linear ones in networks."""

    @abc.abstractmethod
    def fit(
        self, target: AbstractTarget, size: int, *, norm: AbstractNorm, key=None
    ) -> Approximant:
        """An approximant of `target` with connectivity at most `size`, good in `norm`."""


def check_types(call: str, target: Any, norm: Any, *, several: bool = False) -> None:
    """An error in one sentence for what is no target or no norm.

    And for a target of several variables, unless `several` says that they are welcome.
    """
    if not isinstance(target, AbstractTarget):
        cure = "Get one by name with `targets.get`, or wrap a function in `targets.Function`."
        raise TypeError(f"`{call}` must get a target; got {_in_words(target)}. {cure}")
    if not isinstance(norm, AbstractNorm):
        cure = "Pass a norm, for example `norms.L2()`."
        raise TypeError(f"`{call}` must get a norm as `norm`; got {_in_words(norm)}. {cure}")
    dimension = target.dimension
    if dimension > 1 and not several:
        plane = "a family of two, such as `families.get('haar', 2)`, or " if dimension == 2 else ""
        raise ValueError(
            f"`{call}` needs a function of one variable; `{target.name}` has {dimension}. Use "
            f'{plane}`training.Trained(solver="greedy")`, which serves any number.'
        )


def _in_words(value: Any) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return repr(value) if isinstance(value, str) else type(value).__name__


def checked_size(call: str, size: int, minimum: int) -> int:
    """The size as a plain integer, or an error that names the least one."""
    if isinstance(size, bool) or not isinstance(size, numbers.Integral):
        raise TypeError(f"`{call}` must be a whole number of nonzero parameters; got {size!r}.")
    if size < minimum:
        raise ValueError(
            f"`{call}` must be at least {minimum}, the least connectivity of "
            f"this family; got {size}."
        )
    return int(size)
