"""Makes wheels again of Python packages that Debian has installed, all of them pure Python, for a
pip that reaches no index: wheels_of.py FOLDER NAME...
"""

from __future__ import annotations

import base64
import hashlib
import sys
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import List

# Debian does not keep which module a distribution has; all but these are called as theirs is.
MODULES = {"markdown-it-py": "markdown_it"}
WHEEL = "Wheel-Version: 1.0\nGenerator: stillgate\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def metadata_of(found: Distribution) -> str:
    """As wheels have it; the older kind keeps what is required in a file of its own."""
    text = found.read_text("METADATA") or found.read_text("PKG-INFO") or ""
    head, _, body = text.partition("\n\n")
    if "\nRequires-Dist:" not in head:
        head += "".join(f"\nRequires-Dist: {one}" for one in found.requires or [])
    return f"{head}\n\n{body}"


def links_followed(folder: Path) -> List[Path]:
    """All files below `folder`, also behind links, as Debian's pybind11 has them."""
    found: List[Path] = []
    for path in sorted(folder.iterdir()):
        found += links_followed(path) if path.is_dir() else [path]
    return found


def make(name: str, folder: Path) -> Path:
    found = distribution(name)
    label = f"{name.replace('-', '_')}-{found.version}"
    info = f"{label}.dist-info"
    site = Path(str(found.locate_file("")))
    held = {
        path.relative_to(site).as_posix(): path.read_bytes()
        for path in links_followed(site / MODULES.get(name, name))
        if path.suffix != ".pyc"
    }
    if any(path.endswith(".so") for path in held):
        raise SystemExit(f"{name} is not pure Python: a wheel of it is not for every machine")
    held[f"{info}/METADATA"] = metadata_of(found).encode()
    held[f"{info}/WHEEL"] = WHEEL.encode()
    entries = found.read_text("entry_points.txt")
    if entries:
        held[f"{info}/entry_points.txt"] = entries.encode()
    record = ""
    wheel = folder / f"{label}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in held.items():
            archive.writestr(path, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            record += f"{path},sha256={digest.decode()},{len(content)}\n"
        archive.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")
    return wheel


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for one in sys.argv[2:]:
        print(make(one, target).name)
