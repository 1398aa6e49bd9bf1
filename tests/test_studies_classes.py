"""Studies over classes: the worst draw, the proven bound, the store, encodability."""

import numpy as np
import polars as pl
import pytest

from qrelu import bounds, families, norms, studies, targets
from qrelu.studies._class_case import draws_of

CONSTANTS = families.PiecewiseConstant()
UNIFORM = families.UniformKnot()
SMALL = dict(
    targets=[targets.Lipschitz(), targets.get("exp")],
    families=[CONSTANTS, UNIFORM, families.Quantized(UNIFORM, families.Bits(12))],
    sizes=[8, 16, 32, 64, 128],
    norm=norms.L2(),
    draws=4,
)


@pytest.fixture(scope="module")
def result():
    return studies.Study(**SMALL).run()


def test_a_row_is_the_worst_draw_beside_the_proven_bound(result):
    table = result.table().filter(pl.col("target") == "Lipschitz")
    assert table.height == 15 and table["draws"].to_list() == [4] * 15
    functions = draws_of(targets.Lipschitz(), 32, 4, 0)
    for family in (CONSTANTS, UNIFORM):
        row = table.filter(
            (pl.col("family") == family.name) & (pl.col("rule") == "float") & (pl.col("size") == 32)
        ).row(0, named=True)
        errors = [
            float(norms.L2().distance(family.fit(f, 32, norm=norms.L2()).function, f))
            for f in functions
        ]
        assert row["error"] == max(errors) and len(set(errors)) > 1
        assert row["worst_draw"] == functions[int(np.argmax(errors))].name
        known = bounds.class_error(targets.Lipschitz(), family, 32, norms.L2())
        assert row["limit"] == known.lower
        assert row["error_over_limit"] == pytest.approx(row["error"] / known.lower)
    rounded = table.filter((pl.col("rule") == "12 bits") & (pl.col("size") == 32))
    known = bounds.class_error(targets.Lipschitz(), UNIFORM, 32, norms.L2(), rounded=True)
    assert rounded["limit"][0] == known.lower and rounded["limit_label"][0] == "lower bound"
    constants = table.filter(pl.col("family") == CONSTANTS.name)
    assert set(constants["limit_label"]) == {"exact"}
    assert (constants["error"] <= constants["limit"] * (1 + 1e-9)).all()
    assert constants["error_over_limit"].min() > 0.9


def test_a_function_keeps_its_columns(result):
    table = result.table().filter(pl.col("target") == "exp")
    assert table["draws"].null_count() == table.height == table["worst_draw"].null_count()
    alone = studies.Study(**{**SMALL, "targets": [targets.get("exp")]}).run().table()
    assert table.equals(alone)


def test_draws_depend_on_the_size_and_the_seed_and_not_on_the_family():
    cls = targets.Lipschitz()
    x = np.linspace(0, 1, 101)
    values = {
        (size, seed): np.stack([f(x) for f in draws_of(cls, size, 3, seed)])
        for size in (8, 16)
        for seed in (0, 1)
    }
    keys = list(values)
    for i, a in enumerate(keys):
        np.testing.assert_array_equal(
            values[a], np.stack([f(x) for f in draws_of(cls, a[0], 3, a[1])])
        )
        for b in keys[:i]:
            assert not np.array_equal(values[a], values[b])
    teeth = [draws_of(cls, size, 1, 0)[0].name for size in (8, 16, 32)]
    assert teeth == ["zigzag of 9 teeth", "zigzag of 17 teeth", "zigzag of 33 teeth"]


def test_rates_and_encodability(result):
    rates = result.rates().filter(pl.col("target") == "Lipschitz")
    constants = rates.filter(pl.col("family") == CONSTANTS.name).row(0, named=True)
    assert constants["gamma"] == pytest.approx(1.0, abs=0.05)
    assert constants["limit_label"] == "exact"
    checked = result.encodability()
    assert set(checked["target"]) == {"Lipschitz"}  # a function has no encoding limit
    assert checked["encoding_gamma"].to_list() == [1.0] * 3
    row = checked.filter(pl.col("family") == CONSTANTS.name).row(0, named=True)
    assert row["holds"] is True and "compatible" in row["verdict"]
    assert row["bits_growth"] == pytest.approx(1.0, abs=1e-9)
    assert row["gamma_in_bits"] == pytest.approx(row["gamma"], abs=0.02)


