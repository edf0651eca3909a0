"""Every option, once: its name, type and range, its help, and its verbs.

The command line and its man page, Fabric's flags and settings, the inventory's keys and the checks
of all of them are made from these rows. Tests compare what is written elsewhere with them: the
signatures of `Fleet`, the table of docs/fabric.md, the cookbook's properties.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import List, Literal, Mapping, Tuple, Union, get_args

Method = Literal["auto", "gate", "maxconn"]
Expiry = Literal["release", "reject"]
OnReload = Literal["release", "reject"]
Signal = Literal["TERM", "INT"]
Progress = Literal["screen", "lines", "none"]
EventFormat = Literal["json", "syslog", "journald"]

METHODS: Tuple[str, ...] = get_args(Method)
EXPIRIES: Tuple[str, ...] = get_args(Expiry)
ON_RELOADS: Tuple[str, ...] = get_args(OnReload)
SIGNALS: Tuple[str, ...] = get_args(Signal)
PROGRESSES: Tuple[str, ...] = get_args(Progress)
EVENT_FORMATS: Tuple[str, ...] = get_args(EventFormat)

# --- what an option may be ------------------------------------------------------------


@dataclass(frozen=True)
class Seconds:
    """Both ends are allowed."""

    least: float
    most: float = 3600


@dataclass(frozen=True)
class Whole:
    """A whole number; both ends are allowed."""

    least: int
    most: int


@dataclass(frozen=True)
class Choice:
    words: Tuple[str, ...]


@dataclass(frozen=True)
class Flag:
    """True or false; false by default."""


@dataclass(frozen=True)
class Text:
    """`metavar` stands for it in the help."""

    metavar: str = "TEXT"
    may_be_empty: bool = False


@dataclass(frozen=True)
class Texts:
    """Several. With `commas` one text may hold them all."""

    metavar: str
    commas: bool = False


Kind = Union[Seconds, Whole, Choice, Flag, Text, Texts]

# --- a row ----------------------------------------------------------------------------

VERBS = ("exec", "check", "rehearse", "suspend", "resume", "extend", "cutover", "status", "hold")
ON_HOLDS = ("check", "rehearse", "suspend", "resume", "extend", "status", "hold")
ACTING = ("check", "suspend", "resume", "extend", "hold")
HOLDING = ("check", "rehearse", "suspend", "hold")


@dataclass(frozen=True)
class Option:
    """`verbs` are those of the command line; in Python `hold` is Fleet.suspended().

    `help` is its help; `helps` has another help for some verbs.
    `default` is the default value; `default_words` describes it if it is no constant.
    `of`: an argument of the verb in Python ("call") or of Fleet itself ("fleet"), or only of the
    command line and Fabric ("face").
    `inventory`: a key of the inventory's fleets, which then comes before `default`.
    `fabric`: a setting and a flag of Fabric's tasks ("both"), one of the two, or nothing ("").
    `letter` and `fabric_letter` are short flags of the command line and of Fabric's tasks.
    `argument`: on the command line a positional argument, not a flag.
    `variable` is an environment variable that replaces the flag.
    """

    name: str
    kind: Kind
    help: str
    verbs: Tuple[str, ...]
    default: object = None
    default_words: str = ""
    helps: Mapping[str, str] = field(default_factory=dict)
    of: Literal["call", "fleet", "face"] = "call"
    inventory: bool = False
    fabric: Literal["both", "setting", "flag", ""] = "both"
    flag: str = ""
    letter: str = ""
    fabric_letter: str = ""
    argument: bool = False
    variable: str = ""

    @property
    def word(self) -> str:
        """Its flag, without the dashes."""
        return self.flag or self.name.replace("_", "-")

    def help_of(self, verb: str) -> str:
        return self.helps.get(verb, self.help)


# --- the table ------------------------------------------------------------------------

_WHY_FORCE = "Why --force overrules the holder."

OPTIONS = (
    Option(
        "watch",
        Seconds(1, 600),
        "Watch the traffic for this many seconds.",
        ("rehearse",),
        default=5.0,
        fabric_letter="t",
    ),
    Option(
        "no_lease",
        Flag(),
        "Start no guard: only a resume ends a hold by maxconn.",
        ("suspend",),
        default=False,
    ),
    Option(
        "method",
        Choice(METHODS),
        "auto: the gate where it is proven, otherwise maxconn where that is safe.",
        HOLDING,
        default="auto",
    ),
    Option(
        "accept_unproven",
        Flag(),
        "Accept a gate that is loaded but not proven.",
        HOLDING,
        default=False,
    ),
    Option(
        "on_expiry",
        Choice(EXPIRIES),
        "What a gate does at the deadline. reject: answer 503 until somebody resumes.",
        HOLDING,
        default="release",
    ),
    Option(
        "on_reload",
        Choice(ON_RELOADS),
        "What a gate does in a worker that a reload replaces. reject: answer 503 at once; release: "
        "hold on, then send to the old servers.",
        HOLDING,
        default="release",
    ),
    Option(
        "max_waiting",
        Whole(0, 1_000_000_000),
        "Above this many requests per frontend a gate answers 503; 0: no limit.",
        HOLDING,
        default=0,
    ),
    Option(
        "max_hold",
        Seconds(0.1),
        "The hold ends by itself after this many seconds.",
        HOLDING,
        default=15.0,
        inventory=True,
        fabric_letter="m",
    ),
    Option(
        "drain_timeout",
        Seconds(0),
        "Seconds for the requests already in flight to end; then roll back. 0: do not wait.",
        HOLDING,
        default=5.0,
        fabric_letter="d",
    ),
    Option(
        "drain_except",
        Text("BACKEND[,BACKEND]", may_be_empty=True),
        "Backends whose requests in flight may go on, or tables that track such requests: of "
        "WebSockets and other endless streams.",
        HOLDING,
        default="",
    ),
    Option(
        "grace",
        Seconds(0),
        "COMMAND gets SIGTERM this many seconds before the deadline, SIGKILL shortly before it.",
        ("hold",),
        default_words="2, or half of a hold shorter than 4",
        of="face",
        fabric_letter="g",
    ),
    Option(
        "signal",
        Choice(SIGNALS),
        "The first signal. INT: then SIGTERM half-way; psql cancels its statement on it.",
        ("hold",),
        default="TERM",
        of="face",
    ),
    Option(
        "postgres",
        Flag(),
        "Give COMMAND the PGOPTIONS with which PostgreSQL ends its statements in time.",
        ("hold",),
        default=False,
        of="face",
    ),
    Option(
        "on_failure",
        Text("CMD"),
        "Shell command that undoes what COMMAND did, run inside the hold if COMMAND fails.",
        ("hold",),
        of="face",
    ),
    Option(
        "undo_time",
        Seconds(0.1),
        "Keep this many seconds of the hold for --on-failure.",
        ("hold",),
        default_words="a third of the hold",
        of="face",
    ),
    Option(
        "keep_on_failure",
        Flag(),
        "If COMMAND fails and is not undone, hold on until the deadline.",
        ("hold",),
        default=False,
        of="face",
    ),
    Option(
        "keys",
        Flag(),
        "The screen takes keys: r ends COMMAND and resumes, e extends the hold, q leaves the "
        "screen, each asked once. COMMAND then reads nothing from the terminal. Without this "
        "option they are taken where COMMAND's input is no terminal.",
        ("hold",),
        default=False,
        of="face",
    ),
    Option(
        "progress",
        Choice(PROGRESSES),
        "What standard error shows of the hold: a screen on its last lines; a line a second, with "
        "--json a JSON document; or nothing.",
        ("hold",),
        default_words="screen on a terminal, else lines",
        of="face",
    ),
    Option(
        "ramp",
        Seconds(0),
        "Open over this many seconds, instead of at once.",
        ("resume", "hold"),
        default=0.0,
    ),
    Option(
        "limit",
        Whole(1, 2**31 - 1),
        "Restore this limit, instead of the recorded one.",
        ("resume",),
        fabric_letter="l",
    ),
    Option(
        "wait_up",
        Flag(),
        "Wait until a check shows a server up in every backend that had one at the suspend; "
        "give up after --retry-for.",
        ("resume", "hold"),
        default=False,
        fabric_letter="w",
    ),
    Option(
        "wait_up_for",
        Text("BACKEND[,BACKEND]", may_be_empty=True),
        "The same for these backends only: those that the frontend uses.",
        ("resume", "hold"),
        default="",
    ),
    Option(
        "cutover",
        Text("NAME"),
        "A cutover of the inventory: applied to all HAProxies before anything is released, or to "
        "none.",
        ("check", "resume", "hold"),
        helps={"check": "A cutover of the inventory: whether every HAProxy could have it."},
    ),
    Option(
        "ready_first",
        Seconds(0),
        "First bring the cutover's servers to drain, and wait so many seconds until a check has "
        "shown each to be up; else hold nothing. 0: do not.",
        ("check", "hold", "cutover"),
        default=0.0,
        helps={
            "check": "Count those of the cutover's servers as up that --ready-first of such a hold "
            "would have checked first; check waits for none. 0: do not.",
            "cutover": "First bring its servers to drain, and wait so many seconds until a check "
            "has shown each to be up; else change nothing. 0: do not.",
        },
    ),
    Option(
        "serve",
        Texts("WHAT=VALUE"),
        "A cutover given here: BACKEND/SERVER=ready, =drain, =maint or =WEIGHT, FILE:KEY=VALUE of "
        "a map; repeatable. --cutover then only names it, else it is 'given'.",
        ("check", "resume", "hold", "cutover"),
        of="face",
        fabric="flag",
        helps={
            "cutover": "A cutover given here, NAME being its name: BACKEND/SERVER=ready, =drain, "
            "=maint or =WEIGHT, FILE:KEY=VALUE of a map; repeatable."
        },
    ),
    Option(
        "back",
        Flag(),
        "Restore what served before the cutover of that name.",
        ("cutover",),
        default=False,
        fabric="flag",
    ),
    Option(
        "dry_run",
        Flag(),
        "Prove that it is possible, show what would change, and change nothing.",
        ("cutover",),
        default=False,
        fabric="",
    ),
    Option(
        "accept_hazard",
        Flag(),
        "Overrule the table of releases that crash on resume: this build has the fix.",
        ("check", "rehearse", "suspend", "resume", "hold"),
        default=False,
    ),
    Option(
        "accept_shared_fate",
        Flag(),
        "Hold by maxconn even where the guard would end with whoever starts it.",
        ("check", "rehearse", "suspend"),
        default=False,
    ),
    Option(
        "retry_for",
        Seconds(0),
        "Retry unreachable HAProxies for this many seconds.",
        ("resume", "hold", "cutover"),
        default=10.0,
        helps={"cutover": "Ask again for this many seconds; then undo it everywhere."},
    ),
    Option(
        "seconds",
        Seconds(0.1),
        "Move the deadline by this many seconds.",
        ("extend",),
        fabric="flag",
        fabric_letter="s",
        argument=True,
    ),
    Option(
        "owner",
        Text("NAME"),
        "The owner of the hold.",
        ("suspend", "resume", "extend", "hold"),
        default_words="user@host",
        fabric="",
    ),
    Option(
        "hold",
        Text("ID"),
        "End the hold with this id only, whoever owns it.",
        ("resume", "extend"),
        helps={"extend": "Extend the hold with this id only, whoever owns it."},
        fabric="flag",
    ),
    Option(
        "force",
        Flag(),
        "End somebody else's hold; needs --reason.",
        ("resume", "extend"),
        default=False,
        helps={"extend": "Extend somebody else's hold; needs --reason."},
        fabric="flag",
    ),
    Option(
        "reason",
        Text(may_be_empty=True),
        "Shown to whoever meets the hold.",
        ("suspend", "resume", "extend", "hold"),
        default="",
        helps={"resume": _WHY_FORCE, "extend": _WHY_FORCE},
        fabric_letter="r",
    ),
    Option(
        "on_event",
        Text("CMD"),
        "Shell command that gets one line on standard input for each event of a hold.",
        ACTING,
        of="fleet",
        inventory=True,
    ),
    Option(
        "event_format",
        Choice(EVENT_FORMATS),
        "Format of that line.",
        ACTING,
        default="json",
        of="fleet",
        inventory=True,
    ),
    Option(
        "fleet",
        Text("NAME"),
        "A fleet of the inventory.",
        VERBS,
        of="face",
        fabric="setting",
        letter="f",
    ),
    Option(
        "endpoints",
        Texts("URL"),
        "unix:///path, /path, tcp://host:port or ssh://[user@]host/path; NAME= in front gives a "
        "short name; repeatable.",
        VERBS,
        of="face",
        inventory=True,
        fabric="setting",
        flag="endpoint",
        letter="e",
    ),
    Option(
        "frontends",
        Texts("FRONTEND", commas=True),
        "A frontend, instead of those in the settings; repeatable.",
        ON_HOLDS,
        of="face",
        inventory=True,
        flag="frontend",
        fabric_letter="f",
        argument=True,
    ),
    Option(
        "inventory",
        Text("FILE"),
        "The inventory file, instead of the usual places.",
        VERBS,
        of="face",
        fabric="setting",
        variable="STILLGATE_INVENTORY",
    ),
    Option(
        "json",
        Flag(),
        "Print one JSON document on standard output.",
        VERBS,
        of="face",
        fabric="flag",
        fabric_letter="j",
    ),
    Option(
        "connect_timeout",
        Seconds(0.001),
        "Seconds to open a connection.",
        VERBS,
        default=2.0,
        of="fleet",
        inventory=True,
        fabric="setting",
    ),
    Option(
        "greeting_timeout",
        Seconds(0.001),
        "Seconds to wait for HAProxy's first answer.",
        VERBS,
        default=2.0,
        of="fleet",
        inventory=True,
        fabric="setting",
    ),
    Option(
        "reply_timeout",
        Seconds(0.001),
        "Seconds from the command to the complete reply.",
        VERBS,
        default=5.0,
        of="fleet",
        inventory=True,
        fabric="setting",
    ),
)

BY_NAME = {one.name: one for one in OPTIONS}


def of_verb(verb: str) -> List[Option]:
    """In the order of the table."""
    return [one for one in OPTIONS if verb in one.verbs]


def call_names(verb: str) -> List[str]:
    """Those that are arguments of the verb in Python."""
    return [one.name for one in of_verb(verb) if one.of == "call"]
