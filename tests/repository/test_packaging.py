"""What is shipped: the wheel, the sdist, the installed C++ library, and the README's own lines."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VERSION = (ROOT / "VERSION").read_text().strip()


def run(*command: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both built from this tree; the wheel reuses the tree's CMake folder."""
    folder = tmp_path_factory.mktemp("dist")
    # Tests of this file run in several processes at once, and a build writes into the tree.
    with (ROOT / "build" / "packaging.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run(sys.executable, "-m", "build", "--no-isolation", "--sdist", "--outdir", str(folder))
        run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder))
    return folder


def test_the_sdist_holds_all_that_a_build_needs(dist: Path) -> None:
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.split("/", 1)[1] for name in tar.getnames() if "/" in name}
    tracked = run("git", "ls-files", "cpp", "python").split()
    wanted = {*tracked, "CMakeLists.txt", "VERSION", "LICENSE", "README.md", "setup.py"}
    wanted |= {"docs/stillgate.1", "docs/schema.json", "pyproject.toml"}
    assert wanted - names == set()
    assert not [name for name in names if name.startswith(("build/", ".venv", ".cache"))]


def test_what_pip_lacks_for_the_build_without_a_network_is_named(tmp_path: Path) -> None:
    """By pip, before anything of ours runs."""
    offline = ["--no-index", "--find-links", str(tmp_path)]
    command = [sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", str(tmp_path), "."]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "No matching distribution found for setuptools>=64" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_wheel_holds_the_package_and_runs(dist: Path, tmp_path: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    assert wheel.name.startswith(f"stillgate-{VERSION}-cp") and "linux" in wheel.name
    assert wheel.stat().st_size < 8_000_000
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path)
    modules = {p.relative_to(ROOT / "python").as_posix() for p in (ROOT / "python").rglob("*")}
    wanted = {name for name in modules if name.endswith((".py", ".pyi", ".lua", "py.typed"))}
    assert "stillgate/gate/gate.lua" in wanted
    assert wanted - set(names) == set()
    assert any(re.fullmatch(r"stillgate/_core\..*\.so", name) for name in names)
    assert any(name.endswith("share/man/man1/stillgate.1") for name in names)
    assert not [name for name in names if name.startswith(("tests", "cpp"))]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    for name in ("stillgate-guard", "stillgate-leash"):
        program = tmp_path / "stillgate" / name
        with zipfile.ZipFile(wheel) as archive:
            mode = archive.getinfo(f"stillgate/{name}").external_attr >> 16
        assert mode & 0o111 == 0o111, "pip keeps this"
        program.chmod(mode)
        refused = subprocess.run([str(program)], stdin=subprocess.DEVNULL, check=False)
        assert refused.returncode == 2
    code = "import stillgate; print(stillgate.__version__, stillgate.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, check=True, text=True
    )
    assert done.stdout.split() == [VERSION, str(tmp_path / "stillgate" / "__init__.py")]
    # Where a package of the system has its programs.
    foreign = tmp_path / "libexec" / "stillgate"
    foreign.mkdir(parents=True)
    for name in ("stillgate-guard", "stillgate-leash"):
        (foreign / name).write_text("#!/bin/sh\n")
        (foreign / name).chmod(0o755)
    for folder in (tmp_path / "stillgate", foreign):
        said = subprocess.run(
            [sys.executable, "-m", "stillgate", "--version"],
            env=environment,
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        ).stdout.splitlines()
        assert said[0] == f"stillgate, version {VERSION}"
        assert said[1].startswith(f"module: {tmp_path}/stillgate/_core.")
        assert said[2:] == [
            f"guard: {folder}/stillgate-guard",
            f"leash: {folder}/stillgate-leash",
            f"gate.lua: {tmp_path}/stillgate/gate/gate.lua",
        ]
        for name in ("stillgate-guard", "stillgate-leash"):
            (folder / name).unlink()


def test_the_readme_example_works_when_pasted(tmp_path: Path) -> None:
    """The shell's lines into a shell, and then Python's into the prompt of Python."""
    text = (ROOT / "README.md").read_text()
    shell, python = (
        re.search(rf"```{language}\n(.*?)```", text, re.DOTALL) for language in ("sh", "python")
    )
    assert shell is not None and python is not None
    # The build is what this test runs in already; make would build it below itself.
    lines = [line for line in shell.group(1).splitlines() if not line.startswith("make build")]
    (tmp_path / "lines.py").write_text(python.group(1))
    lines += ["echo 'and from Python'", f".venv/bin/python -i -q <{tmp_path / 'lines.py'} 2>&1"]
    assert 'kill "$PLAYGROUND"' in text
    script = "\n".join(["set -eu", "trap 'kill \"$PLAYGROUND\"' EXIT", *lines])
    environment = {**os.environ, "STILLGATE_STATE_DIR": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    from_shell, _, from_python = done.stdout.partition("and from Python\n")
    assert "the migration runs\n" in from_shell
    assert "ready to hold" in from_shell
    assert ": migration 42\nguards: 2 of 2\n1 of 1 switches held\n" in from_shell
    assert "resume: done" in from_shell
    assert "Error" not in from_python, from_python
    told = ["ready to hold", "1 of 1 switches held", "the migration runs"]
    places = [from_python.find(words) for words in told]
    assert -1 not in places and places == sorted(places), from_python
