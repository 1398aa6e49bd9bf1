"""The built-in targets by name."""

import difflib
from functools import lru_cache
from typing import NamedTuple

from . import _singular, _smooth
from ._builtin import Builtin

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


@lru_cache(maxsize=1)
def _registry() -> dict[str, Builtin]:
    return {target.name: target for target in (make() for make in _MAKERS)}


def names() -> tuple[str, ...]:
    """The names of the built-in targets, from easy to hard."""
    return tuple(_registry())


def get(name: str) -> Builtin:
    """The built-in target of that name.

    **Arguments:**

    - `name`: one of `targets.names()`.

    **Returns:**

    The target, with `domain`, `facts`, `rate` and `limit`.

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


def describe() -> tuple[Description, ...]:
    """The built-in targets as lines of a table, from easy to hard."""
    return tuple(
        Description(t.name, t.description, t.domain, t.difficulty) for t in _registry().values()
    )
