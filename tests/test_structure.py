"""The shape of the package: floors, abstract-or-final classes, public names, a light import."""

import ast
import importlib
import importlib.metadata
import inspect
import pathlib
import re
import subprocess
import sys

import equinox as eqx
import pytest

import qrelu

ROOT = pathlib.Path(qrelu.__file__).parent

FLOORS = [
    {"_types", "_misc"},
    {"networks", "quantizers", "targets", "rates"},
    {"bounds", "norms", "rounding"},
    {"constructions", "io"},
    {"families"},
    {"training", "codes"},
    {"studies"},
    {"_cli"},
    {"__main__"},
]
FLOOR = {name: level for level, names in enumerate(FLOORS) for name in names}
NAMESPACES = sorted(p.parent.name for p in ROOT.glob("[!_]*/__init__.py"))
FILES = sorted(p for p in ROOT.rglob("*.py") if p != ROOT / "__init__.py")


def _room(path: pathlib.Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def _imported_rooms(source: str, package: list[str]) -> set[str]:
    """The namespaces of qrelu that a file of `package` imports, at any depth of its code."""
    modules = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            # `from .. import norms` names rooms in its aliases, `from ..norms import L2` does not.
            names = [f"{base}.{alias.name}" for alias in node.names]
            modules += names if base == "qrelu" else [base]
    ours = [name.split(".") for name in modules if name.split(".")[0] == "qrelu"]
    return {name[1] if len(name) > 1 else "" for name in ours}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_come_from_floors_below(path):
    room = _room(path)
    assert room in FLOOR, f"`{room}` has no floor yet; give it one here and in CONTRIBUTING"
    package = ["qrelu", *path.relative_to(ROOT).parts[:-1]]
    for other in _imported_rooms(path.read_text(), package) - {room}:
        assert other != "", f"{path} imports the package root"
        assert FLOOR[other] < FLOOR[room], f"{path}: {room} must not import {other}"


def test_the_floor_test_sees_every_form_of_import():
    source = """
from ..networks import a
from .. import rates
import qrelu.targets
from ._sibling import c
def f():
    from qrelu.studies._x import b
import qrelu
"""
    rooms = {"networks", "rates", "targets", "norms", "studies", ""}
    assert _imported_rooms(source, ["qrelu", "norms"]) == rooms


def _public(namespace: str):
    module = importlib.import_module(f"qrelu.{namespace}")
    return {
        n: getattr(module, n)
        for n in dir(module)
        if not n.startswith("_") and not inspect.ismodule(getattr(module, n))
    }


def _classes():
    seen = {}
    for path in FILES:
        name = ".".join(["qrelu", *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(
            ".__init__"
        )
        if name == "qrelu.__main__":
            continue
        for value in vars(importlib.import_module(name)).values():
            if inspect.isclass(value) and value.__module__ == name:
                seen[f"{name}.{value.__qualname__}"] = value
    return seen


def test_every_class_is_abstract_or_final():
    classes = _classes()
    assert classes
    for name, cls in classes.items():
        parents = [base for base in cls.__mro__[1:] if base.__module__.split(".")[0] == "qrelu"]
        for parent in parents:
            assert parent.__name__.startswith(("Abstract", "_Abstract")), (
                f"{name} subclasses the final class {parent.__name__}"
            )
        if issubclass(cls, eqx.Module):
            abstract = bool(getattr(cls, "__abstractmethods__", ())) or bool(
                getattr(cls, "__abstractvars__", ())
            )
            named = cls.__name__.startswith(("Abstract", "_Abstract"))
            assert not abstract or named, f"{name} has abstract parts but is not named Abstract..."


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_public_names_have_docstrings(namespace):
    public = _public(namespace)
    assert public, f"{namespace} exports nothing"
    assert importlib.import_module(f"qrelu.{namespace}").__doc__
    for name, value in public.items():
        if callable(value):
            assert (value.__doc__ or "").strip(), f"qrelu.{namespace}.{name} has no docstring"
            assert getattr(value, "__module__", "qrelu").startswith("qrelu"), (
                f"qrelu.{namespace}.{name} leaks from {value.__module__}"
            )


def test_one_public_path_per_name():
    """A name is public in one namespace; the root repeats a handful on purpose."""
    homes = {}
    for namespace in NAMESPACES:
        for name, value in _public(namespace).items():
            homes.setdefault(id(value), []).append(f"{namespace}.{name}")
    twice = {k: v for k, v in homes.items() if len(v) > 1}
    assert not twice, f"several public paths: {sorted(twice.values())}"


def test_the_root_offers_what_it_declares():
    for name in qrelu.__all__:
        assert getattr(qrelu, name) is not None


def test_the_version_is_the_installed_one():
    assert qrelu.__version__ == importlib.metadata.version("qrelu")


def _assert_not_loaded(module: str, heavy: str):
    code = (
        f"import sys, {module}; sys.exit(' '.join(set('{heavy}'.split()) & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, f"importing {module} loads {done.stderr}"


def test_import_is_light():
    _assert_not_loaded("qrelu", "jax numpy equinox matplotlib polars scipy rich typer")


def test_the_command_line_module_is_light():
    _assert_not_loaded("qrelu._cli", "jax equinox matplotlib polars scipy")


def test_every_cited_source_is_in_the_bibliography():
    bibliography = (ROOT.parent / "docs" / "references.bib").read_text()
    known = set(re.findall(r"@\w+\{(\w+),", bibliography))
    cited = {key for path in FILES for key in re.findall(r"\[([a-z]+\d{4})\]", path.read_text())}
    assert cited, "no docstring cites a source"
    assert cited <= known, f"not in docs/references.bib: {sorted(cited - known)}"
