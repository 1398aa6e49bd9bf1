"""Networks of every regime: within their width, depth and grid, and between the bounds."""

import math
from fractions import Fraction

import numpy as np
import pytest

from qrelu import bounds, constructions, networks
from qrelu.constructions._designs import whole_bits


def _zigzag(pieces, seed=0):
    values = np.cumsum(np.random.default_rng(seed).choice([-1.0, 1.0], pieces)) / pieces
    values = np.concatenate([[0.0], values])
    return lambda x: np.interp(x, np.arange(pieces + 1) / pieces, values)


@pytest.mark.parametrize(
    "width, depth, b, a, name",
    [
        (2, 1, 3, 1, "constant"),
        (2, 9, 3, 1, "constant"),
        (64, 16, 1, 1, "slopes"),
        (129, 3, 3, 1, "slopes"),
        (24, 9, 12, 5, "bits"),
        (28, 12, 8, 8, "bits"),
        (64, 16, 4, 9, "lookup"),
        (64, 16, 30, 12, "lookup"),
        (90, 20, 40, 14, "lookup"),
        (90, 20, 40, 9, "lookup"),
        (64, 12, 9, 6, None),
    ],
)
def test_the_best_design_fits(width, depth, b, a, name):
    design = constructions.best_design(width, depth, b, a)
    assert name is None or design.name == name
    assert design.depth <= depth and design.width <= width
    f = _zigzag(2**14)
    made = design.build(f, b, a)
    assert made.network.depth <= design.depth and made.network.width <= design.width
    for p in (*made.network.weights, *made.network.biases):
        values = np.asarray(p)
        assert (np.abs(values) < 2 ** (a + 1)).all()
        assert (np.ldexp(values, b) % 1 == 0).all()
    points = [Fraction(i, 2**14) for i in np.random.default_rng(1).integers(0, 2**14 + 1, 25)]
    values = networks.realize_exact(made.network, [[x] for x in points])[:, 0]
    error = max(abs(v - Fraction(float(f(float(x))))) for v, x in zip(values, points, strict=True))
    assert error <= Fraction(made.certificate.bound)
    assert bounds.regime(width, depth, b, a).lower < design.bound
    assert made.certificate.bound <= design.bound


def test_more_bits_and_more_depth_never_hurt():
    table = [
        [constructions.best_design(w, d, b, 12).bound for b in (1, 2, 5, 12, 30, 60)]
        for w in (40, 100)
        for d in (1, 2, 7, 10, 16, 30)
    ]
    assert (np.diff(table, axis=1) <= 0).all()
    assert (np.diff(table[:6], axis=0) <= 0).all() and (np.diff(table[6:], axis=0) <= 0).all()


def test_proper_over_a_decade_and_then_over():
    """Width 64, depth 16: b x error within a factor 2 for b = 2 to 20, and constant after 15."""
    products = [b * constructions.best_design(64, 16, b, 9).bound for b in range(2, 21)]
    assert max(products) / min(products) <= 2
    after = {constructions.best_design(64, 16, b, 9).bound for b in (15, 30, 100)}
    assert len(after) == 1 < products[0] / 2 / after.pop() / 5


def test_under_at_small_depth():
    """Width 2049: the error is 2^-((L-1)b+1) until it is 1/2048."""
    for depth in (2, 3, 4):
        for b in range(1, 12):
            expected = max(2.0 ** -((depth - 1) * b + 1), 1 / 2048)
            assert constructions.best_design(2049, depth, b, 1).bound == expected


def test_the_rate_of_the_full_construction():
    """Twice the width and the depth, with bits enough: at least a 16th of the error, nearly."""
    errors = [constructions.best_design(w, d, 60, 40).bound for w, d in ((60, 20), (120, 32))]
    assert errors[0] / errors[1] > 8


def test_a_diagram_is_between_its_bounds():
    diagram = constructions.regime_diagram(40, 12, fraction_bits=[9, 2, 5, 9])
    assert [n.fraction_bits for n in diagram.networks] == [2, 5, 9]
    for n in diagram.networks:
        assert n.counts.width <= 40 and n.counts.depth <= 12
        assert n.counts.magnitude < 2 ** (diagram.integer_bits + 1)
        for error in (n.zigzag, n.drawn):
            assert 0.2 * n.bound < error <= n.bound * (1 + 1e-9)
        assert n.regime == bounds.regime(40, 12, n.fraction_bits, diagram.integer_bits)
        assert n.regime.lower <= n.bound
    assert set(diagram.functions) == {"zigzag", "drawn"}


