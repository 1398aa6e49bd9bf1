"""Classes of functions by name, for the command line and for records."""

import math
from collections.abc import Callable

from ._besov_class import Besov
from ._function_class import AbstractFunctionClass
from ._hoelder_class import Hoelder, Lipschitz
from ._jump_classes import BoundedVariation, PiecewiseSmooth
from ._sobolev_class import Sobolev


def _piecewise_smooth(smoothness: float, jumps: float = 1.0) -> PiecewiseSmooth:
    if not jumps.is_integer():
        raise ValueError(
            "`targets.get_class('piecewise-smooth:s,jumps')` must have a whole number of jumps; "
            f"got {jumps:g}."
        )
    return PiecewiseSmooth(smoothness, int(jumps))


# name -> the class, its parameters in words, how many of them there must be and may be
_MAKERS: dict[str, tuple[Callable[..., AbstractFunctionClass], str, int, int]] = {
    "lipschitz": (Lipschitz, "", 0, 0),
    "hoelder": (Hoelder, "s", 1, 1),
    "sobolev": (Sobolev, "m,p", 1, 2),
    "besov": (Besov, "s,p,q", 1, 3),
    "bv": (BoundedVariation, "", 0, 0),
    "piecewise-smooth": (_piecewise_smooth, "s,jumps", 1, 2),
}


def class_names() -> tuple[str, ...]:
    """The classes that `get_class` knows, with their parameters: "lipschitz", "hoelder:s", ..."""
    return tuple(f"{name}:{words}" if words else name for name, (_, words, _, _) in _MAKERS.items())


def get_class(name: str) -> AbstractFunctionClass:
    """The unit ball of that name on [0, 1].

    **Arguments:**

    - `name`: a name of `class_names()` with numbers for the parameters, such as "lipschitz",
      "hoelder:0.5", "sobolev:2,1", "besov:1.5,1,1", "bv" or "piecewise-smooth:2,3"; "inf" is a
      number, and parameters at the end may be left out where the class has defaults.

    **Returns:**

    The class.

    **Raises:**

    - `ValueError`: if there is no such class, or its parameters are not numbers that it can have.
    """
    word, _, rest = name.strip().lower().partition(":")
    if word not in _MAKERS:
        raise ValueError(
            f"`targets.get_class({name!r})` must name a class of functions: "
            f"{', '.join(class_names())}."
        )
    make, words, least, most = _MAKERS[word]
    parts = [part.strip() for part in rest.split(",")] if rest else []
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = [math.nan]
    if any(map(math.isnan, numbers)) or not least <= len(parts) <= most:
        shown = f"{word}:{words}" if words else word
        raise ValueError(
            f"`targets.get_class({name!r})` must have numbers like {shown}; got {rest!r}."
        )
    return make(*numbers)
