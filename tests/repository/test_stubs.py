"""The stubs of the compiled module against the module: names both ways, and arguments."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stillgate import _core

ROOT = Path(__file__).resolve().parents[2]
STUBS = ROOT / "python" / "stillgate" / "_core.pyi"
# Classes of pybind11 have a metaclass and a constructor of its own, which no stub can tell.
ALLOWED = r"stillgate\._core\.[A-Z]\w+(\.__init__)?"


def stubtest(folder: Path, stubs: str) -> subprocess.CompletedProcess[str]:
    """Of a package that has nothing else: the whole of it would be read for nothing."""
    package = folder / "sources" / "stillgate"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "_core.pyi").write_text(stubs)
    allowed = folder / "allowed"
    allowed.write_text(ALLOWED + "\n")
    command = [sys.executable, "-m", "mypy.stubtest", "stillgate._core"]
    command += ["--mypy-config-file", str(ROOT / "pyproject.toml"), "--allowlist", str(allowed)]
    return subprocess.run(
        command,
        cwd=folder,
        env={"MYPYPATH": str(folder / "sources"), "PYTHONPATH": str(ROOT / "python")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_each_name_has_a_stub_and_each_stub_a_name(tmp_path: Path) -> None:
    done = stubtest(tmp_path, STUBS.read_text())
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_stub_that_is_wrong_is_found(tmp_path: Path) -> None:
    before = "def error_codes() -> list[str]: ..."
    assert before in STUBS.read_text()
    done = stubtest(tmp_path, STUBS.read_text().replace(before, "def codes() -> list[str]: ..."))
    assert done.returncode == 1
    assert set(re.findall(r"error: stillgate._core.(\w+) is not present", done.stdout)) == {
        "codes",
        "error_codes",
    }, done.stdout


def stubs() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions and methods by their name in the module; properties aside."""
    for node in ast.parse(STUBS.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for one in node.body:
                if isinstance(one, ast.FunctionDef) and not one.decorator_list:
                    yield f"{node.name}.{one.name}", one


def of_stub(stub: ast.FunctionDef) -> list[str]:
    found = [one.arg for one in stub.args.args]
    found += (["*"] if stub.args.kwonlyargs else []) + [a.arg for a in stub.args.kwonlyargs]
    return found + (["**kwargs"] if stub.args.kwarg else [])


def of_module(name: str) -> list[str]:
    """From the first line of what pybind11 writes as the docstring."""
    value: object = _core
    for part in name.split("."):
        value = getattr(value, part)
    found = re.match(r"\w+\((.*)\) -> ", value.__doc__ or "")
    assert found is not None, value.__doc__
    without_types = re.sub(r"\[[^\]]*\]", "", found[1])
    return [re.split("[:=]", one)[0].strip() for one in without_types.split(",") if one.strip()]


@pytest.mark.parametrize("name, stub", stubs(), ids=lambda one: one if type(one) is str else "")
def test_arguments(name: str, stub: ast.FunctionDef) -> None:
    assert of_stub(stub) == of_module(name)
