"""The orthogonal greedy algorithm, against its definition in exact rationals."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qrelu import fit_rate, norms, realize, targets, training
from qrelu.training import (
    AbstractDictionary,
    RandomReLUDictionary,
    ReLUDictionary,
    orthogonal_greedy,
)


def _exact_greedy(f, atoms, weights, steps, normalize=False):
    """Indices and squared errors by the definition: normal equations in fractions."""
    inner = lambda u, v: sum(w * a * b for w, a, b in zip(weights, u, v, strict=True))  # noqa: E731
    basis, residual, chosen, errors = [], f, [], [inner(f, f)]
    for _ in range(steps):
        score = [abs(inner(g, residual)) for g in atoms]
        if normalize:
            squares = [inner(g, g) for g in atoms]
            score = [s * s / n if n else Fraction(0) for s, n in zip(score, squares, strict=True)]
        best = score.index(max(score))
        rest = atoms[best]
        for q in basis:
            c = inner(rest, q) / inner(q, q)
            rest = [r - c * t for r, t in zip(rest, q, strict=True)]
        basis.append(rest)
        c = inner(residual, rest) / inner(rest, rest)
        residual = [r - c * t for r, t in zip(residual, rest, strict=True)]
        chosen.append(best)
        errors.append(inner(residual, residual))
    return chosen, errors


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("d", [1, 2])
def test_follows_the_definition(d, normalize):
    rng = np.random.default_rng(d)
    rule = norms.GaussLegendre((-1, 1), cells=(4,) * d, points=3 if d == 1 else 2)
    w = rng.integers(-4, 5, size=(60, d)) / 2
    w[~w.any(axis=1)] = 1.0
    b = rng.integers(-6, 7, size=60) / 4
    f = lambda x: np.exp(x[:, 0]) - x.sum(axis=1) ** 3  # noqa: E731
    result = orthogonal_greedy(
        f, ReLUDictionary(w, b), range(1, 7), quadrature=rule, normalize=normalize
    )
    as_fractions = lambda v: [Fraction(float(t)) for t in v]  # noqa: E731
    atoms = [as_fractions(np.maximum(rule.nodes @ u + c, 0)) for u, c in zip(w, b, strict=True)]
    chosen, squares = _exact_greedy(
        as_fractions(f(rule.nodes)), atoms, as_fractions(rule.weights), 6, normalize
    )
    assert np.array_equal(result.directions, w[chosen])
    assert np.array_equal(result.biases, b[chosen])
    np.testing.assert_allclose(result.history, np.sqrt([float(e) for e in squares]), rtol=1e-12)
    assert np.array_equal(result.errors, result.history[1:])


def test_networks_have_the_errors_that_are_stated():
    rule = norms.GaussLegendre((0, 1), cells=128, points=4)
    target = targets.get("exp")
    dictionary = ReLUDictionary.product([1.0, -1.0], np.linspace(-1, 1, 257))
    result = orthogonal_greedy(target, dictionary, [1, 5, 20], quadrature=rule)
    for n, network, error in zip(result.sizes, result.networks, result.errors, strict=True):
        assert network.widths == (1, n, 1)
        gap = target(rule.nodes[:, 0]) - np.asarray(realize(network, rule.nodes))[:, 0]
        assert np.sqrt(rule.weights @ gap**2) == pytest.approx(error, rel=1e-8)
        exact = norms.L2().distance(network, target)
        assert float(exact) == pytest.approx(error, rel=1e-7)  # kinks lie between cells


def _sine(x):
    return np.sin(2 * np.pi * x)


def test_of_equally_good_atoms_the_first_is_taken():
    # All atoms without a kink in [0, 1] have the product -+1/(2 pi) with the sine: its mean is
    # zero. Once 1 and x are in the span, relu(x - t) and relu(t - x) are equally good.
    biases = np.linspace(-2, 2, 81)
    rule = norms.GaussLegendre((0, 1), cells=40, points=4)
    for signs in ([1.0, -1.0], [-1.0, 1.0]):
        dictionary = ReLUDictionary.product(signs, biases)
        result = orthogonal_greedy(_sine, dictionary, range(1, 13), quadrature=rule)
        first = 0.0 if signs[0] > 0 else 1.0  # x, or 1 - x
        assert (result.directions[0, 0], result.biases[0]) == (signs[0], first)
        assert (result.directions[2:, 0] == signs[0]).all()
        turned = orthogonal_greedy(lambda x: _sine(1 - x), dictionary, [12], quadrature=rule)
        assert np.array_equal(turned.directions, result.directions)
    every = ReLUDictionary.product([1.0], biases)
    spent = orthogonal_greedy(_sine, every, [20, 60], quadrature=rule)
    # 19 kinks inside and two linear functions; the kink at 1/2 does nothing for an odd function.
    assert spent.stopped == "after 20 neurons every atom is orthogonal to the residual"
    assert spent.errors[0] == spent.errors[1]


def test_the_table_of_a_paper():
    dictionary = ReLUDictionary.product([1.0, -1.0], np.linspace(-2, 2, 401))
    rule = norms.GaussLegendre((0, 1), cells=200, points=3)
    result = orthogonal_greedy(_sine, dictionary, [2, 4, 8], quadrature=rule)
    assert result.orders == pytest.approx(np.log2(result.errors[:-1] / result.errors[1:]))
    # The first two atoms span 1 and x: |f - P f|^2 = 1/2 - 12 <f, x - 1/2>^2 = 1/2 - 3/pi^2.
    assert result.errors[0] == pytest.approx(np.sqrt(1 / 2 - 3 / np.pi**2), rel=1e-9)
    table = str(result).splitlines()
    assert table[0].split() == ["n", "error", "order"] and len(table) == 4
    assert table[1].split() == ["2", "4.427600e-01"] and table[2].split()[0] == "4"


def test_functions_of_jax_keep_float64():
    rule = norms.GaussLegendre((0, 1), cells=8, points=3)
    dictionary = ReLUDictionary.product([1.0], np.linspace(-1, 0, 9))
    with jax.enable_x64(False):
        ours = orthogonal_greedy(lambda x: jnp.exp(x), dictionary, [5], quadrature=rule)
    want = orthogonal_greedy(np.exp, dictionary, [5], quadrature=rule)
    np.testing.assert_allclose(ours.history, want.history, rtol=1e-12)


class _OwnDictionary(AbstractDictionary):
    """A user's draws."""

    dimension: int = 1
    fixed: bool = False

    def atoms(self, step):
        return np.ones((4, 1)), -np.random.default_rng(step).random(4)


