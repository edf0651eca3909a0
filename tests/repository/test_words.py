"""The pages: links that lead somewhere, facts that exist, and plain terms in pages and messages."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FACTS = ROOT / "docs" / "haproxy-facts.md"
SOURCES = (".cpp", ".hpp", ".py", ".pyi", ".lua", ".rb", ".md", ".txt", ".sh")

# Words of an old dialect, and what to say instead.
REPLACED = {
    r"wardens?": "guard",
    r"twins?": "standby guard",
    r"outlets?": "output, or exit status",
    r"tellings?": "event, or report",
    r"tells of": "reports",
    r"is told": "hears, gets or reads, with who says it",
    r"goes on": "continues, or retries",
    r"keeps? on": "continues",
    r"look(?:s|ed)? at (?:it|them)": "checks, or reads",
    r"again and again": "repeatable, or until ...",
    r"let in before": "requests already in flight",
    r"let through again|lets? all through|lets? them all through": "releases all requests",
    r"comes? back after": "retries after",
    r"stands? behind": "is the backup of, or server behind",
    r"who(?:ever)? finds it full": "a client that finds the queue full",
    r"on every way out": "however it ends",
    r"by itself alone|of its own accord": "by itself",
    r"without a word": "silently",
    r"be it by": "even by",
    r"as (?:it|they) stands?": "unchanged",
    r"the number that stood before|what stood before": "the old limit",
}

# The same for messages, which are short enough to be stricter.
REPLACED_IN_MESSAGES = {
    **REPLACED,
    r"nobody listens": "nothing listens",
    r"(?:is|are|was|were|or) not known": "unknown",
    r"(?:held|in effect) already": "already held, already in effect",
    r"alone": "only",
    r"behind": "after, or through",
    r"stands?(?! for)": "is, or comes",
    r"by way of": "through",
    r"put(?:s|ting)? back|tak(?:e|es|ing|en) back|took back": "restore, apply again, or roll back",
    r"let(?:s|ting)? (?:\w+ ){0,3}through": "release",
    r"somebody's hand": "somebody by hand",
    r"all the same": "nevertheless",
    r"reads? back as it was|does not read back": "HAProxy does not report it",
    r"be told|(?:was|is) told|tells? (?:of|whose|which)": "gets, or shows",
    r"bounds?": "limit",
}
MESSAGES = ("cpp/bindings", "cpp/include", "cpp/src", "python/stillgate", "recipes/stillgate")
QUOTED = r'"(?:[^"\\\n]|\\.)*"'
QUOTED_OR_SINGLE = QUOTED + r"|'(?:[^'\\\n]|\\.)*'"


def files(*endings: str) -> list[Path]:
    """What git keeps, or would: nothing that was built, fetched or found by a fuzzer."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True)
    paths = [ROOT / name for name in done.stdout.split("\0") if "/corpus/" not in name]
    return sorted(p for p in paths if p.suffix in endings and p.is_file())


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


PAGES = files(".md")
PROSE = [*PAGES, *files(".rst")]


