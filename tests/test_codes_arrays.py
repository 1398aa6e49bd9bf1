"""Codes of arrays of every sort in the bits that are counted, and of damaged ones in none."""

import dataclasses
import math

import jax
import numpy as np
import pytest

from qrelu import codes, families, networks, norms, quantizers, targets
from qrelu.codes._arrays import code_array, code_step, grid_of
from qrelu.codes._coder import Count, Reader, Writer, natural, sized, whole
from qrelu.codes._integers import falling


def same(found, wanted):
    """The same tree with the same numbers in it."""
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert a.dtype == b.dtype and np.array_equal(a, b)


def written(model, *values):
    """The bits of one model's call, and what is read from them."""
    writer = Writer()
    model(writer, *values)
    data, bits = writer.finished()
    return data, bits, writer.entropy


@pytest.mark.parametrize("name", ["linear-spline", "polynomial", "dyadic-tree", "fourier"])
@pytest.mark.parametrize("bits", [45, 46, 52])
def test_files_of_many_bits_take_as_many_as_are_counted(name, bits):
    target, family = targets.get("exp"), families.get(name)
    fitted = family.fit(target, 96, norm=norms.L2())
    rounded = families.Quantized(family, families.Bits(bits)).round(fitted, target, norm=norms.L2())
    code = codes.encode(rounded)
    same(codes.decode(code), rounded.function)
    assert code.bits <= 1.1 * rounded.bits


def drawn(widths=(1, 12, 8, 1), kind="float64"):
    """A network with normal parameters, biases too."""
    rng = np.random.default_rng(0)
    shapes = list(zip(widths[1:], widths[:-1], strict=True))
    weights = [rng.standard_normal(shape).astype(np.dtype(kind)) for shape in shapes]
    biases = [rng.standard_normal(shape[0]).astype(np.dtype(kind)) for shape in shapes]
    return networks.ReLUNetwork(weights, biases)


@pytest.mark.parametrize(
    "kind, bits", [("float64", 64), ("float32", 32), ("float16", 16), ("bfloat16", 16)]
)
def test_networks_take_no_more_than_the_bits_of_their_type(kind, bits):
    code = codes.encode(net := drawn(kind=kind))
    same(codes.decode(code), net)
    assert code.bits <= bits * net.connectivity + 60


@pytest.mark.parametrize("kind", ["float64", "float32"])
@pytest.mark.parametrize("bits", [3, 8, 11, 16])
def test_networks_on_a_grid_of_any_step_take_as_many_bits_as_are_counted(kind, bits):
    """The step is not told: the greatest common one is found."""
    net = drawn(kind=kind)
    if kind == "float32" and bits == 16:
        pytest.skip("products of two numbers of 24 digits are too inexact for these")
    net = quantizers.quantize(net, quantizers.Uniform.from_bits(bits, float(net.magnitude)))
    code = codes.encode(net)
    same(codes.decode(code), net)
    assert code.bits <= 1.1 * bits * 137 + 100  # the step takes 64


def test_networks_of_few_values_are_tables():
    net = quantizers.quantize(drawn(), quantizers.Codebook([-0.7, -0.1, 0.1, 0.7]))
    rough = quantizers.quantize(
        drawn(), quantizers.Codebook(np.random.default_rng(1).normal(size=16))
    )
    for given, most in ((net, 2 * 137 + 350), (rough, 4 * 137 + 16 * 64 + 150)):
        code = codes.encode(given)
        same(codes.decode(code), given)
        assert code.bits <= most


@pytest.mark.parametrize("name", ["polynomial", "cubic-spline", "haar", "free-knot"])
def test_approximants_with_a_codebook_are_tables(name):
    target, norm = targets.get("runge"), norms.L2()
    fitted = families.get(name).fit(target, 96, norm=norm)
    values = np.random.default_rng(0).normal(size=8) * fitted.function.magnitude
    book = quantizers.Codebook(values)
    function = quantizers.quantize(fitted.function, book)
    code = codes.encode(dataclasses.replace(fitted, function=function, quantizer=book))
    same(codes.decode(code), function)
    assert code.bits <= 1.1 * 3 * function.connectivity + 8 * 64 + 100