class Dense(families.AbstractFamily):
    """One zigzag out of 2^(M^2): a dictionary without a limit on its depth."""

    @property
    def kind(self):
        return "dense"

    @property
    def name(self):
        return "dense"

    @property
    def minimum_size(self):
        return 1

    def pieces(self, size):
        return size**2

    def fit(self, target, size, *, norm, key=None):
        start = float(target(np.zeros(1))[0])
        atom = bounds.dense_dictionary(lambda x: target(x) - start, size**2)
        knots = np.linspace(0, 1, atom.knots.size)
        slopes = np.diff(atom.values) / np.diff(knots)
        function = families.BSplines(
            coefficients=atom.values + start, places=knots[1:-1], domain=(0.0, 1.0), order=2
        )
        assert slopes.size == size**2
        return families.Approximant(function, size**2, 64.0, size, position_bits=float(atom.bits))


def test_a_dictionary_without_a_limit_breaks_the_check_and_its_bits_say_why():
    study = studies.Study(
        [targets.Lipschitz()], [Dense(), CONSTANTS], [4, 6, 8, 12, 16, 24], norms.Sup(), draws=4
    )
    checked = study.run().encodability()
    dense = checked.filter(pl.col("family") == "dense").row(0, named=True)
    assert dense["holds"] is False and "not encodable" in dense["verdict"]
    assert dense["gamma"] > 1.6
    assert dense["bits_growth"] > 1.2
    constants = checked.filter(pl.col("family") == CONSTANTS.name).row(0, named=True)
    assert constants["holds"] is True


def test_stored_resumed_and_loaded(tmp_path, result):
    study = studies.Study(**SMALL)
    first = study.run(tmp_path / "run")
    assert first.table().equals(result.table())
    parts = sorted((tmp_path / "run" / "parts").iterdir())
    assert len(parts) == 20
    for path in parts[::3]:
        path.unlink()
    again = study.run(tmp_path / "run")
    assert again.table().equals(first.table())
    loaded = studies.load(tmp_path / "run")
    assert loaded.table().equals(first.table())
    assert loaded.encodability().equals(first.encodability())
    other = studies.Study(**{**SMALL, "draws": 5})
    with pytest.raises(ValueError, match="the definition of Lipschitz has changed"):
        other.run(tmp_path / "run")


def test_the_figure_says_what_it_shows(result):
    figure = result.figure()
    panels = [ax for ax in figure.axes if ax.get_title()]
    assert panels[0].get_ylabel() == "worst L2 error of 4 draws"
    assert panels[2].get_ylabel() == "L2 error"
    assert panels[0].get_title().startswith("Lipschitz, ")
    words = [text.get_text() for text in panels[0].get_legend().get_texts()]
    assert "error of the class: exact" in words
    words = [text.get_text() for text in panels[1].get_legend().get_texts()]
    assert "error of the class: lower bound" in words


def test_a_draw_without_an_error_is_said():
    study = studies.Study([targets.Lipschitz()], [families.Fourier()], [9], norms.Sup(), draws=2)
    row = study.run().table().row(0, named=True)
    assert row["error"] is None and row["notes"].startswith("draw ")
    assert "has no error" in row["notes"] and row["limit"] == pytest.approx(1 / 18, rel=1e-9)


def test_seeds_draw_anew():
    study = studies.Study(
        [targets.PiecewiseSmooth(2)], [CONSTANTS], [8, 16], norms.L2(), seeds=[0, 1], draws=2
    )
    table = study.run().table()
    assert table["error"].n_unique() == 4


def test_l1_has_no_verdict():
    study = studies.Study([targets.Lipschitz()], [CONSTANTS], [4, 8, 16, 32], norms.L1(), draws=2)
    row = study.run().encodability().row(0, named=True)
    assert row["holds"] is None and "known in L2" in row["verdict"]


@pytest.mark.parametrize(
    "change, text",
    [
        (dict(draws=0), "draws=....*whole numbers from 1 on; got 0"),
        (dict(targets=[targets.Sobolev(2, 2.0, 2)]), "one variable.*has 2"),
        (dict(targets=[targets.BoundedVariation()], norm=norms.Sup()), "compact in the norm.*BV"),
        (dict(targets=[targets.Lipschitz(), targets.Lipschitz()]), "different names"),
    ],
)
def test_bad_arguments(change, text):
    with pytest.raises(ValueError, match=text):
        studies.Study(**{**SMALL, **change})


def test_a_class_is_no_list_and_its_name_no_class():
    with pytest.raises(TypeError, match="targets=....*must be a list"):
        studies.Study(**{**SMALL, "targets": targets.Lipschitz()})
    with pytest.raises(TypeError, match=r"`\[targets.Lipschitz\(\)\]` for a class"):
        studies.Study(**{**SMALL, "targets": ["Lipschitz"]})
