"""The family of trained networks: sizes, keys, refusals, studies, the command line."""

import json

import jax
import numpy as np
import pytest
from typer.testing import CliRunner

from qrelu import families, networks, norms, studies, targets, training
from qrelu._cli._app import app
from qrelu._cli._targets import SOLVERS as NAMED
from qrelu.training import EqualWidths, Trained, fit_deep
from qrelu.training._deep_layers import hidden, random_layers, to_network, values
from qrelu.training._deep_points import points_of
from qrelu.training._deep_starts import best_starts, folding_layers, with_best_last_layer
from qrelu.training._trained_solvers import SOLVERS

L2 = norms.L2()
QUICK = {"lm": 1, "shallow": 2, "greedy": 1, "adam": 20}


def _quick(solver, widths=None):
    return Trained(widths, solver, starts=2, rounds=QUICK[solver])


@pytest.mark.parametrize("depth", [2, 3, 4])
@pytest.mark.parametrize("inputs", [1, 2, 10])
def test_widths_are_the_largest_that_a_size_allows(depth, inputs):
    rule = EqualWidths(depth)

    def connectivity(width):
        widths = (inputs, *[width] * (depth - 1), 1)
        weights = [np.ones((b, a)) for a, b in zip(widths[:-1], widths[1:], strict=True)]
        return networks.ReLUNetwork(weights, [np.ones(len(w)) for w in weights]).connectivity

    for size in (4, 30, 31, 200):
        widths = rule(inputs, size)
        if widths is None:
            assert connectivity(1) > size
        else:
            assert len(widths) == depth + 1 and widths[0] == inputs
            assert connectivity(widths[1]) <= size < connectivity(widths[1] + 1)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_size_is_not_exceeded_and_a_key_decides(solver):
    family, target = _quick(solver), targets.get("exp")
    assert family.name == f"trained:{solver}"
    first = family.fit(target, 24, norm=L2, key=jax.random.key(0))
    again = family.fit(target, 24, norm=L2, key=jax.random.key(0))
    other = family.fit(target, 24, norm=L2, key=jax.random.key(1))
    assert first.connectivity <= 24 and first.network.widths == (1, 7, 1)
    for a, b in zip(first.network.weights, again.network.weights, strict=True):
        assert a.dtype == np.float64 and np.array_equal(a, b)
    errors = [float(L2.distance(a.network, target)) for a in (first, other)]
    assert (errors[0] != errors[1]) or solver == "shallow"
    exact = networks.pieces(first.network, 0, 1)
    assert first.pieces == len(exact.breakpoints) - 1 <= family.pieces(24)
    # No network of seven neurons is better than the best function of eight pieces.
    limit = target.limit(L2, family, 24)
    assert limit.value <= errors[0] * 1.02
    assert target.rate(family, L2).gamma == 2


@pytest.mark.parametrize("solver", ["lm", "greedy", "adam"])
def test_several_variables(solver):
    target = targets.get("sines2d")
    fitted = _quick(solver).fit(target, 34, norm=L2, key=jax.random.key(2))
    assert fitted.network.widths == (2, 8, 1) and fitted.connectivity <= 34
    assert fitted.pieces == 0
    error = L2.distance(fitted.function, target)
    # The mean alone has the error sqrt(1/4 - 16/pi^4) = .293; twenty steps of Adam are few.
    assert error < {"lm": 0.05, "greedy": 0.2, "adam": 0.4}[solver]
    rounded = families.Quantized(_quick(solver), families.MatchedBits()).round(
        fitted, target, norm=L2
    )
    assert L2.distance(rounded.function, target) <= 1.1 * error + 2 * error.uncertainty
    assert rounded.bits_per_weight < 20
    with pytest.raises(ValueError, match="must know the rate to keep"):
        families.Quantized(_quick(solver), families.TheoryStep()).round(fitted, target, norm=L2)
    # The theory's step moves the function by at most R M^-gamma, R the range of the target.
    step = families.Quantized(_quick(solver), families.TheoryStep(gamma=1.0))
    moved = L2.distance(step.round(fitted, target, norm=L2).function, target)
    assert abs(moved - error) <= 1 / fitted.connectivity + error.uncertainty + moved.uncertainty


