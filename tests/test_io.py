"""Networks in files: what is written is read, what is damaged is refused."""

import inspect
import io as builtin_io
import re
import warnings
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

import qrelu as qr
from qrelu import io, networks


def _random(widths, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    pairs = list(zip(widths, widths[1:], strict=False))
    return networks.ReLUNetwork(
        [rng.standard_normal((o, i)).astype(dtype) for i, o in pairs],
        [rng.standard_normal(o).astype(dtype) for _, o in pairs],
    )


@pytest.mark.parametrize("ending", [".safetensors", ".npz"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_what_is_written_is_read_bit_for_bit(tmp_path, ending, dtype):
    net = _random((3, *[2] * 11, 1), dtype)  # more than ten layers: numbers, not names, are sorted
    io.save_network(tmp_path / f"net{ending}", net)
    read = io.load_network(tmp_path / f"net{ending}")
    assert read.widths == net.widths
    pairs = zip((*net.weights, *net.biases), (*read.weights, *read.biases), strict=True)
    for a, b in pairs:
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    assert [p.name for p in tmp_path.iterdir()] == [f"net{ending}"]


def test_jax_and_sparse_networks_are_written_too(tmp_path):
    net = networks.ReLUNetwork([jnp.eye(3), jnp.ones((1, 3))], [jnp.zeros(3), jnp.ones(1)])
    io.save_network(tmp_path / "net.npz", networks.sparsify(net, max_density=1.0))
    read = io.load_network(tmp_path / "net.npz")
    np.testing.assert_array_equal(read.weights[0], np.eye(3))


@pytest.mark.parametrize(
    "names", [("0.weight", "0.bias", "2.weight"), ("weights.0", "biases.0", "weights.1")]
)
def test_names_of_other_tools(tmp_path, names):
    net = _random((2, 4, 1), np.float32)
    arrays = dict(zip(names, (net.weights[0], net.biases[0], net.weights[1]), strict=True))
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors.numpy.save(arrays))
    read = io.load_network(str(path))
    assert not read.biases[1].any() and read.biases[1].dtype == np.float32
    xs = np.ones((5, 2), np.float32)
    expected = np.maximum(xs @ net.weights[0].T + net.biases[0], 0) @ net.weights[1].T
    np.testing.assert_allclose(qr.realize(read, xs), expected, rtol=1e-5)


W, B = np.ones((2, 1)), np.zeros(2)
BAD = {
    "no arrays": ({}, "a weight for every layer"),
    "bias alone": ({"0.bias": B}, "a weight for every layer"),
    "two weights": ({"a.0.weight": W, "b.0.weight": W}, "one weight per layer"),
    "no number": ({"weight": W}, "one number"),
    "foreign name": ({"layers.0.scale": W}, "one of `weight`"),
    "integers": ({"0.weight": np.ones((2, 1), int)}, "numbers of float64.*holds int64"),
    "complex numbers": ({"0.weight": W.astype(complex)}, "numbers of float64.*holds complex128"),
    "words": ({"0.weight": W.astype(str)}, "numbers of float64"),
    "NaN": ({"0.weight": np.full((2, 1), np.nan)}, "finite floating-point"),
    "a convolution": ({"0.weight": np.ones((2, 1, 3))}, "matrices"),
    "widths": ({"0.weight": W, "1.weight": np.ones((1, 3))}, "affine maps of one network"),
    "bias shape": ({"0.weight": W, "0.bias": np.zeros(3)}, "affine maps of one network"),
}


@pytest.mark.parametrize("case", BAD)
def test_foreign_arrays(tmp_path, case):
    arrays, text = BAD[case]
    np.savez(tmp_path / "net.npz", **arrays)
    with pytest.raises(ValueError, match=f"`load_network\\('net.npz'\\)` must.*{text}"):
        io.load_network(tmp_path / "net.npz")


@pytest.mark.parametrize("ending", [".safetensors", ".npz"])
def test_damaged_files(tmp_path, ending):
    path = tmp_path / f"net{ending}"
    io.save_network(path, _random((1, 5, 1)))
    whole = path.read_bytes()
    for data in (b"", b"not a network", whole[:-1], whole[: len(whole) // 2], whole[10:]):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="damaged or of another kind"):
            io.load_network(path)


@pytest.mark.parametrize("case", ["one array", "the same name twice", "a text", "a zip of texts"])
def test_archives_that_are_no_networks(tmp_path, case):
    path, name = tmp_path / "net.npz", "0.weight.npy"
    array = builtin_io.BytesIO()
    np.save(array, W)
    if case == "one array":
        path.write_bytes(array.getvalue())
    elif case == "a text":
        path.write_text("0.weight")
    else:
        with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as file:
            warnings.simplefilter("ignore")
            for i in range(2):
                twice = case == "the same name twice"
                file.writestr(name if twice else f"{i}.weight", array.getvalue() if twice else "1")
    with pytest.raises(
        ValueError, match="`load_network\\('net.npz'\\)` must get a whole .npz file"
    ):
        io.load_network(path)


@pytest.mark.parametrize("offset, value", [(10, 99), (8, 1)])
def test_archives_compressed_or_encrypted_as_no_other(tmp_path, offset, value):
    path = tmp_path / "net.npz"
    io.save_network(path, _random((1, 3, 1)))
    data = bytearray(path.read_bytes())
    for header, shift in ((b"PK\x01\x02", 0), (b"PK\x03\x04", -2)):
        for found in re.finditer(re.escape(header), bytes(data)):
            data[found.start() + offset + shift] = value
    path.write_bytes(data)
    with pytest.raises(ValueError, match="damaged or of another kind"):
        io.load_network(path)


def test_every_type_comes_back_and_bytes_of_other_machines_are_turned(tmp_path):
    net = _random((2, 3, 1), jnp.bfloat16)
    io.save_network(tmp_path / "net.safetensors", net)
    read = io.load_network(tmp_path / "net.safetensors")
    assert read.weights[0].dtype == jnp.bfloat16
    np.testing.assert_array_equal(read.weights[0], net.weights[0])
    with pytest.raises(ValueError, match="a .npz file holds; got bfloat16"):
        io.save_network(tmp_path / "net.npz", net)
    swapped = np.arange(2.0).reshape(2, 1).astype(">f4")
    np.savez(tmp_path / "net.npz", **{"0.weight": swapped})
    weight = io.load_network(tmp_path / "net.npz").weights[0]
    assert weight.dtype.isnative
    np.testing.assert_array_equal(weight, swapped)


def test_a_pickle_is_never_loaded(tmp_path):
    np.save(tmp_path / "x.npy", np.array([object()]), allow_pickle=True)
    (tmp_path / "x.npy").rename(tmp_path / "x.npz")
    with pytest.raises(ValueError, match="damaged or of another kind"):
        io.load_network(tmp_path / "x.npz")


def test_bad_calls(tmp_path):
    net = _random((1, 2, 1))
    with pytest.raises(ValueError, match=r"ends in .safetensors or .npz; got 'net.pt'"):
        io.save_network(tmp_path / "net.pt", net)
    with pytest.raises(ValueError, match="ends in .safetensors or .npz"):
        io.load_network(tmp_path / "net")
    with pytest.raises(FileNotFoundError):
        io.load_network(tmp_path / "absent.npz")
    with pytest.raises(TypeError):
        io.save_network(tmp_path / "net.npz", [net])
    with pytest.raises(ValueError, match="got a stack"):
        io.save_network(tmp_path / "net.npz", networks.stack([net, net]))
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "net.npz"
    io.save_network(path, _random((1, 2, 1)))
    old = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        io.save_network(path, _random((1, 3, 1)))
    assert path.read_bytes() == old and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("path", [None, 3, True, b"net.npz", [], np.zeros(2), "", "a\0b"], ids=repr)
def test_what_is_no_path_is_refused_by_name(path):
    net = _random((1, 1))
    calls = {
        "load_network(path)": (io.load_network, ()),
        "save_network(path)": (io.save_network, (net,)),
        "load_packed(path)": (io.load_packed, ()),
        "save_packed(path, ...)": (io.save_packed, (net, [])),
        "load_certificate(path)": (io.load_certificate, ()),
        "verify(path)": (io.verify, ()),
    }
    for name, (call, others) in calls.items():
        plain = inspect.unwrap(call)  # without the annotations, which tests execute
        with pytest.raises(TypeError, match=re.escape(f"`{name}` must be the path of a file")):
            plain(path, *others)
