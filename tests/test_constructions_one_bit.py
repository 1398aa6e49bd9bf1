"""Lipschitz functions by one sign per cell: errors, topology, counts, refusals."""

import numpy as np
import pytest

from qrelu import constructions, networks
from qrelu.constructions import one_bit_lipschitz


def _zigzag(seed, cells):
    """A function with slopes +-1 between multiples of 1/cells, drawn at random."""
    steps = np.random.default_rng(seed).choice([-1.0, 1.0], cells) / cells
    heights = np.concatenate([[0.0], np.cumsum(steps)])
    return lambda x: np.interp(x, np.arange(cells + 1) / cells, heights)


def _values(network, xs):
    """Layer by layer in SciPy, in float64."""
    h = np.asarray(xs, np.float64).T
    for k, (w, b) in enumerate(zip(network.weights, network.biases, strict=True)):
        matrix = w.to_scipy() if isinstance(w, networks.SparseMatrix) else w
        h = matrix @ (np.maximum(h, 0) if k else h) + b[:, None]
    return h[0]


FUNCTIONS = [
    np.sin,
    lambda x: x,
    lambda x: -x,
    lambda x: 1 - x,
    lambda x: np.abs(x - 1 / 3),
    lambda x: 0 * x,
    lambda x: 0 * x + 0.99,
    lambda x: np.minimum(x, 0.6) - 0.99,
    lambda x: np.sin(50 * x) / 50 + 0.1,
    _zigzag(0, 64),
    _zigzag(1, 37),
]


@pytest.mark.parametrize("p", [1, 2, 3, 5, 8])
def test_error_is_at_most_one_step(p):
    places, worst = set(), 0.0
    for f in FUNCTIONS:
        result = one_bit_lipschitz(f, steps=2**p)
        xs = np.unique(np.concatenate([np.arange(2**p + 1) / 2**p, np.linspace(0, 1, 301)]))
        values = _values(result.network, xs[:, None])
        worst = max(worst, float(np.abs(values - f(xs)).max() * 2**p))
        assert result.certificate.bound == 2.0**-p
        assert constructions.alphabet(result.network).tolist() == [-0.5, 0.5]
        places.add(constructions.topology(result.network))
        if p >= 2:
            assert result.counts.depth == 2 * p + 6
            assert result.counts.connectivity == 23 * 2**p + 34 * p + 60
            assert result.counts.width == 2 * 2**p + 8
    assert len(places) == 1
    # The constant 0 on an even number of cells is a whole step away.
    assert 0.999 <= worst <= 1 + 1e-9


def test_largest_of_the_notes():
    """2^14 cells, at points."""
    for f in (np.sin, _zigzag(2, 1000)):
        result = one_bit_lipschitz(f, steps=2**14)
        xs = np.random.default_rng(0).integers(0, 2**15 + 1, 50) / 2**15
        values = _values(result.network, xs[:, None])
        assert np.abs(values - f(xs)).max() * 2**14 <= 1 + 1e-9


@pytest.mark.parametrize("scale", [2, 8])
def test_scale(scale):
    f = lambda x: scale * np.abs(x - 0.7)  # noqa: E731
    with pytest.raises(ValueError, match=f"Take `lipschitz={scale}`"):
        one_bit_lipschitz(f, steps=32)
    result = one_bit_lipschitz(f, steps=32, lipschitz=scale)
    path = networks.pieces(result.network, 0, 1)
    assert set(np.unique(path.slopes)) <= {-float(scale), float(scale)}
    xs = np.linspace(0, 1, 1001)
    assert np.abs(path(xs)[:, 0] - f(xs)).max() <= result.certificate.bound == scale / 32
    log = scale.bit_length() - 1
    assert result.counts.connectivity == 23 * 32 + 34 * 5 + 60 + 32 * log
    assert result.counts.depth == 16 + log


def test_in_exact_arithmetic():
    """The path is h (k + 1) at the multiples of h, with k of the right parity below N f."""
    p = 6
    f = FUNCTIONS[8]
    nodes = np.arange(2**p + 1) / 2**p
    values = networks.realize_exact(one_bit_lipschitz(f, steps=2**p).network, nodes[:, None])[:, 0]
    for i, (value, x) in enumerate(zip(values, nodes, strict=True)):
        k = value * 2**p - 1
        assert k.denominator == 1 and (int(k) - i) % 2 == 0
        assert 0 <= 2**p * f(x) - int(k) < 2


def test_types():
    result = one_bit_lipschitz(np.sin, steps=32, dtype=np.float32)
    xs = (np.arange(2**6 + 1) / 2**6).astype(np.float32)[:, None]
    floats = np.asarray(networks.realize(result.network, xs), np.float64)
    assert floats.tolist() == networks.realize_exact(result.network, xs).tolist()
    with pytest.raises(ValueError, match="at most 2.16 steps in float32; got 2.17"):
        one_bit_lipschitz(np.sin, steps=2**17, dtype=np.float32)


@pytest.mark.parametrize("accuracy", [0.9, 0.5, 0.1, 1 / 64, 0.003])
def test_accuracy_takes_the_fewest_cells(accuracy):
    result = one_bit_lipschitz(np.sin, accuracy)
    assert result.certificate.bound <= accuracy
    assert result.certificate.bound * 2 > accuracy or result.certificate.bound == 0.5


def test_bad_input():
    with pytest.raises(ValueError, match="slopes of at most that; got 2 between"):
        one_bit_lipschitz(lambda x: 2 * x, steps=16)
    with pytest.raises(ValueError, match=r"\|f\(0\)\|"):
        one_bit_lipschitz(lambda x: x + 1.5, steps=16)
    with pytest.raises(ValueError, match="NaN or infinity"):
        one_bit_lipschitz(lambda x: np.where(x < 0.5, x, np.nan), steps=16)
    with pytest.raises(ValueError, match=r"same shape; got \(3,\) for \(17,\)"):
        one_bit_lipschitz(lambda x: x[:3], steps=16)
    with pytest.raises(ValueError, match="got neither"):
        one_bit_lipschitz(np.sin)
    with pytest.raises(ValueError, match="got both"):
        one_bit_lipschitz(np.sin, 0.1, steps=16)
    with pytest.raises(ValueError, match="from 2 to 1048576; got 2097152"):
        one_bit_lipschitz(np.sin, steps=2**21)
    with pytest.raises(ValueError, match="power of two; got 12. 16 is the next"):
        one_bit_lipschitz(np.sin, steps=12)

    with pytest.raises(ValueError, match="must be at least lipschitz"):
        one_bit_lipschitz(np.sin, 1e-8)
    with pytest.raises(ValueError, match="power of two"):
        one_bit_lipschitz(np.sin, steps=16, lipschitz=0.5)