def test_deep_networks_and_their_pieces():
    family = _quick("adam", EqualWidths(3))
    assert family.kind == "deep" and family.name == "trained:adam, depth 3"
    # 1-3-3-1 has 3 + 3 + 9 + 3 + 3 + 1 = 22 parameters and at most 4 x 4 pieces.
    assert family.pieces(22) == 16 and family.pieces(21) == 9
    assert family.minimum_size == 6
    fitted = family.fit(targets.get("sine"), 22, norm=L2, key=jax.random.key(0))
    assert fitted.network.widths == (1, 3, 3, 1) and fitted.pieces <= 16
    assert targets.get("sine").limit(L2, family, 22).label == "none"
    assert targets.get("sine").rate(family, L2) is None


BAD = {
    "solver": (lambda: Trained(solver="sgd"), ValueError, '"lm", "shallow", "greedy", "adam"'),
    "widths": (lambda: Trained(4), TypeError, "must be a rule for widths|Type-check"),
    "deep greedy": (lambda: Trained(EqualWidths(4), "greedy"), ValueError, "one hidden layer"),
    "depth": (lambda: EqualWidths(1), ValueError, "from 2 on; got 1"),
    "rounds": (lambda: Trained(rounds=0), ValueError, "whole number from 1 on; got 0"),
    "starts": (lambda: Trained(starts=-1), ValueError, "whole number from 1 on; got -1"),
    "size": (
        lambda: _quick("lm").fit(targets.get("exp"), 3, norm=L2),
        ValueError,
        "must be at least 4",
    ),
    "size in ten variables": (
        lambda: _quick("greedy").fit(targets.get("hat10d"), 12, norm=L2),
        ValueError,
        "12 nonzero parameters are too few for `hat10d`",
    ),
    "one variable": (
        lambda: _quick("shallow").fit(targets.get("hat2d"), 40, norm=L2),
        ValueError,
        "needs a function of one variable; `hat2d` has 2",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    make, error, words = BAD[case]
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_target_that_is_not_finite(solver):
    def broken(x):  # finite where it is checked, infinite near one point
        return np.where(np.abs(x - 0.7071) < 2e-3, np.nan, x)

    target = targets.Function(broken, (0, 1), name="broken")
    with pytest.raises(ValueError, match="finite"):
        _quick(solver).fit(target, 16, norm=L2, key=jax.random.key(0))


# --- searches in several variables


def test_the_best_last_layer_is_that_of_lstsq():
    points = points_of(targets.get("gaussian2d"), 256)
    assert points.x.shape == (2, 256) and np.sum(points.root**2) == pytest.approx(1)
    layers = random_layers((2, 6, 5, 1), points.x, np.random.default_rng(0))
    error, better = with_best_last_layer(layers, points)
    columns = np.concatenate([hidden(layers, 2, points.x), np.ones((1, 256))]) * points.root
    squares = np.linalg.lstsq(columns.T, points.y * points.root)[1]
    assert error == pytest.approx(float(squares[0]), rel=1e-6)
    again = np.sum(((values(better, points.x) - points.y) * points.root) ** 2)
    assert again == pytest.approx(error, rel=1e-6)


def test_foldings_have_the_pieces_that_multiply():
    # Two zigzags in front of one bend: the slope changes its sign at least folds - 1 times.
    x = np.linspace(0, 1, 4001)
    most = 0
    for seed in range(40):
        layers = folding_layers((1, 3, 3, 2, 1), x, np.random.default_rng(seed))
        inner = hidden(layers, 3, x)
        assert inner.shape == (2, 4001) and np.isfinite(inner).all()
        turns = [np.count_nonzero(np.diff(np.sign(np.diff(row)))) for row in inner]
        most = max(most, *turns)
    assert most >= 8  # nine pieces


def test_the_best_of_many_starts_come_first():
    points = points_of(targets.get("exp"), 256)
    rng = np.random.default_rng(0)
    starts = best_starts((1, 4, 4, 1), points, 8, rng)
    errors = [with_best_last_layer(layers, points)[0] for layers in starts]
    assert len(starts) == 8 and errors == sorted(errors)
    plain = [
        with_best_last_layer(random_layers((1, 4, 4, 1), points.x, rng), points)[0]
        for _ in range(32)
    ]
    assert errors[0] < np.median(plain) / 4


def test_a_search_on_a_box():
    # A network of three neurons on a box that is not the unit square.
    box = (np.array([-1.0, 2.0]), np.array([1.0, 4.0]))
    target = targets.Multivariate(
        lambda x: np.maximum(x[:, 0] + x[:, 1] - 3, 0) - np.maximum(x[:, 0] - 0.3, 0), box, name="n"
    )
    result = fit_deep(target, (2, 3, 1), key=jax.random.key(0), rounds=4, grow=0)
    assert float(result.error) < 0.02 * float(
        L2.distance(networks.ReLUNetwork([np.zeros((1, 2))], [np.zeros(1)]), target)
    )
    with pytest.raises(ValueError, match=r"\(2, N_1, \.\.\., 1\)"):
        fit_deep(target, (1, 3, 1), key=jax.random.key(0))
    layers = random_layers(
        (2, 3, 1), np.random.default_rng(0).random((2, 50)), np.random.default_rng(1)
    )
    network = to_network(layers, box, 0.5, 2.0)
    at = np.array([[0.25, 0.75]])
    want = 0.5 + 2 * values(layers, at.T)
    place = box[0] + (box[1] - box[0]) * at
    h = np.maximum(place @ network.weights[0].T + network.biases[0], 0)
    np.testing.assert_allclose((h @ network.weights[1].T + network.biases[1])[:, 0], want)


# --- studies and the command line


def test_seeds_are_replicates_with_an_interval():
    study = studies.Study(
        [targets.get("exp")], [Trained(solver="greedy")], [13, 25, 49, 97], L2, seeds=[0, 1, 2]
    )
    result = study.run()
    assert result.table()["error"].null_count() == 0
    assert result.table()["seed"].to_list() == [0, 1, 2] * 4
    rates = result.rates()
    assert rates["interval_kind"][0] == "t over replicates"
    # Three seeds and four sizes: the interval is wide, and free knots are the limit.
    assert rates["limit_label"][0] in ("best known", "asymptotic", "exact")
    assert rates["error_over_limit"][0] > 1


def test_a_family_of_one_variable_is_a_row_with_a_note():
    study = studies.Study([targets.get("hat2d")], [families.FreeKnot()], [16, 32], L2)
    assert study.run().table()["notes"][0].count("needs a function of one variable") == 1


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _run(*arguments):
    return CliRunner().invoke(app, arguments)


def test_the_command_line_knows_the_solvers():
    assert set(NAMED) == set(SOLVERS)


def test_the_command_line_measures_trained_networks(folder):
    given = (
        "rate",
        "-t",
        "exp",
        "-f",
        "trained:shallow",
        "--size",
        "12:96",
        "--bits",
        "6",
        "--json",
    )
    done = _run(*given)
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    row = found["rates"][0]
    assert row["family"] == "trained:shallow" and abs(row["gamma"] - 2) < 0.1
    # 31 neurons could make 32 pieces; exp is steep and convex, and has 31: (32 / 31)^2.
    assert row["error_over_limit"] == pytest.approx((32 / 31) ** 2, abs=0.01)
    assert {line["seed"] for line in found["table"]} == {0, 1, 2}
    again = _run(*given)
    assert json.loads(again.stdout) == found


def test_several_variables_on_the_command_line(folder):
    done = _run("rate", "-t", "gaussian2d", "--size", "17:65", "--seed", "4", "--bits", "none")
    assert done.exit_code == 0, done.stderr
    assert "on [0, 1]^2, L2 error" in done.stdout and "trained:greedy" in done.stdout
    listed = json.loads(_run("targets", "--json").stdout)
    assert {"sines2d", "hat10d"} <= {row["name"] for row in listed}
    assert "[0, 1]^10" in _run("targets").stdout


MISTAKES = {
    "solver": (["-f", "trained:sgd"], "must name one of lm, shallow, greedy, adam"),
    "no depth": (["-f", "trained:lm:deep"], "must name one of lm"),
    "depth": (["-f", "trained:greedy:4"], "has one hidden layer"),
    "variables": (
        ["-t", "hat3d", "-f", "free-knot"],
        "does not serve functions of 3 variables, and hat3d is one",
    ),
    "knots": (["-t", "hat3d", "-f", "trained:shallow"], "does not serve functions of 3 variables"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_on_the_command_line(folder, mistake):
    arguments, words = MISTAKES[mistake]
    done = _run("rate", *arguments)
    assert done.exit_code == 2 and done.stderr.count("\n") == 1
    assert words in done.stderr


def test_deep_networks_on_the_command_line(folder):
    done = _run("rate", "-f", "trained:adam:1")
    assert done.exit_code == 2 and "from 2 on; got 1" in done.stderr


def test_training_is_in_the_public_face():
    assert isinstance(training.Trained(), families.AbstractFamily)
