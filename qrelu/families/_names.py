"""The families by name."""

import difflib
from collections.abc import Callable

from ._dyadic_tree import DyadicTree
from ._family import AbstractFamily
from ._fixed_order_spline import Spline
from ._fourier import Fourier
from ._free_knot import FreeKnot
from ._piecewise_constant import PiecewiseConstant
from ._polynomial import Polynomial
from ._rational import Rational
from ._uniform_knot import UniformKnot
from ._wavelet import Wavelet

# The networks first.
_MAKERS: dict[str, Callable[[], AbstractFamily]] = {
    "free-knot": FreeKnot,
    "uniform-knot": UniformKnot,
    "dyadic-tree": DyadicTree,
    "piecewise-constant": PiecewiseConstant,
    "piecewise-constant-free": lambda: PiecewiseConstant("free"),
    "linear-spline": lambda: Spline(2),
    "linear-spline-free": lambda: Spline(2, "free"),
    "cubic-spline": Spline,
    "cubic-spline-free": lambda: Spline(4, "free"),
    "polynomial": Polynomial,
    "fourier": Fourier,
    "fourier-largest": lambda: Fourier("largest"),
    "haar": Wavelet,
    "db2": lambda: Wavelet("db2"),
    "db3": lambda: Wavelet("db3"),
    "db4": lambda: Wavelet("db4"),
    "rational": Rational,
}


def names() -> tuple[str, ...]:
    """The names of the families, networks first."""
    return tuple(_MAKERS)


def get(name: str) -> AbstractFamily:
    """The family of that name, with its default settings.

    **Arguments:**

    - `name`: one of `families.names()`.

    **Returns:**

    The family.

    **Raises:**

    - `ValueError`: if there is no such family; the message lists near matches.
    """
    if name in _MAKERS:
        return _MAKERS[name]()
    near = difflib.get_close_matches(str(name), _MAKERS, n=3, cutoff=0.5)
    cure = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
    raise ValueError(
        f"`families.get(name)` must be one of {', '.join(_MAKERS)}; got {name!r}. {cure}"
    )
