"""The gate's lines in the right places of haproxy.cfg: over configurations as people run them."""

from __future__ import annotations

import difflib
import subprocess
from pathlib import Path
from typing import Any

import pytest

from stillgate import gate
from stillgate.gate.haproxy_cfg import Configuration, NotUnderstood, words_of
from stillgate.gate.patch import Wanted, patch, unified_diff
from support.haproxy.configurations import CASES, Case

VERSIONS = ["2.2.9", "2.6.12", "3.0.11", "3.2.26"]
SIMPLE = """global
    maxconn 100
defaults
    mode http
frontend f
    bind :80
    http-request allow if { src 10.0.0.1 }
    default_backend b
backend b
    server s 127.0.0.1:1
"""


# Backends that end no request of a client that closed its half, and `defaults` that notice one
# that left: where it is worth that, and where the file says nothing and no `listen` is both.
ABORTING = {
    (name, version): [backends, 1]
    for name, backends in {
        "router_chain": 2,
        "waf_by_spoe": 2,
        "peers_and_tables": 3,
        "named_defaults": 0,
    }.items()
    for version in ("2.6", "3.2")
}


def patched(text: str, version: str = "3.0.11", **wanted: Any) -> str:
    return patch([("h.cfg", text)], Wanted(version, **wanted)).texts[0]


def changed(before: str, after: str) -> tuple[list[str], list[str]]:
    """Lines taken away, and lines added."""
    found = list(difflib.ndiff(before.splitlines(True), after.splitlines(True)))
    return [one[2:] for one in found if one[0] == "-"], [one[2:] for one in found if one[0] == "+"]


def directives(text: str) -> list[tuple[str, ...]]:
    return [words for words in map(words_of, text.splitlines()) if words]


def refused(text: str, version: str = "3.0.11", **wanted: Any) -> str:
    with pytest.raises(NotUnderstood) as caught:
        patched(text, version, **wanted)
    return str(caught.value)


def supported() -> list[Any]:
    return [
        pytest.param(case, version, id=f"{case.name}-{version}")
        for case in CASES
        for version in VERSIONS
        if tuple(int(part) for part in version.split(".")[:2]) >= case.since
    ]


@pytest.mark.parametrize("case, version", supported())
def test_the_gate_is_before_all_rules_and_nothing_else_changes(case: Case, version: str) -> None:
    after = patched(case.text, version, frontends=[case.frontend])
    gone, added = changed(case.text, after)
    assert tuple(gone) == case.replaced
    section = Configuration([("h.cfg", after)]).proxy(case.frontend)
    mode = Configuration([("h.cfg", after)]).mode_of(section)
    rules = [line.words for line in section.lines if line.words]
    kind = ("http-request",) if mode == "http" else ("tcp-request", "content")
    ours = [at for at, words in enumerate(rules) if "lua.stillgate" in " ".join(words)]
    last = max(at for at, words in enumerate(rules) if "stillgate" in " ".join(words))
    others = (kind, ("redirect",), ("use_backend",))
    behind = [
        at
        for at, words in enumerate(rules)
        if any(words[: len(one)] == one for one in others) and "stillgate" not in " ".join(words)
    ]
    counting = [at for at in behind if "track-sc" in " ".join(rules[at])]
    assert len(ours) == 1 and all(at < ours[0] for at in counting), "they count as requests come"
    assert all(at > last for at in behind if at not in counting), rules
    for earlier in ("connection", "session", *(("content",) if mode == "http" else ())):
        found = [at for at, one in enumerate(rules) if one[:2] == ("tcp-request", earlier)]
        assert all(at < ours[0] for at in found), "HAProxy warns of it behind"
    # All that is printed is there, once, in the order printed.
    printed = gate.lines(case.frontend, version=version, mode=mode)
    new = directives("".join(added))
    for part in (printed.global_, printed.frontend):
        wanted = directives("\n".join(part))
        assert [words for words in new if words in wanted] == wanted
    words = ["no option abortonclose", "option abortonclose"]
    assert [new.count(tuple(one.split())) for one in words] == ABORTING.get(
        (case.name, version[:3]), [0, 0]
    )