def test_a_dictionary_of_ones_own():
    rule = norms.GaussLegendre((0, 1), cells=8, points=3)
    result = orthogonal_greedy(np.exp, _OwnDictionary(), [3], quadrature=rule)
    assert result.networks[0].widths == (1, 3, 1) and (result.directions == 1).all()
    for step, bias in enumerate(result.biases):
        assert bias in -np.random.default_rng(step).random(4)


def test_the_rate_of_smooth_functions():
    # n^-2 for ReLU atoms in one dimension, where kinks can be anywhere on a fine grid.
    rule = norms.GaussLegendre((0, 1), cells=512, points=3)
    dictionary = ReLUDictionary.product([1.0, -1.0], np.linspace(-1, 1, 1025))
    sizes = [8, 16, 32, 64]
    result = orthogonal_greedy(targets.get("sine"), dictionary, sizes, quadrature=rule)
    assert not result.stopped
    assert abs(fit_rate(result.sizes, result.errors).gamma - 2) < 0.15
    shorter = orthogonal_greedy(targets.get("sine"), dictionary, [8, 16], quadrature=rule)
    assert np.array_equal(shorter.errors, result.errors[:2])


@pytest.mark.parametrize("polynomial, constant", [(0, 3.0), (1, 3.0)])
def test_polynomials_are_reproduced(polynomial, constant):
    rule = norms.GaussLegendre((-1, 2), cells=(8, 8), points=2)
    slopes = np.array([2.0, -1.0]) * polynomial
    f = lambda x: constant + x @ slopes  # noqa: E731
    dictionary = RandomReLUDictionary((-1, 2), 16, dimension=2)
    result = orthogonal_greedy(f, dictionary, [1], quadrature=rule, polynomial=polynomial)
    assert result.history[0] < 1e-13
    gap = np.asarray(realize(result.networks[0], rule.nodes))[:, 0] - f(rule.nodes)
    assert np.abs(gap).max() < 1e-12


