"""A study: its grid, its table, its rates, and that neither seeds nor order change a number."""

from typing import ClassVar

import equinox as eqx
import jax
import numpy as np
import polars as pl
import pytest

from qrelu import families, norms, rates, studies, targets

UNIFORM = families.UniformKnot()
SMALL = dict(
    targets=[targets.get("exp"), targets.get("square")],
    families=[UNIFORM, families.Quantized(UNIFORM, families.Bits(6))],
    sizes=[13, 25, 49, 97],
    norm=norms.L2(),
)


class Counted(families.AbstractFamily):
    """Uniform knots; notes its fits, draws a perturbation from the key, refuses one size."""

    kind: ClassVar[str] = "uniform-knot"
    name: str = eqx.field(static=True, default="counted")
    fits: list = eqx.field(static=True, default_factory=list)
    noise: float = 0.0
    refused: int = eqx.field(static=True, default=-1)

    @property
    def minimum_size(self):
        return UNIFORM.minimum_size

    def pieces(self, size):
        return UNIFORM.pieces(size)

    def fit(self, target, size, *, norm, key=None):
        self.fits.append((target.name, size))
        if size == self.refused:
            raise ValueError("`Counted().fit(size)` must not be that; got it.\n Take another.")
        fitted = UNIFORM.fit(target, size, norm=norm)
        if not self.noise:
            return fitted
        factor = 1 + self.noise * float(jax.random.normal(key)) / size**2
        weights = (*fitted.network.weights[:-1], factor * fitted.network.weights[-1])
        return eqx.tree_at(lambda a: a.network.weights, fitted, weights)


def test_table_has_a_row_for_every_case_in_order():
    table = studies.Study(**SMALL).run().table()
    assert table.columns == [
        "target",
        "family",
        "rule",
        "norm",
        "size",
        "connectivity",
        "connectivity_before_rounding",
        "neurons",
        "pieces",
        "bits_per_weight",
        "total_bits",
        "seed",
        "draws",
        "worst_draw",
        "error",
        "uncertainty",
        "limit",
        "limit_label",
        "error_over_limit",
        "notes",
    ]
    got = list(table.select("target", "rule", "size").iter_rows())
    assert got == [
        (t, r, n) for t in ("exp", "square") for r in ("float", "6 bits") for n in (13, 25, 49, 97)
    ]


def test_a_row_is_what_family_norm_and_target_say():
    row = studies.Study(**SMALL).run().table().row(2, named=True)
    target, norm = targets.get("exp"), norms.L2()
    fitted = UNIFORM.fit(target, 49, norm=norm)
    assert row["error"] == float(norm.distance(fitted.network, target))
    assert row["connectivity"] == fitted.network.connectivity <= 49
    assert row["total_bits"] == 64 * fitted.network.connectivity
    limit = target.limit(norm, UNIFORM, 49)
    assert row["error_over_limit"] == pytest.approx(row["error"] / limit.value, rel=1e-15)
    assert row["limit_label"] == limit.label


def test_rounded_copies_share_the_fit_of_their_family():
    counted = Counted()
    rules = [families.Bits(4), families.Bits(8)]
    study = studies.Study(
        targets=[targets.get("exp")],
        families=[counted, *(families.Quantized(counted, rule) for rule in rules)],
        sizes=[13, 25],
        norm=norms.L2(),
    )
    table = study.run().table()
    assert counted.fits == [("exp", 13), ("exp", 25)]
    alone = families.Quantized(UNIFORM, rules[1]).fit(targets.get("exp"), 25, norm=norms.L2())
    shared = table.filter((pl.col("rule") == "8 bits") & (pl.col("size") == 25))
    distance = norms.L2().distance(alone.network, targets.get("exp"))
    assert shared["error"][0] == float(distance)


def test_a_refused_case_is_a_row_with_a_note():
    family = Counted(refused=25)
    study = studies.Study(
        targets=SMALL["targets"], families=[family], sizes=[13, 25, 49, 97, 193], norm=norms.L2()
    )
    result = study.run()
    refused = result.table().filter(pl.col("size") == 25)
    assert refused["error"].to_list() == [None, None]
    assert refused["notes"][0] == "`Counted().fit(size)` must not be that; got it. Take another."
    assert result.rates()["gamma"].is_not_null().all()


def test_a_family_that_always_refuses_leaves_a_rate_that_says_why():
    family = Counted(refused=13)
    study = studies.Study([targets.get("exp")], [family], [13], norms.L2())
    found = study.run().rates()
    assert found["gamma"].to_list() == [None]
    assert "must not be that" in found["verdict"][0]
    assert study.run().figure() is not None


