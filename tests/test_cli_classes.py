"""`qrelu rate --class`: what is drawn, what is said of it, and mistakes."""

import json

import pytest
from typer.testing import CliRunner

from qrelu import bounds, families, norms, targets
from qrelu._cli import app

QUICK = ["--family", "piecewise-constant", "--size", "8:64", "--bits", "none", "--draws", "3"]


def _run(*arguments, width=120):
    return CliRunner(env={"COLUMNS": str(width)}).invoke(app, ["rate", *arguments])


def test_a_class_beside_its_bound(tmp_path):
    done = _run("--class", "lipschitz", *QUICK, "--out", str(tmp_path / "run"), "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    rows = found["table"]
    assert [row["size"] for row in rows] == [8, 16, 32, 64]
    assert all(row["draws"] == 3 and row["worst_draw"] for row in rows)
    known = bounds.class_error(targets.Lipschitz(), families.PiecewiseConstant(), 64, norms.L2())
    assert rows[-1]["limit"] == known.lower and rows[-1]["limit_label"] == "exact"
    assert found["encodability"][0]["encoding_gamma"] == 1.0
    assert found["encodability"][0]["holds"] is True


def test_what_is_printed(tmp_path):
    done = _run("--class", "lipschitz", "--class", "bv", *QUICK, "--out", str(tmp_path / "run"))
    assert done.exit_code == 0, done.output
    words = " ".join(done.stdout.split())
    assert "Lipschitz: |f(x) - f(y)| <= 1 |x - y| and |f| <= 1; worst L2 error of 3 draws" in words
    assert "BV: variation and |f| <= 1" in words
    assert "the worst one that the algorithm had over the draws, which bounds nothing" in words
    assert "Lipschitz: no code has a rate above 1 in bits over the class; the rate in M" in words
    assert (tmp_path / "run" / "figure.png").stat().st_size > 10_000


def test_a_class_and_a_function(tmp_path):
    arguments = ["--class", "hoelder:0.5", "--target", "sqrt", *QUICK[:-2]]
    done = _run(*arguments, "--draws", "2", "--out", str(tmp_path / "run"))
    assert done.exit_code == 0, done.output
    assert "sqrt" in done.stdout and "Hoelder 0.5" in done.stdout


@pytest.mark.parametrize(
    "arguments, text",
    [
        (["--class", "continuous"], "must name a class of functions: lipschitz, hoelder:s"),
        (["--class", "hoelder"], "numbers like hoelder:s"),
        (["--class", "hoelder:0"], "must be positive and finite; got 0"),
        (["--class", "hoelder:0"], "`s` in `--class hoelder:s` must be positive"),
        (["--class", "sobolev:0,2"], "`m` in `--class sobolev:m,p` must be positive"),
        (["--class", "sobolev:1.5,2"], "`--class besov:1.5,p,p` is its fractional kin"),
        (
            ["--class", "sobolev:1,0.5"],
            "`p` in `--class sobolev:m,p` must be at least 1 (`inf` included); got 0.5. "
            "`--class besov:s,p,q` admits",
        ),
        (["--class", "besov:9,2,2"], "`s` in `--class besov:s,p,q` must be below"),
        (["--class", "besov:1,2,0"], "`q` in `--class besov:s,p,q` must be a positive number"),
        (
            ["--class", "piecewise-smooth:0,1"],
            "`s` in `--class piecewise-smooth:s,jumps` must be positive",
        ),
        (["--class", "piecewise-smooth:1,0"], "Without jumps it is `--class hoelder:1`."),
        (["--class", "besov:0.2,1,1"], "above d max"),
        (["--class", "lipschitz", "--draws", "0"], "whole numbers from 1 on; got 0"),
        (["--class", "lipschitz", "--draws", "-1"], "`--draws` must be whole numbers from 1 on"),
        (["--class", "lipschitz,bv"], "`--class 'lipschitz,bv'` must name a class of functions"),
        (["--class", "hoelder:0.5", "--bits", "8,theory"], "`--bits theory:0.5` has the encoding"),
        (["--family", "haar,db2"], "Repeat it: `--family haar --family db2`."),
        (["--target", "exp, sine"], "Repeat it: `--target exp --target sine`."),
        (["--bits", "theory:0"], "`--bits theory:RATE` must have a positive exponent; got 0.0."),
        (["--draws", "4"], "`--draws` must come with a class"),
        (["--class", "bv", "--norm", "sup"], "`--class` must name classes that are compact in"),
        (["--class", "lipschitz", "--known"], "must stand alone or with `--json`; got --class"),
    ],
)
def test_mistakes(arguments, text):
    done = _run(*arguments)
    assert done.exit_code == 2
    assert text in " ".join(done.stderr.split())
