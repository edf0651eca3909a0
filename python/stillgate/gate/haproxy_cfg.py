"""Reads haproxy.cfg as far as the gate's lines need it: sections, and the words of each line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import List, Optional, Sequence, Tuple

# HAProxy begins a section at these words wherever a line starts with one.
SECTIONS = frozenset(
    "global defaults frontend backend listen peers resolvers userlist mailers program cache "
    "http-errors ring log-forward fcgi-app log-profile traces crt-store acme".split()
)
MACROS = frozenset((".if", ".elif", ".else", ".endif"))
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

Place = Tuple[int, int]  # the number of the file, and of the line in it; both from 0


@dataclass(frozen=True)
class Line:
    file: str
    place: Place
    text: str  #: with its line end, if it has one
    words: Tuple[str, ...]  #: none in an empty line or a comment

    def __str__(self) -> str:
        return f"{self.file}:{self.place[1] + 1}"


class NotUnderstood(ValueError):
    """What cannot be patched safely, with its line where there is one."""

    def __init__(self, why: str, line: Optional[Line] = None) -> None:
        super().__init__(f"{line}: {why}\n    {line.text.strip()}" if line else why)


@dataclass
class Section:
    head: Line
    lines: List[Line] = field(default_factory=list)

    @property
    def kind(self) -> str:
        return self.head.words[0]

    @property
    def name(self) -> str:
        return self.head.words[1] if len(self.head.words) > 1 else ""

    @property
    def base(self) -> Optional[str]:
        """The name of the `defaults` that it names by `from`."""
        words = self.head.words
        at = 1 if words[1:2] == ("from",) and len(words) == 3 else 2
        return words[at + 1] if len(words) > at + 1 and words[at] == "from" else None

    def having(self, *words: str) -> List[Line]:
        return [line for line in self.lines if line.words[: len(words)] == words]


def words_of(text: str) -> Tuple[str, ...]:
    """As HAProxy splits a line: quotes, backslashes, and # for the rest of the line."""
    found: List[str] = []
    word: Optional[str] = None
    quote = ""
    characters = iter(text)
    for one in characters:
        if quote:
            if one == quote:
                quote = ""
            elif one == "\\" and quote == '"':
                word = (word or "") + next(characters, "")
            else:
                word = (word or "") + one
        elif one in "\"'":
            quote, word = one, word or ""
        elif one == "\\":
            word = (word or "") + next(characters, "")
        elif one == "#":
            break
        elif one.isspace():
            if word is not None:
                found.append(word)
            word = None
        else:
            word = (word or "") + one
    return tuple(found if word is None else [*found, word])


def split(text: str) -> List[str]:
    """The lines with their ends; a line ends at a line feed and nowhere else."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def seconds(duration: str) -> Optional[float]:
    """None if it is not understood. Without a unit it is milliseconds."""
    found = re.fullmatch(r"(\d+)(us|ms|s|m|h|d)?", duration)
    return int(found[1]) * _UNITS[found[2] or "ms"] if found else None


class Configuration:
    """The sections of all files, in the order in which HAProxy reads them."""

    def __init__(self, files: Sequence[Tuple[str, str]]) -> None:
        self.files: List[List[Line]] = []
        self.sections: List[Section] = []
        for number, (name, text) in enumerate(files):
            found = [
                Line(name, (number, index), one, words_of(one))
                for index, one in enumerate(split(text))
            ]
            self.files.append(found)
            self._read(found)

    def of_kind(self, *kinds: str) -> List[Section]:
        return [section for section in self.sections if section.kind in kinds]

    def proxy(self, name: str) -> Section:
        """The frontend or listen of that name."""
        found = [one for one in self.of_kind("frontend", "listen") if one.name == name]
        if not found:
            there = ", ".join(one.name for one in self.of_kind("frontend", "listen"))
            raise NotUnderstood(f"no frontend or listen {name}; there are: {there or 'none'}")
        if len(found) > 1:
            raise NotUnderstood(f"{name} is defined twice, first at {found[0].head}", found[1].head)
        return found[0]

    def defaults_of(self, section: Section) -> List[Section]:
        """The `defaults` in effect for it, the nearest first, each with the one it names."""
        before = [one for one in self.of_kind("defaults") if one.head.place < section.head.place]
        if section.base is not None:
            before = [one for one in before if one.name == section.base]
            if not before:
                raise NotUnderstood(f"no defaults {section.base} before it", section.head)
            if len(before) > 1:
                raise NotUnderstood(f"a second defaults {section.base}", before[1].head)
        elif section.kind == "defaults":
            return []
        return [before[-1], *self.defaults_of(before[-1])] if before else []

    def mode_of(self, section: Section) -> str:
        for one in (section, *self.defaults_of(section)):
            said = one.having("mode")
            if said:
                mode = said[-1].words[1] if len(said[-1].words) == 2 else ""
                if mode not in ("http", "tcp"):
                    raise NotUnderstood("the gate works in mode http and mode tcp", said[-1])
                return mode
        return "tcp"  # HAProxy's own default

    def _read(self, lines: List[Line]) -> None:
        section: Optional[Section] = None
        for line in lines:
            if not line.words:
                pass
            elif line.words[0] in MACROS:
                raise NotUnderstood("a condition: which lines are in effect is unknown", line)
            elif line.words[0] in SECTIONS:
                section = Section(line)
                self.sections.append(section)
                _check_head(section)
                continue
            if section is not None:
                section.lines.append(line)


def _check_head(section: Section) -> None:
    if section.kind not in ("defaults", "frontend", "listen"):
        return
    words = section.head.words
    if any(character in word for word in words for character in "$\\"):
        raise NotUnderstood("a name that is made of variables", section.head)
    plain = len(words) - (2 if section.base is not None else 0)
    if plain > 2 or (section.kind != "defaults" and plain != 2):
        raise NotUnderstood("more words than a name, and `from` with another", section.head)
