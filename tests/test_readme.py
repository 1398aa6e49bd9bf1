"""The README's example runs as it stands, and prints what the README says."""

import pathlib
import re

README = (pathlib.Path(__file__).parent.parent / "README.md").read_text()


def test_the_example_prints_what_is_promised(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(example.splitlines()) <= 20
    exec(compile(example, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    gamma = float(re.search(r"gamma = ([\d.]+)", printed).group(1))
    assert abs(gamma - 2) < 0.05
    (promised,) = re.findall(r"`(\d+ bits: error [^`]*)`", README)
    assert promised in printed
    (moved,) = re.findall(r"`(rounding moves it[^`]*)`", README)
    assert moved in printed
    measured, proven = (float(x) for x in re.findall(r"\d\.\d+e-\d+", printed)[-2:])
    assert measured <= proven


def test_it_is_short():
    assert len(README.splitlines()) <= 130
