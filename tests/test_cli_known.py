"""`qrelu rate --known` and the classical families on the command line."""

import json

import pytest
from typer.testing import CliRunner

from qrelu import studies
from qrelu._cli import app

CASES = [case for case in studies.known_rates() if case.name.startswith("exp, piecewise-const")]


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(studies, "known_rates", lambda: tuple(CASES))


def _run(*arguments):
    return CliRunner().invoke(app, ["rate", *arguments], env={"COLUMNS": "110"})


def test_proven_stands_beside_measured(few):
    done = _run("--known")
    assert done.exit_code == 0 and done.stderr == ""
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("exp")]
    assert len(lines) == len(CASES) == 2
    for line in lines:
        assert line[-5] == "1" and abs(float(line[-4]) - 1) <= 0.01 and line[-1] == "yes"


def test_known_as_json(few):
    rows = json.loads(_run("--known", "--json").stdout)
    assert [row["proven"] for row in rows] == [1.0, 1.0]
    assert all(row["recovered"] and row["source"] and row["errors"] for row in rows)
    # The theory's step is not defined where breakpoints are parameters: the fewest bits take over.
    assert all(abs(row["rounded"] - 1) < 0.05 and 4 <= row["bits"] <= 30 for row in rows)


def test_a_rate_that_is_missed_is_an_error_and_stays_in_the_table(monkeypatch):
    wrong = CASES[0]._replace(gamma=1.2)
    monkeypatch.setattr(studies, "known_rates", lambda: (wrong, CASES[1]))
    done = _run("--known")
    assert done.exit_code == 1
    assert "1 of 2 rates were not recovered: exp, piecewise-constant, L2" in done.stderr
    assert sum(line.startswith("exp") for line in done.stdout.splitlines()) == 2


def test_known_stands_alone():
    done = _run("--known", "--target", "exp", "--out", "here")
    assert done.exit_code == 2
    assert "`--known` must stand alone or with `--json`; got --target and --out" in done.stderr


@pytest.mark.parametrize(
    "option",
    [
        *(("--class", "bv"), ("--draws", "3"), ("--domain", "0", "1"), ("--data", "x.csv")),
        *(("--x", "a"), ("--y", "b"), ("--missing", "drop"), ("--size", "24:96"), ("--norm", "l1")),
        *(("--norm", "l2"), ("--bits", "4"), ("--family", "haar"), ("--seed", "1")),
    ],
    ids=" ".join,
)
def test_every_option_beside_known_is_refused(option):
    done = _run("--known", *option)
    assert done.exit_code == 2 and done.stdout == ""
    assert f"`--known` must stand alone or with `--json`; got {option[0]}. The" in done.stderr


def test_classical_families_have_rates(tmp_path):
    sizes = ["--size", "8,16,32,64", "--bits", "none", "--out", str(tmp_path / "run")]
    done = _run("--target", "exp", "-f", "haar", "-f", "piecewise-constant", *sizes, "--json")
    assert done.exit_code == 0
    rows = json.loads(done.stdout)["rates"]
    assert [row["family"] for row in rows] == ["wavelet haar", "piecewise-constant"]
    assert all(abs(row["gamma"] - 1) < 0.05 for row in rows)
