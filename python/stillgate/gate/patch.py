"""Puts the gate's lines in the right places of haproxy.cfg: text in, text out."""

from __future__ import annotations

import difflib
import re
from typing import Dict, FrozenSet, List, NamedTuple, Optional, Sequence, Set, Tuple

from stillgate import gate
from stillgate.gate.haproxy_cfg import (
    Configuration,
    Line,
    NotUnderstood,
    Place,
    Section,
    seconds,
    split,
    words_of,
)

Words = Tuple[str, ...]

# Rules that neither release a request nor answer it, by the beginning of their action.
_HARMLESS = re.compile(
    "set-|unset-|add-|del-|replace-|track-sc|sc-|capture|do-resolve|early-hint|normalize-uri|wait-|"
    "cache-use|strict-mode|disable-l7-retry|send-spoe-group|pause|do-log"
)
_RELEASING = re.compile(r"(allow|accept|lua\.\S*)$")
# Rules that count requests: below the gate, all who waited count at once.
_COUNTING = re.compile("track-sc|sc-inc|sc-add|sc-set")
_ABORT = ("option", "abortonclose")
_ABORT_BEFORE = "# drop a held request whose client has gone"  # an earlier release's
_LUA_BOOLEANS = "tune.lua.bool-sample-conversion"


class Wanted(NamedTuple):
    """What is asked for. None is what the file says already, or else the default."""

    version: str
    frontends: Sequence[str] = ()
    folder: Optional[str] = None
    lua_file: Optional[str] = None
    probe: Optional[str] = None
    exempt: Optional[str] = None
    inspect_delay: Optional[int] = None


class Patched(NamedTuple):
    texts: List[str]  #: of each file, in order
    notes: List[str]  #: what the operator should know
    lua_file: str  #: the file that HAProxy will load


class _Group(NamedTuple):
    """A printed directive with the comments above it."""

    comments: List[str]
    text: str
    words: Words


def patch(files: Sequence[Tuple[str, str]], wanted: Wanted) -> Patched:
    """Files are pairs of name and text, in the order in which HAProxy reads them. Nothing but the
    gate's lines changes. NotUnderstood where that cannot be done; ValueError as of gate.lines().
    """
    return _Patch(files, wanted).done()


def unified_diff(name: str, before: str, after: str) -> str:
    """As patch(1) takes it; '' if nothing changes."""
    found = difflib.unified_diff(split(before), split(after), name, name, lineterm="\n")
    return "".join(
        one if one.endswith("\n") else f"{one}\n\\ No newline at end of file\n" for one in found
    )


