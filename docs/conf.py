"""How Sphinx builds the pages: this folder's Markdown, and a reference out of the docstrings."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from sphinx.ext.autodoc import FunctionDocumenter

import stillgate

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from docs import debian_furo  # noqa: E402

project = "Stillgate"
project_copyright = "the authors of Stillgate"
release = version = (ROOT / "VERSION").read_text().strip()

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_click"]
exclude_patterns = ["examples"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
autodoc_default_options = {"members": True, "undoc-members": True}
# `max_hold` in a docstring: options mostly, which have no page of their own.
default_role = "code"

# Every reference has to lead somewhere; to Python's own names and to rich's none does.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(asyncio|collections|contextlib|pathlib|rich|types|typing)\..*"),
    (r"py:.*", r"stillgate(\.\w+)+\.[FT]"),  # type variables
    (r"py:.*", r"stillgate\.suspension\.AnyFleet"),  # a Fleet to its readers
    (r"py:.*", r"(bool|bytes|dict|float|int|list|object|str|tuple|None|optional)"),
]

# Wide tables and long lines scroll in it, and on a telephone it has one column.
smartquotes_action = "qe"  # `--option` in help texts keeps its two dashes
html_theme = "furo"
html_title = f"Stillgate {release}"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_show_sourcelink = False
html_copy_source = False


class TaskDocumenter(FunctionDocumenter):
    """A task of Fabric's is an object, and reads as the function that it is."""

    objtype = "task"
    directivetype = "function"
    priority = FunctionDocumenter.priority + 1

    @classmethod
    def can_document_member(cls, member: Any, name: str, isattr: bool, parent: Any) -> bool:
        return type(member).__module__ in ("invoke.tasks", "stillgate.fabric.once_for_all_hosts")

    def import_object(self, raiseerror: bool = False) -> bool:
        found = super().import_object(raiseerror)
        self.object = getattr(self.object, "body", self.object)
        return found


def resolve_names() -> None:
    """Annotations name what their modules import for the type checker alone."""
    names = {name: getattr(stillgate, name) for name in stillgate.__all__}
    homes = ("past_holds", "suspension", "aio", "aio.suspension")
    results = ("hold", "lists", "outcome", "report")
    for home in (*homes, *(f"results.{name}" for name in results)):
        for name, value in names.items():
            vars(importlib.import_module(f"stillgate.{home}")).setdefault(name, value)


def hide_constructor(app: Any, what: str, name: str, *found: Any) -> Any:
    """Of what only Stillgate makes: all but fleets."""
    return ("", "") if what == "class" and not name.endswith(".Fleet") else None


def mend_theme(app: Any, failed: Any) -> None:
    if failed is None and app.builder.format == "html":
        debian_furo.mend(Path(app.outdir))


def setup(app: Any) -> None:
    resolve_names()
    app.connect("build-finished", mend_theme)
    app.connect("autodoc-process-signature", hide_constructor)
    app.add_autodocumenter(TaskDocumenter)
