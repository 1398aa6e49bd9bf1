"""Codes: what is written is read again, bit for bit, in as many bits as are claimed."""

import fractions
import hashlib
import math
import struct

import hypothesis
import hypothesis.strategies as st
import jax
import numpy as np
import pytest
import scipy.special

from qrelu import bounds, codes, families, networks, norms, quantizers, targets
from qrelu.codes._arrays import code_array, grid_of
from qrelu.codes._coder import Count, Flag, Reader, Writer, natural, whole
from qrelu.codes._integers import Integers, Levels, falling, positions

FORMULAS = ("piecewise-constant-free", "cubic-spline", "cubic-spline-free", "polynomial")
FORMULAS += ("fourier-largest", "haar", "db2", "rational")
NETWORKS = ("free-knot", "uniform-knot", "dyadic-tree")


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


@hypothesis.given(st.lists(st.tuples(st.booleans(), st.floats(0.001, 0.999)), max_size=300))
@hypothesis.settings(deadline=None, max_examples=60)
def test_bits_come_back_in_as_many_as_their_entropy(events):
    writer = Writer()
    for bit, chance in events:
        writer.bit(int(bit), chance)
    data, bits = writer.finished()
    exact = sum(-math.log2(p if bit else 1 - p) for bit, p in events)
    # Probabilities have 24 digits in the coder; two bits for the end of an arithmetic code.
    assert bits <= exact * 1.001 + 2
    assert len(data) == -(-bits // 8)
    reader = Reader(data)
    assert [reader.bit(0, chance) for _, chance in events] == [int(bit) for bit, _ in events]


def test_plain_bits_are_the_payload_itself():
    """With probabilities of 1/2 a range coder writes the bits as they are: 0 becomes the upper half
    or the lower one, consistently."""
    writer = Writer()
    whole(writer, 0b1011001110001111, 16)
    data, bits = writer.finished()
    assert bits <= 16
    number = int.from_bytes(data.ljust(2, b"\0"), "big")
    assert number in (0b1011001110001111, 0b1011001110001111 ^ 0xFFFF)


class ByHand:
    """A range decoder written down from the definition: words of 32 bits, probabilities of 24.

    A bit with probability p of being 1 splits the interval at 1 + floor((1 - p) (2^24 - 2)) parts
    of 2^24, zeros below.
    """

    def __init__(self, data):
        data = data + bytes(-len(data) % 4 + 16)
        self.words = [int.from_bytes(data[i : i + 4], "big") for i in range(0, len(data), 4)]
        self.point = self.words.pop(0) << 32 | self.words.pop(0)
        self.lower, self.width, self.step = 0, 2**64 - 1, 0.0

    def bit(self, value, chance):
        del value
        chance = min(max(chance, 2.0**-12), 1 - 2.0**-12)
        zeros = 1 + int((1 - chance) * (2**24 - 2))
        part = self.width >> 24
        bit = int((self.point - self.lower) % 2**64 // part >= zeros)
        self.lower = (self.lower + part * zeros * bit) % 2**64
        self.width = part * (2**24 - zeros if bit else zeros)
        if self.width < 2**32:
            word = self.words.pop(0) if self.words else 0
            self.lower, self.width = self.lower << 32 & (2**64 - 1), self.width << 32
            self.point = (self.point << 32 & (2**64 - 1)) | word
        return bit


def test_a_decoder_written_by_hand_reads_the_same(monkeypatch):
    rng = np.random.default_rng(7)
    chances = rng.uniform(0, 1, 3000)
    bits = (rng.random(3000) < chances).astype(int).tolist()
    writer = Writer()
    for bit, chance in zip(bits, chances.tolist(), strict=True):
        writer.bit(bit, chance)
    data, _ = writer.finished()
    judge, reader = ByHand(data), Reader(data)
    assert [judge.bit(0, chance) for chance in chances.tolist()] == bits
    assert [reader.bit(0, chance) for chance in chances.tolist()] == bits
    fitted = families.Spline(4, "free").fit(targets.get("exp"), 24, norm=norms.L2()).function
    code = codes.encode(fitted)
    for name in ("__init__", "bit"):
        monkeypatch.setattr(Reader, name, getattr(ByHand, name))
    same(codes.decode(code), fitted)


def test_files_written_once_are_read():
    """Payloads as they were written once, with values worked out from the format."""
    code = codes.Code(2, (-1.0, 1.0), bytes.fromhex("40057c20"), 27)
    found = codes.decode(code)
    assert found.basis == "legendre" and np.array_equal(found.coefficients, [1.5, -0.75, 0.25])
    assert codes.encode(found) == code
    rough = np.array([5, -3, 40, 0, 0, 1, -17, 300, 2, -90]) / 16
    spline = families.BSplines(coefficients=rough, places=None, domain=(0.0, 1.0), order=2)
    payload = codes.encode(spline).payload.hex()
    assert payload == "2a7773e51e2cbccd7635c4eb10"
    line = codes.Code(7, (0.0, 1.0), bytes.fromhex("871cea80360e95cf4517e0"), 83)
    network = codes.decode(line)
    # Of order 2, step 2^-9, growing: the base 2 (128 P_0 + 43 P_1) steps, residuals -171, -42, -21
    # (in 2 steps from the second level on, 4 from the fourth), -6, -3 on the way to 1/3.
    base = [(256 + 86 * (2 * x - 1)) / 512 for x in (0, 1 / 4, 5 / 16, 11 / 32, 3 / 8, 1 / 2, 1)]
    middle = -171 / 512
    quarter = middle / 2 - 42 * 2 / 512
    third = (quarter + middle) / 2 - 21 * 2 / 512
    fourth = (quarter + third) / 2 - 6 * 4 / 512
    fifth = (fourth + third) / 2 - 3 * 4 / 512
    extra = [0, quarter, fourth, fifth, third, middle, 0]
    x = np.array([0, 1 / 4, 5 / 16, 11 / 32, 3 / 8, 1 / 2, 1])
    wanted = np.array(base) + extra
    np.testing.assert_allclose(np.ravel(networks.realize(network, x[:, None])), wanted, atol=1e-15)


@hypothesis.given(st.lists(st.integers(-(2**50), 2**50), max_size=60))
@hypothesis.settings(deadline=None, max_examples=25)
def test_whole_numbers_come_back(numbers):
    array = np.array(numbers, np.int64)
    models = {
        "integers": lambda c, v: [Integers().code(c, int(x)) for x in v],
        "falling": lambda c, v: falling(c, v, len(numbers), 0.25),
        "levels": lambda c, v: Levels(3).code(c, v, len(numbers)),
        "natural": lambda c, v: [natural(c, abs(int(x))) for x in v],
    }
    for name, model in models.items():
        data, bits, entropy = written(model, array)
        found = model(Reader(data), np.zeros(len(numbers), np.int64))
        wanted = np.abs(array) if name == "natural" else array
        assert np.array_equal(found, wanted), name
        assert bits <= entropy + 2


@hypothesis.given(st.sets(st.integers(0, 5000), max_size=80), st.booleans())
@hypothesis.settings(deadline=None, max_examples=60)
def test_positions_come_back(chosen, dense):
    places = np.array(sorted(chosen), np.int64) // (40 if dense else 1)
    places = np.unique(places)
    data, _, _ = written(lambda c: positions(c, places, 5001))
    assert np.array_equal(positions(Reader(data), np.zeros(0, np.int64), 5001), places)


def test_positions_take_hardly_more_than_the_enumeration():
    """For places drawn evenly: log2 of the number of ways, exactly, and what learning costs."""
    rng = np.random.default_rng(1)
    for count, total in ((100, 1000), (500, 1000), (40, 20_000)):
        places = np.sort(rng.choice(total, count, replace=False))
        _, bits, _ = written(lambda c, p=places, t=total: positions(c, p, t))
        ways = math.log2(math.comb(total, count))
        assert ways - 1 <= bits <= 1.08 * ways + 40


def test_a_flag_learns_its_probability():
    """Ones of probability 1/16: the entropy of a known coin, and what learning and forgetting
    costs."""
    bits = np.random.default_rng(0).random(4000) < 1 / 16
    flag = Flag()
    _, count, _ = written(lambda c: [flag.code(c, int(b)) for b in bits])
    exact = scipy.special.entr([1 / 16, 15 / 16]).sum() / math.log(2) * bits.size
    assert exact < count < 1.06 * exact


def test_counts_have_no_end():
    for number in (0, 1, 11, 12, 13, 1000):
        data, _, _ = written(lambda c, n=number: Count().code(c, n))
        assert Count().code(Reader(data), 0) == number


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([0.0, 0.0], 1.0),
        ([0.375, -1.125], 0.375),
        ([0.75, -1.5, 0.0, 3.0], 0.75),
        ([0.5, 0.75], 0.25),
        ([2.0**-40, 3 * 2.0**-40], 2.0**-40),
        ([1e300, 1.0], None),
    ],
)
def test_the_grid_of_an_array(values, step):
    """The greatest of 2^e and 3 2^e of which all values are short multiples."""
    found = grid_of(np.array(values))
    if step is None:
        assert found is None
    else:
        assert found is not None and found[0] == step
        assert np.array_equal(found[1] * step, values)