@pytest.mark.parametrize("case, version", supported())
def test_a_second_patch_changes_nothing(case: Case, version: str) -> None:
    once = patched(case.text, version, frontends=[case.frontend])
    assert patched(once, version, frontends=[case.frontend]) == once
    assert patched(once, version) == once, "the frontend that has the gate needs no name"


@pytest.mark.parametrize("case, version", supported())
def test_line_ends_stay_as_they_are(case: Case, version: str) -> None:
    plain = patched(case.text, version, frontends=[case.frontend])
    windows = patched(case.text.replace("\n", "\r\n"), version, frontends=[case.frontend])
    assert windows == plain.replace("\n", "\r\n")
    assert patched(case.text[:-1], version, frontends=[case.frontend]) == plain[:-1]


def test_the_diff_is_one_that_patch_takes(tmp_path: Path) -> None:
    for before in (SIMPLE, SIMPLE[:-1], SIMPLE.replace("\n", "\r\n")):
        after = patched(before, "2.2.9")
        (tmp_path / "h.cfg").write_bytes(before.encode())
        diff = unified_diff("h.cfg", before, after).encode()
        line = ["git", "apply", "-p0", "--whitespace=nowarn"]
        done = subprocess.run(line, input=diff, cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "h.cfg").read_bytes() == after.encode()
    assert unified_diff("h.cfg", SIMPLE, SIMPLE) == ""


def test_several_frontends_share_global_and_defaults() -> None:
    text = SIMPLE + "frontend g\n    bind :81\n    default_backend b\n"
    after = patched(text, frontends=["f", "g"])
    assert after.count("lua-load") == 1
    assert after.count("name stillgate\n") == 2
    one_by_one = patched(patched(text, frontends=["f"]), frontends=["g"])
    assert one_by_one == after


def test_several_files_are_one_configuration() -> None:
    first, second = SIMPLE.split("frontend f", 1)
    files = [("a.cfg", first), ("b.cfg", "frontend f" + second)]
    found = patch(files, Wanted("3.0.11")).texts
    assert "".join(found) == patched(SIMPLE)
    assert "lua-load" in found[0] and "lua.stillgate" in found[1]


def test_without_a_global_one_is_made_below_the_first_comment() -> None:
    text = "# what this is for\n\n# of all\n" + SIMPLE.partition("maxconn 100\n")[2]
    after = patched(text)
    assert after.startswith("# what this is for\n\nglobal\n    #")
    assert "\n\n# of all\ndefaults\n" in after
    assert changed(text, after)[0] == []


# --- lines that are there ---------------------------------------------------------------


def pasted(**options: Any) -> str:
    """As an operator pastes what --config prints, without the comments."""
    found = gate.lines("f", version="3.0", **options)
    text = SIMPLE
    for head, part in (
        ("global\n", found.global_),
        ("defaults\n", found.defaults),
        ("frontend f\n", found.frontend),
    ):
        lines = "".join(f"  {one}\n" for one in part if not one.startswith("#"))
        text = text.replace(head, head + lines)
    return text


def test_lines_that_were_pasted_stay_where_they_are() -> None:
    assert patched(pasted()) == pasted()
    text = pasted(probe="here", folder="/srv/x", exempt="/up", lua_file="/s/stillgate.lua")
    assert patched(text) == text, "what the file says is not overwritten by a default"
    assert patched(pasted(exempt=None)) == pasted(exempt=None)


def test_an_option_that_is_named_replaces_what_is_there() -> None:
    gone, added = changed(pasted(), patched(pasted(), probe="other"))
    assert [words_of(one) for one in gone if "PROBE " in one] == [
        ("setenv", "STILLGATE_PROBE", "stillgate")
    ]
    assert ("setenv", "STILLGATE_PROBE", "other") in directives("".join(added))
    assert patched(patched(pasted(), probe="other")).count("setenv STILLGATE_PROBE") == 1


