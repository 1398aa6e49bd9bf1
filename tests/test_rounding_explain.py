"""Where an error comes from: parts that add up, known culprits, figures and tables."""

import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qrelu
from qrelu import networks, quantizers, rounding
from qrelu.networks import ReLUNetwork
from qrelu.quantizers import Uniform
from qrelu.rounding import _difference


def random_network(seed, widths, scale=1.0):
    rng = np.random.default_rng(seed)
    shapes = zip(widths[1:], widths[:-1], strict=True)
    weights = [scale * rng.normal(size=s) / np.sqrt(s[1]) for s in shapes]
    return ReLUNetwork(weights, [0.3 * scale * rng.normal(size=n) for n in widths[1:]])


def outputs(net, points):
    h = points
    for i, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        h = np.maximum(h, 0) if i else h
        h = h @ np.asarray(w, np.float64).T + np.asarray(b, np.float64)
    return h


def rms(values, mass=None):
    return float(np.sqrt(np.average(np.sum(values**2, axis=1), weights=mass)))


# -- the parts add up -------------------------------------------------------------------------


@given(
    st.integers(0, 10**6),
    st.lists(st.integers(1, 5), min_size=2, max_size=6),
    st.sampled_from([1e-8, 1e-2, 1.0, 30.0]),
)
@settings(max_examples=60, deadline=None)
def test_contributions_add_to_the_difference(seed, widths, change):
    net, other = random_network(seed, widths), random_network(seed + 1, widths)
    qnet = jax.tree.map(lambda a, b: a + change * (b - a), net, other)
    points = np.random.default_rng(seed).normal(size=(30, widths[0]))
    explanation = rounding.explain(net, qnet, points)
    wanted = outputs(qnet, points) - outputs(net, points)
    size = max(np.abs(explanation.contributions).max(), np.abs(outputs(net, points)).max())
    assert np.abs(explanation.difference - wanted).max() <= 1e-12 * size
    assert np.abs(explanation.contributions.sum(axis=0) - wanted).max() <= 1e-12 * size
    assert explanation.error == pytest.approx(rms(wanted), rel=1e-6, abs=1e-12 * size)
    if explanation.error > 1e-6 * size:
        magnitude = sum(float(np.abs(s).sum()) for s in explanation.shares)
        total = sum(float(s.sum()) for s in explanation.shares)
        assert abs(total - 1) <= 1e-7 * max(1.0, magnitude)


def test_parameters_of_an_array_add_to_its_contribution():
    net, qnet = random_network(0, (2, 4, 3, 2)), random_network(1, (2, 4, 3, 2))
    points = np.random.default_rng(0).normal(size=(200, 2))
    explanation = rounding.explain(net, qnet, points)
    mean = np.mean(np.sum(explanation.contributions * explanation.difference, axis=2), axis=1)
    shares = [s.sum() for s in explanation.shares]
    assert np.allclose(shares, mean / explanation.error**2, rtol=1e-10)


def test_the_networks_in_exchanged_places_change_the_sign():
    net, qnet = random_network(0, (3, 5, 4, 1)), random_network(1, (3, 5, 4, 1))
    points = np.random.default_rng(0).normal(size=(50, 3))
    there, back = (rounding.explain(*pair, points) for pair in ((net, qnet), (qnet, net)))
    assert np.allclose(there.contributions, -back.contributions, rtol=1e-12, atol=1e-14)
    assert all(np.allclose(a, b) for a, b in zip(there.shares, back.shares, strict=True))
    assert np.allclose(there.alone, np.sqrt(back_alone(net, qnet, points)))


def back_alone(net, qnet, points):
    """Squared errors with one array rounded, by building each network."""
    squares = []
    for i in range(net.depth):
        for part in ("weights", "biases"):
            mixed = eqx.tree_at(
                lambda n, p=part, i=i: getattr(n, p)[i], net, getattr(qnet, part)[i]
            )
            squares.append(rms(outputs(mixed, points) - outputs(net, points)) ** 2)
    return squares


