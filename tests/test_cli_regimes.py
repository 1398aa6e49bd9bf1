"""`qrelu regimes`: table, JSON, figure, one sentence for every mistake."""

import json

import pytest
from typer.testing import CliRunner

from qrelu._cli import app


def _run(*arguments):
    return CliRunner().invoke(app, ["regimes", *arguments])


def test_table_and_figure(tmp_path):
    figure = tmp_path / "new" / "regimes.svg"
    done = _run("--width", "33", "--depth", "3", "--out", str(figure))
    assert done.exit_code == 0, done.stderr
    assert "slopes N=32" in done.stdout and "proven" not in done.stderr
    assert "needs depth 10 and width 28" in done.stdout
    assert "slopes +1 and -1 in random order" in done.stdout
    assert figure.read_text().startswith("<?xml")


def test_json_of_two_sizes(tmp_path):
    sizes = ["--width", "33", "--depth", "2", "--width", "24", "--depth", "8"]
    figure = tmp_path / "regimes.png"
    done = _run(*sizes, "--bits", "1,4", "--integer-bits", "5", "--out", str(figure), "--json")
    assert done.exit_code == 0, done.stderr
    one, two = json.loads(done.stdout)
    assert (one["width"], one["depth"], two["width"]) == (33, 2, 24)
    assert [n["fraction_bits"] for n in two["networks"]] == [1, 4]
    for network in one["networks"] + two["networks"]:
        assert network["regime"]["lower"] <= network["bound"]
        assert 0 < network["drawn"] <= network["bound"] * (1 + 1e-9)
    assert figure.stat().st_size > 10_000


@pytest.mark.parametrize(
    "arguments, text",
    [
        (["--width", "64"], "must come in pairs; got 1 and 0"),
        (["--width", "0", "--depth", "3"], "`--width` must be from 1"),
        (["--width", "4", "--depth", "999"], "`--depth` must be from 1 to 256; got 999"),
        (["--bits", "1,0"], "`--bits` must be whole numbers from 1"),
        (["--bits", "x"], "`--bits` must be whole numbers"),
        (["--integer-bits", "0"], "`--integer-bits` must be at least 1; got 0"),
        (["--seed", "-1"], "`--seed`"),
        (["--out", "figure.txt"], "must end in .png"),
    ],
)
def test_mistakes_are_one_sentence(arguments, text):
    done = _run(*arguments)
    assert done.exit_code == 2
    assert text in done.stderr and done.stderr.count("\n") == 1 and not done.stdout
