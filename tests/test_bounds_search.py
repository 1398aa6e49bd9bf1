"""Branch and bound: boxes cover the box, blocks change nothing, lack of time is marked."""

import numpy as np
import pytest

from qrelu import bounds, networks, quantizers
from qrelu.bounds._joint import Pair
from qrelu.bounds._open_boxes import OpenBoxes
from qrelu.bounds._search import BLOCK, in_blocks


def _volume(radii):
    return np.prod(2 * radii, axis=1).sum()


def _contains(boxes, x):
    inside = abs(x[:, None] - boxes.centers) <= boxes.radii * (1 + 1e-12)
    return inside.all(2).any(1)


def test_halved_boxes_cover_the_box():
    rng = np.random.default_rng(0)
    start, reach = np.array([0.5, -1.0, 2.0]), np.array([0.5, 2.0, 1.0])
    boxes = OpenBoxes(start, reach, 1.0, 1e-12)
    for least, most in ((1, 100), (16, 1000), (5, 3), (64, 10_000), (64, 11)):
        boxes.gains = rng.random(3)
        worst = np.sort(boxes.bounds)[::-1]
        before = len(boxes.bounds)
        centers, radii, parents = boxes.take(least, most)
        assert len(centers) <= most and len(centers) % 2 == 0
        taken = before - len(boxes.bounds)
        assert sorted(set(parents)) == sorted(set(worst[:taken]))
        assert parents[0] == parents.max()  # the worst first
        boxes.put(centers, radii, parents * rng.uniform(0.5, 1.0, len(parents)))
        assert _volume(boxes.radii) == pytest.approx(8 * reach.prod(), rel=1e-12)
        assert _contains(boxes, start + reach * rng.uniform(-1, 1, (500, 3))).all()
    goal = float(np.median(boxes.bounds))
    largest = boxes.drop(goal)
    assert largest <= goal < boxes.bounds.min()


def test_an_input_that_matters_is_halved_first():
    boxes = OpenBoxes(np.zeros(3), np.array([4.0, 1.0, 4.0]), 10.0, 1e-12)
    _, radii, _ = boxes.take(1, 2)  # nothing is known: the widest
    assert (radii[0] == [2.0, 1.0, 4.0]).all()
    boxes = OpenBoxes(np.zeros(3), np.array([4.0, 1.0, 4.0]), 10.0, 1e-12)
    centers, radii, rows = boxes.samples(4)
    assert (
        centers.shape == (6, 3) and (radii.reshape(3, 2, 3).min(1).diagonal() == [2, 0.5, 2]).all()
    )
    assert (abs(centers).max(1) == [2, 2, 0.5, 0.5, 2, 2]).all()
    boxes.learn(rows, 10 - np.array([0.4, 0.4, 3.0, 1.0, 0.0, 0.0]))
    _, radii, _ = boxes.take(1, 2)
    assert (radii[0] == [4.0, 0.5, 4.0]).all()
    # An input that gained nothing is halved at some time; infinite bounds teach nothing.
    assert boxes.gains.min() > 0
    gains = boxes.gains.copy()
    boxes.put(np.zeros((1, 3)), np.ones((1, 3)), np.array([np.inf]))
    boxes.learn(np.array([0]), np.full(6, np.inf))
    assert (boxes.gains == gains).all()


@pytest.mark.parametrize("count", [1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 3])
def test_blocks_change_nothing(count):
    x = np.random.default_rng(count).normal(size=(count, 2))
    sizes = []

    def function(_, a, b):
        sizes.append(len(a))
        return 2 * a, a[:, 0] + b

    nothing = Pair(*[()] * 6)
    first, second = in_blocks(function, nothing, x, x[:, 1])
    assert (first == 2 * x).all() and (second == x.sum(1)).all()
    assert set(sizes) == {BLOCK} and len(sizes) == -(-count // BLOCK)


@pytest.mark.slow
def test_time_that_runs_out_is_marked():
    rng = np.random.default_rng(3)
    widths = (4, 12, 12, 1)
    pairs = list(zip(widths, widths[1:], strict=False))
    net = networks.ReLUNetwork(
        [rng.normal(size=(n, m)) * (2 / m) ** 0.5 for m, n in pairs],
        [rng.normal(size=n) / 3 for _, n in pairs],
    )
    other = quantizers.quantize(net, quantizers.Uniform.from_bits(4, net.magnitude))
    short = bounds.enclose(net, other, (-1.0, 1.0), gap=1e-3, seconds=1e-9)
    long = bounds.enclose(net, other, (-1.0, 1.0), gap=0.1)
    assert not short.complete and long.complete and short.boxes < long.boxes
    assert short.lower <= long.upper <= short.upper and long.lower <= short.upper