def test_half_a_line_is_left_to_haproxy() -> None:
    """HAProxy says what is missing; the patch must not fall over it."""
    for half in ("chroot", "lua-load", "nbproc"):
        assert f"    {half}\n" in patched(SIMPLE.replace("maxconn 100", half))
    for half in ("tcp-request", "http-request", "bind", "acl", "redirect"):
        assert f"    {half}\n" in patched(SIMPLE.replace("    bind :80\n", f"    {half}\n"))


def test_an_exemption_that_was_adapted_stays() -> None:
    own = "acl stillgate_exempt src 192.0.2.0/24"
    text = pasted().replace("acl stillgate_exempt path /health", own)
    assert patched(text) == text
    outdated = text.replace("!{ stopping } ", "")
    after = patched(outdated)
    assert after.count("acl stillgate_exempt") == after.count(own) == 1
    assert sorted(directives(after)) == sorted(directives(text))


def test_older_lines_are_replaced() -> None:
    """Each line of a release before, be it another one or missing."""
    now = patched(SIMPLE)
    rules = [line for line in now.splitlines(True) if line.lstrip().startswith("http-request")]
    for rule in rules[:3]:
        assert patched(now.replace(rule, "")) == now
    older = now.replace("!{ stopping } ", "")
    assert older != now and patched(older) == now


def test_lines_below_a_rule_that_releases_are_moved_above_it() -> None:
    rule = "    http-request allow if { src 10.0.0.1 }\n"
    right = patched(SIMPLE)
    wrong = right.replace(rule, "").replace("    bind :80\n", "    bind :80\n" + rule)
    assert wrong != right and patched(wrong) == right


def test_an_upgrade_from_2_2_takes_the_table_away() -> None:
    before = patched(SIMPLE, "2.2.9")
    assert "backend stillgate\n" in before
    assert patched(before, "3.0.11").rstrip() == patched(SIMPLE, "3.0.11").rstrip()


def test_an_upgrade_takes_comments_away_that_are_no_longer_true() -> None:
    before = patched(SIMPLE, "2.6.12")
    assert "nice 1024" in before and "lua-load-per-thread" in before
    after = patched(before, "3.0.11")
    assert "nice 1024" not in after and "lua-load-per-thread" not in after


def test_the_operators_own_lines_may_have_our_name() -> None:
    own = "    http-request set-header X-Stillgate 1\n    default_backend stillgate_app\n"
    text = SIMPLE.replace("    default_backend b\n", own)
    after = patched(text)
    assert changed(text, after)[0] == []
    assert patched(after) == after


@pytest.mark.parametrize("delay, kept", [("90s", True), ("2m", True), ("59999", False)])
def test_of_two_delays_the_longer_one_counts(delay: str, kept: bool) -> None:
    line = f"    tcp-request inspect-delay {delay}\n"
    text = SIMPLE.replace("mode http", "mode tcp").replace(
        "    http-request allow if { src 10.0.0.1 }\n", line
    )
    after = patched(text)
    assert (line in after) is kept
    assert after.count("tcp-request inspect-delay ") == 1


# --- what the operator reads ------------------------------------------------------------


def test_a_rule_that_released_before_is_named() -> None:
    notes = patch([("h.cfg", SIMPLE)], Wanted("3.0.11")).notes
    assert any(note.startswith("h.cfg:7: ") for note in notes)


# --- what is refused --------------------------------------------------------------------

