"""Data as a target: what files are read, what is done to the samples, what is refused."""

import math
from fractions import Fraction
from typing import NamedTuple

import equinox as eqx
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest

from qrelu import targets


class Family(NamedTuple):
    kind: str

    def pieces(self, size):
        return size


class Norm(NamedTuple):
    p: float


FREE, UNIFORM, L2 = Family("free-knot"), Family("uniform-knot"), Norm(2.0)


def _exact(knots, values, x):
    """Interpolation in rational numbers."""
    i = min(max(np.searchsorted(knots, x, "right") - 1, 0), len(knots) - 2)
    u, v, y, z = (Fraction(float(q)) for q in (knots[i], knots[i + 1], values[i], values[i + 1]))
    return float(y + (z - y) * (Fraction(x) - u) / (v - u))


@hypothesis.given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1e3, -1e6]))
@hypothesis.settings(max_examples=50, deadline=None)
def test_values_against_rational_arithmetic(seed, offset):
    rng = np.random.default_rng(seed)
    data = targets.Data(offset + rng.random(30), rng.normal(size=30))
    x = rng.uniform(*data.domain, size=20)
    exact = np.array([_exact(data.knots, data.values, float(point)) for point in x])
    np.testing.assert_allclose(data(x), exact, rtol=0, atol=1e-14 * np.abs(data.values).max())
    np.testing.assert_array_equal(data(data.knots), data.values)


def test_samples_are_sorted_and_averaged():
    data = targets.Data([3, 1, 2, 1], [9.0, 1.0, 4.0, 2.0], name="d")
    np.testing.assert_array_equal(data.knots, [1, 2, 3])
    np.testing.assert_array_equal(data.values, [1.5, 4, 9])
    assert data.notes == ("samples sorted by x", "1 repeated x averaged")
    assert data.domain == (1.0, 3.0) and data.breakpoints == (2.0,)
    assert repr(data) == "Data('d', 3 samples on [1, 3])"


def test_the_largest_gap_is_noted():
    x = np.concatenate([np.arange(10.0), [100.0]])
    assert targets.Data(x, x**2).notes == (
        "the largest gap, 91 times the median spacing, is between x = 9 and 100",
    )
    assert targets.Data(np.arange(10.0), np.arange(10.0)).notes == ()


def test_slopes_and_curvature():
    data = targets.Data([0.0, 1.0, 3.0], [0.0, 2.0, 0.0])
    x = np.array([-1.0, 0.5, 1.0, 2.0, 3.5])
    np.testing.assert_array_equal(data.derivative(x), [0, 2, -1, -1, 0])
    np.testing.assert_array_equal(
        data.curvature(np.array([0.0, 0.5, 1.0]), np.array([1.0, 1.5, 3.0])), [0, math.inf, 0]
    )


def test_numpy_stays_numpy_and_jax_stays_jax():
    data = targets.Data(np.linspace(0, 1, 50), np.linspace(0, 1, 50) ** 2)
    y = data(np.full((2, 3), 0.3, np.float32))
    assert type(y) is np.ndarray and y.dtype == np.float64 and y.shape == (2, 3)
    for dtype in (jnp.float32, jnp.float64):
        x = jnp.linspace(0, 1, 77, dtype=dtype)
        z = eqx.filter_jit(data)(x)
        assert z.dtype == dtype
        np.testing.assert_allclose(
            z, data(np.asarray(x)), atol=1e-6 if dtype == jnp.float32 else 1e-14
        )
    assert jax.grad(data)(0.305) == pytest.approx(float(data.derivative(0.305)))


def test_rate_and_limit():
    data = targets.Data(np.arange(5.0), np.arange(5.0) ** 2)
    assert data.rate(FREE, L2) is None
    assert data.limit(L2, FREE, 4)[:2] == (0.0, "exact")
    assert data.limit(L2, FREE, 3).label == "none"
    assert data.limit(L2, UNIFORM, 4).label == "none"
    with pytest.raises(TypeError, match="Pass the object"):
        data.rate("free-knot", L2)


