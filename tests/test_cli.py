"""The command line: its words, its exit codes, one sentence for every mistake."""

import json
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from typer.testing import CliRunner

from qrelu import studies
from qrelu._cli import app
from qrelu.rates import fit_rate
from qrelu.studies import Study

QUICK = ["--family", "uniform-knot", "--size", "13,25,49,97", "--bits", "6"]
OWN = textwrap.dedent(
    """
    import math
    import numpy as np

    def wave(x):
        return np.sin(5 * x) * x

    def one_number(x):
        return math.sin(x)

    def logarithm(x):
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.log(x)

    def raises(x):
        raise KeyError("inside")

    three = 3
    """
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a module and some data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "cli_functions", raising=False)
    (tmp_path / "cli_functions.py").write_text(OWN)
    rows = [f"{i / 50},{(i / 50) ** 2},{'abc'[i % 3]},5" for i in range(51)]
    (tmp_path / "good.csv").write_text("\n".join(["distance,height,word,same", *rows]))
    (tmp_path / "gaps.csv").write_text("\n".join(["distance,height", "0,1", "1,", "2,0", "3,4"]))
    (tmp_path / "a_file").write_text("")
    return tmp_path


def _run(*arguments, env=None):
    return CliRunner().invoke(app, list(arguments), env=env)


def _process(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "qrelu", *arguments], capture_output=True, text=True, **options
    )


def test_the_main_job_in_its_own_process(folder):
    done = _process("rate", "--target", "square", *QUICK)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for word in ("square: x^2 on [0, 1], L2 error", "theory: 2", "limit: exact", "largest M: 97"):
        assert word in done.stdout
    (place,) = (folder / "qrelu-runs").iterdir()
    assert f"Figure: {place.relative_to(folder)}/figure.png" in done.stdout
    assert {"figure.png", "figure.svg", "table.csv", "rates.csv"} <= {
        p.name for p in place.iterdir()
    }


def test_a_function_of_your_own_is_found_in_the_working_directory(folder):
    arguments = ["--target", "cli_functions:wave", "--domain", "-1", "1", "--json", *QUICK]
    arguments += ["--size", "25:800"]
    done = _process("rate", *arguments)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["rates"][0]["target"] == "wave"
    assert 1.8 < found["rates"][0]["gamma"] < 2.2


def test_json_is_all_of_the_result_and_nothing_else(folder):
    done = _run("rate", "--target", "square", "--out", "here", "--json", *QUICK)
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    loaded = studies.load("here")
    assert found["rates"] == json.loads(json.dumps(loaded.rates().to_dicts()))
    assert found["table"] == json.loads(json.dumps(loaded.table().to_dicts()))
    assert found["directory"] == "here"
    assert os.path.exists(found["figure"])
    assert found["environments"][0]["dtype"] == "float64"


