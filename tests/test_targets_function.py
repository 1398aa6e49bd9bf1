"""A user's own function: what is accepted, what is refused and how, what is estimated."""

import math
import sys
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qrelu import targets


class Family(NamedTuple):
    kind: str

    def pieces(self, size):
        return size


class Norm(NamedTuple):
    p: float


FREE, UNIFORM = Family("free-knot"), Family("uniform-knot")
L1, L2, SUP = Norm(1.0), Norm(2.0), Norm(math.inf)


@pytest.mark.parametrize("fn", [lambda x: np.exp(-x) * x, lambda x: jnp.exp(-x) * x])
def test_values_in_numpy_and_in_jax(fn):
    target = targets.Function(fn, (0, 3))
    x = np.linspace(0, 3, 21).reshape(3, 7)
    y = target(x)
    assert type(y) is np.ndarray and y.dtype == np.float64 and y.shape == (3, 7)
    np.testing.assert_allclose(y, np.exp(-x) * x, rtol=1e-15)
    assert target(1.5).shape == () and target(np.zeros(0)).shape == (0,)
    z = jax.jit(target)(jnp.asarray(x, jnp.float32))
    assert z.dtype == jnp.float32 and z.shape == (3, 7)
    np.testing.assert_allclose(z, y, atol=1e-6)


def test_a_function_of_jax_has_float64_and_gradients_whatever_jax_is_set_to():
    target = targets.Function(jnp.sin, (0, 1), name="s")
    x = np.linspace(0, 1, 9)
    with jax.enable_x64(False):
        np.testing.assert_allclose(target(x), np.sin(x), rtol=0, atol=2e-16)
    assert jax.grad(target)(0.5) == pytest.approx(math.cos(0.5))


