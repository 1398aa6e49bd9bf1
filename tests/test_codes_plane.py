"""Codes of functions of several variables: formulas on rectangles, networks with several inputs."""

import math
import struct

import jax
import numpy as np
import pytest

from qrelu import codes, families, networks, norms, targets
from qrelu.codes._coder import Reader, Writer, cheapest, natural
from qrelu.codes._plane_series import plane_series

FAMILIES = (
    families.TensorPolynomial(),
    families.TensorPolynomial("tensor"),
    families.TensorPolynomial("hyperbolic"),
    families.TensorFourier(),
    families.TensorFourier("largest"),
    families.TensorWavelet(),
    families.TensorWavelet("db2"),
    families.TensorWavelet("db3", "periodic"),
    families.TensorWavelet(basis="hyperbolic"),
    families.TensorWavelet("db2", basis="hyperbolic"),
)
PICTURE, NORM = targets.cartoon(), norms.L2(points=2**12)
BOX = ((0.0, -1.0), (2.0, 3.0))


def same(found, wanted):
    """The same tree with the same numbers in it."""
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert a.dtype == b.dtype and np.array_equal(a, b)


def rough(rng, size):
    return rng.integers(-40, 40, size) / 16


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.kind + f.name[-6:])
def test_formulas_of_two_variables_come_back(family, tmp_path):
    fitted = family.fit(PICTURE, 100, norm=NORM)
    rounded = families.Quantized(family, families.Bits(9)).round(fitted, PICTURE, norm=NORM)
    for approximant in (fitted, rounded):
        code = codes.encode(approximant)
        code.save(tmp_path / "a.qrelu")
        same(codes.decode(codes.load(tmp_path / "a.qrelu")), approximant.function)
        size = (tmp_path / "a.qrelu").stat().st_size
        assert 8 * size == code.bits + code.header_bits and code.header_bits < 8 * 54
    # A grid of any step has its 64 bits to tell.
    assert code.bits <= 1.1 * (rounded.bits + 64)
    assert 2 * code.bits < codes.encode(fitted).bits


@pytest.mark.parametrize("family", [FAMILIES[k] for k in (0, 4, 5)], ids=lambda f: f.kind)
def test_rounding_keeps_the_accuracy(family):
    fitted = family.fit(PICTURE, 64, norm=NORM)
    error = float(NORM.distance(fitted.function, PICTURE))
    code = codes.encode(fitted, target=PICTURE, accuracy=1.1 * error, norm=NORM)
    found = codes.decode(code)
    assert float(NORM.distance(found, PICTURE)) <= 1.1 * error
    matched = families.Quantized(family, families.MatchedBits())
    assert code.bits < 0.85 * matched.round(fitted, PICTURE, norm=NORM).bits
    with pytest.raises(ValueError, match="must be above the error of the function before"):
        codes.encode(fitted, target=PICTURE, accuracy=0.9 * error, norm=NORM)


def test_the_fewest_bits_of_a_picture():
    found = codes.curve(families.TensorWavelet(), PICTURE, [0.2, 0.1], norm=NORM)
    assert np.all(found.errors <= found.accuracies) and found.bits[0] < found.bits[1] < 400
    assert found.table().height == 2


def test_few_bits_on_a_domain_of_another_size():
    """The same function of x / 1000, whose L^2 error is 1000 times as large."""
    values = (
        lambda p: np.exp(p[..., 0]) * p[..., 1],
        lambda p: np.exp(p[..., 0] / 1e3) * p[..., 1],
    )
    small, large = (
        targets.Multivariate(value, ((0, 0), (side, 1)), name="f")
        for value, side in zip(values, (1.0, 1e3), strict=True)
    )
    bits = [
        codes.shortest(families.TensorPolynomial(), f, accuracy, norm=NORM).bits
        for f, accuracy in ((small, 1e-2), (large, 1e-2 * math.sqrt(1e3)))
    ]
    assert bits[0] == bits[1] < 80


