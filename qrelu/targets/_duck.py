"""What a target asks of a family and of a norm: two attributes and a method, no more."""

import math


def kind_of(family) -> str:
    """The word for what a family adapts, such as "free-knot"."""
    kind = getattr(family, "kind", None)
    if not isinstance(kind, str):
        raise TypeError(
            "`family` must be a family, an object with `kind` and `pieces(size)`; "
            f"got {family!r}. Pass the object, for example `families.FreeKnot()`."
        )
    return kind


def exponent_of(norm) -> float:
    """The exponent p of the norm L^p, at least 1 and infinite for the sup norm."""
    p = getattr(norm, "p", None)
    if isinstance(p, bool) or not isinstance(p, int | float):
        raise TypeError(
            f"`norm` must be a norm, an object with the attribute `p`; got {norm!r}. "
            "Pass the object, for example `norms.L2()`."
        )
    if math.isnan(p) or p < 1:
        raise ValueError(f"`norm.p` must be at least 1; got {p}. Use `norms.L1()` or above.")
    return float(p)


def pieces_of(family, size: int) -> int:
    """How many linear pieces a family uses at a size."""
    kind_of(family)
    if not callable(getattr(family, "pieces", None)):
        raise TypeError(
            f"`family.pieces(size)` must give the number of linear pieces; {family!r} has no such "
            "method. Pass a family of splines, for example `families.FreeKnot()`."
        )
    count = int(family.pieces(size))
    if count < 1:
        raise ValueError(
            f"`family.pieces({size})` must be at least 1; got {count}. Ask for a larger size."
        )
    return count