class _Patch:
    def __init__(self, files: Sequence[Tuple[str, str]], wanted: Wanted) -> None:
        self._wanted = wanted
        self._texts = [text for _, text in files]
        self._cfg = Configuration(files)
        self._removed: Set[Place] = set()
        self._after: Dict[Place, List[str]] = {}
        self._notes: List[str] = []
        self._globals = self._cfg.of_kind("global")
        said = [line.words for section in self._globals for line in section.lines]
        self._folder = wanted.folder or _last(said, "STILLGATE_STATE") or gate.FOLDER
        self._probe = wanted.probe or _last(said, "STILLGATE_PROBE") or gate.PROBE
        loaded = [words[1] for words in said if _loads_gate(words)]
        self._lua_file = wanted.lua_file or (loaded[-1] if loaded else gate.LUA_FILE)

    def done(self) -> Patched:
        proxies = [self._cfg.proxy(name) for name in dict.fromkeys(self._names())]
        for proxy in proxies:
            printed = self._patch_proxy(proxy)
        self._patch_global(_groups(printed.global_), proxies)
        self._patch_table(printed.backend)
        texts = [self._render(number) for number in range(len(self._texts))]
        return Patched(texts, list(dict.fromkeys(self._notes)), self._lua_file)

    def _names(self) -> List[str]:
        if self._wanted.frontends:
            return list(self._wanted.frontends)
        there = self._cfg.of_kind("frontend", "listen")
        gated = [one for one in there if any(_is_gate_rule(line.words) for line in one.lines)]
        if gated or len(there) == 1:
            return [one.name for one in gated or there]
        if not there:
            raise NotUnderstood("no frontend and no listen")
        names = ", ".join(one.name for one in there)
        raise NotUnderstood(f"name the frontends that get the gate; there are: {names}")

    # --- global ---------------------------------------------------------------------------

    def _patch_global(self, printed: List[_Group], proxies: List[Section]) -> None:
        lines = [line for section in self._globals for line in section.lines]
        self._refuse_global(lines)
        # HAProxy ignores the setting behind a lua-load: behind ours, the file's own would have no
        # effect on the file's own scripts.
        settings = [line for line in lines if line.words[:1] == (_LUA_BOOLEANS,)]
        if settings:
            printed = [one for one in printed if one.words[0] != _LUA_BOOLEANS]
        exact = {one.words for one in printed}
        own = [line for line in lines if line.words in exact or _is_global_line(line.words)]
        ignored = settings and any(
            _loads_gate(line.words) and line.place < settings[-1].place for line in own
        )
        if _are_as_printed(lines, own, printed) and not ignored:
            return
        self._remove(lines, own)
        if settings:
            section = next(one for one in self._globals if settings[-1] in one.lines)
            self._insert(settings[-1], _indented(section, _texts(printed)))
            return
        if self._globals:
            head = self._globals[0].head
            late = [proxy for proxy in proxies if proxy.head.place < head.place]
            if late:
                why = f"global comes after {late[0].name}, whose bind needs its variables"
                raise NotUnderstood(why, head)
            self._insert(head, _indented(self._globals[0], _texts(printed)))
            return
        first = self._cfg.sections[0].head
        block = ["global", *_indented(None, _texts(printed)), ""]
        self._insert(self._above(first, self._cfg.files[first.place[0]]), block)

    def _refuse_global(self, lines: List[Line]) -> None:
        for line in lines:
            if len(line.words) < 2:
                continue
            word = line.words[0]
            if word == "nbproc" and line.words[1:] != ("1",):
                raise NotUnderstood("the gate needs one process: use nbthread", line)
            if word == "chroot" and not f"{self._folder}/".startswith(
                line.words[1].rstrip("/") + "/"
            ):
                inside = f"{line.words[1].rstrip('/')}/stillgate"
                why = f"the state folder {self._folder} is outside the chroot: --state {inside}"
                raise NotUnderstood(why, line)
            if word == "lua-load-per-thread" and not _loads_gate(line.words):
                if gate.breaks_scripts_per_thread(self._wanted.version):
                    why = "this HAProxy breaks such scripts beside the gate: load them by lua-load"
                    raise NotUnderstood(why, line)

    # --- frontend, listen -----------------------------------------------------------------

    def _patch_proxy(self, proxy: Section) -> gate.Lines:
        mode = self._cfg.mode_of(proxy)
        bases = self._cfg.defaults_of(proxy)
        self._refuse_rules(proxy, bases, mode)
        printed = gate.lines(
            proxy.name,
            version=self._wanted.version,
            mode=mode,
            folder=self._folder,
            lua_file=self._lua_file,
            probe=self._probe,
            exempt=self._exempt(proxy),
            inspect_delay=self._wanted.inspect_delay or gate.INSPECT_DELAY_S,
        )
        self._patch_defaults(proxy, bases, printed)
        groups = self._with_own_exemption(proxy, _groups(printed.frontend))
        groups, delays = self._without_delay(proxy, bases, groups)
        exact = {one.words for one in groups}
        own = [line for line in proxy.lines if line.words in exact or _is_gate_line(line.words)]
        rest = [line for line in proxy.lines if line not in own and line not in delays]
        right = _are_as_printed(proxy.lines, own, groups)
        if right and not delays and not _ends_before(_first_rule(own), rest, mode):
            self._tell_counters(rest, own[-1], mode)
            return printed
        self._remove(proxy.lines, [*own, *delays])
        anchor = _anchor(proxy.head, rest, mode)
        self._insert(anchor, _indented(proxy, _texts(groups)))
        self._tell_counters(rest, anchor, mode)
        for line in rest:
            if _action(line.words, mode) is not None and _releases(line.words, mode):
                self._notes.append(f"{line}: this rule lets requests pass; the gate is above it")
        return printed

    def _refuse_rules(self, proxy: Section, bases: List[Section], mode: str) -> None:
        for line in (line for base in bases for line in base.lines):
            if _releases(line.words, mode):
                why = f"in defaults, before every rule of {proxy.name}, it lets requests pass"
                raise NotUnderstood(f"{why}: move it into the frontends", line)
            if _ends(line.words, mode):
                self._notes.append(f"{line}: answers before the gate, as it is in defaults")
        for line in proxy.lines:
            if mode == "tcp" and line.words[1:3] == ("content", "switch-mode"):
                raise NotUnderstood(
                    "a tcp frontend that becomes http is neither for the gate", line
                )

    def _exempt(self, proxy: Section) -> Optional[str]:
        if self._wanted.exempt is not None:
            return self._wanted.exempt
        gated = any(_is_gate_rule(line.words) for line in proxy.lines)
        return None if gated and not proxy.having("acl", "stillgate_exempt") else gate.HEALTH_PATH

    def _with_own_exemption(self, proxy: Section, groups: List[_Group]) -> List[_Group]:
        """The condition is there to be adapted: the file's is kept."""
        kept = proxy.having("acl", "stillgate_exempt")
        if self._wanted.exempt is not None or not kept:
            return groups
        found: List[_Group] = []
        for one in groups:
            if one.words[:2] != ("acl", "stillgate_exempt"):
                found.append(one)
                continue
            for line in kept:
                comments = one.comments if line is kept[0] else []
                found.append(_Group(comments, line.text.strip(), line.words))
        return found

    def _without_delay(
        self, proxy: Section, bases: List[Section], groups: List[_Group]
    ) -> Tuple[List[_Group], List[Line]]:
        """HAProxy takes the first inspect-delay and ignores the others (docs/haproxy-facts.md,
        section 4). Returns the lines without ours where the file has one that is long enough, and
        the file's that are too short.
        """
        ours = [one for one in groups if one.words[:2] == ("tcp-request", "inspect-delay")]
        if not ours:
            return groups, []
        needed = seconds(ours[0].words[2]) or 0
        theirs = proxy.having("tcp-request", "inspect-delay")
        for line in [line for one in bases for line in one.having("tcp-request", "inspect-delay")]:
            if (_delay(line) or 0) < needed:
                raise NotUnderstood(f"no connection is held longer: at least {needed:g}s", line)
            return [one for one in groups if one not in ours], []
        if theirs and _delay(theirs[0]) >= needed:
            return [one for one in groups if one not in ours], []
        for line in theirs:
            words = f"inspect-delay was {line.words[2]}, and no connection is held longer"
            self._notes.append(f"{line}: {words}: it becomes {needed:g}s")
        return groups, theirs

    def _tell_counters(self, rest: List[Line], gate_at: Line, mode: str) -> None:
        for line in rest:
            if _counts(line.words, mode) and line.place > gate_at.place:
                why = "counts below the gate: at a release all who waited count at the same moment"
                self._notes.append(f"{line}: {why}; move it above the rules that answer")

    def _patch_defaults(self, proxy: Section, bases: List[Section], printed: gate.Lines) -> None:
        """Has HAProxy notice clients that left, and no backend end the requests of those that only
        closed their half. What the file itself says of it stays.
        """
        for base in bases:
            self._remove_former(base)
        said = [line for one in (proxy, *bases) if (line := self._abort_line(one))]
        target = next(iter(bases), None)
        if not printed.defaults or target is None or self._after.get(target.head.place):
            return
        if said or proxy.kind == "listen":
            why = f"{proxy.name} does not notice that an HTTP/1 client has gone while it waits"
            if not said or said[0].words[0] == "no":
                self._notes.append(f"{said[0] if said else proxy.head}: {why}")
            return
        self._insert(target.head, _indented(target, printed.defaults))
        words = ", ".join(one.text for one in _groups(printed.defaults))
        self._notes.append(f"{target.head}: {words}: for all sections that use these defaults")
        for section in self._cfg.of_kind("backend", "listen"):
            above = self._cfg.defaults_of(section)
            if target in above and section.name != "stillgate":
                nearer = [section, *above[: above.index(target)]]
                if not any(self._abort_line(one) for one in nearer):
                    self._insert(section.head, _indented(section, printed.backends))

    def _abort_line(self, section: Section) -> Optional[Line]:
        found = [line for line in section.lines if line.words in (_ABORT, ("no", *_ABORT))]
        return next((line for line in reversed(found) if line.place not in self._removed), None)

    def _remove_former(self, base: Section) -> None:
        """The option without its counterpart, as an earlier release printed it for all versions."""
        for comment, line in zip(base.lines, base.lines[1:]):
            if comment.text.strip() == _ABORT_BEFORE and line.words == _ABORT:
                self._removed |= {comment.place, line.place}

    # --- backend stillgate ----------------------------------------------------------------

    def _patch_table(self, printed: List[str]) -> None:
        there = [one for one in self._cfg.of_kind("backend") if one.name == "stillgate"]
        groups = _groups(printed)
        for section in there:
            lines = [line for line in section.lines if line.words]
            if any(line.words[0] != "stick-table" for line in lines):
                raise NotUnderstood("backend stillgate is not the gate's", section.head)
            if [section.head.words, *(line.words for line in lines)] == [
                one.words for one in groups
            ]:
                return
            self._remove(section.lines, lines)
            self._removed.add(section.head.place)
        if not printed:
            return
        last = self._cfg.files[-1][-1] if self._cfg.files[-1] else None
        block = [printed[0], *_indented(None, printed[1:])]
        blank = [""] if last is None or last.text.strip() else []
        where = last.place if last else (len(self._texts) - 1, -1)
        self._after.setdefault(where, []).extend([*blank, *block])

    # --- the text -------------------------------------------------------------------------

    def _remove(self, lines: List[Line], own: List[Line]) -> None:
        """With the comments that are printed above them, and no others."""
        self._removed |= {line.place for line in own}
        if own:
            self._removed |= {line.place for line in lines if line.text.strip() in _COMMENTS}

    def _insert(self, line: "Line | Place", block: List[str]) -> None:
        place = line.place if isinstance(line, Line) else line
        self._after[place] = [*self._after.get(place, []), *block]

    @staticmethod
    def _above(line: Line, lines: List[Line]) -> Place:
        """The place before a line and the comments that belong to it."""
        number, index = line.place
        while index > 0 and lines[index - 1].text.lstrip().startswith("#"):
            index -= 1
        return number, index - 1

    def _render(self, number: int) -> str:
        text = self._texts[number]
        lines = self._cfg.files[number]
        end = "\r\n" if lines and lines[0].text.endswith("\r\n") else "\n"
        found = [one + end for one in self._after.get((number, -1), [])]
        for line in lines:
            if line.place not in self._removed:
                found.append(line.text if line.text.endswith("\n") else line.text + end)
            found += [one + end for one in self._after.get(line.place, [])]
        whole = "".join(found)
        unended = text != "" and not text.endswith("\n")
        return whole[: -len(end)] if unended and whole.endswith(end) else whole


