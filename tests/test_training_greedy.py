"""The orthogonal greedy algorithm, against its definition in exact rationals."""

from fractions import Fraction

import numpy as np
import pytest

from qrelu import fit_rate, norms, realize, targets, training
from qrelu.training import RandomReLUDictionary, ReLUDictionary, orthogonal_greedy


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


def test_the_rate_of_smooth_functions():
    # n^-2 for ReLU atoms in one dimension, where kinks can be anywhere on a fine grid.
    rule = norms.GaussLegendre((0, 1), cells=2048, points=2)
    dictionary = ReLUDictionary.product([1.0, -1.0], np.linspace(-1, 1, 4097))
    sizes = [8, 16, 32, 64, 128]
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


@pytest.mark.parametrize(
    "call, error, match",
    [
        (lambda: ReLUDictionary([[1.0, 2.0]] * 2, [1.0] * 3), ValueError, r"\(atoms, d\)"),
        (lambda: ReLUDictionary([0.0], [1.0]), ValueError, "constant"),
        (lambda: ReLUDictionary([1.0], [np.nan]), ValueError, "finite"),
        (lambda: ReLUDictionary(np.zeros((0, 1)), np.zeros(0)), ValueError, "atom"),
        (lambda: RandomReLUDictionary((0, 1), 0), ValueError, "positive"),
        (lambda: _run(sizes=[4, 2]), ValueError, "increasing"),
        (lambda: _run(sizes=[]), ValueError, "increasing"),
        (lambda: _run(sizes=[0]), ValueError, "from 1 on"),
        (lambda: _run(target=lambda x: x[:3]), ValueError, "one value per node"),
        (lambda: _run(target=lambda x: 1 / (x - x)), ValueError, "finite"),
        (lambda: _run(target="exp"), TypeError, "got str|Type-check"),
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