def test_a_function_of_numpy_runs_inside_jit_and_vmap():
    def stubborn(x):
        out = np.zeros(np.shape(x))
        out[np.asarray(x) > 0.5] = 1.0
        return out

    target = targets.Function(stubborn, (0, 1))
    x = jnp.linspace(0, 1, 6)
    np.testing.assert_array_equal(jax.jit(target)(x), [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(jax.vmap(target)(x), [0, 0, 0, 1, 1, 1])


def test_the_same_ufunc_can_be_checked_many_times():
    for _ in range(4):
        targets.Function(np.sin, (0, 1))
    assert targets.Function(np.sin, (0, 1)).name == "sin"
    assert targets.Function(lambda x: x, (0, 1)).name == "function"
    assert repr(targets.Function(np.sin, (0, 1), name="wave")) == "Function('wave', (0, 1))"


def test_a_function_that_cannot_be_hashed():
    class Table:
        __hash__ = None

        def __call__(self, x):
            return np.exp(x)

    target = targets.Function(Table(), (0, 1))
    assert target.name == "Table"
    assert target.limit(L2, FREE, 1).value == pytest.approx(0.0624755, abs=5e-8)


def _raises(x):
    raise KeyError("table")


BAD = {
    "one number at a time": (math.sin, "takes one number at a time.*`numpy` instead of `math`"),
    "an if": (lambda x: x if x < 0.5 else 1 - x, "takes one number at a time.*`numpy.where`"),
    "a constant": (lambda x: 1.0, r"returned shape \(\).*full_like"),
    "another shape": (lambda x: x[:-1], "must return an array of the shape it was given"),
    "a ragged list": (lambda x: [1, [2]], "must return real numbers"),
    "NaN": (lambda x: np.log(x) * x, r"function\(0\) is nan. Shrink the domain"),
    "infinity": (lambda x: 1 / x, r"function\(0\) is inf. Shrink the domain"),
    "complex numbers": (lambda x: x + 1j, "returned complex numbers"),
    "text": (lambda x: "a", "must return real numbers; function returned str"),
    "nothing": (lambda x: None, "must return real numbers; function returned NoneType"),
    "booleans": (lambda x: x > 0.5, "must return real numbers"),
    "an exception": (_raises, "raised KeyError: 'table'"),
    "a missing name": (lambda x: undefined_name(x), "raised NameError"),  # noqa: F821
    "a running sum": (np.cumsum, "must map every point on its own"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused_gets_one_sentence_with_the_cure(case):
    fn, text = BAD[case]
    with pytest.raises((ValueError, TypeError), match=text) as caught:
        targets.Function(fn, (0, 1))
    assert "`Function(fn=...)`" in str(caught.value) and "\n" not in str(caught.value)


def test_a_random_function_is_refused():
    noise = np.random.default_rng(0)
    with pytest.raises(ValueError, match="Remove randomness"):
        targets.Function(lambda x: noise.random(x.shape), (0, 1))


@pytest.mark.parametrize(
    ("domain", "text"),
    [
        ((1, 0), "Swap the ends"),
        ((1, 1), "positive length"),
        ((0, 1e-320), "other units for x"),
        ((0, 1e200), "other units for x"),
        ((-1e308, 1e308), "other units for x"),
        ((1, 1 + 2**-52), "Shift x"),
        ((0, math.inf), "must be finite"),
        ((0, math.nan), "must be finite"),
        ((0,), r"Write it like \(0.0, 1.0\)"),
    ],
)
def test_domains(domain, text):
    with pytest.raises((ValueError, TypeError), match=text):
        targets.Function(np.sin, domain)


def test_breakpoints_are_sorted_and_inside():
    target = targets.Function(np.sin, (0, 1), breakpoints=(0.7, 0.2, 0.7))
    assert target.breakpoints == (0.2, 0.7)
    with pytest.raises(ValueError, match="strictly inside"):
        targets.Function(np.sin, (0, 1), breakpoints=(1.0,))


def test_declared_curvature():
    target = targets.Function(np.sin, (0, 3), curvature=1, breakpoints=(2.0,))
    np.testing.assert_array_equal(
        target.curvature(np.array([0.0, 1.9, 2.0]), np.array([1.9, 2.1, 3.0])), [1, math.inf, 1]
    )
    local = targets.Function(np.exp, (0, 3), curvature=lambda lower, upper: np.exp(upper))
    assert local.curvature(0.0, 1.0) == pytest.approx(math.e)
    assert targets.Function(np.exp, (0, 3)).curvature(0.0, 1.0) is None
    with pytest.raises(ValueError, match="is no bound: near x = .* was declared"):
        targets.Function(np.exp, (0, 3), curvature=5.0)
    with pytest.raises(ValueError, match="declare the kinks in `breakpoints`"):
        targets.Function(lambda x: np.abs(x - 1.1), (0, 3), curvature=0.0)
    targets.Function(lambda x: np.abs(x - 1.1), (0, 3), curvature=0.0, breakpoints=(1.1,))
    with pytest.raises(ValueError, match="must be a number >= 0"):
        targets.Function(np.exp, (0, 3), curvature=-1.0)
    with pytest.raises(ValueError, match="must return numbers >= 0"):
        targets.Function(np.exp, (0, 3), curvature=lambda lower, upper: -upper)


def test_declared_derivative():
    target = targets.Function(np.sin, (0, 3), derivative=np.cos)
    np.testing.assert_array_equal(target.derivative(np.array([[0.5]])), [[math.cos(0.5)]])
    assert targets.Function(np.sin, (0, 3)).derivative(0.5) is None
    with pytest.raises(ValueError, match=r"`Function\(derivative=...\)` must return an array"):
        targets.Function(np.sin, (0, 3), derivative=lambda x: 1.0)


@pytest.mark.parametrize("norm", [L1, L2, SUP], ids=["L1", "L2", "Sup"])
@pytest.mark.parametrize("name", ["cubic", "sine", "gaussian", "runge", "tanh", "chirp", "corners"])
def test_the_estimated_limit_is_that_of_the_built_in(name, norm):
    builtin = targets.get(name)
    own = targets.Function(builtin, builtin.domain, breakpoints=builtin.breakpoints)
    for family in (FREE, UNIFORM):
        expected, found = builtin.limit(norm, family, 200), own.limit(norm, family, 200)
        assert found.label == expected.label
        if expected.label != "none":
            assert found.value == pytest.approx(expected.value, rel=1e-3)
            assert "estimated numerically" in found.source
    assert own.rate(FREE, norm).gamma == 2.0
    assert own.rate(Family("fourier"), norm) is None


@pytest.mark.parametrize("norm", [L1, L2, SUP], ids=["L1", "L2", "Sup"])
@pytest.mark.parametrize(
    ("fn", "name", "where"),
    [
        (np.sqrt, "sqrt", ()),
        (lambda x: x * np.sqrt(x), "power1.5", ()),
        (lambda x: x * np.log(np.where(x == 0, 1, x)), "entropy", ()),
        (lambda x: np.sqrt(np.abs(x - 1 / 3)), "cusp", (1 / 3,)),
    ],
)
def test_singular_functions(fn, name, where, norm):
    """The integral of the limit is found in spite of the singularity; no limit on uniform knots
    where the second derivative is not integrable."""
    own = targets.Function(fn, (0.0, 1.0), breakpoints=where)
    found = own.limit(norm, FREE, 1000)
    assert found.label == "asymptotic"
    assert found.value == pytest.approx(targets.get(name).limit(norm, FREE, 1000).value, rel=3e-3)
    if name != "power1.5" or norm != L1:
        assert own.limit(norm, UNIFORM, 8).label == "none"


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: np.sin(1 / (x + 1e-6)),
        lambda x: np.sin(1e7 * x),
        lambda x: np.floor(50 * np.sin(99 * x)),
        targets.get("weierstrass"),
        targets.get("takagi"),
        lambda x: np.abs(x - 0.3),
        lambda x: 2 * x + 1,
    ],
)
def test_no_limit_is_invented(fn):
    limit = targets.Function(fn, (0.0, 1.0), name="f").limit(L2, FREE, 8)
    assert limit.label == "none" and math.isnan(limit.value) and limit.source


def test_rates_of_a_users_function():
    assert targets.Function(np.exp, (0, 1)).rate(UNIFORM, SUP).gamma == 2.0
    assert targets.Function(np.sqrt, (0, 1)).rate(UNIFORM, SUP) is None
    assert targets.Function(targets.get("takagi"), (0.0, 1.0)).rate(FREE, L2) is None
    declared = targets.Function(np.sin, (0, 1), curvature=1.0).rate(UNIFORM, SUP)
    assert declared.gamma == 2.0 and "declared" in declared.source


MODULE = """
import numpy as np
from qrelu import targets
def height(x):
    return np.cos(x)
constant = 3
wave = targets.Function(np.sin, (0, 9))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_profile.py").write_text(MODULE)
    (tmp_path / "my_broken.py").write_text("1 / 0\n")
    (tmp_path / "my_needy.py").write_text("import no_such_package_anywhere\n")
    (tmp_path / "my_syntax.py").write_text("def f(:\n")
    yield tmp_path
    for name in ("my_profile", "my_broken", "my_needy", "my_syntax"):
        sys.modules.pop(name, None)


def test_load(folder):
    before = list(sys.path)
    for where in ("my_profile:height", "my_profile.py:height"):
        target = targets.load(where, (0, 2))
        assert target.name == "height" and target.domain == (0.0, 2.0)
        assert target(1.0) == math.cos(1)
    assert targets.load("my_profile:wave", (0, 1)).domain == (0.0, 9.0)
    assert sys.path == before


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("my_profile", 'must look like "module:function"'),
        ("my_profile:", 'must look like "module:function"'),
        ("nowhere_at_all:f", "there is no module 'nowhere_at_all'"),
        ("nowhere_at_all.py:f", "there is no file 'nowhere_at_all.py'"),
        ("my_profile:heigth", "the module has no 'heigth'. It has height"),
        ("my_profile:constant", "must name a function; 'constant' is int"),
        ("my_broken:f", "importing the module raised ZeroDivisionError"),
        ("my_syntax:f", "importing the module raised SyntaxError"),
        ("my_needy:f", "imports 'no_such_package_anywhere', which is not installed"),
    ],
)
def test_load_says_what_is_wrong(folder, where, text):
    with pytest.raises((ValueError, TypeError), match=text) as caught:
        targets.load(where, (0, 1))
    assert "\n" not in str(caught.value)


KINDS = [FREE, UNIFORM, Family("dyadic-tree")]


@pytest.mark.parametrize("norm", [L1, L2, SUP], ids=["L1", "L2", "Sup"])
@pytest.mark.parametrize(
    "fn",
    [
        lambda x: np.abs(x - 0.3),
        lambda x: np.abs(x - 0.5),  # where halving meets it
        lambda x: np.abs(x - 0.25) + np.exp(x),
        lambda x: np.maximum(0, x - 0.37),
        lambda x: x**1.2,
        lambda x: np.abs(np.sin(7 * x)),
        lambda x: np.sqrt(np.abs(x - 0.4)),
    ],
)
def test_uniform_knots_have_no_rate_where_a_kink_was_not_declared(fn, norm):
    target = targets.Function(fn, (0.0, 1.0))
    assert target.rate(UNIFORM, norm) is None
    assert target.rate(Family("dyadic-tree"), norm) is None
    free = target.rate(FREE, norm)
    assert free is None or (free.gamma == 2.0 and free.estimated)


@pytest.mark.parametrize("where", [(), (0.5,)], ids=["undeclared", "declared"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda family: family.kind)
def test_a_jump_has_no_known_rate(kind, where):
    for fn in (lambda x: (x > 0.5) * 1.0, lambda x: np.exp(x) + 1e-3 * (x > 0.5)):
        target = targets.Function(fn, (0.0, 1.0), breakpoints=where)
        assert target.rate(kind, SUP) is None and target.rate(kind, L2) is None


def test_only_a_declared_bound_proves_a_rate():
    for fn in (np.exp, lambda x: x**2.5, lambda x: 1 / (1 + 25 * x**2)):
        for kind in KINDS:
            guess = targets.Function(fn, (0.0, 1.0)).rate(kind, SUP)
            assert guess.gamma == 2.0 and guess.estimated and "not proven" in guess.source
    declared = targets.Function(np.sin, (0.0, 1.0), curvature=1.0)
    assert not any(declared.rate(kind, SUP).estimated for kind in KINDS)
    assert not targets.get("exp").rate(FREE, SUP).estimated