def test_small_changes_are_first_order():
    net = random_network(3, (2, 6, 5, 1))
    points = np.random.default_rng(3).normal(size=(40, 2))
    direction = random_network(4, (2, 6, 5, 1))
    qnet = jax.tree.map(lambda a, d: a + 1e-9 * d, net, direction)
    explanation = rounding.explain(net, qnet, points)
    # The judge: JAX's derivative of every output by every parameter.
    jacobian = jax.jacrev(lambda n: networks.realize(n, jnp.asarray(points))[:, 0])(
        jax.tree.map(jnp.asarray, net)
    )
    for i in range(net.depth):
        parts = np.asarray(jacobian.weights[i]) * (qnet.weights[i] - net.weights[i])
        effect = np.sqrt(np.mean(parts**2, axis=0))
        assert np.allclose(explanation.effects[2 * i], effect, rtol=1e-5, atol=1e-18)
        share = np.mean(parts * explanation.difference[:, :, None], axis=0)
        share /= explanation.error**2
        assert np.allclose(explanation.shares[2 * i], share, rtol=1e-4, atol=1e-6)


def test_secant_slopes():
    z = np.array([-1.0, 1.0, -1.0, 2.0, 0.0, -3.0, 1e-300, 5.0, -1e300])
    y = np.array([-2.0, 3.0, 1.0, -6.0, 0.0, 0.0, -1e300, 5.0, 1e300])
    slopes = _difference.secant_slopes(z, y)
    assert np.array_equal(slopes[:6], [0.0, 1.0, 0.5, 0.25, 1.0, 0.0])
    assert np.all((slopes >= 0) & (slopes <= 1))


def test_blocks_change_nothing(monkeypatch):
    net, qnet = random_network(0, (2, 5, 4, 3)), random_network(1, (2, 5, 4, 3))
    points = np.random.default_rng(0).normal(size=(101, 2))
    mass = np.random.default_rng(1).uniform(size=101)
    whole = rounding.explain(net, qnet, points, point_weights=mass)
    monkeypatch.setattr(_difference, "_BLOCK", 100)
    blocked = rounding.explain(net, qnet, points, point_weights=mass)
    for name in ("contributions", "alone", "without", "error"):
        assert np.allclose(getattr(whole, name), getattr(blocked, name), rtol=1e-12, atol=1e-14)
    for a, b in zip(whole.shares + whole.effects, blocked.shares + blocked.effects, strict=True):
        assert np.allclose(a, b, rtol=1e-11, atol=1e-14)


# -- known culprits ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place", [("weights", 0, (3, 1)), ("weights", 1, (2, 4)), ("biases", 1, 3)]
)
def test_a_single_changed_parameter_takes_all_the_blame(place):
    part, layer, at = place
    net = random_network(5, (2, 6, 5, 2))
    array = getattr(net, part)[layer].copy()
    array[at] += 0.7
    qnet = eqx.tree_at(lambda n: getattr(n, part)[layer], net, array)
    points = np.random.default_rng(5).normal(size=(300, 2))
    explanation = rounding.explain(net, qnet, points)
    worst = explanation.worst(5)
    assert worst.height == 1
    row = worst.row(0, named=True)
    assert row["parameter"] == f"{part}[{layer}]"
    assert (row["row"], row["column"]) == (at if part == "weights" else (at, None))
    assert row["new"] - row["old"] == pytest.approx(0.7)
    assert row["share"] == pytest.approx(1, rel=1e-12)
    assert row["effect"] == pytest.approx(explanation.error, rel=1e-12)
    table = explanation.table().filter(explanation.table()["parameters"] == row["parameter"])
    assert table["alone"].item() == pytest.approx(explanation.error, rel=1e-12)
    assert table["without"].item() == pytest.approx(0, abs=1e-15)
    assert table["largest_change"].item() == pytest.approx(0.7)