# --- whose lines are whose ------------------------------------------------------------------


def _loads_gate(words: Words) -> bool:
    loads = words[:1] in (("lua-load",), ("lua-load-per-thread",)) and len(words) > 1
    return loads and bool(re.search(r"stillgate[^/]*\.lua$|stillgate/gate\.lua$", words[1]))


def _is_global_line(words: Words) -> bool:
    if words[:1] in (("setenv",), ("presetenv",)):
        return words[1:2] in (("STILLGATE_STATE",), ("STILLGATE_PROBE",))
    return _loads_gate(words)


def _is_gate_line(words: Words) -> bool:
    if words[:1] == ("bind",):
        return bool(re.search("STILLGATE_(PROBE|STATE)", " ".join(words[1:2])))
    return words[:2] == ("acl", "stillgate_exempt") or _is_gate_rule(words)


def _is_gate_rule(words: Words) -> bool:
    """A rule of this or an earlier release's."""
    if words[:1] not in (("http-request",), ("tcp-request",)):
        return False
    rest = " ".join(words)
    return bool(
        re.search(r" lua\.stillgate(_tcp)?\b| set-var\((txn|sess)\.stillgate\)", rest)
        or re.search(r" (deny|reject)\b.*\bvar\((txn|sess)\.stillgate\)", rest)
        or re.search(r" set-priority-class int\(\d+\).*\bstillgate_(guard_|exempt)", rest)
    )


