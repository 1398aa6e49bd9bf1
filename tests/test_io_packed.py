"""Packed networks and certificates: every bit comes back, every change is noticed."""

import hashlib
import json
import re
from fractions import Fraction

import numpy as np
import pytest
import safetensors.numpy

from qrelu import bounds, io, networks, quantizers, realize


def _network(widths=(1, 6, 5, 2), dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    shapes = list(zip(widths, widths[1:], strict=False))
    return networks.ReLUNetwork(
        [(rng.normal(size=(n, m)) * (2 / m) ** 0.5).astype(dtype) for m, n in shapes],
        [(rng.normal(size=n) * 0.1).astype(dtype) for _, n in shapes],
    )


def _leaves(network):
    return [np.asarray(p) for p in (*network.weights, *network.biases)]


def _values(network, xs):
    h = xs.T
    for i, (w, b) in enumerate(zip(network.weights, network.biases, strict=True)):
        h = w @ (np.maximum(h, 0) if i else h) + b[:, None]
    return h


def _same(a, b):
    pairs = zip(_leaves(a), _leaves(b), strict=True)
    return all(x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in pairs)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("per", ["network", "layer", "channel"])
def test_what_is_written_is_read_bit_for_bit(tmp_path, dtype, per):
    net = _network(dtype=dtype)
    found = bounds.allocate_bits(net, 0.5, (-1, 1), per=per, evaluation="exact", curve=False)
    path = tmp_path / "packed.safetensors"
    io.save_packed(path, found.network, found.grids)
    packed = io.load_packed(path)
    assert _same(packed.network, found.network)
    assert packed.bits == found.total
    assert packed.bits + packed.header_bits == 8 * path.stat().st_size
    # The codes take their bits and nothing more; the rest is the same for any number of units.
    codes = safetensors.numpy.load(path.read_bytes())["codes"]
    assert codes.size == -(-found.total // 8)
    again = tmp_path / "again.safetensors"
    io.save_packed(again, packed.network, packed.grids)
    assert again.read_bytes() == path.read_bytes()


def test_the_format_is_the_one_that_is_described(tmp_path):
    """Read by hand: codes as whole numbers of bits, times the steps, in exact arithmetic."""
    net = _network((2, 3, 1))
    found = bounds.certify_bits(net, 5, (-1, 1), per="channel", curve=False)
    path = tmp_path / "packed.safetensors"
    io.save_packed(path, found.network, found.grids)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    record = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["qrelu"])
    tensors = safetensors.numpy.load(data)
    assert record["widths"] == [2, 3, 1] and record["dtypes"] == "float64" and record["per_row"]
    digest = record.pop("sha256")
    text = json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
    text += b"".join(tensors[name].tobytes() for name in ("bits", "steps", "codes"))
    assert hashlib.sha256(text).hexdigest() == digest
    string = int.from_bytes(tensors["codes"].tobytes(), "little")
    arrays = [p for pair in zip(*[iter(_ordered(found.network))] * 2, strict=True) for p in pair]
    row = place = 0
    for array in arrays:
        for numbers in array.reshape(len(array), -1):
            bits, step = int(tensors["bits"][row]), Fraction(tensors["steps"][row])
            for number in numbers:
                code = (string >> place) & (2**bits - 1)
                code -= 2**bits if code >> (bits - 1) else 0
                assert float(code * step) == number
                place += bits
            row += 1
    assert place == found.total and string >> place == 0


def _ordered(network):
    pairs = zip(network.weights, network.biases, strict=True)
    return [np.asarray(p) for pair in pairs for p in pair]


def test_other_grids(tmp_path):
    net = _network()
    path = tmp_path / "packed.safetensors"
    q = quantizers.FixedPoint(2, 5)
    rounded = networks.ReLUNetwork(
        [np.asarray(q(w)) for w in net.weights], [np.asarray(q(b)) for b in net.biases]
    )
    io.save_packed(path, rounded, [(q, q)] * 3)
    assert _same(io.load_packed(path).network, rounded)
    pair = quantizers.Uniform.from_bits(1, 2.0)  # no zero: plus and minus one
    signs = networks.ReLUNetwork(
        [np.asarray(pair(w)) for w in net.weights], [np.asarray(pair(b)) for b in net.biases]
    )
    io.save_packed(path, signs, [(pair, pair)] * 3)
    packed = io.load_packed(path)
    assert _same(packed.network, signs) and packed.bits == sum(p.size for p in _leaves(net))


def test_bad_calls_write_nothing(tmp_path):
    net = _network()
    path = tmp_path / "packed.safetensors"
    q = quantizers.Uniform.from_bits(5, 4.0)
    for network, grids, text in (
        (net, [(q, q)] * 3, "parameters on their grids; layer 0, weight"),
        (net, [(q, q)] * 2, "pair of grids for each of the 3 layers; got 2"),
        (networks.stack([net, net]), [(q, q)] * 3, "got a stack"),
    ):
        with pytest.raises(ValueError, match=text):
            io.save_packed(path, network, grids)
    with pytest.raises(TypeError, match="got Codebook"):
        book = quantizers.Codebook([0.0, 1.0])
        io.save_packed(path, net, [(book, book)] * 3)
    with pytest.raises(TypeError, match="ReLUNetwork"):
        io.save_packed(path, [net], [(q, q)])
    with pytest.raises(ValueError, match=r"ends in \.safetensors"):
        io.save_packed(tmp_path / "packed.bin", net, [(q, q)] * 3)
    per_column = quantizers.Uniform(np.full((1, 6), 0.5), bits=5)
    with pytest.raises(ValueError, match="per array or per row"):
        io.save_packed(path, net, [(per_column, q), (q, q), (q, q)])
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def written(tmp_path):
    """A network, its packed file and its certificate."""
    net = _network((1, 6, 1), np.float32)
    found = bounds.allocate_bits(net, 0.05, (-1, 1), per="layer")
    io.save_network(tmp_path / "net.npz", net)
    io.save_packed(tmp_path / "packed.safetensors", found.network, found.grids)
    io.save_certificate(
        tmp_path / "certificate.json",
        found,
        tmp_path / "net.npz",
        tmp_path / "packed.safetensors",
        accuracy=0.05,
        per="layer",
    )
    return tmp_path, found


def test_any_change_of_the_packed_file_is_noticed(written):
    place, _ = written
    path = place / "packed.safetensors"
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    changed = [whole[:-1], whole + b"\0", b"", whole[: len(whole) // 2]]
    for i in rng.integers(0, len(whole), 100):
        flipped = bytearray(whole)
        flipped[i] ^= 1 << int(rng.integers(8))
        changed.append(bytes(flipped))
    for data in changed:
        path.write_bytes(data)
        with pytest.raises(ValueError, match="damaged or of another kind"):
            io.load_packed(path)
        with pytest.raises(ValueError, match="is not the file that was certified"):
            io.verify(place / "certificate.json")


def test_a_file_that_promises_more_than_it_holds(written):
    """Its checksum is right: nothing is made of the size that it claims."""
    place, _ = written
    tensors = safetensors.numpy.load((place / "packed.safetensors").read_bytes())
    record = {"format": "qrelu packed network, version 1", "dtypes": "float64", "per_row": False}
    record["widths"] = [1, 10**9, 10**9, 1]
    rest = json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
    rest += b"".join(tensors[name].tobytes() for name in ("bits", "steps", "codes"))
    record["sha256"] = hashlib.sha256(rest).hexdigest()
    for text in (json.dumps(record), "[" * 100_000, "[]", "null"):
        data = safetensors.numpy.save(tensors, {"qrelu": text})
        (place / "packed.safetensors").write_bytes(data)
        with pytest.raises(ValueError, match="damaged or of another kind"):
            io.load_packed(place / "packed.safetensors")
    (place / "certificate.json").write_text('{"format":' * 100_000)
    with pytest.raises(ValueError, match="damaged or of another kind"):
        io.load_certificate(place / "certificate.json")


def test_a_packed_file_is_no_network_file_and_the_other_way_round(written):
    place, _ = written
    with pytest.raises(ValueError, match="packed already. `load_packed` reads it"):
        io.load_network(place / "packed.safetensors")
    with pytest.raises(ValueError, match="damaged or of another kind"):
        io.load_packed(place / "net.npz")


def test_a_certificate_holds_and_says_what_was_proven(written):
    place, found = written
    done = io.verify(place / "certificate.json")
    assert done.certificate.enclosure == found.certificate
    assert done.enclosure.upper == found.certificate.upper <= 0.05
    certificate = io.load_certificate(place / "certificate.json")
    assert certificate.bits["total"] == found.total
    assert certificate.bits["uniform"] == found.uniform
    assert certificate.bits["apriori"] == found.apriori
    assert certificate.bits["float"] == 32 * 19
    assert certificate.network.path == "net.npz"
    assert len(certificate.network.sha256) == 64
    bits = [layer["weight"]["bits"] for layer in certificate.layers]
    assert bits == [int(b[0]) for b in found.bits]
    assert {"qrelu", "jax", "numpy", "python", "device"} <= set(certificate.made_with)
    assert {"bits.apriori", "bits.uniform", "curve.apriori", "curve.certified"} <= set(done.proven)
    assert "curve.sampled" in done.trusted and not set(done.proven) & set(done.trusted)
    # Every entry is named once: nothing is checked in silence, or left out.
    named = {name.split(" ")[0] for name in (*done.proven, *done.trusted)}
    record = certificate.to_dict()
    whole = set(record) - {"format", "claim", "sha256", "enclosure", "bits", "curve"}
    terms = {"format", "box", "evaluation", "assumptions"}  # what the bounds are about
    whole |= {f"enclosure.{name}" for name in set(record["enclosure"]) - terms}
    whole |= {f"bits.{name}" for name in record["bits"]}
    assert named == whole | {f"curve.{name}" for name in record["curve"] if name != "bits"}
    # The files can be moved together, or one by one.
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    (place / "net.npz").rename(elsewhere / "moved.npz")
    with pytest.raises(FileNotFoundError, match="it is not there"):
        io.verify(place / "certificate.json")
    io.verify(place / "certificate.json", network=elsewhere / "moved.npz")


def _forge(path, change):
    """A changed certificate whose checksum is right again."""
    record = json.loads(path.read_text())
    change(record)
    enclosure = record["enclosure"]
    record["claim"] = re.sub(r"than \S+,", f"than {enclosure['upper']!r},", record["claim"])
    (low,), (high,) = enclosure["box"]
    record["claim"] = re.sub(r"box .*", f"box [{low:g}, {high:g}].", record["claim"])
    rest = {name: value for name, value in record.items() if name != "sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    record["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(json.dumps(record))


def _put(*keys, value):
    def change(record):
        for key in keys[:-1]:
            record = record[key]
        old = record[keys[-1]]
        record[keys[-1]] = value(old) if callable(value) else value

    return change


FORGED = {
    "a smaller bound": (_put("enclosure", "upper", value=lambda u: 0.99 * u), "."),
    "a larger lower bound": (
        _put("enclosure", "lower", value=lambda v: 1.02 * v),
        "must have 0 <= lower <= upper",
    ),
    "a larger box": (_put("enclosure", "box", value=[[-3.0], [3.0]]), "too small"),
    "a smaller accuracy": (_put("accuracy", value=0.001), "exceeds the accuracy"),
    "other bits": (_put("layers", 0, "weight", "bits", value=3), "other grids"),
    "another step": (_put("layers", 1, "bias", "step", value=lambda s: 2 * s), "other grids"),
    "fewer bits": (_put("bits", "total", value=1), "1 bits .total. where the files have"),
    "more bits as floats": (_put("bits", "float", value=10**6), "where the files have"),
    "another network": (_put("network", "sha256", value="0" * 64), "not the file"),
    "a witness outside": (_put("enclosure", "witness", value=[7.0]), "witness"),
    "another witness": (_put("enclosure", "witness", value=[0.123]), "at the witness"),
    "another evaluation": (_put("enclosure", "evaluation", value=["exact"] * 2), "its sentence"),
    "fewer bits everywhere": (_put("bits", "uniform", value=2), "2 bits for all parameters do not"),
    "fewer bits by theory": (_put("bits", "apriori", value=lambda b: b - 1), "theory alone does"),
    "more bits by theory": (_put("bits", "apriori", value=lambda b: b + 1), "theory alone does"),
    "no bits by theory": (_put("bits", "apriori", value=None), "theory alone does"),
    "another goal": (_put("goal", value=0.01), "its goal, 0.01, is no accuracy and no error"),
    "an output that is none": (_put("enclosure", "output", value=7), "there is no output 7"),
    "half an output": (_put("enclosure", "output", value=0.5), "whole numbers of outputs"),
    "a smaller error by theory": (
        _put("curve", "apriori", 0, value=lambda e: 0.99 * e),
        "theory alone gives .* for 2 bits",
    ),
    "a better curve": (
        _put("curve", "certified", value=lambda c: [0.99 * e for e in c]),
        "a sampled error of its curve exceeds|of its curve for 2 bits, .* is too small",
    ),
    "a wrong curve": (
        _put("curve", value=lambda c: c | {"certified": c["certified"][:1] * len(c["certified"])}),
        "too small|knee|sampled",
    ),
    "a knee": (_put("curve", "knee", value=3), r"the knee of its curve is \w+, not 3"),
    "words for numbers": (_put("curve", "certified", 0, value="one"), "no such value"),
    "bits that are none": (_put("bits", "uniform", value="nine"), "no such value"),
    "half a curve": (_put("curve", value={"bits": [2]}), "no such value"),
    "another format": (_put("format", value="x"), "of another kind"),
}


@pytest.mark.parametrize("case", FORGED)
def test_forged_certificates_fail_even_with_the_right_checksum(written, case):
    place, _ = written
    change, text = FORGED[case]
    _forge(place / "certificate.json", change)
    with pytest.raises(ValueError, match=text):
        io.verify(place / "certificate.json")


def test_a_wide_claim_leaves_no_room_for_half_of_the_truth(tmp_path):
    # With a lower bound of zero, at a point where the networks agree, the claimed interval is wide.
    net = _network((1, 8, 1))
    found = bounds.certify_bits(net, 5, (0, 1), curve=False)
    io.save_network(tmp_path / "net.npz", net)
    io.save_packed(tmp_path / "packed.safetensors", found.network, found.grids)
    files = (tmp_path / "net.npz", tmp_path / "packed.safetensors")
    io.save_certificate(tmp_path / "certificate.json", found, *files)
    io.verify(tmp_path / "certificate.json")
    xs = np.linspace(0, 1, 2001)
    apart = np.abs(np.asarray(realize(net, xs[:, None]) - realize(found.network, xs[:, None])))
    agreeing = float(xs[apart.ravel().argmin()])
    assert apart.min() < 0.51 * found.certificate.upper

    def change(record):
        record["enclosure"] |= {
            "lower": 0.0,
            "upper": 0.51 * record["enclosure"]["upper"],
            "witness": [agreeing],
        }
        record["goal"] = record["enclosure"]["upper"]

    _forge(tmp_path / "certificate.json", change)
    with pytest.raises(ValueError, match="too small: the networks differ by at least"):
        io.verify(tmp_path / "certificate.json")


def test_any_change_of_a_number_breaks_the_checksum(written):
    place, _ = written
    path = place / "certificate.json"
    text = path.read_text()
    numbers = list(re.finditer(r"\d+", text))
    for i in np.random.default_rng(0).choice(len(numbers), 40, replace=False):
        start, end = numbers[int(i)].span()
        digit = str((int(text[end - 1]) + 1) % 10)
        changed = text[: end - 1] + digit + text[end:]
        if json.loads(changed) == json.loads(text):
            continue  # beyond the digits of a float
        path.write_text(changed)
        with pytest.raises(ValueError, match="changed since|damaged or of another kind"):
            io.verify(path)
    path.write_text(text)
    io.verify(path)


def test_a_certificate_is_only_written_for_its_own_files(written):
    place, found = written
    other = _network((1, 6, 1), np.float32, seed=3)
    io.save_network(place / "other.npz", other)
    arguments = (place / "c.json", found)
    with pytest.raises(ValueError, match="the network that the allocation is about"):
        io.save_certificate(*arguments, place / "other.npz", place / "packed.safetensors")
    fine = bounds.certify_bits(other, 9, (-1, 1), curve=False)
    io.save_packed(place / "fine.safetensors", fine.network, fine.grids)
    with pytest.raises(ValueError, match="holds another network"):
        io.save_certificate(*arguments, place / "net.npz", place / "fine.safetensors")
    assert not (place / "c.json").exists()


def test_what_cannot_be_proven_anew_is_said(tmp_path):
    """Rounding of another kind than to nearest, and curves that take long."""
    net = _network((1, 6, 1), seed=1)
    xs = np.linspace(-1, 1, 101)[:, None]

    def lucky(net, grids):
        rng = np.random.default_rng(0)

        def around(values, grid):
            largest = 2 ** (int(grid.bits) - 1) - 1
            codes = np.rint(values / float(grid.step)) + rng.integers(-1, 2, values.shape)
            return np.clip(codes, -largest, largest) * float(grid.step)

        draws = [
            networks.ReLUNetwork(
                [around(w, q) for w, (q, _) in zip(net.weights, grids, strict=True)],
                [around(b, q) for b, (_, q) in zip(net.biases, grids, strict=True)],
            )
            for _ in range(30)
        ]
        return min(draws, key=lambda other: np.abs(_values(other, xs) - _values(net, xs)).max())

    found = bounds.allocate_bits(net, 0.02, (-1, 1), per="layer", rounding=lucky)
    io.save_network(tmp_path / "net.npz", net)
    io.save_packed(tmp_path / "packed.safetensors", found.network, found.grids)
    files = (tmp_path / "net.npz", tmp_path / "packed.safetensors")
    path = tmp_path / "certificate.json"
    io.save_certificate(path, found, *files, accuracy=0.02, rounding="lucky", per="layer")
    done = io.verify(path)
    nearest = bounds.allocate_bits(net, 0.02, (-1, 1))
    assert found.uniform < nearest.uniform and "bits.uniform" in done.trusted
    (entry,) = (name for name in done.trusted if name.startswith("curve.certified for "))
    some = [int(word) for word in re.findall(r"\d+", entry)]
    better = found.curve.certified[: len(nearest.curve.bits)] < (
        nearest.curve.certified[: len(found.curve.bits)] * (1 - 1e-9)
    )
    assert set(found.curve.bits[: len(better)][better]) <= set(some)
    assert not io.verify(path, curve=False).proven.count("curve.certified")
    # The same called rounding to nearest is refused.
    save = (path, found, *files)
    io.save_certificate(*save, accuracy=0.02, rounding="nearest", per="layer")
    with pytest.raises(ValueError, match="bits for all parameters do not keep the error 0.02"):
        io.verify(path)


@pytest.mark.slow
def test_branch_and_bound_is_confirmed(tmp_path):
    net = _network((3, 5, 1))
    found = bounds.certify_bits(net, 6, (0, 1), curve=False, budget=20_000)
    io.save_network(tmp_path / "net.safetensors", net)
    io.save_packed(tmp_path / "packed.safetensors", found.network, found.grids)
    files = (tmp_path / "net.safetensors", tmp_path / "packed.safetensors")
    io.save_certificate(tmp_path / "c.json", found, *files)
    assert io.load_certificate(tmp_path / "c.json").accuracy is None
    there = io.load_packed(tmp_path / "packed.safetensors")
    done = io.verify(tmp_path / "c.json")
    assert done.enclosure.upper <= found.certificate.upper * (1 + 1e-9)
    found = bounds.allocate_bits(net, 0.4, (0, 1), per="channel", budget=20_000)
    io.save_packed(tmp_path / "packed.safetensors", found.network, found.grids)
    io.save_certificate(tmp_path / "d.json", found, *files, accuracy=0.4, per="channel")
    quick = io.verify(tmp_path / "d.json")
    assert "bits.uniform" in quick.proven and "curve.certified" in quick.trusted
    assert "curve.certified" in io.verify(tmp_path / "d.json", curve=True).proven
    io.save_packed(tmp_path / "packed.safetensors", there.network, there.grids)
    record = json.loads((tmp_path / "c.json").read_text())
    upper = done.enclosure.lower * 0.999
    record["enclosure"]["upper"] = upper
    record["enclosure"].update(lower=0.0, witness=[0.5, 0.5, 0.5])
    record["goal"] = upper
    record["claim"] = re.sub(r"than \S+,", f"than {upper!r},", record["claim"])
    rest = {name: value for name, value in record.items() if name != "sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    record["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (tmp_path / "c.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="is too small: the networks differ by at least"):
        io.verify(tmp_path / "c.json")