def test_arrays_of_every_sort_come_back():
    rng = np.random.default_rng(3)
    grid = 0.1 * rng.integers(-50, 50, 30)
    cases = [np.zeros(5), rng.standard_normal(7), grid, np.tile([2.0, -2.0, 2.0], 20), np.zeros(0)]
    cases += [np.arange(40) ** 2 / 64.0, np.array([-0.0, 5e-324, 1.7e308])]
    for case in cases:
        data, bits, _ = written(lambda c, a=case: code_array(c, a, a.size, (0.1,)))
        assert np.array_equal(code_array(Reader(data), np.zeros(0), case.size), case)
    # 40 squares on a grid are three numbers and zeros: their second differences.
    _, bits, _ = written(lambda c: code_array(c, np.arange(40) ** 2 / 64.0, 40))
    assert bits < 60
    _, bits, _ = written(lambda c: code_array(c, np.tile([2.0, -2.0, 2.0], 20), 60))
    assert bits < 36


@pytest.mark.parametrize("name", FORMULAS + NETWORKS)
def test_approximants_come_back_bit_for_bit(name, tmp_path):
    target, family = targets.get("exp"), families.get(name)
    fitted = family.fit(target, 24, norm=norms.L2())
    quantized = families.Quantized(family, families.Bits(9)).round(fitted, target, norm=norms.L2())
    for approximant in (fitted, quantized):
        code = codes.encode(approximant)
        code.save(tmp_path / "a.qrelu")
        size = (tmp_path / "a.qrelu").stat().st_size
        assert 8 * size == code.bits + code.header_bits and code.header_bits < 8 * 38
        same(codes.decode(codes.load(tmp_path / "a.qrelu")), approximant.function)
    assert code.bits < 0.5 * codes.encode(fitted).bits or name in NETWORKS + ("rational",)