def _action(words: Words, mode: str) -> Optional[str]:
    """What a rule of the frontend does, if it is of the kind that comes after the gate."""
    if words[:1] == ("http-request",) and mode == "http":
        return words[1] if len(words) > 1 else ""
    if words[:2] == ("tcp-request", "content") and mode == "tcp":
        return words[2] if len(words) > 2 else ""
    return words[0] if words[:1] in (("redirect",), ("use_backend",)) else None


def _releases(words: Words, mode: str) -> bool:
    action = _action(words, mode)
    return action is not None and bool(_RELEASING.match(action)) and not _is_gate_rule(words)


def _ends(words: Words, mode: str) -> bool:
    action = _action(words, mode)
    return action is not None and not _HARMLESS.match(action)


def _counts(words: Words, mode: str) -> bool:
    kind = words[:1] == ("http-request",) if mode == "http" else words[:1] == ("tcp-request",)
    return kind and bool(_COUNTING.match(_action(words, mode) or ""))


def _ends_before(first: Optional[Line], rest: List[Line], mode: str) -> bool:
    return first is not None and any(
        line.place < first.place and _ends(line.words, mode) for line in rest
    )


def _first_rule(own: List[Line]) -> Optional[Line]:
    rules = (line for line in own if line.words[:1] in (("http-request",), ("tcp-request",)))
    return next(rules, None)


