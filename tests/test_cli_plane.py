"""`qrelu rate` and `qrelu targets` for functions of several variables."""

import json
import sys
import textwrap

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from qrelu import families, norms, studies, targets, training
from qrelu._cli import _targets, app
from qrelu.training._trained_solvers import SOLVERS

QUICK = ["--size", "8,16,32,64", "--bits", "8"]
OWN = textwrap.dedent(
    """
    import numpy as np
    from qrelu import targets

    def plane(x):
        return np.exp(x[:, 0] - 2 * x[:, 1])

    def line(x):
        return np.exp(x)

    hat = targets.get("hat2d")
    """
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "cli_plane", raising=False)
    (tmp_path / "cli_plane.py").write_text(OWN)
    return tmp_path


def _run(*arguments, width=110):
    return CliRunner(env={"COLUMNS": str(width)}).invoke(app, list(arguments))


def test_every_name_is_a_family_of_the_library():
    assert _targets.serving(2) == (
        *families.names(2),
        "trained:lm",
        "trained:greedy",
        "trained:adam",
    )
    assert families.names(3) == () and families.names() == families.names(1)
    any_number = [name for name, solver in SOLVERS.items() if not solver.one_variable]
    assert list(_targets.OF_ANY) == any_number
    kinds = {families.get(name, 2).name for name in families.names(2)}
    assert len(kinds) == len(families.names(2))
    assert isinstance(families.get("fourier", 2), families.TensorFourier)
    assert isinstance(families.get("fourier"), families.Fourier)
    for family in ("haar", "db2-hyperbolic"):
        with pytest.raises(ValueError, match="one variable.* Use"):
            families.FreeKnot().fit(targets.get("cartoon"), 24, norm=norms.L2())
        assert families.get(family, 2).fit(targets.get("cartoon"), 24, norm=norms.L2()).bits > 0


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("rational", 2), "functions of one variable only. Of two variables: polynomial, "),
        (("haar-hyperbolic",), "functions of two variables only. Of one variable: free-knot, "),
        (("haar", 3), "one or two variables; got 3. Use `training.Trained"),
        (("har", 2), "Did you mean 'haar'"),
    ],
)
def test_names_that_do_not_serve(arguments, words):
    with pytest.raises(ValueError, match=words):
        families.get(*arguments)


def test_the_cartoon_by_wavelets(folder):
    done = _run("rate", "-t", "cartoon", "-f", "haar", *QUICK, "--out", "here")
    assert done.exit_code == 0, done.output
    words = " ".join(done.stdout.split())
    assert "x_1/2 outside on [0, 1]^2, L2 error" in words
    assert "wavelet haar theory: 0.5" in words and "8 bits" in words
    assert (folder / "here" / "figure.png").stat().st_size > 10_000
    rows = studies.load("here").table().filter(pl.col("size") == 64).to_dicts()
    fitted = families.get("haar", 2).fit(targets.cartoon(), 64, norm=norms.L2())
    assert rows[0]["error"] == float(norms.L2().distance(fitted.function, targets.cartoon()))
    assert rows[0]["total_bits"] == fitted.bits > 64 * 64
    assert rows[1]["total_bits"] == 8 * 64 + fitted.position_bits


def test_what_is_not_periodic_is_said_in_the_table(folder):
    done = _run("rate", "-t", "cartoon", "-f", "fourier", "--size", "2,4", "--bits", "none")
    words = " ".join(done.stdout.split())
    assert "At the largest M: not periodic: the values at opposite sides differ by 0.5" in words


def test_functions_of_your_own_on_a_box(folder):
    arguments = ["-t", "cli_plane:plane", "--domain", "-1,0", "1,3", "-f", "polynomial"]
    done = _run("rate", *arguments, *QUICK, "--json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["table"]
    box = (np.array([-1.0, 0.0]), np.array([1.0, 3.0]))
    target = targets.Multivariate(lambda x: np.exp(x[:, 0] - 2 * x[:, 1]), box)
    fitted = families.TensorPolynomial().fit(target, 32, norm=norms.L2())
    row = next(r for r in rows if r["size"] == 32 and r["rule"] == "float")
    assert row["error"] == float(norms.L2().distance(fitted.function, target))
    loaded = targets.load("cli_plane:plane", (np.zeros(2), np.ones(2)))
    assert isinstance(loaded, targets.Multivariate) and loaded.name == "plane"
    assert loaded(np.ones((5, 2))).shape == (5,)


MISTAKES = {
    "no box": (["-t", "cli_plane:plane"], "Give the ends of its box: `--domain 0,0 1,1`"),
    "a box": (["-t", "cli_plane:line", "--domain", "0,0", "1,1"], "one value per point"),
    "two lengths": (["-t", "cli_plane:plane", "--domain", "0,0,0", "1,1"], "each of the 3; got 2"),
    "inverted": (["-t", "cli_plane:plane", "--domain", "0,1", "1"], "A < B in every variable"),
    "its own domain": (["-t", "cli_plane:hat", "--domain", "0", "1"], "a domain of its own"),
    "one variable": (["-t", "cartoon", "-f", "rational"], "not serve functions of 2 variables"),
    "those that do": (["-t", "cartoon", "-f", "free-knot"], "These do: polynomial, "),
    "two variables": (["-t", "exp", "-f", "haar-hyperbolic"], "These do: free-knot, "),
    "three": (["-t", "hat3d", "-f", "haar"], "These do: trained:lm, trained:greedy, trained:adam."),
    "solver": (["-t", "hat2d", "-f", "trained:shallow"], "does not serve functions of 2 variables"),
    "both": (["-t", "exp", "-t", "cartoon", "-f", "haar"], "Measure one after the other"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_one_sentence(folder, mistake):
    arguments, words = MISTAKES[mistake]
    default = [] if "-f" in arguments else ["-f", "haar"]
    done = _run("rate", *arguments, *default, *QUICK)
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_refusal_is_said_once_and_in_options(folder):
    done = _run("rate", "-t", "cartoon", "-f", "haar", "--norm", "sup", *QUICK)
    assert done.exit_code == 1 and done.stderr.startswith("qrelu: nothing could be computed")
    words = " ".join(done.stdout.split())
    assert words.count("jumps by 0.39") == 1 and "the same" in words
    assert "Use `--norm l1` or `--norm l2`" in words and "fit(" not in words


def test_trained_networks_take_functions_of_one_and_two_variables():
    assert _targets.serves("trained:lm:3", 2) and not _targets.serves("trained:shallow", 2)
    assert isinstance(_targets.family_named("trained:lm", families, 2), training.Trained)


def test_targets_say_which_families_serve_them():
    done = _run("targets", "-f", "haar", "-f", "rational", "--json")
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["cartoon"]["rates"] == {"haar": rows["cartoon"]["rates"]["haar"]}
    assert rows["cartoon"]["rates"]["haar"]["gamma"] == 0.5
    assert set(rows["exp"]["rates"]) == {"haar", "rational"}
    assert rows["hat3d"]["rates"] == {} and rows["hat3d"]["families"][0] == "trained:lm"
    shown = _run("targets").stdout
    assert "Families of functions of two: polynomial, polynomial-tensor" in shown
