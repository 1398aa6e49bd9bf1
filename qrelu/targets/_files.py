"""Samples from a file: text in columns, or Parquet."""

import difflib
import os
import pathlib
import re
from typing import TYPE_CHECKING

from ._data import Data

if TYPE_CHECKING:
    import polars as pl

_NULLS = ["NA", "N/A", "n/a", "na", "nan", "NaN", "NAN", "null", "NULL", "None", "-", "?"]


def read_data(
    path: str | os.PathLike,
    *,
    x: str | None = None,
    y: str | None = None,
    missing: str = "error",
    name: str | None = None,
) -> Data:
    """The target that a CSV, TSV or Parquet file samples.

    **Arguments:**

    - `path`: the file; `.parquet` and `.pq` are Parquet, everything else is text with a header line
      or without one, in columns separated by commas, semicolons, tabs or blanks.
    - `x`, `y`: the names of the columns; without them the first two columns that hold numbers.
    - `missing`: "error" refuses missing values, "drop" leaves those rows out.
    - `name`: how tables and figures call it; the file's name by default.

    **Returns:**

    The samples as `Data`.

    **Raises:**

    - `ValueError`, `TypeError`: for a file that cannot be read, unknown or non-numeric columns, and
      everything that `Data` refuses.
    """
    import polars as pl

    path = pathlib.Path(path)
    if not path.is_file():
        raise ValueError(
            f"`read_data({str(path)!r})` must name a file; there is none. Check the path."
        )
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            head = pl.read_parquet(path, n_rows=0)
            names = _choose(head, x, y, path)
            table = pl.read_parquet(path, columns=list(names))
        else:
            table = _read_text(path, x, y)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"`read_data({str(path)!r})` could not read the file: {reason}. "
            "It must be Parquet, or text in columns with numbers."
        ) from None
    columns = [column.cast(pl.Float64).to_numpy() for column in table.get_columns()]
    return Data(columns[0], columns[1], name=path.stem if name is None else name, missing=missing)


def _read_text(path: pathlib.Path, x: str | None, y: str | None) -> "pl.DataFrame":
    """The two columns of a text file, x first.

    The first lines are read as text to find the columns of numbers; the whole file is then read as
    numbers, and only where that fails once more as text, to find the entry that is to blame.
    """
    import polars as pl

    source, options = _text_format(path)
    head = pl.read_csv(source, n_rows=1000, infer_schema=False, **options)
    raw = {column.strip(): column for column in head.columns}
    comma = options["decimal_comma"]
    head = head.select(_as_number(head[column], comma).alias(name) for name, column in raw.items())
    names = [raw[name] for name in _choose(head, x, y, path)]
    as_floats = dict.fromkeys(names, pl.Float64)
    try:
        return pl.read_csv(source, columns=names, schema_overrides=as_floats, **options)[names]
    except pl.exceptions.ComputeError:
        table = pl.read_csv(source, columns=names, infer_schema=False, **options)[names]
    for name in names:
        column = table[name]
        numbers = _parsed(column, comma)
        wrong = (numbers.is_null() & column.is_not_null()).arg_true()
        if wrong.len():
            raise TypeError(
                f"`read_data({str(path)!r})` needs numbers; {wrong.len()} entries of column "
                f"{name.strip()!r} are none, the first is {column[wrong[0]]!r} in row "
                f"{wrong[0] + 1}. Correct them, or choose other columns with `x` and `y`."
            )
        table = table.with_columns(numbers)
    return table


def _parsed(column: "pl.Series", comma: bool) -> "pl.Series":
    """The entries of a column of text as numbers, null where they are none."""
    import polars as pl

    text = column.str.strip_chars()
    text = text.str.replace(",", ".", literal=True) if comma else text
    return text.cast(pl.Float64, strict=False)


def _as_number(column: "pl.Series", comma: bool) -> "pl.Series":
    """A column of text as numbers, where every entry is one; otherwise as it is."""
    numbers = _parsed(column, comma)
    return numbers if numbers.null_count() == column.null_count() < column.len() else column


def _text_format(path: pathlib.Path) -> tuple[pathlib.Path | bytes, dict]:
    """What to read and how, from the first lines that are no comments.

    Columns separated by blanks are rewritten with commas; where semicolons separate, a comma inside
    a number is the decimal point.
    """
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        lines = (line.rstrip("\n") for line in file if line.strip() and not line.startswith("#"))
        first = next(lines, "")
        second = next(lines, "")
    separator = max("\t;,", key=first.count)
    source: pathlib.Path | bytes = path
    if separator not in first and len(first.split()) > 1:
        text = re.sub(rb"(?m)^[ \t]+|[ \t\r]+$", b"", path.read_bytes())
        source = re.sub(rb"[ \t]+", b",", text)
        first, separator = ",".join(first.split()), ","
    comma = separator == ";" and "," in first + second
    fields = (first.replace(",", ".") if comma else first).split(separator)
    return source, {
        "separator": separator,
        "has_header": not all(_is_number(field.strip()) for field in fields),
        "decimal_comma": comma,
        "comment_prefix": "#",
        "null_values": _NULLS,
        "encoding": "utf8-lossy",
    }


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return field == ""
    return True


def _offender(column: "pl.Series") -> str:
    """What a column holds instead of numbers, for an error: an entry, else its type."""
    entries = (entry for entry in column.head(1000) if entry is not None)
    entry = next((e for e in entries if not (isinstance(e, str) and _is_number(e.strip()))), None)
    return f"entries like {entry!r}" if entry is not None else f"type {column.dtype}"


def _choose(head: "pl.DataFrame", x, y, path: pathlib.Path) -> tuple[str, str]:
    """The names of the two columns; the checks of an error name the cure."""
    numeric = [column for column in head.columns if head[column].dtype.is_numeric()]
    for given, which in ((x, "x"), (y, "y")):
        if given is None:
            continue
        if given not in head.columns:
            near = difflib.get_close_matches(given, head.columns, n=1)
            cure = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(
                f"`read_data({which}={given!r})` must be a column of {path.name}; it has "
                f"{', '.join(map(repr, head.columns))}.{cure}"
            )
        if given not in numeric:
            raise TypeError(
                f"`read_data({which}={given!r})` must be a column of numbers; it holds "
                f"{_offender(head[given])}. Choose another column or convert it first."
            )
    if x is not None and x == y:
        raise ValueError(f"`read_data(x=..., y=...)` must be two different columns; got {x!r}.")
    free = [column for column in numeric if column not in (x, y)]
    needed = (x is None) + (y is None)
    if len(free) < needed:
        found = ", ".join(map(repr, numeric)) or "none"
        raise ValueError(
            f"`read_data({str(path)!r})` needs two columns of numbers; found {found} among "
            f"{', '.join(map(repr, head.columns))}. Convert the others to numbers first."
        )
    chosen = iter(free)
    return (x or next(chosen), y or next(chosen))
