"""What `explain` returns: tables, text and a figure."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    r"""Where the difference of a network and its rounded version comes from.

    The parameter arrays stand in the order $W_1, b_1, \ldots, W_L, b_L$. With $D(x)$ the
    difference of the outputs, $D = \sum_i C_i$ exactly over single parameters i; the *share* of a
    parameter is the mean of $C_i \cdot D$ over the mean of $|D|^2$. Shares add to 1. A negative
    share belongs to a parameter whose change makes up for others.

    **Attributes:**

    - `names`: the names of the parameter arrays.
    - `points`: the points, of shape $(P, N_0)$.
    - `difference`: $D$ at the points, of shape $(P, N_L)$.
    - `contributions`: what each array contributes to it, of shape $(2L, P, N_L)$; they add to
        `difference`.
    - `error`: root of the mean of $|D|^2$ over the points, by their weights.
    - `largest`: the largest $|D|$ at the points.
    - `shares`: the share of every single parameter, one array per name.
    - `effects`: root of the mean of $|C_i|^2$, likewise.
    - `alone`: the error when only one array is rounded, by name.
    - `without`: the error when all arrays but one are rounded, by name: what is left when this one
        keeps its precision.
    - `old`, `new`: the parameters before and after, one array per name.
    """

    names: tuple[str, ...]
    points: np.ndarray
    difference: np.ndarray
    contributions: np.ndarray
    error: float
    largest: float
    shares: tuple[np.ndarray, ...]
    effects: tuple[np.ndarray, ...]
    alone: np.ndarray
    without: np.ndarray
    old: tuple[np.ndarray, ...]
    new: tuple[np.ndarray, ...]

    def table(self) -> "pl.DataFrame":
        """One row per parameter array, from the first layer to the last.

        `count` parameters take `levels` different values after rounding, the closest of them
        `spacing` apart (the step, where neighbors of a grid are both taken; null for one level).
        `zeroed` counts those that became zero, `largest_change` and `rms_change` are about the
        parameters themselves; `share`, `alone` and `without` about the outputs, as above.
        """
        import polars as pl  # tables are loaded when one is asked for

        rows = []
        for i, name in enumerate(self.names):
            old, new = self.old[i], self.new[i]
            levels, change = np.unique(new), np.abs(new - old)
            rows.append(
                {
                    "parameters": name,
                    "count": old.size,
                    "levels": levels.size,
                    "spacing": float(np.diff(levels).min()) if levels.size > 1 else None,
                    "zeroed": int(np.count_nonzero((new == 0) & (old != 0))),
                    "largest_change": float(change.max()),
                    "rms_change": float(np.sqrt(np.mean(change**2))),
                    "share": float(self.shares[i].sum()),
                    "alone": float(self.alone[i]),
                    "without": float(self.without[i]),
                }
            )
        return pl.DataFrame(rows, schema_overrides={"spacing": pl.Float64})

    def worst(self, count: int = 10) -> "pl.DataFrame":
        """The single parameters with the largest shares in absolute value, largest first.

        `row` is the unit that the parameter feeds and `column` the unit or input that it comes
        from, null for a bias. `effect` is the error that it makes by itself, `share` its part of
        the whole error, negative where it makes up for others.

        **Arguments:**

        - `count`: how many rows, at least 1; fewer where fewer parameters have changed.

        **Returns:**

        A data frame with the columns `parameter`, `row`, `column`, `old`, `new`, `effect` and
        `share`.

        **Raises:**

        - `ValueError`: if `count` is not positive.
        """
        import polars as pl  # tables are loaded when one is asked for

        if count < 1:
            raise ValueError(f"`Explanation.worst(count)` must be at least 1; got {count}.")
        every = np.concatenate([np.abs(s).ravel() for s in self.shares])
        starts = np.cumsum([0] + [s.size for s in self.shares])
        rows = []
        for place in np.argsort(-every, kind="stable")[:count]:
            i = int(np.searchsorted(starts, place, side="right")) - 1
            at = np.unravel_index(int(place - starts[i]), self.shares[i].shape)
            if self.old[i][at] != self.new[i][at]:
                rows.append(
                    {
                        "parameter": self.names[i],
                        "row": int(at[0]),
                        "column": int(at[1]) if len(at) > 1 else None,
                        "old": float(self.old[i][at]),
                        "new": float(self.new[i][at]),
                        "effect": float(self.effects[i][at]),
                        "share": float(self.shares[i][at]),
                    }
                )
        types = {
            "parameter": pl.String,
            "row": pl.Int64,
            "column": pl.Int64,
            "old": pl.Float64,
            "new": pl.Float64,
            "effect": pl.Float64,
            "share": pl.Float64,
        }
        return pl.DataFrame(rows, schema=types)

    def figure(self) -> "Figure":
        """Where the error comes from, as a picture; it belongs to no window, `savefig` writes it.

        One input: both functions with their breakpoints, below them the difference over x and what
        every layer contributes, at the side the shares. Several inputs: the shares, the errors
        with one array rounded or kept, and the share of every weight of the layer with the largest
        share.
        """
        from ._explanation_figure import draw  # plotting is loaded when a figure is asked for

        return draw(self)

    def __repr__(self) -> str:
        head = (
            f"Error at {len(self.points)} points: {self.error:.4g} (root mean square), "
            f"{self.largest:.4g} (largest)."
        )
        if self.error == 0:
            return f"{head} The networks agree there."
        names = {
            "parameters": "",
            "largest_change": "largest",
            "rms_change": "rms",
            "alone": "only this",
            "without": "all but this",
        }
        table = self.table().rename({k: v for k, v in names.items() if k in self.table().columns})
        worst = self.worst(5).rename({"parameter": ""})
        return "\n".join(
            [
                head,
                "",
                "largest, rms: change of the parameters; share: part of the error;",
                "only this, all but this: the error when these are rounded alone, or kept alone",
                *_lines(table),
                "",
                "The parameters with the largest shares (effect: error made by it)",
                *_lines(worst),
                *self._cancellation(),
            ]
        )

    def _cancellation(self) -> list[str]:
        """A sentence where the parts are much larger than the whole."""
        total = sum(abs(float(s.sum())) for s in self.shares)
        if total < 3:  # parts three times the whole: shares can no longer be read as percentages
            return []
        return [
            "",
            f"The arrays' contributions cancel: without signs they are {total:.3g} times the "
            "error. Keeping one of them precise can make it larger.",
        ]


def _lines(table: "pl.DataFrame") -> list[str]:
    """Aligned columns of text under their names."""
    columns = [
        [name, *(_word(name, value) for value in table[name].to_list())] for name in table.columns
    ]
    widths = [max(map(len, column)) for column in columns]
    return [
        "  ".join(
            word.ljust(width) if k == 0 else word.rjust(width)
            for k, (word, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in zip(*columns, strict=True)
    ]


def _word(name: str, value) -> str:
    if value is None:
        return "-"
    if name == "share":
        return f"{100 * value:.1f} %"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