def test_a_second_run_computes_nothing(folder, monkeypatch):
    first = _run("rate", "--target", "square", *QUICK)

    def refuse(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr(studies._study, "compute", refuse)
    second = _run("rate", "--target", "square", *QUICK)
    assert (second.exit_code, second.stdout) == (0, first.stdout)


def test_data_without_a_known_limit(folder):
    done = _run("rate", "--data", "good.csv", "--x", "distance", "--y", "height", *QUICK)
    assert done.exit_code == 0, done.stderr
    assert "theory: unknown" in done.stdout
    assert "limit: none" in done.stdout
    json_run = _run("rate", "--data", "good.csv", "--y", "height", "--json", *QUICK)
    assert json.loads(json_run.stdout)["rates"][0]["error_over_limit"] is None


def test_missing_values_can_be_dropped_on_request(folder):
    # Three samples are left: the error is zero and there is no rate, and that is no failure.
    done = _run("rate", "--data", "gaps.csv", "--missing", "drop", *QUICK)
    assert done.exit_code == 0, done.stderr
    assert "missing" in done.stderr


@pytest.mark.parametrize("columns", [60, 80, 110, 200])
def test_tables_fit_the_terminal(folder, columns):
    arguments = ["rate", "--target", "square", "--out", "x", *QUICK, "--bits", "4,matched,theory"]
    done = _run(*arguments, env={"COLUMNS": str(columns)})
    assert done.exit_code == 0
    table = done.stdout.partition("gamma: ")[0].splitlines()
    assert max(map(len, table)) <= columns
    assert "matched bits" in done.stdout
    # What has no rate says why, in the table or below it.
    assert studies.load("x").rates()["verdict"][1].split(";")[0][:20] in done.stdout


MISTAKES = {
    "unknown target": (["--target", "expp"], 2, "Did you mean 'exp'?"),
    "not vectorized": (["--target", "cli_functions:one_number"], 2, "one number at a time"),
    "nan": (["--target", "cli_functions:logarithm", "--domain", "-1", "1"], 2, "must be finite"),
    "raises": (["--target", "cli_functions:raises"], 2, "raised KeyError"),
    "no function": (["--target", "cli_functions:three"], 2, "must name a function"),
    "no attribute": (["--target", "cli_functions:four"], 2, "the module has no 'four'"),
    "no module": (["--target", "cli_nothing:f"], 2, "there is no module 'cli_nothing'"),
    "inverted": (["--target", "cli_functions:wave", "--domain", "1", "0"], 2, "Swap the ends"),
    "empty": (["--target", "cli_functions:wave", "--domain", "1", "1"], 2, "positive length"),
    "domain of a built-in": (["--domain", "0", "2"], 2, "must come with a function of your own"),
    "domain of words": (
        ["--target", "cli_functions:wave", "--domain", "0", "x"],
        2,
        "must be two finite numbers",
    ),
    "not numeric": (["--data", "good.csv", "--y", "word"], 2, "column of numbers"),
    "constant": (["--data", "good.csv", "--y", "same"], 2, "is constant"),
    "no column": (["--data", "good.csv", "--y", "depth"], 2, "it has 'distance', 'height'"),
    "missing values": (["--data", "gaps.csv"], 2, "Add `--missing drop` to leave them out"),
    "missing without file": (["--missing", "drop"], 2, "`--missing` must come with a file"),
    "none and bits": (["--bits", "none,4"], 2, "must be `none` alone or other rules"),
    "empty sizes": (["--size", ""], 2, "must be START:STOP or whole numbers"),
    "empty bits": (["--bits", ""], 2, "`--bits` must be whole numbers, `matched`"),
    "empty seeds": (["--seed", ""], 2, "`--seed` must be whole numbers"),
    "no column, no file": (["--x", ""], 2, "add `--data FILE`"),
    "no depth": (["-f", "trained:lm:0"], 2, "`DEPTH` in `--family trained:SOLVER:DEPTH` must be"),
    "deep greedy": (["-f", "trained:greedy:4"], 2, "`--family trained:greedy` has one hidden"),
    "three is no function": (
        ["--target", "cli_functions:three"],
        2,
        "`--target 'cli_functions:three'` must name a function",
    ),
    "huge": (["--size", "24:1000000000"], 2, "must be at most 1000000"),
    "a name with a colon": (["--target", "nosuch"], 2, "Your own is module:function"),
    "missing how": (["--data", "gaps.csv", "--missing", "what"], 2, "must be error or drop"),
    "no file": (["--data", "none.csv"], 2, "there is none"),
    "column without file": (["--x", "distance"], 2, "add `--data FILE`"),
    "too small": (["--size", "1:100"], 2, "at least 4 for the family uniform-knot; got 1"),
    "falling": (["--size", "96,48"], 2, "`--size` must increase"),
    "falling range": (["--size", "96:48"], 2, "must rise"),
    "no sizes": (["--size", "many"], 2, "START:STOP"),
    "no bits": (["--bits", "0"], 2, "from 1 to 52; got 0"),
    "negative bits": (["--bits", "-3"], 2, "from 1 to 52; got -3"),
    "too many bits": (["--bits", "64"], 2, "from 1 to 52; got 64"),
    "words for bits": (["--bits", "few"], 2, "`matched`, `theory`"),
    "no norm": (["--norm", "l3"], 2, "`--norm` must be l1, l2 or sup; got 'l3'"),
    "no seed": (["--seed", "one"], 2, "whole numbers from 0 on"),
    "no family": (["--family", "splines"], 2, "must be one of free-knot"),
    "twice": (["--target", "exp", "--target", "exp"], 2, "`--target` must have different names"),
    "no option": (["--tagret", "exp"], 2, "No such option"),
    "a file": (["--out", "a_file"], 1, "it is a file"),
    "below a file": (["--out", "a_file/below"], 1, "Not a directory"),
    "not writable": (["--out", "/proc/qrelu"], 1, "`--out '/proc/qrelu'` must be able to use"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence_and_an_exit_code(folder, mistake):
    arguments, code, words = MISTAKES[mistake]
    done = _run("rate", *QUICK, *arguments)
    assert done.exit_code == code
    said = " ".join(done.stderr.replace("│", " ").split())
    assert words in said
    assert "Traceback" not in done.output
    assert done.stdout == ""
    assert isinstance(done.exception, SystemExit)
    if not said.startswith("Usage:"):  # click's own errors have a frame
        assert done.stderr.startswith("qrelu: ")
        assert len(done.stderr.splitlines()) == 1


def test_the_directory_of_another_study_is_refused_and_kept(folder):
    assert _run("rate", "--target", "square", "--out", "here", *QUICK).exit_code == 0
    before = {p: p.read_bytes() for p in (folder / "here").rglob("*") if p.is_file()}
    done = _run("rate", "--target", "exp", "--out", "here", *QUICK)
    assert done.exit_code == 1
    assert "holds another study (targets: square there, exp here)" in done.stderr
    assert before == {p: p.read_bytes() for p in (folder / "here").rglob("*") if p.is_file()}


def test_a_damaged_part_stops_the_run_and_the_next_one_computes_it(folder):
    first = _run("rate", "--target", "square", "--out", "here", *QUICK)
    victim = next((folder / "here" / "parts").iterdir())
    victim.write_bytes(victim.read_bytes()[:50])
    kept = {p: p.read_bytes() for p in (folder / "here" / "parts").iterdir() if p != victim}
    done = _run("rate", "--target", "square", "--out", "here", *QUICK)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"qrelu: The stored part {victim.name} was damaged")
    assert "Run the same command again" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert kept == {p: p.read_bytes() for p in (folder / "here" / "parts").iterdir()}
    again = _run("rate", "--target", "square", "--out", "here", *QUICK)
    assert (again.exit_code, again.stdout, again.stderr) == (0, first.stdout, "")


def test_nothing_computed_is_a_failure(folder):
    done = _run("rate", "--data", "good.csv", "--y", "height", *QUICK, "--bits", "none")
    assert done.exit_code == 0
    # No rate is known for data, so the theory's step has nothing to keep; the rest is computed.
    partly = _run("rate", "--data", "good.csv", "--y", "height", *QUICK, "--bits", "theory")
    assert partly.exit_code == 0
    assert "none is known for" in " ".join(partly.stdout.split())
    assert "Give it: `--bits theory:2`" in " ".join(partly.stdout.split())
    given = _run("rate", "--data", "good.csv", "--y", "height", *QUICK, "--bits", "theory:2")
    assert "theory step, gamma 2" in given.stdout


def test_the_first_line_of_a_pipe_is_enough(folder):
    command = f"{sys.executable} -m qrelu targets --json | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stdout.splitlines()[0] == "["
    assert done.stderr == ""


def test_several_seeds_are_one_run_and_that_is_said(folder):
    one = _run("rate", "--target", "square", "--json", *QUICK)
    two = _run("rate", "--target", "square", "--json", *QUICK, "--seed", "0,1")
    assert (two.exit_code, two.stdout) == (0, one.stdout)
    assert "one run is made, with seed 0" in two.stderr


def test_too_few_sizes_for_a_rate_are_announced(folder):
    done = _run("rate", "--target", "square", *QUICK, "--size", "24:48")
    assert done.exit_code == 0
    assert done.stderr.startswith("qrelu: a rate needs at least 4 sizes; got 24, 48.")


def test_exact_reproduction_is_no_failure(folder):
    done = _run("rate", "--target", "kink", "--family", "free-knot", "--bits", "none")
    assert done.exit_code == 0
    assert "the function is reproduced exactly from M = " in " ".join(done.stdout.split())


@pytest.mark.parametrize("columns", ["80", "120"])
def test_a_power_of_the_logarithm_is_shown_on_every_width(folder, monkeypatch, columns):
    sizes = np.array([24, 48, 96, 192, 384, 768, 1536])
    fit = fit_rate(sizes, np.log(sizes) ** 0.75 * sizes**-2.0)
    assert fit.model == "power_log"
    power = f"(log M)^{fit.coefficients[2]:.2f}"
    monkeypatch.setattr(studies._curves, "fit_rate", lambda *_, **__: fit)
    arguments = ["rate", "--target", "square", *QUICK, "--bits", "none"]
    done = _run(*arguments, env={"COLUMNS": columns})
    assert f"a rate times {power} on M = 24 to 1536" in done.stdout
    (place,) = (folder / "qrelu-runs").iterdir()
    labels = studies.load(place).figure().axes[0].get_legend().get_texts()
    assert labels[0].get_text().endswith(rf"$(\log M)^{{{fit.coefficients[2]:.2g}}}$")


def test_an_interrupt_says_what_is_kept(folder, monkeypatch):
    def interrupt(self, directory):
        raise KeyboardInterrupt

    monkeypatch.setattr(Study, "run", interrupt)
    done = _run("rate", "--target", "square", "--out", "here", *QUICK)
    assert done.exit_code == 130
    assert done.stderr == (
        "qrelu: stopped. Every finished fit is kept in here; the same command continues from "
        "there.\n"
    )


@pytest.mark.slow
def test_control_c_in_a_real_run(folder):
    sizes = ",".join(map(str, range(13, 400)))
    arguments = ["rate", "--target", "square", "--out", "here", *QUICK, "--size", sizes]
    process = subprocess.Popen(
        [sys.executable, "-m", "qrelu", *arguments], stderr=subprocess.PIPE, text=True
    )
    parts = folder / "here" / "parts"
    while not (parts.is_dir() and len(list(parts.glob("*.parquet"))) > 3):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    assert "kept in here" in process.stderr.read()
    process.stderr.close()
    assert studies.load("here").missing > 0


def test_targets_are_listed_with_their_rates():
    done = _run("targets")
    assert done.exit_code == 0
    assert "exp(3x)" in done.stdout
    listed = json.loads(_run("targets", "--norm", "sup", "--json").stdout)
    by_name = {row["name"]: row["rates"] for row in listed}
    assert by_name["sqrt"]["free-knot"]["gamma"] == 2
    assert by_name["sqrt"]["uniform-knot"]["gamma"] == 0.5
    assert _run("targets", "--norm", "l3").exit_code == 2


def test_version_and_help():
    import importlib.metadata

    version = importlib.metadata.version("qrelu")
    assert _run("--version").stdout == f"qrelu {version}\n"
    for arguments in (["--help"], ["rate", "--help"], ["targets", "-h"]):
        assert _run(*arguments).exit_code == 0
    assert _run().exit_code == 2
    assert "rate" in _run("--help").stdout
