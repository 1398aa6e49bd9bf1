"""The built-in targets by name."""

import difflib
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from . import _products, _singular, _smooth
from ._builtin import Builtin
from ._cartoon import cartoon
from ._multivariate import Multivariate

# From easy to hard.
_MAKERS = (
    _smooth.square,
    _smooth.cubic,
    _smooth.exp,
    _smooth.reciprocal,
    _smooth.sine,
    _smooth.gaussian,
    _smooth.runge,
    _smooth.tanh,
    _smooth.oscillation,
    _smooth.chirp,
    _singular.power,
    _singular.entropy,
    _singular.sqrt,
    _singular.kink,
    _singular.corners,
    _singular.cusp,
    _singular.takagi,
    _singular.weierstrass,
)


_PRODUCTS = (_products.sines, _products.gaussian, _products.gabor, _products.hat)


@lru_cache(maxsize=1)
def _registry() -> dict[str, Builtin | Multivariate]:
    found = [make() for make in _MAKERS]
    for d in _products.DIMENSIONS:
        found += [make(d) for make in _PRODUCTS]
        found += [cartoon()] if d == 2 else []
    return {target.name: target for target in found}


def names(dimension: int | None = 1) -> tuple[str, ...]:
    """The names of the built-in targets, from easy to hard.

    **Arguments:**

    - `dimension`: their number of variables: 1, 2, 3, 4 or 10; None for all.

    **Returns:**

    The names; none for another number of variables.
    """
    return tuple(
        name
        for name, target in _registry().items()
        if dimension is None or target.dimension == dimension
    )


def get(name: str) -> Builtin | Multivariate:
    """The built-in target of that name.

    **Arguments:**

    - `name`: one of `targets.names(None)`.

    **Returns:**

    The target, with `domain`, `rate` and `limit`; with `facts` if it is a function of one variable,
    with `l2` if of several.

    **Raises:**

    - `ValueError`: if there is no such target; the message lists near matches.
    """
    known = _registry()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    cure = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
    raise ValueError(
        f"`targets.get({name!r})` must name a built-in target. {cure}"
        f"Built in: {', '.join(known)}. For a function of your own use `targets.Function`."
    )


class Description(NamedTuple):
    """A line of the table of built-in targets."""

    name: str
    formula: str
    domain: tuple[float, float]
    difficulty: str
    dimension: int


def describe(dimension: int | None = 1) -> tuple[Description, ...]:
    """The built-in targets as lines of a table, from easy to hard.

    **Arguments:**

    - `dimension`: their number of variables; None for all.

    **Returns:**

    A line for each; `domain` is the interval of every variable.
    """
    found = [_registry()[name] for name in names(dimension)]
    return tuple(
        Description(
            t.name,
            t.description,
            (float(np.min(t.domain[0])), float(np.max(t.domain[1]))),
            t.difficulty,
            t.dimension,
        )
        for t in found
    )
