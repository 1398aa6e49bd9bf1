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
from ._tensor import TensorFourier, TensorPolynomial
from ._tensor_wavelet import TensorWavelet
from ._uniform_knot import UniformKnot
from ._wavelet import Wavelet

# The networks first.
_OF_ONE_VARIABLE: dict[str, Callable[[], AbstractFamily]] = {
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
# The same names where there is one form; the other orders of terms behind a hyphen.
_OF_TWO_VARIABLES: dict[str, Callable[[], AbstractFamily]] = {
    "polynomial": TensorPolynomial,
    "polynomial-tensor": lambda: TensorPolynomial("tensor"),
    "polynomial-hyperbolic": lambda: TensorPolynomial("hyperbolic"),
    "fourier": TensorFourier,
    "fourier-largest": lambda: TensorFourier("largest"),
    "haar": TensorWavelet,
    "db2": lambda: TensorWavelet("db2"),
    "db3": lambda: TensorWavelet("db3"),
    "db4": lambda: TensorWavelet("db4"),
    "haar-hyperbolic": lambda: TensorWavelet(basis="hyperbolic"),
    "db2-hyperbolic": lambda: TensorWavelet("db2", basis="hyperbolic"),
    "db3-hyperbolic": lambda: TensorWavelet("db3", basis="hyperbolic"),
    "db4-hyperbolic": lambda: TensorWavelet("db4", basis="hyperbolic"),
}
_MAKERS = {1: _OF_ONE_VARIABLE, 2: _OF_TWO_VARIABLES}
_WORDS = {1: "one variable", 2: "two variables"}


def names(dimension: int = 1) -> tuple[str, ...]:
    """The names of the families of functions of so many variables, networks first.

    **Arguments:**

    - `dimension`: 1 or 2.

    **Returns:**

    The names; none for another number of variables, which `training.Trained` serves.
    """
    return tuple(_MAKERS.get(dimension, ()))


def get(name: str, dimension: int = 1) -> AbstractFamily:
    """The family of that name, with its default settings.

    **Arguments:**

    - `name`: one of `families.names(dimension)`.
    - `dimension`: the number of variables of the functions to approximate, 1 or 2: `"fourier"` is
      `Fourier()` or `TensorFourier()`.

    **Returns:**

    The family.

    **Raises:**

    - `ValueError`: if there is no such family, or it does not serve so many variables; the message
      says which do.
    """
    call = f"`families.get({name!r}" + (")`" if dimension == 1 else f", {dimension!r})`")
    if dimension not in _MAKERS:
        raise ValueError(
            f"{call} must be asked for functions of one or two variables; got {dimension!r}. Use "
            '`training.Trained(solver="greedy")`, which serves any number.'
        )
    known = _MAKERS[dimension]
    if name in known:
        return known[name]()
    others = [_WORDS[d] for d, makers in _MAKERS.items() if d != dimension and name in makers]
    if others:
        raise ValueError(
            f"{call} serves functions of {others[0]} only. Of {_WORDS[dimension]}: "
            f"{', '.join(known)}."
        )
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    cure = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise ValueError(f"`families.get(name)` must be one of {', '.join(known)}; got {name!r}.{cure}")