# What a count leaves out is the step (two or three where parts have their own), sizes and shape.
@pytest.mark.parametrize("name", FORMULAS + NETWORKS)
def test_files_take_as_many_bits_as_are_counted_and_a_few_at_any_size(name):
    target, family = targets.get("exp"), families.get(name)
    for size in (4, 5, 8, 13, 24, 40, 64):
        if size < family.minimum_size:
            continue
        fitted = family.fit(target, size, norm=norms.L2())
        for rule in (families.Bits(4), families.Bits(9)):
            rounded = families.Quantized(family, rule).round(fitted, target, norm=norms.L2())
            code = codes.encode(rounded)
            same(codes.decode(code), rounded.function)
            assert code.bits <= 1.1 * rounded.bits + 50
            assert code.bits <= 1.1 * rounded.bits or size < 32 or name == "rational"


@pytest.mark.parametrize("norm", [norms.L2(), norms.Sup()])
def test_polynomials_on_any_grid_take_as_many_bits_as_are_counted(norm):
    """Steps that are no power of two, domains of any length, coefficients of which half vanish."""
    target = targets.Function(lambda x: np.sin(3 * x) + np.abs(x - 1.3), (-2.0, 5.0))
    even = targets.Function(lambda x: 1 / (1 + x * x), (-5.0, 5.0))
    family = families.Polynomial()
    for function, rule in ((target, families.Bits(8)), (even, families.Bits(13)), (even, None)):
        fitted = family.fit(function, 61, norm=norm)
        if rule is not None:
            fitted = families.Quantized(family, rule).round(fitted, function, norm=norm)
        code = codes.encode(fitted)
        same(codes.decode(code), fitted.function)
        assert code.bits <= 1.1 * fitted.bits