REFUSED = [
    ("default_backend b", "default_backend b\n.if defined(X)", "h.cfg:9: ", ".if defined(X)"),
    ("\nbackend b", "\nfrontend f\nbackend b", "h.cfg:9: ", "h.cfg:5"),
    ("\nbackend b\n", "\nlisten f\n    bind :9\nbackend b\n", "h.cfg:9: ", "listen f"),
    ("mode http", "mode ${MODE}", "h.cfg:4: ", "mode ${MODE}"),
    ("mode http", "mode health", "h.cfg:4: ", "mode health"),
    ("frontend f", 'frontend "${NAME}"', "h.cfg:5: ", "${NAME}"),
    ("frontend f", "frontend f from web", "h.cfg:5: ", "web"),
    ("frontend f", "frontend f :81", "h.cfg:5: ", "frontend f :81"),
    ("mode http", "mode http\n http-request allow if { src ::1 }", "h.cfg:5: ", "allow"),
    ("mode http", "mode http\n http-request lua.mine", "h.cfg:5: ", "lua.mine"),
    ("mode http", "mode tcp\n tcp-request content accept", "h.cfg:5: ", "accept"),
    ("mode http", "mode tcp\n tcp-request inspect-delay 5s", "h.cfg:5: ", "60s"),
    ("maxconn 100", "nbproc 4", "h.cfg:2: ", "nbproc 4"),
    ("maxconn 100", "chroot /srv/empty", "h.cfg:2: ", "--state /srv/empty/stillgate"),
    ("    bind :80", "    mode tcp\n    tcp-request content switch-mode http", "h.cfg:7: ", "http"),
    ("\nbackend b", "\nbackend stillgate\n    server x :1\nbackend b", "h.cfg:9: ", "stillgate"),
    ("defaults\n", "defaults d\ndefaults d\n", "h.cfg:4: ", "d"),
]


@pytest.mark.parametrize("old, new, place, words", REFUSED)
def test_what_is_not_understood_is_refused_with_its_line(
    old: str, new: str, place: str, words: str
) -> None:
    text = SIMPLE.replace(old, new, 1)
    if "defaults d" in new:  # it is refused where it is named
        text = text.replace("frontend f", "frontend f from d")
    said = refused(text, frontends=["f"])
    assert said.startswith(place) and words in said


def test_scripts_per_thread_are_refused_where_haproxy_breaks_them() -> None:
    text = SIMPLE.replace("maxconn 100", "lua-load-per-thread /etc/haproxy/mine.lua")
    assert refused(text, "2.6.12").startswith("h.cfg:2: ")
    assert "lua-load " in patched(text, "3.0.11")
    assert "lua-load-per-thread" not in patched(
        SIMPLE.replace("maxconn 100", "lua-load-per-thread /etc/haproxy/stillgate-gate.lua")
    ), "a gate loaded like that holds nothing"


def test_which_frontend_is_not_guessed() -> None:
    text = SIMPLE + "frontend g\n    bind :81\n"
    assert "f, g" in refused(text)
    assert "no frontend or listen h; there are: f, g" in refused(text, frontends=["h"])


def test_a_global_that_comes_too_late_is_refused() -> None:
    first, second = SIMPLE.split("frontend f", 1)
    late = first.partition("defaults")[2]
    text = "defaults" + late + "frontend f" + second + "global\n    maxconn 1\n"
    assert "global" in refused(text)


@pytest.mark.parametrize(
    "text, words",
    [
        ("a 'b c' # d", ("a", "b c")),
        ('a "b \\" c" d#e', ("a", 'b " c', "d")),
        ("a\\ b\tc\r\n", ("a b", "c")),
        ('""  #', ("",)),
        ("  # x", ()),
    ],
)
def test_words_are_split_as_haproxy_splits_them(text: str, words: tuple[str, ...]) -> None:
    assert words_of(text) == words


# --- what the file has of its own ---------------------------------------------------------

HALF_CLOSE = "no option abortonclose"


@pytest.mark.parametrize("version", ["2.6.12", "3.2.26"])
def test_no_backend_ends_requests_of_clients_that_closed_their_half(version: str) -> None:
    both = SIMPLE + "frontend g\n    bind :81\n    default_backend b\nlisten l\n    bind :82\n"
    after = patched(both, version, frontends=["f", "g"])
    found = Configuration([("h.cfg", after)])
    for kind, count in (("defaults", 0), ("frontend", 0), ("backend", 1), ("listen", 1)):
        for section in found.of_kind(kind):
            assert len(section.having(*HALF_CLOSE.split())) == count, kind
    assert after.count("    option abortonclose\n") == 1
    notes = patch([("h.cfg", SIMPLE)], Wanted(version)).notes
    assert any(note.startswith("h.cfg:3: option abortonclose") for note in notes)