def test_seeds_are_replicates_and_do_not_depend_on_the_grid():
    noisy = Counted(noise=0.1)
    settings = dict(families=[noisy], norm=norms.L2(), seeds=[0, 1, 2])
    whole = studies.Study(targets=SMALL["targets"], sizes=[13, 25, 49, 97], **settings).run()
    part = studies.Study(targets=SMALL["targets"][1:], sizes=[49], **settings).run()
    key = ["target", "size", "seed"]
    both = whole.table().join(part.table(), on=key, suffix="_alone")
    assert both.height == 3
    assert both["error"].to_list() == both["error_alone"].to_list()
    assert both["error"].n_unique() == 3
    square = whole.table().filter(pl.col("target") == "square").sort("seed", "size")
    replicates = square["error"].to_numpy().reshape(3, 4)
    fit = rates.fit_rate(square["connectivity"].to_numpy()[:4], replicates)
    assert whole.rates()["gamma"][1] == pytest.approx(fit.gamma, rel=1e-12)


def test_copies_of_a_family_without_randomness_are_not_replicates():
    result = studies.Study(**{**SMALL, "seeds": (3, 4)}).run()
    assert result.table().height == 32
    assert set(result.rates()["interval_kind"]) == {"envelope"}


def test_rates_agree_with_theory_for_a_smooth_target():
    study = studies.Study(
        targets=[targets.get("square")],
        families=[UNIFORM],
        sizes=[25, 49, 97, 193, 385],
        norm=norms.L2(),
    )
    row = study.run().rates().row(0, named=True)
    assert row["lower"] <= 2 <= row["upper"]
    assert row["gamma"] == pytest.approx(2, abs=0.02)
    assert row["proven_gamma"] == 2
    assert row["bits_per_weight"] == 64
    # x^2 with equal pieces is the best spline: the limit is exact.
    assert row["error_over_limit"] == pytest.approx(1, abs=1e-9)


def test_running_times_are_apart():
    result = studies.Study(**SMALL).run()
    assert "seconds" not in result.table().columns
    seconds = result.seconds()
    assert seconds.height == result.table().height
    assert (seconds["seconds"] > 0).all()


def test_environment_names_what_computed():
    around = studies.Study(**SMALL).run().environments().row(0, named=True)
    assert around["jax"] == jax.__version__
    assert around["numpy"] == np.__version__
    assert around["dtype"] == "float64"
    assert around["rows"] == 16


BAD = {
    "no targets": (dict(targets=[]), r"`Study\(targets=...\)` must name at least one"),
    "no sizes": (dict(sizes=[]), r"`Study\(sizes=...\)` must name at least one"),
    "equal targets": (dict(targets=[targets.get("exp")] * 2), "different names; got 'exp' twice"),
    "equal families": (dict(families=[UNIFORM] * 2), "different names; got 'uniform-knot' twice"),
    "equal seeds": (dict(seeds=[1, 1]), "got 1 twice"),
    "falling sizes": (dict(sizes=[48, 24]), "must increase"),
    "equal sizes": (dict(sizes=[24, 24]), "must increase"),
    "no integers": (dict(sizes=[24.5]), "must be whole numbers"),
    "negative seed": (dict(seeds=[-1]), "must be whole numbers"),
    "too small": (dict(sizes=[1, 24]), "at least 4 for the family uniform-knot; got 1"),
    "two definitions": (
        dict(families=[Counted(), families.Quantized(Counted(noise=1.0), families.Bits(4))]),
        "two families named 'counted'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_grids_are_refused(case):
    change, words = BAD[case]
    with pytest.raises(ValueError, match=words):
        studies.Study(**{**SMALL, **change})


WRONG = {
    "a name": (dict(targets=["exp"]), r"must hold targets; got 'exp'. Write `\[targets.get"),
    "one target": (dict(targets=targets.get("exp")), r"`Study\(targets=...\)` must be a list"),
    "a class": (dict(families=[families.FreeKnot]), r"must hold families; .*FreeKnot\(\)"),
    "one family": (dict(families=UNIFORM), r"`Study\(families=...\)` must be a list"),
    "norm by name": (dict(norm="L2"), r"must be a norm; got 'L2'. Write `norms.L2\(\)`"),
    "one size": (dict(sizes=24), r"`Study\(sizes=...\)` must be a list; got 24"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_types_are_refused(case):
    change, words = WRONG[case]
    with pytest.raises(TypeError, match=words):
        studies.Study(**{**SMALL, **change})


def test_the_result_prints_as_one_line():
    assert repr(studies.Study(**SMALL).run()) == (
        "StudyResult(exp, square; uniform-knot; 16 rows: .table(), .rates(), .figure())"
    )


@pytest.mark.parametrize("sizes", [[24], [24, 48, 96, 192]])
def test_exact_reproduction_is_said_and_is_no_failure(sizes):
    line = targets.Function(lambda x: 2 * x + 1, (0.0, 1.0), name="line")
    found = studies.Study([line], [UNIFORM], sizes, norms.L2()).run().rates()
    assert found["gamma"].to_list() == [None]
    assert found["verdict"][0].startswith("the function is reproduced exactly from M = ")


@pytest.mark.parametrize("columns", ["80", "120"])
def test_progress_shows_the_time_left_and_only_where_asked(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")  # rich draws as on a terminal
    studies.Study(**SMALL).run(progress=False)
    assert capsys.readouterr() == ("", "")
    studies.Study(**SMALL).run(progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "square, uniform-knot, M = 97" in err
    assert "8/8 fits" in err
    assert "left" in err