def _anchor(head: Line, rest: List[Line], mode: str) -> Line:
    """The line after which the gate comes: before all rules of its kind, but for those that count
    and what leads to them, and after what HAProxy evaluates earlier, since it warns if that comes
    later.
    """
    anchor, among_rules = head, False
    for line in rest:
        words = line.words
        if _counts(words, mode):
            anchor = line
        if _ends(words, mode):
            break
        among_rules |= _action(words, mode) is not None or words[:1] == ("http-request",)
        if among_rules:
            continue
        earlier = words[:1] in (("bind",), ("mode",)) or words[:2] == ("monitor", "fail")
        if earlier or (words[:1] == ("tcp-request",) and words[1:2] != ("inspect-delay",)):
            anchor = line
    return anchor


def _delay(line: Line) -> float:
    found = seconds(line.words[2]) if len(line.words) == 3 else None
    if found is None:
        raise NotUnderstood("the delay is no plain time", line)
    return found


# --- printed lines --------------------------------------------------------------------------


def _groups(printed: Sequence[str]) -> List[_Group]:
    found: List[_Group] = []
    comments: List[str] = []
    for text in printed:
        if text.startswith("#"):
            comments.append(text)
        else:
            found.append(_Group(comments, text, words_of(text)))
            comments = []
    return found


def _texts(groups: Sequence[_Group]) -> List[str]:
    return [text for one in groups for text in (*one.comments, one.text)]


def _are_as_printed(lines: List[Line], own: List[Line], groups: Sequence[_Group]) -> bool:
    """So many directives, and above them no comment that was printed for another version. An
    operator may have taken comments away.
    """
    said: Set[str] = set()
    above: Set[str] = set()
    for line in lines:
        if line in own:
            said |= above
        above = {*above, line.text.strip()} if not line.words else set()
    right = [line.words for line in own] == [one.words for one in groups]
    printed = {text for one in groups for text in one.comments}
    return right and said & _COMMENTS <= printed


def _indented(section: Optional[Section], texts: Sequence[str]) -> List[str]:
    """As the section's own lines are."""
    lines = section.lines if section else []
    first = next((line.text for line in lines if line.words), "    x")
    indent = first[: len(first) - len(first.lstrip())]
    return [indent + text for text in texts]


def _last(said: List[Words], variable: str) -> Optional[str]:
    kinds = (("setenv", variable), ("presetenv", variable))
    found = [words[2] for words in said if words[:2] in kinds and len(words) == 3]
    return found[-1] if found else None


def _printed_comments() -> FrozenSet[str]:
    found: Set[str] = set()
    for version, mode in (("2.2", "http"), ("2.6", "http"), ("3.1", "http"), ("3.2", "tcp")):
        for part in gate.lines("f", version=version, mode=mode):
            found |= {text for text in part if text.startswith("#")}
    return frozenset(found)


_COMMENTS = _printed_comments()
