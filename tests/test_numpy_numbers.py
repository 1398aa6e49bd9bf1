"""NumPy's numbers are numbers: every constructor takes them silently and keeps plain ones."""

import dataclasses
import math
import warnings

import equinox as eqx
import jax
import numpy as np
import pytest

from qrelu import bounds, families, norms, quantizers, studies, targets, training

# Every public class with numbers that are not arrays, and values for each of those numbers.
CASES = [
    (families.Spline, dict(order=3)),
    (families.DyadicTree, dict(maps_per_level=1)),
    (families.Bits, dict(bits=6)),
    (families.MatchedBits, dict(factor=2.0, least=3, most=20)),
    (families.TheoryStep, dict(gamma=2.0)),
    (targets.Lipschitz, dict(radius=2.0)),
    (targets.Hoelder, dict(smoothness=0.5, radius=2.0)),
    (targets.Sobolev, dict(smoothness=1, p=2.0, dimension=1, radius=2.0)),
    (targets.Besov, dict(smoothness=1.5, p=2.0, q=4.0, dimension=1, radius=2.0)),
    (targets.BoundedVariation, dict(radius=2.0)),
    (targets.PiecewiseSmooth, dict(smoothness=1.0, jumps=2, radius=2.0)),
    (targets.Cartoon, dict(smoothness=1.0, dimension=2, radius=2.0)),
    (lambda **kw: targets.Function(np.sin, (0, 1), **kw), dict(curvature=1.0)),
    (lambda **kw: targets.Function(np.sin, (0, 1), **kw), dict(curvature=1)),
    (lambda **kw: targets.Multivariate(lambda x: x[:, 0], (0, 1), **kw), dict(dimension=2, l2=0.5)),
    (norms.L1, dict(accuracy=0.5, points=1024)),
    (norms.L2, dict(accuracy=0.5, points=1024)),
    (norms.Sup, dict(accuracy=0.5, points=1024)),
    (
        lambda **kw: norms.GaussLegendre((0, 1), **kw),
        dict(cells=2, points=3),
    ),
    (
        lambda **kw: norms.QuasiMonteCarlo((0, 1), **kw),
        dict(points=16, dimension=2, seed=1),
    ),
    (quantizers.FixedPoint, dict(integer_bits=1, fraction_bits=3)),
    (quantizers.LSQ, dict(bits=4, axis=0)),
    (quantizers.PowersOfTwo, dict(bits=4, largest=1)),
    (quantizers.AbsMax, dict(bits=4, axis=0, clip=0.5)),
    (lambda **kw: quantizers.AbsMax(4, "group", **kw), dict(group_size=2)),
    (quantizers.MinMax, dict(bits=4, axis=0)),
    (lambda **kw: quantizers.MinMax(4, "group", **kw), dict(group_size=2)),
    (quantizers.Uniform, dict(step=0.5, bits=4)),
    (quantizers.Affine, dict(step=0.5, zero_point=1, bits=4)),
    (lambda **kw: quantizers.Uniform.from_bits(**kw), dict(bits=4, magnitude=2.0)),
    (quantizers.QuantizedReLU, dict(bits=4, upper=2.0)),
    (bounds.Growth, dict(coefficient=2.0, power=0.5, log_power=0.5)),
    (
        lambda **kw: bounds.ReLUSequence(bounds.Growth(2), bounds.Growth(1), **kw),
        dict(inputs=2, outputs=2, input_radius=2.0, p=2.0),
    ),
    (
        lambda **kw: bounds.DictionarySequence(bounds.Growth(1), bounds.Growth(1), **kw),
        dict(atom_norm=2.0),
    ),
    (training.EqualWidths, dict(depth=3)),
    (lambda **kw: training.Trained(**kw), dict(starts=2, rounds=3)),
    (training.Marquardt, dict(rtol=0.5, atol=0.5)),
    (
        lambda **kw: training.RandomReLUDictionary((0, 1), **kw),
        dict(count=16, dimension=2, seed=1),
    ),
    (
        lambda **kw: studies.Study(
            [targets.Lipschitz()], [families.Fourier()], [9], norms.L2(), **kw
        ),
        dict(draws=2),
    ),
]


def _each():
    for make, numbers in CASES:
        for name, value in numbers.items():
            whole = isinstance(value, int)
            kinds = [np.int32, np.int64, np.uint16] if whole else [np.float32, np.float64]
            kinds += [np.int64] if not whole and value == int(value) else []
            for kind in dict.fromkeys(kinds):
                words = getattr(make, "__name__", "") + f"({name}={kind.__name__})"
                yield pytest.param(make, numbers, name, kind(value), id=words)


def _static(tree):
    """The fields of modules that JAX sees as structure, of modules inside too."""
    if not dataclasses.is_dataclass(tree):
        return
    for field in dataclasses.fields(tree):
        value = getattr(tree, field.name, None)
        if field.metadata.get("static"):
            yield value
        else:
            yield from _static(value)


@pytest.mark.parametrize("make, numbers, name, value", list(_each()))
def test_numbers_of_numpy_are_taken_and_kept_as_plain_ones(make, numbers, name, value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = make(**numbers)
        made = make(**{**numbers, name: value})
    assert not any(isinstance(entry, np.generic | np.ndarray) for entry in _static(made))
    if isinstance(made, eqx.Module) and not isinstance(made, targets.AbstractTarget):
        same = jax.tree.structure(made) == jax.tree.structure(plain)
        assert same, (jax.tree.structure(made), jax.tree.structure(plain))


def test_short_floats_are_those_numbers():
    assert targets.Hoelder(np.float32(0.1)).smoothness == float(np.float32(0.1))
    assert type(targets.Sobolev(np.int64(1)).smoothness) is int
    assert math.isinf(targets.Besov(1.0, np.float64(math.inf)).p)


@pytest.mark.parametrize("flag", [True, np.True_])
@pytest.mark.parametrize(
    "make",
    [
        families.Spline,
        families.Bits,
        targets.Lipschitz,
        targets.Hoelder,
        lambda flag: targets.Sobolev(1, flag),
        lambda flag: targets.PiecewiseSmooth(1.0, flag),
        lambda flag: targets.Function(np.sin, (0, 1), curvature=flag),
        lambda flag: quantizers.FixedPoint(flag, 3),
        training.EqualWidths,
    ],
)
def test_true_is_no_number(make, flag):
    with pytest.raises((ValueError, TypeError)):
        make(flag)