@pytest.mark.parametrize("width, depth", [(64, 16), (4096, 64)])
def test_no_design_has_numbers_that_float64_cannot_hold(width, depth):
    """Its codes have at most 27 bits and its whole numbers at most 53: the bound stays finite."""
    for b, a in ((4, 12), (60, 60), (1000, 1000)):
        design = constructions.best_design(width, depth, b, a)
        assert design.steps_per_cell <= 27 and whole_bits(design) <= 53
    if width == 64:
        assert design.build(_zigzag(64), b, a).certificate.bound <= design.bound


def test_the_default_bits_reach_beyond_the_last_that_helps():
    diagram = constructions.regime_diagram(65, 3)
    numbers = [n.fraction_bits for n in diagram.networks]
    assert numbers[0] == 1 and numbers[-1] > diagram.last in numbers
    at = {n.fraction_bits: n.bound for n in diagram.networks}
    assert at[diagram.last] == at[numbers[-1]] < at[diagram.last - 1]


def test_what_is_too_small_says_so():
    small = constructions.regime_diagram(1, 3, fraction_bits=[2])
    assert "too small for anything but a constant" in " ".join(small.notes)
    shallow = constructions.regime_diagram(64, 9, fraction_bits=[6])
    assert "needs depth 10 and width 28; here are 9 and 64" in " ".join(shallow.notes)
    narrow = constructions.regime_diagram(64, 16, fraction_bits=[6], integer_bits=1)
    assert "bits before the point" in " ".join(narrow.notes)


def test_seeds_repeat():
    one, two, other = (
        constructions.regime_diagram(20, 3, fraction_bits=[2], seed=s).networks[0]
        for s in (0, 0, 1)
    )
    assert one == two and one.drawn != other.drawn


def test_the_figure_names_what_it_shows():
    deep = constructions.regime_diagram(28, 10, fraction_bits=[1, 4, 20])
    shallow = constructions.regime_diagram(129, 3)
    figure = deep.figure(shallow)
    figure.canvas.draw()
    assert len(figure.axes) == 4
    legend = " ".join(t.get_text() for t in figure.legends[0].get_texts())
    for words in ("best proven upper", "zigzag", "drawn Lipschitz", "precision", "memory", "VC"):
        assert words in legend
    assert "under" in " ".join(t.get_text() for t in figure.axes[2].texts)
    for ax in figure.axes:
        assert ax.get_xlabel() and ax.get_ylabel() and ax.get_title(loc="left")


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda c: c.regime_diagram(0, 3), "width.*at least 1; got 0"),
        (lambda c: c.regime_diagram(3, 0), "depth.*at least 1; got 0"),
        (lambda c: c.regime_diagram(3, 3, fraction_bits=[0]), "fraction_bits.*at least 1; got 0"),
        (lambda c: c.regime_diagram(3, 3, fraction_bits=[]), "at least one number"),
        (lambda c: c.regime_diagram(3, 3, integer_bits=0), "integer_bits.*at least 1; got 0"),
        (lambda c: c.best_design(3, 3, 0, 1), "fraction_bits.*at least 1; got 0"),
    ],
)
def test_bad_arguments(make, text):
    with pytest.raises(ValueError, match=text):
        make(constructions)


def test_a_constant_needs_slopes_of_at_most_1():
    design = constructions.best_design(1, 1, 8, 4)
    made = design.build(lambda x: 1 - x, 8, 4)
    assert design.name == "constant" and "|x - y|" in made.certificate.assumptions
    with pytest.raises(ValueError, match="Design.build.*its slopes reach 50"):
        design.build(lambda x: 50 * x, 8, 4)


@pytest.mark.slow
def test_measured_products_are_flat_over_a_decade():
    """Of networks that are built for a zigzag: b x error within 2.2 for b = 4 to 42."""
    diagram = constructions.regime_diagram(64, 32, fraction_bits=[4, 8, 16, 28, 42, 60])
    products = [n.fraction_bits * n.zigzag for n in diagram.networks[:-1]]
    assert max(products) / min(products) < 2.2
    assert diagram.networks[-1].bound == diagram.networks[-2].bound
    assert math.log2(diagram.networks[0].bound / diagram.networks[-1].bound) > 2
