"""Execute every notebook from top to bottom in a fresh kernel, two at a time; print the seconds."""

import multiprocessing
import pathlib
import sys
import time

import nbformat
from nbclient import NotebookClient

LIMIT = 120.0  # seconds per notebook, what a reader in Colab is promised on a CPU
SLACK = 2  # for a machine that is busy, with another notebook at least
AT_A_TIME = 2

ROOT = pathlib.Path(__file__).resolve().parent.parent


def seconds_of(path: pathlib.Path) -> float:
    """The time that the notebook takes; an error of a cell is raised."""
    notebook = nbformat.read(path, as_version=4)
    start = time.perf_counter()
    NotebookClient(
        notebook,
        timeout=10 * LIMIT,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    return time.perf_counter() - start


def main() -> None:
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    if not notebooks:
        sys.exit("no notebooks found")
    # New processes with new interpreters: a kernel is a child that a forked parent would confuse.
    with multiprocessing.get_context("spawn").Pool(AT_A_TIME) as pool:
        for path, seconds in zip(notebooks, pool.imap(seconds_of, notebooks), strict=True):
            print(f"{path.name}: {seconds:.0f} s", flush=True)
            if seconds > SLACK * LIMIT:
                sys.exit(f"{path.name} took {seconds:.0f} s; a reader is promised {LIMIT:.0f}")


if __name__ == "__main__":
    main()
