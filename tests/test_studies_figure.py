"""The figure of a study says what the table says, and is drawn for every kind of result."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from test_studies import SMALL, UNIFORM, Counted

from qrelu import families, norms, studies, targets
from qrelu.studies._figure import _mark_sizes


@pytest.fixture(scope="module")
def result():
    return studies.Study(**SMALL).run()


def _labels(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_one_panel_per_target_and_family_with_what_the_table_says(result):
    axes = result.figure().axes
    titles = ["exp: exp(3x), uniform-knot", "square: x^2, uniform-knot"]
    assert [ax.get_title() for ax in axes] == titles
    rates = result.rates()
    for ax, target in zip(axes, ("exp", "square"), strict=True):
        row = rates.filter((rates["target"] == target) & (rates["rule"] == "float")).to_dicts()[0]
        digits = 2 if f"{row['lower']:.2f}" != f"{row['upper']:.2f}" else 3
        interval = f"[{row['lower']:.{digits}f}, {row['upper']:.{digits}f}]"
        assert _labels(ax)[0] == rf"float: $\gamma$ = {row['gamma']:.{digits}f} {interval}"
        assert _labels(ax)[-1] == f"limit ({row['limit_label']})"
        assert "6 bits" in _labels(ax)[1]


def test_the_points_are_the_errors_of_the_table(result):
    table = result.table().filter(
        (result.table()["target"] == "exp") & (result.table()["rule"] == "6 bits")
    )
    lines = result.figure().axes[0].get_lines()
    drawn = [line.get_xydata() for line in lines if len(line.get_xydata()) == 4]
    expected = table.select("connectivity_before_rounding", "error").to_numpy()
    assert any(np.allclose(points, expected, rtol=1e-12) for points in drawn)


def _colors(figure):
    handles = figure.legends[0]
    return {
        text.get_text(): line.get_color()
        for text, line in zip(handles.get_texts(), handles.legend_handles, strict=True)
        if hasattr(line, "get_color")
    }


def test_a_rule_has_its_color_in_every_study(result):
    rules = [families.TheoryStep(), families.Bits(8), families.MatchedBits(), families.Bits(6)]
    quantized = [families.Quantized(UNIFORM, rule) for rule in rules]
    several = studies.Study(**{**SMALL, "families": [UNIFORM, *quantized]}).run()
    colors = _colors(several.figure())
    names = ["float", "6 bits", "8 bits", "matched bits", "theory step"]
    assert len({colors[name] for name in names}) == 5
    assert colors["6 bits"] == _colors(result.figure())["6 bits"]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_labels_cover_no_point_and_less_than_half_of_a_panel(count):
    rules = [families.Bits(4), families.Bits(8), families.MatchedBits(), families.TheoryStep()]
    quantized = [families.Quantized(UNIFORM, rule) for rule in rules]
    names = ["exp", "square", "sine", "runge"][:count]
    study = studies.Study(
        [targets.get(name) for name in names], [UNIFORM, *quantized], [24, 48, 96, 192], norms.L2()
    )
    figure = study.run().figure()
    figure.canvas.draw()
    for ax in figure.axes:
        box = ax.get_legend().get_window_extent()
        panel = ax.get_window_extent()
        assert box.width * box.height < 0.45 * panel.width * panel.height
        for line in ax.get_lines():
            if len(line.get_xdata()) == 4:
                points = ax.transData.transform(line.get_xydata())
                assert not any(box.contains(x, y) for x, y in points)
    below = figure.legends[0].get_window_extent()
    assert below.height < 0.3 * sum(ax.get_window_extent().height for ax in figure.axes)
    assert not any(below.overlaps(ax.get_tightbbox()) for ax in figure.axes)


def test_saved_files_are_whole_and_the_same_each_time(result, tmp_path):
    first, second = (result.save(tmp_path / name) for name in "ab")
    assert set(first) == {"table", "rates", "png", "svg"}
    assert first["png"].read_bytes().startswith(b"\x89PNG")
    assert ET.parse(first["svg"]).getroot().tag.endswith("svg")
    for kind in first:
        assert first[kind].read_bytes() == second[kind].read_bytes(), kind


def test_drawing_changes_no_global_setting(result):
    import matplotlib

    before = dict(matplotlib.rcParams)
    result.figure()
    assert dict(matplotlib.rcParams) == before


def test_data_without_limit_and_exact_reproduction_are_drawn():
    x = np.linspace(0.0, 1.0, 9)
    data = targets.Data(x, np.cos(7 * x), name="samples")
    study = studies.Study(
        targets=[targets.get("kink"), data],
        families=[families.FreeKnot(), UNIFORM],
        sizes=[13, 25, 49, 97],
        norm=norms.L2(),
    )
    figure = study.run().figure()
    assert len(figure.axes) == 4
    assert not any("limit" in label for label in _labels(figure.axes[3]))
    assert _labels(figure.axes[0])[0] == "float: exact"


def test_a_study_that_is_not_finished_is_drawn(tmp_path):
    class _Stop:
        def append(self, fit):
            raise KeyboardInterrupt

    study = studies.Study(SMALL["targets"], [Counted(fits=_Stop())], [13], norms.L2())
    with pytest.raises(KeyboardInterrupt):
        study.run(tmp_path)
    partial = studies.load(tmp_path)
    assert partial.missing == 2
    assert partial.rates().height == 0
    assert partial.figure() is not None


@pytest.mark.parametrize(
    "decades, least", [(0.05, 2), (0.3, 2), (0.7, 2), (1.5, 3), (3, 2), (9, 3)]
)
def test_the_scale_of_the_errors_can_be_read(decades, least):
    """At least two numbers stand at the axis, powers of ten where there are decades."""
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    ax.set_yscale("log")
    ax.set_ylim(0.013, 0.013 * 10**decades)
    _mark_sizes(np.array([[ax]]), [])
    ax.figure.canvas.draw()
    low, high = ax.get_ylim()
    shown = [t for t in ax.get_yticklabels() if low <= t.get_position()[1] <= high]
    words = [t.get_text() for t in shown if t.get_text()]
    assert len(set(words)) >= least
    assert all("10^" in word for word in words) == (decades > 2)