@pytest.mark.parametrize("name", ["free-knot", "dyadic-tree"])
def test_quantized_networks_take_fewer_bits_than_are_counted(name):
    """In the normal form a weight that leaves a neuron is as large as what enters it."""
    target = targets.Function(lambda x: np.sin(x) + np.abs(x - 1.3), (-2.0, 5.0))
    family = families.Quantized(families.get(name), families.Bits(8))
    fitted = family.fit(target, 52, norm=norms.L2())
    code = codes.encode(fitted)
    same(codes.decode(code), fitted.function)
    assert code.bits < fitted.bits


def test_networks_on_a_grid_come_back_whatever_their_balance():
    rng = np.random.default_rng(2)
    widths = (2, 5, 4, 3, 2)
    shapes = list(zip(widths[1:], widths[:-1], strict=True))
    weights = [0.375 * rng.integers(-9, 10, shape) for shape in shapes]
    biases = [0.375 * rng.integers(-9, 10, shape[0]) for shape in shapes]
    weights[1][:, 2] = weights[2][0] = 0.0
    plain = networks.ReLUNetwork(weights, biases)
    even = quantizers.quantize(networks.normalize(plain), quantizers.Uniform(0.125))
    for net in (plain, even, networks.ReLUNetwork([np.zeros((1, 1))], [np.zeros(1)])):
        same(codes.decode(codes.encode(net)), net)
    # What enters a neuron and what leaves it have one size: most numbers of `even` are known.
    assert codes.encode(even).kind == 13


def test_networks_of_other_types_and_shapes_come_back():
    rng = np.random.default_rng(5)
    weights = [rng.standard_normal((3, 2)).astype(np.float32), rng.integers(-3, 4, (1, 3)) / 2]
    biases = [np.zeros(3, np.float32), np.array([0.1])]
    same(codes.decode(codes.encode(net := networks.ReLUNetwork(weights, biases))), net)
    tree = families.DyadicTree(maps_per_level=1).fit(targets.get("sine"), 60, norm=norms.L2())
    same(codes.decode(codes.encode(tree)), tree.network)
    # The places of a tree's entries take no bits: a tree of the same entries, one elsewhere, does.
    first = tree.network.weights[2]
    columns = first.columns.copy()
    columns[0] = (columns[0] + 2) % first.shape[1]
    other = networks.SparseMatrix(first.values, first.rows, columns, first.shape)
    rest = tree.network.weights
    moved = networks.ReLUNetwork((*rest[:2], other, *rest[3:]), tree.network.biases)
    same(codes.decode(codes.encode(moved)), moved)
    assert codes.encode(moved).bits > codes.encode(tree).bits + 40


