"""The pages of `make docs`: built without a warning, with every public name, each explained."""

from __future__ import annotations

import dataclasses
import fcntl
import importlib
import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from sphinx.util.inventory import InventoryFile

import stillgate
from support.browser import Browser
from support.readable import WIDTHS, contrast, cut_off, paper_is_dark

ROOT = Path(__file__).resolve().parents[2]
MODULES = ("stillgate", "stillgate.aio", "stillgate.gate", "stillgate.fabric")
# Their names are the package's too; members stand in the reference under those.
RESULTS = ("haproxy", "hold", "lists", "outcome", "report")
HOMES = ("stillgate.errors", *(f"stillgate.results.{name}" for name in RESULTS))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make docs` does it, in a folder of this run's own: once for all its workers, who
    share that folder's parent.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "docs"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "built").exists():
            build(folder)
            (folder / "built").touch()
    return folder / "html"


def build(folder: Path) -> None:
    # A page that was built before would not warn again: -E.
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-E", "-b", "html"]
    done = subprocess.run(
        [*command, "-d", str(folder / "doctrees"), str(ROOT / "docs"), str(folder / "html")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def referenced(pages: Path) -> set[str]:
    """All names of Python that the reference has, under each name that leads there."""
    with (pages / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", lambda base, path: path)
    return {name for kind, names in inventory.items() if kind.startswith("py:") for name in names}


def public_names(module: str) -> list[str]:
    """What it says itself, else what it defines."""
    found = importlib.import_module(module)
    if hasattr(found, "__all__"):
        return [f"{module}.{name}" for name in found.__all__]
    own = [n for n, one in vars(found).items() if getattr(one, "__module__", "") == module]
    types = {name for name in own if isinstance(getattr(found, name), TypeVar)}
    return [f"{module}.{name}" for name in own if not name.startswith("_") and name not in types]


def members(name: str, value: object) -> Iterator[tuple[str, object]]:
    """Public methods and properties of a class of ours; a dataclass's fields have types instead."""
    if not inspect.isclass(value):
        return
    for member, one in vars(value).items():
        is_ours = inspect.isfunction(one) or isinstance(one, (property, staticmethod, classmethod))
        if is_ours and not member.startswith("_"):
            yield f"{name}.{member}", getattr(one, "__func__", one)


def value_of(name: str) -> object:
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def all_public() -> Iterator[tuple[str, object]]:
    for module in (*MODULES, *HOMES):
        for name in public_names(module):
            value = value_of(name)
            yield name, value
            if module not in HOMES:
                yield from members(name, value)


def test_every_public_name_is_in_the_reference(referenced: set[str]) -> None:
    names = [name for name, _ in all_public()]
    assert len(names) > 120 and "stillgate.aio.Fleet.suspend" in names
    assert [name for name in names if name not in referenced] == []
    for module in HOMES:
        homed = {name.rpartition(".")[2] for name in public_names(module)}
        assert homed - set(stillgate.__all__) == set()


def test_every_public_name_is_explained() -> None:
    def words(value: object) -> str:
        own = value.__doc__ or ""
        # A dataclass without one is given its signature, and an object its class's.
        written = not own.startswith(f"{getattr(value, '__name__', '')}(")
        return own if written and own != type(value).__doc__ else ""

    silent = [name for name, value in all_public() if not words(value).strip()]
    # Two values, which the reference itself explains.
    assert silent == ["stillgate.__version__", "stillgate.fabric.ns"]


def test_fields_stand_in_the_reference_with_their_types(pages: Path, referenced: set[str]) -> None:
    for name in stillgate.__all__:
        value = getattr(stillgate, name)
        if dataclasses.is_dataclass(value):
            fields = {f"stillgate.{name}.{field.name}" for field in dataclasses.fields(value)}
            assert fields - referenced == set()


def test_every_page_can_be_reached(pages: Path) -> None:
    index = (pages / "index.html").read_text()
    built = {path.relative_to(pages).as_posix() for path in pages.rglob("*.html")}
    written = {p.relative_to(ROOT / "docs") for kind in ("md", "rst") for p in docs_of(kind)}
    for path in written:
        page = path.with_suffix(".html").as_posix()
        assert page in built and (f'href="{page}"' in index or page == "index.html")
    assert len(written) > 15


def test_every_page_is_readable_in_a_browser(pages: Path, browser: Browser) -> None:
    """Nothing from elsewhere, no script that fails, nothing cut off on a telephone or a desk."""
    found = []
    for path in sorted(pages.rglob("*.html")):
        page = browser.open(path.as_uri(), WIDTHS[0])
        wrong = [url for url in page.requested if not url.startswith((pages.as_uri(), "data:"))]
        for width in WIDTHS:
            page.resize(width)
            wrong += [f"at {width}: {words}" for words in cut_off(page)]
        found += [f"{path.name}: {words}" for words in [*page.trouble, *wrong]]
    assert found == []


@pytest.mark.parametrize("dark", [False, True])
def test_a_page_is_light_or_dark_as_its_reader_is(
    dark: bool, pages: Path, browser: Browser
) -> None:
    page = browser.open((pages / "metrics.html").as_uri(), 1200, dark)
    assert paper_is_dark(page) == dark
    for part in ("article p", "article td", "article pre", "article pre span.p"):
        assert contrast(page, part) >= 4.5, part


def docs_of(kind: str) -> list[Path]:
    return list((ROOT / "docs").rglob(f"*.{kind}"))
