"""The directory of a study: one file per finished part, whole or absent, checked when read.

    study.json                          what the study is, and its fingerprint
    parts/<name>.<digest>.parquet       one finished part; the digest is of the file's bytes
    damaged/                            parts that failed the check: kept, not used
    lock                                held by the process that computes

The digest stands in the file's name because it must be checked before anything parses the bytes:
a Parquet reader may end the whole process on a damaged length field.
"""

import contextlib
import errno
import glob
import io
import json
import os
import pathlib
import re
from collections.abc import Iterator, Sequence

import polars as pl

from .._misc import write_atomically
from ._case import SCHEMA, Part
from ._files import locked, remove_unfinished
from ._identity import differences, digest, fingerprint

_RECORD = "study.json"


class _Damaged(ValueError):
    """A stored part that is not what was written."""


class Store:
    """The parts of one study in one directory."""

    def __init__(self, directory: str | os.PathLike, description: dict | None = None):
        """The directory of the described study, or of any study where no description is given."""
        self.directory = pathlib.Path(directory)
        stored = self._read_record()
        if stored is None and description is None:
            raise ValueError(
                f"`studies.load({str(directory)!r})` must be given the directory of a study; "
                f"there is no {_RECORD} in it. `Study.run(directory)` makes one."
            )
        if stored is not None and description is not None and stored != description:
            raise ValueError(
                f"`Study.run({str(directory)!r})` must be given a new directory or the one of this "
                f"study; it holds another study ({differences(stored, description)}). "
                "Choose another directory."
            )
        self.description: dict = description if stored is None else stored  # type: ignore
        self.fingerprint = fingerprint(self.description)
        self.is_new = stored is None
        self._parts = self.directory / "parts"

    def _read_record(self) -> dict | None:
        path = self.directory / _RECORD
        if self.directory.exists() and not self.directory.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "it is a file")
        if not path.exists():
            return None
        try:
            return json.loads(path.read_bytes())["study"]
        except (ValueError, KeyError, TypeError) as reason:
            raise ValueError(
                f"`{path}` must be the record of a study; it cannot be read ({reason}). "
                "Move the file away: the same study written there again keeps the finished parts."
            ) from None

    def stem(self, part: Part) -> str:
        """The part's file name up to the digest: words for people, a hash against clashes."""
        words = "_".join(
            re.sub(r"[^A-Za-z0-9.-]+", "-", word)[:40] for word in part.name.split("/")
        )
        return f"{words}.{digest(part.name.encode())[:8]}"

    def finished(
        self, parts: Sequence[Part], *, mend: bool = False, strict: bool = False
    ) -> Iterator[tuple[str, pl.DataFrame]]:
        """The stored parts by name. Damaged files count as absent; `strict` refuses the first one,
        `mend` sets all of them aside and then stops."""
        aside = []
        for part in parts:
            for path in sorted(self._parts.glob(f"{glob.escape(self.stem(part))}.*.parquet")):
                try:
                    yield part.name, self._check(path, part)
                    break
                except _Damaged as reason:
                    if strict:
                        raise ValueError(
                            f"`studies.load({str(self.directory)!r})` must find whole parts; "
                            f"{path.name} is damaged: {reason}. Run the study again: it sets the "
                            "part aside, and the run after that computes it anew."
                        ) from None
                    if mend:
                        aside.append((path.name, self._set_aside(path), str(reason)))
        if aside:
            name, place, reason = aside[0]
            more = len(aside) - 1
            others = (
                f" (so {'was 1 other' if more == 1 else f'were {more} others'})" if more else ""
            )
            raise ValueError(
                f"The stored part {name} was damaged ({reason}) and is set aside as "
                f"{place}{others}; everything else stays. Run the same command again to compute "
                "it anew."
            )

    def _check(self, path: pathlib.Path, part: Part) -> pl.DataFrame:
        data = path.read_bytes()
        if digest(data) != path.name.split(".")[-2]:
            raise _Damaged("its bytes are not those that were written")
        try:
            frame = pl.read_parquet(io.BytesIO(data))
        except pl.exceptions.PolarsError as reason:
            raise _Damaged(f"it is no Parquet file ({reason})") from None
        if dict(frame.schema) != SCHEMA:
            raise _Damaged("its columns are not those of a part")
        if frame["study"].unique().to_list() != [self.fingerprint]:
            raise _Damaged("it belongs to another study")
        if frame["part"].unique().to_list() != [part.name] or frame["rule"].to_list() != list(
            part.rules
        ):
            raise _Damaged("it holds another part")
        return frame

    def write(self, part: Part, frame: pl.DataFrame) -> None:
        """Store a finished part: after this call it survives anything but the disk."""
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        data = buffer.getvalue()
        write_atomically(self._parts / f"{self.stem(part)}.{digest(data)}.parquet", data)

    def _set_aside(self, path: pathlib.Path) -> pathlib.Path:
        """Move a damaged part out of the way and keep it for whoever wants to look."""
        home = self.directory / "damaged"
        home.mkdir(exist_ok=True)
        place = home / path.name
        count = 1
        while place.exists():
            count += 1
            place = home / f"{path.name}.{count}"
        os.replace(path, place)
        return place

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Be the one process that writes here: take the lock, remove leftovers, keep the record."""
        self._parts.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            try:
                alone = stack.enter_context(locked(self.directory / "lock"))
            except BlockingIOError:
                raise ValueError(
                    f"`Study.run({str(self.directory)!r})` must be the only run in its directory; "
                    "another process is computing there. Wait for it or choose another directory."
                ) from None
            if alone:
                remove_unfinished(self.directory)
                remove_unfinished(self._parts)
            if self.is_new:
                if self._read_record() not in (None, self.description):
                    raise ValueError(
                        f"`Study.run({str(self.directory)!r})` must be given a new directory; "
                        "another study has just been started there. Choose another directory."
                    )
                record = {"fingerprint": self.fingerprint, "study": self.description}
                text = json.dumps(record, indent=1, sort_keys=True)
                write_atomically(self.directory / _RECORD, text.encode())
            yield