@pytest.mark.parametrize("name", ["linear-spline", "polynomial", "free-knot"])
def test_an_accuracy_that_is_met_makes_no_code_longer(name):
    target, norm = targets.get("exp"), norms.L2()
    family = families.Quantized(families.get(name), families.Bits(9))
    fitted = family.fit(target, 64, norm=norm)
    accuracy = 1.01 * float(norm.distance(fitted.function, target))
    code = codes.encode(fitted, target=target, accuracy=accuracy)
    assert code.bits <= codes.encode(fitted).bits
    assert float(norm.distance(codes.decode(code), target)) <= accuracy


@pytest.mark.parametrize("name", ["polynomial", "cubic-spline", "cubic-spline-free", "rational"])
def test_rounding_keeps_the_accuracy(name):
    target = targets.get("exp")
    fitted = families.get(name).fit(target, 18, norm=norms.L2())
    error = float(norms.L2().distance(fitted.function, target))
    code = codes.encode(fitted, target=target, accuracy=2 * error + 1e-6)
    found = codes.decode(code)
    assert float(norms.L2().distance(found, target)) <= 2 * error + 1e-6
    assert code.bits < 0.6 * codes.encode(fitted).bits
    with pytest.raises(ValueError, match=r"must be above the error of the function before"):
        codes.encode(fitted, target=target, accuracy=error / 2)


def walk(seed, cells=4096):
    """A random path of slopes +-1, sampled on its cells, as a function; and the path's values."""
    steps = np.random.default_rng(seed).choice([-1.0, 1.0], cells)
    values = np.concatenate([[0.0], np.cumsum(steps)]) / cells
    return lambda x: np.interp(x, np.linspace(0, 1, cells + 1), values)


@pytest.mark.parametrize("size", [12, 99])
def test_quotients_with_poles_near_by_are_rounded_or_kept(size):
    """Weights found anew have poles here; at 99 the error is rounding, which no step keeps."""
    target = targets.Function(lambda x: np.exp(-x) * np.sin(3 * x) + 0.1 * x, (-3, 7), name="f")
    fitted = families.Rational().fit(target, size, norm=norms.L2())
    accuracy = 1.05 * float(norms.L2().distance(fitted.function, target))
    code = codes.encode(fitted, target=target, accuracy=accuracy)
    assert float(norms.L2().distance(codes.decode(code), target)) <= accuracy
    assert code.bits < (0.6 if size == 12 else 1.01) * codes.encode(fitted).bits