# The same releases as in GateAdvice.TellsWhatAReleaseDoesNotNotice.
NOTICES = {"2.2.9": False, "2.4.9": True, "2.5.14": False, "2.6": True, "2.6.12": True}
NOTICES |= {"2.6.23": False, "2.8.14": False, "3.0.11": False, "3.1.0": False, "3.2.26": True}


@pytest.mark.parametrize("version, worth_it", NOTICES.items())
def test_who_left_is_asked_for_only_where_haproxy_notices_it(version: str, worth_it: bool) -> None:
    found = gate.lines("f", version=version)
    assert ("option abortonclose" in found.defaults, HALF_CLOSE in found.backends) == (
        worth_it,
        worth_it,
    )


@pytest.mark.parametrize("own", ["option abortonclose", HALF_CLOSE])
def test_what_the_file_says_of_aborted_clients_stays(own: str) -> None:
    text = SIMPLE.replace("mode http", f"mode http\n    {own}")
    assert patched(text, "2.6.12").count("abortonclose") == 1
    in_backend = SIMPLE + f"    {own}\n"
    assert patched(in_backend, "2.6.12").count("abortonclose") == 2


def test_what_an_earlier_release_asked_for_in_all_versions_is_taken_back() -> None:
    former = "    # drop a held request whose client has gone\n    option abortonclose\n"
    text = SIMPLE.replace("    mode http\n", former + "    mode http\n")
    assert patched(text) == patched(SIMPLE)
    assert patched(text, "2.6.12") == patched(SIMPLE, "2.6.12")


@pytest.mark.parametrize("value", ["normal", "pre-3.1-bug"])
def test_a_setting_for_the_files_own_scripts_stays_in_effect(value: str) -> None:
    """HAProxy ignores it behind a lua-load."""
    own = f"    tune.lua.bool-sample-conversion {value}\n    lua-load /etc/mine.lua\n"
    text = SIMPLE.replace("    maxconn 100\n", "    maxconn 100\n" + own)
    after = patched(text, "3.2.26")
    assert changed(text, after)[0] == [] and after.count("bool-sample") == 1
    assert after.index("bool-sample") < after.index("stillgate-gate.lua")
    assert patched(after, "3.2.26") == after
    line = own.partition("\n")[0] + "\n"
    wrong = after.replace(line, "").replace("    maxconn 100\n", "    maxconn 100\n" + line)
    assert patched(wrong, "3.2.26") == wrong, "before all that is loaded"
    late = after.replace(line, "").replace(
        "    lua-load /etc/mine", line + "    lua-load /etc/mine"
    )
    assert late != after and patched(late, "3.2.26") == after


def test_no_setting_where_a_release_may_not_know_it() -> None:
    for version, there in (("3.1", False), ("3.1.0", False), ("3.1.1", True), ("3.2", True)):
        assert ("bool-sample" in patched(SIMPLE, version)) is there, version


def test_the_probe_of_3_1_is_a_path() -> None:
    assert "unix@${STILLGATE_STATE}/f.probe" in patched(SIMPLE, "3.1.0")
    assert patched(patched(SIMPLE, "3.1.0"), "3.2.26") == patched(SIMPLE, "3.2.26")
    with pytest.raises(ValueError, match="too long"):
        patched(SIMPLE, "3.1.0", folder="/" + "x" * 90)


def test_what_counts_below_the_gate_is_named() -> None:
    track = "    http-request track-sc0 src\n"
    above = SIMPLE.replace("    http-request allow", track + "    http-request allow")
    found = patch([("h.cfg", above)], Wanted("3.0.11"))
    assert found.texts[0].index("track-sc0") < found.texts[0].index("lua.stillgate")
    assert not any("counts below" in note for note in found.notes)
    below = SIMPLE.replace("    default_backend", track + "    default_backend")
    for text in (below, patched(below)):
        found = patch([("h.cfg", text)], Wanted("3.0.11"))
        assert any("counts below the gate" in note for note in found.notes)