def test_what_the_atoms_span_ends_the_search():
    rule = norms.GaussLegendre((0, 1), cells=8, points=3)
    dictionary = ReLUDictionary([1.0, 1.0, 1.0], [-0.25, -0.5, -0.25])  # with a duplicate
    f = lambda x: np.maximum(x - 0.25, 0) - 3 * np.maximum(x - 0.5, 0)  # noqa: E731
    result = orthogonal_greedy(f, dictionary, [1, 2, 5], quadrature=rule)
    assert "2 neurons" in result.stopped and len(result.history) == 3
    assert result.errors[1] < 1e-15 and result.errors[2] == result.errors[1]
    assert result.networks[2].widths == (1, 2, 1)


def test_a_target_that_no_atom_sees():
    rule = norms.GaussLegendre((0, 1), cells=2, points=2)
    result = orthogonal_greedy(
        lambda x: np.ones(len(x)), ReLUDictionary([1.0], [-2.0]), [1], quadrature=rule
    )
    assert "orthogonal" in result.stopped and result.errors.tolist() == [1.0]
    assert np.asarray(realize(result.networks[0], rule.nodes)).any() == False  # noqa: E712


@pytest.mark.parametrize("normalize", [False, True])
def test_zero_constant_and_equal_atoms(normalize):
    rule = norms.GaussLegendre(((-1, -1), (1, 1)), cells=(6, 6), points=3)
    w = np.array([[0.0, 0.0], [1.0, 2.0], [1.0, 2.0], [2.0, 4.0], [0.0, 0.0], [-1.0, 0.5]])
    b = np.array([-1.0, 0.1, 0.1, 0.2, 3.0, 0.4])  # zero, an atom three times, a constant, another
    result = training.orthogonal_greedy(
        lambda x: np.exp(x[:, 0] - x[:, 1]),
        ReLUDictionary(w, b),
        [1, 2, 3, 6],
        quadrature=rule,
        normalize=normalize,
    )
    # All that the atoms span, and none of them twice.
    x, root = rule.nodes, np.sqrt(rule.weights)
    atoms = np.maximum(x @ w[[1, 4, 5]].T + b[[1, 4, 5]], 0.0) * root[:, None]
    y = root * np.exp(x[:, 0] - x[:, 1])
    left = y - atoms @ np.linalg.lstsq(atoms, y, rcond=None)[0]
    assert len(result.biases) == 3 and "orthogonal" in result.stopped
    assert result.errors[2:] == pytest.approx(np.linalg.norm(left), rel=1e-12)
    assert (0.0, 0.0) in map(tuple, result.directions)  # the constant
    (outer,), (inner, bias) = result.networks[-1].weights[1], result.networks[-1].biases
    values = np.maximum(x @ result.networks[-1].weights[0].T + inner, 0.0) @ outer + bias
    assert np.linalg.norm(y - root * values) == pytest.approx(np.linalg.norm(left), rel=1e-9)