def test_an_affine_map_in_closed_form():
    net = ReLUNetwork((np.array([[1.0, 2.0]]),), (np.array([0.5]),))
    qnet = ReLUNetwork((np.array([[1.5, 2.0]]),), (np.array([0.0]),))
    points = np.array([[1.0, 9.0], [3.0, -9.0]])
    explanation = rounding.explain(net, qnet, points)
    # D = x_1 / 2 - 1 / 2 is 0 and 1; the weight contributes 1/2 and 3/2, the bias -1/2 twice.
    assert np.array_equal(explanation.difference[:, 0], [0.0, 1.0])
    assert np.array_equal(explanation.contributions[:, :, 0], [[0.5, 1.5], [-0.5, -0.5]])
    assert explanation.error == pytest.approx(np.sqrt(0.5))
    assert explanation.largest == 1
    assert np.allclose(explanation.shares[0], [[1.5, 0.0]])
    assert np.allclose(explanation.shares[1], [-0.5])
    assert np.allclose(explanation.effects[0], [[np.sqrt(1.25), 0.0]])
    assert np.allclose(explanation.alone, [np.sqrt(1.25), 0.5])
    assert np.allclose(explanation.without, [0.5, np.sqrt(1.25)])


def test_the_coarsely_rounded_layer_is_found():
    net = random_network(6, (3, 12, 12, 1))
    coarse = np.asarray(Uniform(0.5)(net.weights[1]))
    qnet = eqx.tree_at(lambda n: n.weights[1], quantizers.quantize(net, Uniform(2.0**-12)), coarse)
    points = np.random.default_rng(6).normal(size=(500, 3))
    table = rounding.explain(net, qnet, points).table()
    row = table.row(2, named=True)
    assert row["parameters"] == "weights[1]" and row["share"] > 0.97
    assert row["without"] < 0.01 * row["alone"]
    assert row["spacing"] == 0.5 and row["levels"] == np.unique(coarse).size
    assert row["zeroed"] == np.count_nonzero(coarse == 0)


def test_point_weights_are_quadrature_weights():
    net, qnet = random_network(0, (1, 4, 1)), random_network(1, (1, 4, 1))
    points = np.linspace(-1, 1, 9)[:, None]
    repeats = np.array([1, 2, 3, 0, 1, 4, 1, 1, 2])
    weighted = rounding.explain(net, qnet, points, point_weights=7 * repeats)
    repeated = rounding.explain(net, qnet, np.repeat(points, repeats, axis=0))
    assert weighted.error == pytest.approx(repeated.error)
    for a, b in zip(weighted.effects, repeated.effects, strict=True):
        assert np.allclose(a, b)


# -- what it takes ----------------------------------------------------------------------------


def test_leaves_of_every_kind_give_the_same():
    net = jax.tree.map(lambda a: a.astype(np.float32), random_network(0, (2, 5, 1)))
    q, points = Uniform(0.25), np.random.default_rng(0).normal(size=(20, 2))
    kinds = (lambda a: a, jnp.asarray, lambda a: a.astype(np.float64))
    results = [
        rounding.explain(jax.tree.map(kind, net), quantizers.quantize(net, q), points)
        for kind in kinds
    ]
    assert len({r.error for r in results}) == 1
    assert repr(results[0]) == repr(results[1]) == repr(results[2])


@pytest.mark.parametrize("scan", [False, True])
def test_equinox_mlps(scan):
    mlp = eqx.nn.MLP(2, 3, 8, 3, key=jax.random.key(0), scan=scan)
    rounded = quantizers.quantize(mlp, Uniform(0.125))
    points = np.random.default_rng(0).normal(size=(50, 2))
    explanation = rounding.explain(mlp, rounded, points)
    wanted = jax.vmap(rounded)(jnp.asarray(points)) - jax.vmap(mlp)(jnp.asarray(points))
    assert np.allclose(explanation.difference, wanted, atol=1e-5)
    first = {False: "layers[1].weight", True: "layers[1].weight[0]"}[scan]
    assert explanation.names[2] == first and len(explanation.names) == 8


def test_scalar_mlp_without_bias():
    mlp = eqx.nn.MLP("scalar", "scalar", 6, 1, use_bias=False, key=jax.random.key(0))
    rounded = quantizers.quantize(mlp, Uniform(0.25))
    explanation = rounding.explain(mlp, rounded, np.linspace(-1, 1, 7))
    wanted = jax.vmap(rounded)(jnp.linspace(-1, 1, 7)) - jax.vmap(mlp)(jnp.linspace(-1, 1, 7))
    assert np.allclose(explanation.difference[:, 0], wanted, atol=1e-6)
    assert explanation.names[1] == "layers[0].bias (none)"


