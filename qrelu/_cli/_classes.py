"""`qrelu rate --class`: words for studies over classes of functions."""

from collections.abc import Sequence
from typing import Any

# Five sizes, each with a fit for every draw. Rules that follow one function suit no class:
# `matched` would keep the error of each draw, also of those that are reproduced.
CLASS_SIZES, CLASS_BITS = "24:384", "8,12"


def classes(names: Sequence[str] | None) -> list[Any]:
    """The classes of these names."""
    from .. import targets

    return [targets.get_class(name) for name in names or ()]


def check_theory(bits: str | None, found: Sequence[Any]) -> None:
    """An error for a step that follows the rate of one function."""
    from ..bounds import encoding_rate

    if "theory" in (word.strip().lower() for word in (bits or "").split(",")):
        first = found[0]
        raise ValueError(
            "`--bits theory` must have the rate to keep of a class, since its draws have several; "
            f"got {bits!r}. Give it: `--bits theory:{encoding_rate(first).gamma:g}` has the "
            f"encoding rate of {first.name}."
        )


def heading(target, norm: str, draws: int) -> str | None:
    """The line above the tables of a class, None for a function."""
    if not hasattr(target, "definition"):
        return None
    return f"{target.name}: {target.definition}; worst {norm} error of {draws} draws for each M"


def about_bits(result) -> list[str]:
    """A sentence for each class: whether rates obey its encoding rate."""
    found = []
    checked = result.encodability()
    for name in dict.fromkeys(checked["target"].to_list()):
        rows = checked.filter(checked["target"] == name)
        limit = rows["encoding_gamma"][0]
        above = rows.filter(~rows["holds"].fill_null(True))
        held = rows["holds"].drop_nulls().len()
        words = f"{name}: no code has a rate above {limit:g} in bits over the class"
        if above.height:
            which = ", ".join(f"{f} ({r})" for f, r in above.select("family", "rule").iter_rows())
            words += f", which the rates in M of {which} exceed: see `bits_growth` with --json"
        elif held:
            words += f"; {'the rate' if held == 1 else f'all {held} rates'} in M obey that too"
        found.append(words + ".")
    return found


EXPLAINED = (
    "For a class the error is the worst one that the algorithm had over the draws, which bounds "
    "nothing; error/limit divides it by the proven lower bound (or exact value) of the error over "
    "the whole class, and may be below 1."
)
