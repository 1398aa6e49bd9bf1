"""The record of a proven largest difference."""

import dataclasses
import operator
from typing import Any

import numpy as np

from .._misc import shown

_FORMAT = "qrelu enclosure, version 1"


def read_entries(call: str, form: str, kind: Any, record: Any) -> dict[str, Any]:
    """The entries of a record of proven bounds as `kind` holds them, checked."""
    if not isinstance(record, dict) or record.get("format") != form:
        got = record.get("format") if isinstance(record, dict) else type(record).__name__
        raise ValueError(f'`{call}` must have "format": "{form}"; got {got!r}.')
    names = [field.name for field in dataclasses.fields(kind)]
    missing = [name for name in names if name not in record]
    if missing:
        raise ValueError(f"`{call}` misses the entries {missing}.")
    values = {name: record[name] for name in names}
    try:
        lower, upper = (np.array(end, dtype=np.float64) for end in values["box"])
        witness = np.array(values["witness"], dtype=np.float64)
        for name in {"output", "boxes"} & set(names):
            values[name] = operator.index(values[name])
        whole = lower.shape == upper.shape == witness.shape == (len(witness),)
        whole = whole and bool(((lower <= witness) & (witness <= upper)).all())
        whole = whole and 0 <= values["lower"] <= values["upper"]
    except (TypeError, ValueError):
        whole = False
    if not whole:
        got = [values[name] for name in names if name in ("lower", "upper", "witness", "box")]
        raise ValueError(
            f"`{call}` must have 0 <= lower <= upper, a witness in the box, and whole numbers of "
            f"outputs and boxes; got {got!r:.200}."
        )
    return {**values, "witness": witness, "box": (lower, upper)}


@dataclasses.dataclass(frozen=True, eq=False)
class Enclosure:
    r"""Proven bounds of the largest difference between two networks on a box.

    `lower` $\le \sup_{x \in box} \|R(x) - R'(x)\|_\infty \le$ `upper`, for the functions in real
    arithmetic and, as `evaluation` says, for their values in floating point.

    **Attributes:**

    - `lower`, `upper`: the bounds.
    - `witness`: a point of the box, of shape $(N_0,)$, where the difference is at least `lower`.
    - `output`: the output in which it is.
    - `box`: the ends (lower, upper) of the box, arrays of shape $(N_0,)$.
    - `evaluation`: per network, "exact" or the floating type whose rounding errors are inside.
    - `method`: "pieces", "cells" or "branch and bound".
    - `boxes`: how many pieces, cells or boxes were used.
    - `gap`: the relative gap that was asked for.
    - `complete`: whether `upper` $\le (1 +$ `gap` $)\,$`lower`, or nothing but rounding errors is
        left between the two. If not, the budget ran out, or rounding errors of evaluation are
        larger than the gap; the bounds hold all the same.
    - `seconds`: how long it took; not part of the equality of two records.
    """

    lower: float
    upper: float
    witness: np.ndarray
    output: int
    box: tuple[np.ndarray, np.ndarray]
    evaluation: tuple[str, str]
    method: str
    boxes: int
    gap: float
    complete: bool
    seconds: float

    @property
    def assumptions(self) -> str:
        """What the bounds hold for, in words."""
        if self.evaluation == ("exact", "exact"):
            return "The functions in real arithmetic; parameters are the exact values of floats."
        kinds = " and ".join(dict.fromkeys(self.evaluation))
        return (
            "The functions in real arithmetic, and their values in floating point of type "
            f"{kinds}, rounded to nearest, with sums in any order, fused or not, subnormal "
            "results kept or flushed to zero."
        )

    def to_dict(self) -> dict[str, Any]:
        """The record in plain numbers, strings and lists, as JSON can hold them.

        **Returns:**

        A dictionary; `from_dict` reads it.
        """
        return {
            "format": _FORMAT,
            "lower": float(self.lower),
            "upper": float(self.upper),
            "witness": [float(t) for t in self.witness],
            "output": int(self.output),
            "box": [[float(t) for t in end] for end in self.box],
            "evaluation": list(self.evaluation),
            "assumptions": self.assumptions,
            "method": self.method,
            "boxes": int(self.boxes),
            "gap": float(self.gap),
            "complete": bool(self.complete),
            "seconds": float(self.seconds),
        }

    @staticmethod
    def from_dict(record: Any) -> "Enclosure":
        """The enclosure that `to_dict` wrote.

        **Arguments:**

        - `record`: the dictionary, for example from a JSON file.

        **Returns:**

        An equal `Enclosure`.

        **Raises:**

        - `ValueError`: for a dictionary of another kind, or bounds in the wrong order.
        """
        values = read_entries("Enclosure.from_dict(record)", _FORMAT, Enclosure, record)
        kinds = values["evaluation"]
        if not (isinstance(kinds, list | tuple) and len(kinds) == 2):
            raise ValueError(
                f"`Enclosure.from_dict(record)` must have two words as `evaluation`; got {kinds!r}."
            )
        return Enclosure(**{**values, "evaluation": (str(kinds[0]), str(kinds[1]))})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Enclosure):
            return False
        mine, theirs = self.to_dict(), other.to_dict()
        return all(mine[name] == theirs[name] for name in mine if name != "seconds")

    def __hash__(self) -> int:
        return hash((self.lower, self.upper, self.method, self.boxes))

    def __str__(self) -> str:
        point = np.array2string(self.witness, precision=6, threshold=8)
        state = "" if self.complete else f", the gap {self.gap:g} is not reached"
        kinds = " and ".join(dict.fromkeys(self.evaluation))
        return (
            f"{shown(self.lower, 9, above=False)} <= largest difference "
            f"<= {shown(self.upper, 9, above=True)}\n"
            f"  witness {point}, output {self.output}\n"
            f"  {self.method}, {self.boxes} boxes, {self.seconds:.2f} s{state}\n"
            "  holds for: real arithmetic"
            + ("" if kinds == "exact" else f", and evaluation in {kinds}")
        )
