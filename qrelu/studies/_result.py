"""What a study found: its table, its rates, its figure, its files."""

import dataclasses
import functools
import io
import os
import pathlib
from typing import TYPE_CHECKING

import polars as pl

from .._misc import write_atomically
from ._case import COLUMNS, SCHEMA, parts_of
from ._curves import RATE_SCHEMA, Curve, curves_of, rate_row
from ._encodability import encodability

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True)
class StudyResult:
    """The finished parts of a study. `Study.run` and `studies.load` make it.

    **Arguments:**

    - `description`: the record of the study, as in its study.json.
    - `frame`: every stored column of the finished parts.
    """

    description: dict
    frame: pl.DataFrame

    def __repr__(self) -> str:
        names = [", ".join(t["name"] for t in self.description["targets"])]
        names += [", ".join(dict.fromkeys(f["base"] for f in self.description["families"]))]
        done = f"{self.frame.height} rows" + (f", {self.missing} missing" if self.missing else "")
        return f"StudyResult({names[0]}; {names[1]}; {done}: .table(), .rates(), .figure())"

    @property
    def missing(self) -> int:
        """How many fits of the study are not computed yet."""
        return len(parts_of(self.description)) - self.frame["part"].n_unique()

    def table(self) -> pl.DataFrame:
        """One row per target, family, rule, size and seed.

        For a class of functions `error` is the worst error over the `draws`, reached on
        `worst_draw`: a bound of nothing. `limit` is the proven lower bound of the error of the
        family over the class, and the counts and bits are the largest of any draw.

        `connectivity` counts the network as it is, after rounding; `limit` is null where none is
        known, and `error` is null where `notes` says why there is none. Running times are apart,
        in `seconds()`: the table of a study is the same however often it was interrupted.
        """
        return self.frame.select(list(COLUMNS))

    def seconds(self) -> pl.DataFrame:
        """The running time of each row; the first rule of a family includes the common fit."""
        return self.frame.select("target", "family", "rule", "size", "seed", "seconds")

    def environments(self) -> pl.DataFrame:
        """The versions, devices and number types that computed the parts, with their counts.

        More than one row means that the table was not computed by one installation throughout.
        """
        names = ["qrelu", "jax", "numpy", "python", "device", "dtype"]
        whole = self.frame.filter(pl.col("error").is_not_null())
        return whole.group_by(names, maintain_order=True).len("rows")

    @functools.cached_property
    def _curves(self) -> list[Curve]:
        targets, families = self.description["targets"], self.description["families"]
        magnitudes = {item["name"]: item["magnitude"] for item in targets}
        # `MatchedBits(factor)` accepts any error up to that factor.
        rules = {item["rule"]: item["what"].get("rule") or {} for item in families}
        scatters = {rule: float(what.get("factor", 1.0)) - 1 for rule, what in rules.items()}
        return curves_of(self.frame, magnitudes, scatters)

    def rates(self) -> pl.DataFrame:
        """One row per target, family and rule: the fitted rate and the distance to the limit.

        `gamma`, `lower` and `upper` are null where no rate is established; `verdict` says why.
        `error_over_limit` and `bits_per_weight` are those of the largest size.
        """
        return pl.DataFrame([rate_row(curve) for curve in self._curves], schema=RATE_SCHEMA)

    def encodability(self) -> pl.DataFrame:
        r"""One row per class, family and rule: whether $\gamma_{approx} \le \gamma_{encod}$.

        `gamma` is the rate of the worst error over draws that depend on M, `encoding_gamma` that of
        the bits that describe the class, `holds` the check of `bounds.encoding_check`, null where
        no rate is established. `gamma_in_bits` is the rate of the same errors against
        `total_bits`, which grow like M to the power `bits_growth`: where a rate exceeds the limit,
        the bits of a parameter grow like a power of M, or the draws missed the worst functions.
        Functions have no such limit and are left out.
        """
        return encodability(self._curves, self.description)

    def figure(self) -> "Figure":
        """Error against connectivity, both logarithmic: points, fits, limits and floors.

        One row of panels per target and one column per family; color and line style tell the
        rounding rule. The figure belongs to no window: `savefig` writes it.
        """
        from ._figure import draw  # plotting is loaded when a figure is asked for

        return draw(self._curves, self.description)

    def save(self, directory: str | os.PathLike) -> dict[str, pathlib.Path]:
        """Write table and rates as CSV and the figure as PNG and SVG, each whole or not at all.

        **Arguments:**

        - `directory`: an existing or new directory, such as the study's own.

        **Returns:**

        The paths by name: "table", "rates", "png" and "svg".
        """
        import matplotlib

        home = pathlib.Path(directory)
        home.mkdir(parents=True, exist_ok=True)
        figure = self.figure()
        contents = {
            "table": ("table.csv", self.table().write_csv().encode()),
            "rates": ("rates.csv", self.rates().write_csv().encode()),
        }
        # Names inside an SVG are random and dated by default; the same study gives the same file.
        with matplotlib.rc_context({"svg.hashsalt": "qrelu"}):
            for kind, about in (("png", {}), ("svg", {"Date": None})):
                buffer = io.BytesIO()
                figure.savefig(buffer, format=kind, dpi=160, metadata=about)
                contents[kind] = (f"figure.{kind}", buffer.getvalue())
        paths = {}
        for name, (file, data) in contents.items():
            paths[name] = home / file
            write_atomically(paths[name], data)
        return paths


def joined(description: dict, frames: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """The rows of the parts in the order of the study: target, family, size, seed."""
    order = {item["name"]: i for i, item in enumerate(description["targets"])}
    rank = {(item["base"], item["rule"]): i for i, item in enumerate(description["families"])}
    rows = [row for part in frames.values() for row in part.rows(named=True)]
    rows.sort(
        key=lambda row: (
            order[row["target"]],
            rank[row["family"], row["rule"]],
            row["size"],
            row["seed"],
        )
    )
    return pl.DataFrame(rows, schema=SCHEMA)