def test_a_wrapped_model_is_taken_as_it_is_served():
    mlp = eqx.nn.MLP(2, 1, 4, 1, key=jax.random.key(0))
    rule, points = quantizers.AbsMax(3), np.random.default_rng(0).normal(size=(9, 2))
    wrapped = rounding.explain(mlp, quantizers.wrap(mlp, rule), points)
    plain = rounding.explain(mlp, quantizers.quantize(mlp, rule), points)
    assert wrapped.error > 0 and repr(wrapped) == repr(plain)


# -- text, table and figure -------------------------------------------------------------------


def test_the_text_names_the_culprit():
    net = random_network(6, (2, 4, 1))
    qnet = quantizers.quantize(net, Uniform(0.25))
    points = np.random.default_rng(0).normal(size=(30, 2))
    explanation = rounding.explain(net, qnet, points)
    text = repr(explanation)
    assert f"{explanation.error:.4g}" in text and "30 points" in text
    for name in ("weights[0]", "biases[0]", "weights[1]", "biases[1]", "share", "effect"):
        assert name in text
    assert max(map(len, text.splitlines())) <= 100
    worst = explanation.worst(3)
    assert worst.height == 3
    assert worst["share"].abs().to_list() == sorted(worst["share"].abs(), reverse=True)


def test_equal_networks_have_nothing_to_explain():
    net = random_network(0, (1, 4, 1))
    explanation = rounding.explain(net, net, np.linspace(0, 1, 5)[:, None])
    assert explanation.error == 0 and "agree" in repr(explanation)
    assert explanation.worst().height == 0 and explanation.table()["share"].to_list() == [0] * 4
    explanation.figure()


def labels(ax):
    legend = ax.get_legend()
    return [text.get_text() for text in legend.get_texts()] if legend else []


def test_the_figure_over_x():
    net = random_network(2, (1, 7, 5, 2))
    qnet = quantizers.quantize(net, Uniform(0.25))
    explanation = rounding.explain(net, qnet, np.linspace(-2, 2, 50)[:, None])
    figure = explanation.figure()
    top, bottom, shares, errors = figure.axes
    out = int(np.argmax(rms_each(explanation.difference)))
    assert top.get_ylabel() == f"output {out} (the worst)"
    before = networks.pieces(net, -2, 2).count
    assert f"before, {before} pieces" in labels(top)
    assert labels(bottom) == ["difference", "layer 1", "layer 2", "layer 3"]
    # The drawn layers add to the drawn difference.
    lines = {line.get_label(): line for line in bottom.get_lines()}
    parts = sum(np.asarray(lines[f"layer {i}"].get_ydata()) for i in (1, 2, 3))
    x, total = lines["difference"].get_data()
    assert np.allclose(parts, total, atol=1e-12)
    points = np.asarray(x)[:, None]
    assert np.allclose(total, (outputs(qnet, points) - outputs(net, points))[:, out])
    drawn = [bar.get_width() for bar in shares.patches]
    assert sum(drawn) == pytest.approx(100)
    assert labels(errors) == ["only this rounded", "all but this"]


def rms_each(difference):
    return np.mean(difference**2, axis=0)