@pytest.mark.parametrize("n", [1, 2, 3, 10, 97, 1000])
def test_lipschitz_functions_reach_the_entropy(n):
    accuracy = fractions.Fraction(1, n)
    for function in (np.sin, lambda x: -0.5 * x, lambda x: x, walk(n), lambda x: 0 * x):
        code = codes.lipschitz_path(function, accuracy)
        assert code.bits == n - 1 == bounds.lipschitz_bits(accuracy)
        assert len(code.payload) == -(-(n - 1) // 8)
        x = np.linspace(0, 1, 12 * n * 8 + 1)
        # Evaluation of the path rounds; exact otherwise.
        assert np.max(np.abs(codes.decode(code)(x) - function(x))) <= 1 / n + 1e-12


def test_the_payload_of_a_path_read_by_hand():
    code = codes.lipschitz_path(lambda x: np.minimum(x, 1 - x), fractions.Fraction(1, 8))
    bits = "".join(f"{byte:08b}" for byte in code.payload)[: code.bits]
    level, levels = 0, [0, 0]
    for bit in bits:
        level += 1 if bit == "1" else -1
        levels.append(level)
    x = np.arange(9) / 8
    assert np.array_equal(codes.decode(code)(x), np.array(levels) / 8)
    assert np.max(np.abs(np.array(levels) / 8 - np.minimum(x, 1 - x))) <= 1 / 8


def test_the_header_read_by_hand():
    """On [0, 1] ten bytes; elsewhere the ends follow the kind; long payloads, longer numbers."""
    code = codes.lipschitz_path(np.sin, 0.05)
    data = code.data
    assert data[:6] == b"qrc2" + bytes([32, 19])
    assert data[6:10] == hashlib.sha256(data[:6] + data[10:]).digest()[:4]
    assert data[10:] == code.payload and len(code.payload) == 3 and code.header_bits == 85
    other = codes.Code(1, (-2.0, 5.0), bytes(40), 313)
    data = other.data
    assert data[:5] == b"qrc2" + bytes([1 + 128])
    assert struct.unpack("<dd", data[5:21]) == (-2.0, 5.0)
    assert data[21] % 128 + 128 * data[22] == 313 and data[21] >= 128
    assert data[23:27] == hashlib.sha256(data[:23] + data[27:]).digest()[:4]
    assert data[27:] == bytes(40)


@pytest.mark.parametrize("bits", [0, 1, 127, 128, 16_383, 16_384, 2_100_000])
@pytest.mark.parametrize(
    "kind, domain",
    [
        (1, (0.0, 1.0)),
        (1, (0.0, 0.0)),
        (6, (0.0, 0.0)),
        (7, (-0.0, 1.0)),
        (11, ((0.0, 0.0), (1.0, 1.0))),
        (12, ((0.0, 1.0), (0.0, 1.0))),
        (32, (1e-300, 1e300)),
    ],
)
def test_headers_come_back(tmp_path, kind, domain, bits):
    code = codes.Code(kind, domain, np.random.default_rng(bits).bytes(-(-bits // 8)), bits)
    code.save(tmp_path / "a")
    assert 8 * (tmp_path / "a").stat().st_size == bits + code.header_bits
    found = codes.load(tmp_path / "a")
    assert found == code
    assert np.array_equal(np.signbit(found.domain), np.signbit(domain))


def test_damaged_files_are_refused(tmp_path):
    fitted = families.Polynomial().fit(targets.get("exp"), 8, norm=norms.L2())
    data = codes.encode(fitted).data
    place = tmp_path / "a.qrelu"

    def refused(content, match):
        place.write_bytes(content)
        with pytest.raises(ValueError, match=match):
            codes.load(place)

    refused(b"", "this one is empty")
    refused(b"PK\x03\x04 a foreign file", "another format")
    refused(b"qrelu c1" + data, "before the first release")
    refused(b"qrc2" + b"\xff" * 60, "its header has no end")
    header = len(data) - len(codes.encode(fitted).payload)
    for size in range(4, len(data)):
        header_too = f"in its header, after {size} bytes" if size < header else ": "
        refused(data[:size], f"cut off ?{header_too}")
    refused(data + b"x", "damaged|length")
    for place_of in range(len(data)):
        for bit in range(8):
            turned = bytearray(data)
            turned[place_of] ^= 1 << bit
            refused(bytes(turned), "damaged|cut off|another format")
    with pytest.raises(FileNotFoundError):
        codes.load(tmp_path / "none")
    assert list(tmp_path.iterdir()) == [place]


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 77])
def test_payloads_of_other_kinds_are_errors_or_functions(kind):
    """A code with a right checksum and random bits: no other error, no endless loop."""
    for seed in range(12):
        payload = np.random.default_rng(seed).bytes(24)
        try:
            codes.decode(codes.Code(kind, (0.0, 1.0), payload, 192))
        except ValueError as error:
            assert "`decode(code)` must get a code that this package wrote" in str(error)


@pytest.mark.parametrize("kind", [1, 5, 10])
def test_a_payload_that_promises_more_than_it_holds_is_refused_early(kind):
    """Sixteen bits that announce millions of terms, which would be read from the zeros beyond."""
    with pytest.raises(ValueError, match="payload ends before what it begins"):
        codes.decode(codes.Code(kind, (0.0, 1.0), b"\xff\xff", 16))


def test_figures_of_what_cannot_be_drawn_are_refused():
    def curve(target="exp", norm="L2", errors=(0.1, 0.01)):
        errors = np.array(errors)
        return codes.Curve("free-knot", target, norm, errors, errors, *(10 / (errors + 0.1),) * 3)

    good, nothing = curve(), curve(errors=(0.0, 0.0))
    assert codes.figure([good, nothing], encoding_rate=2).axes[0].get_title() == "exp"
    for call, match in (
        (lambda: codes.figure(None), "a list of what `codes.curve` returned; got NoneType"),
        (lambda: codes.figure(good), r"got Curve. Write `figure\(\[curve\]\)`"),
        (lambda: codes.figure([good], encoding_rate="1"), "must be a positive number; got '1'"),
    ):
        with pytest.raises(TypeError, match=match):
            call()
    for call, match in (
        (lambda: codes.figure([nothing], encoding_rate=1.0), "an error above zero; got 1 without"),
        (lambda: codes.figure([]), "got 0 without"),
        (lambda: codes.figure([good, curve("sqrt")]), "got exp in L2, sqrt in L2. Draw a figure"),
        (lambda: codes.figure([good, curve(norm="L1")]), "got exp in L1, exp in L2"),
        (lambda: codes.figure([good], encoding_rate=math.nan), "positive number; got nan"),
        (lambda: codes.figure([good], encoding_rate=-1), "positive number; got -1"),
    ):
        with pytest.raises(ValueError, match=match):
            call()


def test_bad_input_gets_a_sentence():
    target = targets.get("exp")
    far = targets.Function(np.sin, (-3, 7), name="f")
    fitted = families.Polynomial().fit(target, 8, norm=norms.L2())
    for call, match in (
        (lambda: codes.encode(np.sin), "must get an Approximant, a formula"),
        (lambda: codes.lipschitz_path("x", 0.1), "must get a function; got 'x'"),
        (lambda: codes.lipschitz_path(np.sin, "0.1"), "must be a number in"),
        (lambda: codes.curve(families.FreeKnot(), target, ["a"]), "must get positive numbers"),
        (lambda: codes.figure([1.0]), "must get a list of what"),
        (lambda: codes.load(None), r"`codes.load\(path\)`"),
        (lambda: codes.decode(b"abc"), "must get a Code; got bytes"),
        (lambda: codes.shortest("free-knot", target, 0.1), "must get a family, for example"),
        (lambda: codes.shortest(families.FreeKnot(), target, "0.1"), "must be a positive number"),
    ):
        with pytest.raises(TypeError, match=match):
            call()
    for call, match in (
        (lambda: codes.encode(fitted, accuracy=0.1), "must get both or neither"),
        (lambda: codes.shortest(families.FreeKnot(), target, -1.0), "positive number; got -1.0"),
        (lambda: codes.lipschitz_path(np.sin, 0), "must lie in"),
        (lambda: codes.lipschitz_path(np.cos, 0.1), r"must have f\(0\) = 0; got 1"),
        (lambda: codes.lipschitz_path(lambda x: 3 * x, 0.1), "slope of 3"),
        (lambda: codes.lipschitz_path(lambda x: x[:2], 0.1), "numbers of the shape"),
        (
            lambda: codes.lipschitz_path(lambda x: np.where(x < 0.5, x, np.inf), 0.1),
            r"f\(0.5\) is inf",
        ),
        (lambda: codes.lipschitz_path(np.sin, math.nan), "must lie in"),
        (lambda: codes.lipschitz_path(math.sin, 0.1), "must take an array of points.*TypeError"),
        (lambda: codes.lipschitz_path(far, 0.1), r"on \[0, 1\]; `f` lives on \(-3.0, 7.0\)"),
        (lambda: codes.curve(families.FreeKnot(), target, [0.1, math.nan]), "number; got nan"),
        (lambda: codes.encode(fitted, target=target, accuracy=math.nan), "number; got nan"),
        (lambda: codes.shortest(families.Fourier(), target, 1e-6), "does not with the sizes"),
    ):
        with pytest.raises(ValueError, match=match):
            call()