def prose(text: str) -> str:
    """Without blocks of code and what stands in backticks: programs have words of their own."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^ {4,}\S.*$", "", text, flags=re.MULTILINE)
    return re.sub(r"`[^`]*`", "", text)


def literals(path: Path) -> Iterator[str]:
    """The string literals of a source, without its comments. Adjacent ones are one."""
    text = path.read_text()
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
        return
    is_cpp = path.suffix not in (".rb", ".lua")
    one = QUOTED if is_cpp else QUOTED_OR_SINGLE
    comment = r"(?:^|(?<=\s))" + {".rb": r"#(?!\{)", ".lua": "--"}.get(path.suffix, "//") + r".*$"
    bare = re.sub(rf"({one})|{comment}", r"\1", text, flags=re.MULTILINE)
    for found in re.findall(rf"(?:{one})(?:\s*(?:{one}))*" if is_cpp else one, bare):
        yield re.sub(r'"\s*"', "", found)


def messages(path: Path) -> Iterator[str]:
    """Literals that are sentences, or parts of one."""
    for literal in literals(path):
        text = " ".join(literal.split())
        if re.search(r"[a-z]{2,} [a-z]", text):
            yield text


def links(path: Path) -> list[str]:
    """Of a page, those into this tree."""
    text = re.sub(r"^```(?!\{).*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    return [link for link in found if "://" not in link and not link.startswith("mailto:")]


def anchors(path: Path) -> set[str]:
    """As GitHub and Sphinx make them out of headings."""
    headings = re.findall(r"^#+ +(.*)$", path.read_text(), flags=re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


@pytest.mark.parametrize("page", PAGES, ids=place)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{link} leads nowhere"
        if anchor:
            assert anchor in anchors(target), f"{link}: no such heading"


def test_every_page_can_be_reached_from_the_readme_or_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    listed = re.findall(r"^([\w/-]+)$", index.read_text(), flags=re.MULTILINE)
    ahead = [ROOT / "README.md", index]
    ahead += [p for name in listed if (p := index.parent / f"{name}.md").is_file()]
    reached: set[Path] = set()
    while ahead:
        page = ahead.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        targets = ((page.parent / link.partition("#")[0]).resolve() for link in links(page))
        ahead += [target for target in targets if target.is_file()]
    assert len(reached) > 20
    # What is missing here wants a link on one of those pages.
    assert [place(page) for page in PAGES if page not in reached] == []


@pytest.mark.parametrize("page", PROSE, ids=place)
def test_no_page_uses_the_old_words(page: Path) -> None:
    text = re.sub(r"\s+", " ", prose(page.read_text()))
    for old, better in REPLACED.items():
        found = re.search(rf".{{0,40}}\b(?:{old})\b.{{0,20}}", text, re.IGNORECASE)
        assert found is None, f"{found and found.group()!r}: say '{better}'"


SPEAKING = [
    path
    for path in files(".cpp", ".hpp", ".def", ".py", ".lua", ".rb")
    if place(path).startswith(MESSAGES)
]


@pytest.mark.parametrize("source", SPEAKING, ids=place)
def test_no_message_uses_the_old_words(source: Path) -> None:
    for text in messages(source):
        for old, better in REPLACED_IN_MESSAGES.items():
            found = re.search(rf"\b(?:{old})\b", text, re.IGNORECASE)
            assert found is None, f"{found and found.group()!r} in {text!r}: say '{better}'"


@pytest.mark.parametrize(
    "name, text",
    [
        ("a.cpp", 'int a;  // "a comment"\nconst char* b = "nobody "\n    "listens"; // more\n'),
        ("a.py", '# "a comment"\nraise ValueError("nobody " "listens")\n'),
        ("a.rb", "# 'a comment'\nraise 'nobody listens'\n"),
        ("a.lua", '-- "a comment"\nreturn nil, "nobody listens"  -- more\n'),
    ],
)
def test_messages_are_found_in_each_language(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert [message.strip("'\"") for message in messages(path)] == ["nobody listens"]


def test_a_fact_that_a_file_points_at_is_there() -> None:
    sections = set(re.findall(r"^## (\d+)\. ", FACTS.read_text(), flags=re.MULTILINE))
    assert len(sections) == 9
    pointing = 0
    for path in files(*SOURCES):
        if path == Path(__file__).resolve():
            continue
        # A reference may be broken over two lines of a comment.
        text = re.sub(r"\n\s*(?://+|#|--)?\s*", " ", path.read_text(errors="replace"))
        for number in re.findall(r"haproxy-facts\.md,? section (\d+)", text):
            pointing += 1
            assert number in sections, f"{place(path)}: section {number} is not in the facts"
        assert not re.search(r"\(facts, section", text), f"{place(path)}: name the page"
    assert pointing > 13