def test_the_header_of_a_rectangle_read_by_hand():
    terms = np.array([[0, 0], [1, 0], [0, 2]])
    function = families.TensorSeries(np.array([1.0, -0.5, 2.0]), terms, BOX, "waves", True)
    data = codes.encode(function).data
    assert data[:5] == b"qrc2" + bytes([11 + 128])
    assert struct.unpack("<4d", data[5:37]) == (0.0, -1.0, 2.0, 3.0)
    assert len(data) == 42 + -(-data[37] // 8)
    same(codes.decode(codes.encode(function)), function)


@pytest.mark.parametrize("seed", range(4))
def test_series_and_wavelets_that_no_family_makes(seed):
    rng = np.random.default_rng(seed)
    flat = np.sort(rng.choice(12 * 30, 25, replace=False))
    terms = np.stack(np.divmod(flat, 30), axis=1)
    for basis in ("legendre", "waves"):
        function = families.TensorSeries(rough(rng, 25), terms, BOX, basis, bool(seed % 2))
        same(codes.decode(codes.encode(function)), function)
        # Rows in no order at all: the same terms, row by row.
        mixed = rng.permutation(25)
        other = families.TensorSeries(
            function.coefficients[mixed], terms[mixed], BOX, basis, bool(seed % 2)
        )
        same(codes.decode(codes.encode(other)), function)
    for hyperbolic in (False, True):
        for wavelet, levels, reflected in (("haar", 5, False), ("db2", 4, True), ("db8", 6, False)):
            places = 4 ** (levels + reflected)
            chosen = np.sort(rng.choice(places, 60, replace=False))
            chosen = chosen if seed else np.array([places - 1])
            function = families.TensorWaveletSum(
                rough(rng, chosen.size), chosen, BOX, wavelet, levels, reflected, hyperbolic
            )
            same(codes.decode(codes.encode(function)), function)


def test_numbers_at_the_end_of_float64_come_back():
    terms = np.stack([np.arange(6), np.arange(6)], axis=1)
    values = np.array([5e-324, 1.7e308, -0.1, 3e-310, 1.0, 2.0])
    function = families.TensorSeries(values, terms, BOX, "legendre", False)
    same(codes.decode(codes.encode(function)), function)


def test_the_first_pairs_take_no_positions():
    """A triangle of degrees: the bits of its pairs do not grow with their number."""
    framing = []
    for degree in (5, 20):
        terms = [(i, s - i) for s in range(degree + 1) for i in range(s + 1)]
        function = families.TensorSeries(
            np.ones(len(terms)), np.array(terms), BOX, "legendre", False
        )
        framing.append(codes.encode(function).bits)
    # Numbers that are all equal take a few bits too.
    assert framing[1] < framing[0] + 16 < 70


def test_edges_are_named_in_fewer_bits_than_an_enumeration():
    """Haar wavelets along an edge: the tree of squares knows where the next ones lie."""
    function = families.TensorWavelet().fit(PICTURE, 512, norm=NORM).function
    ones = families.TensorWaveletSum(
        np.ones(512), function.terms, function.domain, "haar", function.levels, False, False
    )
    assert codes.encode(ones).bits < 0.8 * function.position_bits


def test_networks_with_several_inputs():
    rng = np.random.default_rng(2)
    shapes = [(6, 3), (4, 6), (2, 4)]
    for kind in (np.float64, np.float32):
        weights = [rough(rng, shape).astype(kind) for shape in shapes]
        biases = [rough(rng, shape[0]).astype(kind) for shape in shapes]
        net = networks.ReLUNetwork(weights, biases)
        code = codes.encode(net)
        same(codes.decode(code), net)
        # 68 numbers of 80 values, each in log2 80 bits, and 10 % for what learning costs.
        assert code.bits < 1.1 * 68 * math.log2(80)
        sparse = networks.sparsify(networks.ReLUNetwork([weights[0] * 0, *weights[1:]], biases))
        same(codes.decode(codes.encode(sparse)), sparse)


def test_a_network_with_two_inputs_is_rounded():
    rng = np.random.default_rng(4)
    net = networks.ReLUNetwork(
        [rng.standard_normal((8, 2)), rng.standard_normal((1, 8))],
        [rng.standard_normal(8), rng.standard_normal(1)],
    )
    target = targets.Multivariate(
        lambda p: np.asarray(networks.realize(net, p))[..., 0], ((0, 0), (1, 1)), name="itself"
    )
    code = codes.encode(net, target=target, accuracy=0.02, norm=NORM)
    found = codes.decode(code)
    assert found.widths == net.widths and code.bits < 33 * 11
    assert float(NORM.distance(found, target)) <= 0.02


def test_only_a_writer_weighs_the_ways():
    ways = [lambda c: natural(c, 100), lambda c: natural(c, 1)]
    assert cheapest(Writer(), ways) == 1
    assert cheapest(Reader(b""), ways) == 0


@pytest.mark.parametrize("kind", [11, 12])
def test_random_payloads_are_errors_or_functions(kind):
    for seed in range(30):
        payload = np.random.default_rng(seed).bytes(24)
        try:
            codes.decode(codes.Code(kind, BOX, payload, 192))
        except ValueError as error:
            assert "`decode(code)` must get a code that this package wrote" in str(error)


def test_damaged_files_of_rectangles_are_refused(tmp_path):
    fitted = families.TensorWavelet().fit(PICTURE, 4, norm=NORM)
    data, place = codes.encode(fitted).data, tmp_path / "a.qrelu"
    for at in range(0, 8 * len(data), 13):
        turned = bytearray(data)
        turned[at // 8] ^= 1 << at % 8
        place.write_bytes(turned)
        with pytest.raises(ValueError, match="damaged|cut off|another format|length"):
            codes.load(place)
    for length in range(len(data)):
        place.write_bytes(data[:length])
        with pytest.raises(ValueError, match="cut off|another format|empty"):
            codes.load(place)


def test_bad_input_gets_a_sentence():
    one = families.Polynomial().fit(targets.get("exp"), 4, norm=norms.L2())
    two = families.TensorPolynomial().fit(PICTURE, 4, norm=NORM)
    twice = families.TensorSeries(np.ones(2), np.array([[1, 1], [1, 1]]), BOX, "waves", True)
    unsorted = families.TensorWaveletSum(np.ones(2), np.array([3, 1]), BOX, "haar", 3, False, False)
    code = codes.encode(two)
    for call, match in (
        (lambda: codes.encode(one, target=PICTURE, accuracy=0.1), "a target of 1 variable, as the"),
        (
            lambda: codes.encode(two, target=targets.get("exp"), accuracy=0.1),
            "of 2 variables, as the function has; got `exp.*` of 1",
        ),
        (lambda: codes.encode(twice), "the same pair of terms twice"),
        (lambda: codes.encode(unsorted), "not increasing"),
        (lambda: codes.decode(code._replace(domain=(0.0, 1.0))), "its domain is"),
        (lambda: codes.shortest(families.FreeKnot(), PICTURE, 0.1), "needs a function of one"),
        (lambda: codes.shortest(families.Polynomial(), PICTURE, 0.1), "needs a function of one"),
        (
            lambda: codes.shortest(families.TensorWavelet(), targets.get("exp"), 0.1),
            "needs a function of two variables",
        ),
    ):
        with pytest.raises(ValueError, match=match):
            call()


def test_a_reader_of_pairs_has_a_limit():
    writer = Writer()
    for bit in (0, 0):
        writer.bit(bit, 0.5)
    for side in (2**12, 2**12):
        natural(writer, side)
    with pytest.raises(ValueError, match="it has pairs among 4097 x 4097"):
        plane_series(Reader(writer.finished()[0]), None, BOX)


def test_few_terms_are_chosen_of_a_sum_with_many():
    """Of 128 wavelets the same 45 as of a sum of 45: small terms are not worth their places."""
    norm = norms.L2(points=2**12)
    few, many = (families.TensorWavelet("db2").fit(PICTURE, m, norm=norm) for m in (45, 128))
    bits = [codes.encode(f, target=PICTURE, accuracy=0.1, norm=norm).bits for f in (few, many)]
    assert bits[1] <= 1.05 * bits[0]
