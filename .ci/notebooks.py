"""Execute every notebook from top to bottom in a fresh kernel; print how long each took."""

import pathlib
import sys
import time

import nbformat
from nbclient import NotebookClient

LIMIT = 120.0  # seconds per notebook, what a reader in Colab is promised on a CPU

ROOT = pathlib.Path(__file__).resolve().parent.parent
notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
if not notebooks:
    sys.exit("no notebooks found")
for path in notebooks:
    notebook = nbformat.read(path, as_version=4)
    start = time.perf_counter()
    NotebookClient(
        notebook,
        timeout=10 * LIMIT,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    seconds = time.perf_counter() - start
    print(f"{path.name}: {seconds:.0f} s")
    if seconds > 2 * LIMIT:  # twice, for a machine that is busy with something else
        sys.exit(f"{path.name} took {seconds:.0f} s; a reader is promised {LIMIT:.0f}")