def test_blocks_change_nothing(monkeypatch):
    rule = norms.GaussLegendre((0, 1), cells=32, points=3)
    dictionary = ReLUDictionary.product([1.0, -1.0], np.linspace(-1, 1, 65))
    whole = orthogonal_greedy(np.sin, dictionary, [12], quadrature=rule)
    monkeypatch.setattr("qrelu.training._dictionary._KEPT", 0)
    monkeypatch.setattr("qrelu.training._dictionary._BLOCK", 1000)
    blocks = orthogonal_greedy(np.sin, dictionary, [12], quadrature=rule)
    assert np.array_equal(whole.directions, blocks.directions)
    np.testing.assert_allclose(whole.errors, blocks.errors, rtol=1e-12)


def test_random_atoms_meet_the_box_and_repeat():
    dictionary = RandomReLUDictionary(([0.0, -1.0, 2.0], [1.0, 1.0, 3.0]), 500, seed=3)
    w, b = dictionary.atoms(4)
    assert all(np.array_equal(u, v) for u, v in zip((w, b), dictionary.atoms(4), strict=True))
    assert not np.array_equal(w, dictionary.atoms(5)[0])
    np.testing.assert_allclose(np.linalg.norm(w, axis=1), 1, rtol=1e-14)
    corners = np.array(np.meshgrid([0, 1], [-1, 1], [2, 3])).reshape(3, -1)
    signs = w @ corners + b[:, None]
    assert ((signs.min(axis=1) <= 0) & (signs.max(axis=1) >= 0)).all()
    rule = norms.QuasiMonteCarlo(([0.0, -1.0, 2.0], [1.0, 1.0, 3.0]), 256)
    result = orthogonal_greedy(lambda x: x[:, 0] ** 2, dictionary, [5, 10], quadrature=rule)
    assert result.errors[1] < result.errors[0] < np.sqrt(2 / 5)


def test_biases_of_an_interval():
    w, b = RandomReLUDictionary((0, 1), 4000, dimension=2, biases=(-2, 2)).atoms(0)
    # Uniform: the mean within 4.5 standard errors of 0, and nearly the whole interval is met.
    assert abs(b.mean()) < 4.5 * (4 / np.sqrt(12)) / np.sqrt(4000)
    assert -2 <= b.min() < -1.98 and 1.98 < b.max() <= 2 and w.shape == (4000, 2)


@pytest.mark.parametrize(
    "call, error, match",
    [
        (lambda: ReLUDictionary([[1.0, 2.0]] * 2, [1.0] * 3), ValueError, r"\(atoms, d\)"),
        (lambda: ReLUDictionary([1.0], [np.nan]), ValueError, "finite"),
        (lambda: ReLUDictionary(np.zeros((0, 1)), np.zeros(0)), ValueError, "atom"),
        (lambda: RandomReLUDictionary((0, 1), 0), ValueError, "from 1 on"),
        (lambda: RandomReLUDictionary((0, 1), biases=(2, -2)), ValueError, "biases=..."),
        (lambda: _run(sizes=[4, 2]), ValueError, "increasing"),
        (lambda: _run(sizes=[]), ValueError, "increasing"),
        (lambda: _run(sizes=[0]), ValueError, "from 1 on"),
        (lambda: _run(target=lambda x: x[:3]), ValueError, "one value per node"),
        (lambda: _run(target=lambda x: 1 / (x - x)), ValueError, "finite"),
        (lambda: _run(target="exp"), TypeError, "got str|Type-check"),
        (lambda: _run(dictionary=([1.0], [0.0])), TypeError, "got tuple|Type-check"),
        (lambda: _run(polynomial=2), ValueError, "got 2|Type-check"),
        (lambda: _run(dictionary=ReLUDictionary([[1.0, 1.0]], [0.0])), ValueError, "dimension"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_bad_input(call, error, match):
    with pytest.raises((error, TypeError), match=match):
        call()


def _run(target=np.sin, dictionary=None, sizes=(2,), **options):
    rule = norms.GaussLegendre((0, 1), cells=4, points=2)
    dictionary = dictionary or ReLUDictionary([1.0], [0.0])
    return training.orthogonal_greedy(target, dictionary, sizes, quadrature=rule, **options)