NAN, INF = math.nan, math.inf
BAD = {
    "lengths": ([1, 2, 3], [1, 2], "two columns of one length; got 3 and 2"),
    "shape": ([[1, 2, 3]], [1, 2, 3], "must be one column of numbers"),
    "text": (["a", "b", "c"], [1, 2, 3], "must be real numbers; got entries like 'a'"),
    "complex": ([1, 2, 3j], [1, 2, 3], "must be real numbers"),
    "booleans": ([True, False, True], [1, 2, 3], "must be real numbers"),
    "dates": (np.array(["2020-01-01"] * 3, "M8[D]"), [1, 2, 3], "must be real numbers"),
    "missing": ([1, 2, 3, 4], [1, NAN, 3, NAN], "2 of 4 samples with a missing value, the first"),
    "none": ([1, 2, 3], [1, None, 3], 'Pass `missing="drop"` to leave them out'),
    "infinite": ([1, 2, INF], [1, 2, 3], "1 of 3 values are infinite, the first at index 2"),
    "empty": ([], [], "at least 3 samples at different x; got 0. Add samples"),
    "too few": ([1, 2, 2], [1, 2, 3], "at least 3 samples at different x; got 2"),
    "constant x": ([1, 1, 1, 1], [1, 2, 3, 4], "The column is constant"),
    "constant y": ([1, 2, 3], [4, 4, 4], r"`Data\(y=...\)` is constant \(4\)"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused_gets_one_sentence_with_the_cure(case):
    x, y, text = BAD[case]
    with pytest.raises((ValueError, TypeError), match=text) as caught:
        targets.Data(x, y)
    assert "\n" not in str(caught.value)


def test_missing_samples_are_left_out_on_request():
    data = targets.Data([1, 2, NAN, 3, 4], [1, NAN, 3, 3, 5], missing="drop")
    np.testing.assert_array_equal(data.knots, [1, 3, 4])
    assert data.notes == ("2 samples with missing values left out",)
    with pytest.raises(ValueError, match='must be "error" or "drop"'):
        targets.Data([1, 2, 3], [1, 2, 3], missing="ignore")


KNOTS, VALUES = [1.0, 2.0, 3.5], [0.5, -2.0, 7.0]
FILES = {
    "header": ("a.csv", "x,y\n1,0.5\n2,-2\n3.5,7\n"),
    "no header": ("a.csv", "1,0.5\n2,-2\n3.5,7\n"),
    "tabs": ("a.tsv", "x\ty\n1\t.5\n2\t-2e0\n3.5\t7\n"),
    "semicolons": ("a.csv", "x;y\n1;0.5\n2;-2\n3.5;7\n"),
    "decimal commas": ("a.csv", "x;y\n1;0,5\n2;-2\n3,5;7\n"),
    "blanks": ("a.dat", "  1   0.5\n 2 -2  \n3.5   7\n"),
    "blanks after commas": ("a.csv", "x, y\n1, 0.5\n2 , -2\n 3.5, 7\n"),
    "comments": ("a.txt", "# a\nx y\n# b\n1 0.5\n2 -2\n3.5 7\n"),
    "byte order mark": ("a.csv", "\ufeffx,y\r\n1,0.5\r\n2,-2\r\n3.5,7\r\n"),
    "text beside": ("a.csv", "label,x,y\na,1,0.5\nb,2,-2\nc,3.5,7\n"),
    "integers first": ("a.csv", "x,y\n2,-2\n1,0.5\n3.5,7\n"),
}


@pytest.mark.parametrize("case", FILES)
def test_text_files(tmp_path, case):
    name, text = FILES[case]
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    data = targets.read_data(path)
    np.testing.assert_array_equal(data.knots, KNOTS)
    np.testing.assert_array_equal(data.values, VALUES)
    assert data.name == "a" and targets.read_data(str(path), name="b").name == "b"


def test_parquet_and_columns_by_name(tmp_path):
    table = pl.DataFrame({"n": [1, 2, 3], "s": ["a"] * 3, "height": VALUES, "distance": KNOTS})
    table.write_parquet(tmp_path / "p.parquet")
    table.write_csv(tmp_path / "p.csv")
    for name in ("p.parquet", "p.csv"):
        data = targets.read_data(tmp_path / name, x="distance", y="height")
        np.testing.assert_array_equal(data.knots, KNOTS)
        np.testing.assert_array_equal(data.values, VALUES)
        np.testing.assert_array_equal(targets.read_data(tmp_path / name).values, VALUES)
        one = targets.read_data(tmp_path / name, y="distance")
        np.testing.assert_array_equal(one.knots, [1, 2, 3])
        np.testing.assert_array_equal(one.values, KNOTS)


def test_a_late_change_of_type_and_missing_entries(tmp_path):
    path = tmp_path / "long.csv"
    rows = [f"{i},{i % 7}" for i in range(3000)]
    path.write_text("x,y\n" + "\n".join([*rows, "3000.5, 2.5", "3001,NA"]) + "\n")
    with pytest.raises(ValueError, match="1 of 3002 samples with a missing value"):
        targets.read_data(path)
    data = targets.read_data(path, missing="drop")
    assert data.knots.size == 3001 and data.values[-1] == 2.5


BAD_FILES = {
    "empty": ("", {}, "could not read the file"),
    "header only": ("x,y\n", {}, "needs two columns of numbers; found none"),
    "one column": ("x\n1\n2\n3\n", {}, "needs two columns of numbers; found 'x'"),
    "text": ("x,y\n1,a\n2,b\n3,c\n", {}, "needs two columns of numbers; found 'x'"),
    "named text": ("x,y\n1,a\n2,b\n3,c\n", {"y": "y"}, "it holds entries like 'a'"),
    "late text": (
        "x,y\n" + "".join(f"{i},{i}\n" for i in range(2000)) + "5000,abc\n",
        {},
        "1 entries of column 'y' are none, the first is 'abc' in row 2001",
    ),
    "unknown column": ("x,yy\n1,2\n2,3\n", {"y": "y"}, "it has 'x', 'yy'. Did you mean 'yy'"),
    "same column": ("x,y\n1,2\n2,3\n3,3\n", {"x": "x", "y": "x"}, "two different columns"),
    "too many fields": ("x,y\n1,2\n2,3,4,5\n3,4\n", {}, "could not read the file"),
    "dates": ("x,y\n2020-01-01,1\n2020-01-02,2\n", {}, "found 'y' among 'x', 'y'"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files(tmp_path, case):
    text, options, message = BAD_FILES[case]
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        targets.read_data(path, **options)
    assert "\n" not in str(caught.value)


def test_no_file_and_no_parquet(tmp_path):
    with pytest.raises(ValueError, match="must name a file; there is none"):
        targets.read_data(tmp_path / "none.csv")
    (tmp_path / "b.parquet").write_bytes(b"junk")
    with pytest.raises(ValueError, match="could not read the file.*It must be Parquet"):
        targets.read_data(tmp_path / "b.parquet")
    (tmp_path / "b.csv").write_bytes(bytes(range(256)) * 4)
    with pytest.raises(ValueError, match="read_data"):
        targets.read_data(tmp_path / "b.csv")


@pytest.mark.slow
def test_a_million_rows(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.random(1_000_000)
    path = tmp_path / "million.csv"
    pl.DataFrame({"x": x, "y": np.sin(x)}).write_csv(path)
    data = targets.read_data(path)
    assert data.knots.size == np.unique(x).size
    np.testing.assert_allclose(data(x), np.sin(x), rtol=1e-14)
