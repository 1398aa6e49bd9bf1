"""A line on the terminal that says how far a study is and how long it still takes."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ._case import Part


@contextlib.contextmanager
def reporting(
    parts: Sequence[Part], finished: int, show: bool | None
) -> Iterator[Callable[[Part], None]]:
    """Yield a function to call after each part; None shows the line only on a terminal.

    The cost of a fit grows like its size, so the sizes are the unit of the time left.
    """
    console = Console(stderr=True)
    show = console.is_terminal if show is None else show
    total = len(parts) + finished
    if not show or not parts:
        yield lambda part: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),  # so that the time left fits on 80 columns
        TextColumn("{task.fields[done]}/{task.fields[of]} fits"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        work = sum(part.size for part in parts)
        task = progress.add_task("computing", total=work, done=finished, of=total)
        count = finished

        def advance(part: Part) -> None:
            nonlocal count
            count += 1
            words = f"{part.target}, {part.family}, M = {part.size}"
            progress.update(task, advance=part.size, description=words, done=count)

        yield advance
