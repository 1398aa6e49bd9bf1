"""Rounding refuses what it cannot round, in a sentence that names the call."""

import equinox as eqx
import jax
import numpy as np
import pytest

from qrelu import networks, quantizers, rounding
from qrelu.quantizers import AbsMax, Uniform


def deep(seed, widths=(2, 12, 12, 3)):
    net = networks.he_normal(widths, key=jax.random.key(seed))
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), net)


Q = Uniform(0.25)
NET = deep(0)
POINTS = np.ones((5, 2))


@pytest.mark.parametrize(
    "arguments, settings_, message",
    [
        ((NET, Q, np.full((5, 2), np.nan)), {}, r"`feedback\(points\)` must be finite"),
        ((NET, Q, np.ones((5, 3))), {}, r"must have the shape \(\.\.\., 2\)"),
        ((NET, Q, np.ones((0, 2))), {}, "at least one point"),
        ((deep(0, (1, 8, 1)), Q, np.ones(5)), {}, r"points\[\.\.\., None\]"),
        ((NET, Q, POINTS), {"values": np.ones((4, 3))}, r"`feedback\(values=\.\.\.\)`.*5 points"),
        ((NET, Q, POINTS), {"values": np.full((5, 3), np.inf)}, r"values=\.\.\.\)` must be finite"),
        ((NET, Q, POINTS), {"point_weights": -np.ones(5)}, "5 non-negative numbers"),
        ((NET, Q, POINTS), {"point_weights": np.zeros(5)}, "not all zero"),
        ((NET, Q, POINTS), {"sweeps": -1}, r"`feedback\(sweeps=\.\.\.\)`.*got -1"),
        ((NET, Uniform(0.25, "stochastic"), POINTS), {}, "stochastic rounding"),
        (
            (NET, Q, POINTS),
            {"bias_quantizer": Uniform(0.25, "stochastic")},
            r"bias_quantizer=\.\.\.\)`.*stochastic",
        ),
        ((NET, Uniform(np.ones((12, 1))), POINTS), {}, "broadcast"),
        (
            (eqx.tree_at(lambda n: n.biases[1], NET, np.full(12, np.nan)), Q, POINTS),
            {},
            r"net\.biases\[1\]\)` must be finite",
        ),
    ],
)
def test_feedback_refuses(arguments, settings_, message):
    with pytest.raises(ValueError, match=message):
        rounding.feedback(*arguments, **settings_)


MATRIX = np.ones((2, 3))


@pytest.mark.parametrize(
    "gram, settings_, message",
    [
        (np.eye(2), {}, r"shape \(3, 3\)"),
        (np.diag([1.0, 1.0, -1.0]), {}, "semidefinite"),
        (np.triu(np.ones((3, 3))), {}, "symmetric"),
        (np.full((3, 3), np.nan), {}, "finite"),
        (np.eye(3), {"order": [0, 1, 1]}, "each of the 3 columns once"),
    ],
)
def test_nearest_plane_refuses(gram, settings_, message):
    with pytest.raises(ValueError, match=message):
        rounding.nearest_plane(MATRIX, Q, gram, **settings_)


def test_descent_refuses():
    with pytest.raises(ValueError, match="must lie on the grid"):
        rounding.descent(MATRIX, MATRIX + 0.1, Q, np.eye(3))
    with pytest.raises(ValueError, match="shape of the matrix"):
        rounding.descent(MATRIX, np.ones((3, 3)), Q, np.eye(3))
    with pytest.raises(TypeError):
        rounding.descent(MATRIX, MATRIX, Q, np.eye(3), sweeps=0.5)  # pyright: ignore[reportArgumentType]


def test_several_steps_do_not_fit_a_sparse_matrix():
    sparse = eqx.tree_at(
        lambda n: n.weights[1], NET, networks.SparseMatrix.from_dense(np.eye(12) + np.eye(12, k=1))
    )
    with pytest.raises(ValueError, match=r"one step for the sparse `net\.weights\[1\]`"):
        rounding.feedback(sparse, Uniform(np.full(12, 0.25)), POINTS)


def test_a_wrapped_network_is_refused():
    mlp = eqx.nn.MLP(2, 1, 4, 1, key=jax.random.key(0))
    with pytest.raises(ValueError, match="got one from `wrap`"):
        rounding.feedback(quantizers.wrap(mlp, AbsMax(4)), AbsMax(4), POINTS)


def test_wrong_types():
    for arguments in ((MATRIX, Q, POINTS), (NET, 0.25, POINTS)):
        with pytest.raises(TypeError):
            rounding.feedback(*arguments)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError):
        rounding.nearest_plane(MATRIX, 0.25, np.eye(3))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("function", [rounding.feedback, rounding.explain])
def test_traced_parameters(function):
    net = networks.he_normal((1, 3, 1), key=jax.random.key(0))
    other = net if function is rounding.explain else Uniform(0.1)
    with pytest.raises(TypeError, match=r"weights\[0\].*must be concrete: .* outside of `jit`"):
        jax.jit(lambda n: function(n, other, np.ones((5, 1))))(net)