def test_the_figure_over_weights(tmp_path):
    net = random_network(2, (3, 6, 5, 4, 4, 4, 4, 4, 2))
    qnet = quantizers.quantize(net, Uniform(2.0**-6))
    points = np.random.default_rng(0).normal(size=(40, 3))
    explanation = rounding.explain(net, qnet, points)
    figure = explanation.figure()
    shares, errors, heat = figure.axes[:3]
    assert "smaller not shown" in shares.get_xlabel()
    by_layer = [
        float(explanation.shares[2 * i].sum() + explanation.shares[2 * i + 1].sum())
        for i in range(net.depth)
    ]
    worst = int(np.argmax(np.abs(by_layer)))
    assert f"layer {worst + 1}" in heat.get_title()
    (image,) = heat.get_images()
    rows, columns = net.weights[worst].shape
    assert image.get_array().shape == (rows, columns + 1)
    assert image.get_array().sum() == pytest.approx(100 * by_layer[worst])
    figure.savefig(tmp_path / "figure.png")
    assert (
        "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    )


def test_one_unit_has_one_tick():
    net = random_network(2, (2, 40, 1))
    weights, biases = list(net.weights), net.biases
    weights[1] = quantizers.quantize(weights[1], Uniform(2.0**-3))
    points = np.random.default_rng(0).normal(size=(40, 2))
    heat = rounding.explain(net, ReLUNetwork(weights, biases), points).figure().axes[2]
    low, high = sorted(heat.get_ylim())
    assert [t for t in heat.get_yticks() if low <= t <= high] == [0]


def test_points_that_coincide_get_bars():
    net = random_network(2, (1, 3, 1))
    explanation = rounding.explain(net, quantizers.quantize(net, Uniform(2.0**-6)), np.ones((3, 1)))
    assert len(explanation.figure().axes) == 4


def test_the_namespace_loads_neither_tables_nor_plotting():
    code = (
        "import sys, qrelu.rounding; "
        "sys.exit(' '.join({'polars', 'matplotlib'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_root_has_it():
    assert qrelu.explain is rounding.explain


# -- bad input --------------------------------------------------------------------------------

NET = random_network(0, (2, 4, 1))
POINTS = np.zeros((3, 2))


@pytest.mark.parametrize(
    "arguments, settings_, message",
    [
        ((NET, random_network(0, (2, 5, 1)), POINTS), {}, r"same widths; got \(2, 4, 1\) and"),
        ((NET, NET, np.zeros((0, 2))), {}, "at least one point"),
        ((NET, NET, np.zeros((3, 3))), {}, r"shape \(\.\.\., 2\)"),
        ((NET, NET, np.full((3, 2), np.nan)), {}, r"`explain\(points\)` must be finite"),
        ((random_network(0, (1, 2)), random_network(0, (1, 2)), np.ones(4)), {}, r"\[\.\.\., None"),
        ((NET, NET, POINTS), {"point_weights": [1.0]}, "3 non-negative numbers"),
        ((NET, NET, POINTS), {"point_weights": [0.0, 0.0, 0.0]}, "not all zero"),
        (
            (NET, eqx.tree_at(lambda n: n.biases[1], NET, np.array([np.nan])), POINTS),
            {},
            r"explain\(qnet\.biases\[1\]\)` must be finite",
        ),
        ((NET, jax.tree.map(lambda a: 1e200 * a, NET), POINTS + 1), {}, "fit into float64"),
        ((networks.stack([NET, NET]), NET, POINTS), {}, "one network"),
    ],
)
def test_explain_refuses(arguments, settings_, message):
    with pytest.raises(ValueError, match=message):
        rounding.explain(*arguments, **settings_)


def test_wrong_types():
    with pytest.raises(TypeError, match=r"`explain\(qnet\)` must be a `ReLUNetwork`"):
        rounding.explain(NET, Uniform(1.0), POINTS)
    with pytest.raises(ValueError, match=r"worst\(count\)` must be at least 1"):
        rounding.explain(NET, NET, POINTS).worst(0)


def test_huge_sparse_matrices_are_not_written_out():
    shape = (200_000, 200_000)  # 320 GB
    places = np.arange(200_000)
    matrices = [
        networks.SparseMatrix(np.ones(200_000), places, np.zeros(200_000, int), (shape[0], 1)),
        networks.SparseMatrix(np.ones(200_000), places, places, shape),
        networks.SparseMatrix(np.ones(200_000), np.zeros(200_000, int), places, (1, shape[1])),
    ]
    net = ReLUNetwork(matrices, [np.ones(200_000), np.ones(200_000), np.ones(1)])
    points = np.linspace(0, 1, 5)[:, None]
    with pytest.raises(ValueError, match=r"`explain\(net\)`.*at most 5e\+07.*got 4e\+10.*realize"):
        rounding.explain(net, net, points)
    with pytest.raises(ValueError, match=r"`feedback\(net\)`.*got 4e\+10.*`quantize\(net, q\)`"):
        rounding.feedback(net, quantizers.Uniform(0.25), points)