def test_common_steps_of_random_numbers():
    """Multiples of a step in the rationals, rounded once; and numbers without any step."""
    rng = np.random.default_rng(4)
    for bits in (2, 5, 8, 13, 18):
        step = float(rng.uniform(0.5, 1) * 2.0 ** rng.integers(-30, 30))
        numbers = rng.integers(-(2**bits), 2**bits, 200)
        found = grid_of(numbers * step)
        assert found is not None and np.array_equal(found[0] * found[1], numbers * step)
        assert np.abs(found[1]).max() <= np.abs(numbers).max()
    found = grid_of(rng.uniform(0.5, 1, 200))
    assert found is not None and math.frexp(found[0])[0] == 0.5


def test_a_table_of_tables_is_refused():
    writer = Writer()
    for _ in range(2):
        writer.bit(0, 0.95)
        whole(writer, 0xFFF, 12)
        whole(writer, 3, 2)
        sized(writer, 1)
    with pytest.raises(ValueError, match="a table of a table"):
        code_array(Reader(writer.finished()[0]), np.zeros(0), 8)


def test_whole_numbers_of_all_53_bits_come_back():
    numbers = np.array([2**53 - 1, -(2**53) + 1, 2**52 + 1, 1, 0, -3, 2**53 - 5]) * 2.0**-60
    data, bits, _ = written(lambda c: code_array(c, numbers, 7))
    assert np.array_equal(code_array(Reader(data), np.zeros(0), 7), numbers)
    assert bits < 7 * 53


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_parameters_that_are_not_finite_are_refused(value):
    weights = [np.full((4, 1), value), np.ones((1, 4))]
    weights[0][1:] = 0.5
    net = networks.ReLUNetwork(weights, [np.zeros(4), np.zeros(1)])
    with pytest.raises(ValueError, match="must get finite parameters; got 1 that is NaN or inf"):
        codes.encode(net)


@pytest.mark.parametrize("kind", [7, 8, 9])
@pytest.mark.parametrize(
    "payload, bits", [("f18310a7c0", 34), ("4984f0915ad8f9b593438a13a1cb9c4222c0ef35", 155)]
)
def test_a_payload_of_endless_halvings_is_refused(kind, payload, bits):
    """Few bits that halve all intervals so often that no memory holds the knots."""
    with pytest.raises(ValueError, match="more than 65536 pieces or 50 levels"):
        codes.decode(codes.Code(kind, (0.0, 1.0), bytes.fromhex(payload), bits))


def test_a_damaged_line_has_no_endless_numbers():
    """A huge number of terms, and values beyond float64, in a file of the right form."""

    def payload(step, terms, first):
        writer = Writer()
        code_step(writer, step, 0.95)
        Count(((0.4, 1.2),)).code(writer, 0)
        Count(((0.6, 1.0),)).code(writer, terms - 2)
        falling(writer, np.array([first] + [0] * 9), min(terms, 10), 2 * step)
        writer.bit(1, 0.8)
        Count().code(writer, 0)
        return codes.Code(7, (0.0, 1.0), *writer.finished())

    assert codes.decode(payload(1.0, 2, 3)).widths == (1, 1, 1)
    with pytest.raises(ValueError, match="a polynomial of 1099511627776 terms"):
        codes.decode(payload(1.0, 2**40, 3))
    with pytest.raises(ValueError, match="its values are not finite"):
        codes.decode(payload(2.0**990, 2, 2**50))


def test_a_damaged_network_is_not_larger_than_memory():
    def payload(widths, places):
        writer = Writer()
        natural(writer, len(widths) - 2)
        for width in widths:
            natural(writer, width - 1)
        writer.bit(0, 0.5)  # each array by itself
        writer.bit(1, 0.2)  # a sparse matrix
        whole(writer, 0, 2)
        sized(writer, places)
        return codes.Code(6, (0.0, 0.0), *writer.finished())

    for widths, places, match in (
        ((1, 2**40), 0, "it has 1099511627777 neurons"),
        ((2**22, 2**22), 2**40, "it names 1099511627776 places"),
    ):
        with pytest.raises(ValueError, match=match):
            codes.decode(payload(widths, places))
