"""A line on the terminal with the loss and the time left."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


@contextlib.contextmanager
def reporting(show: bool, steps: int, done: int) -> Iterator[Callable[[int, float], None]]:
    """Yield a function of the steps done and the loss."""
    if not show:
        yield lambda step, loss: None
        return
    columns = (
        TextColumn("training"),
        BarColumn(bar_width=16),
        TextColumn("{task.completed}/{task.total} steps, loss {task.fields[loss]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("training", total=steps, completed=done, loss="...")
        yield lambda step, loss: progress.update(task, completed=step, loss=f"{loss:.3g}")
