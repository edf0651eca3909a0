"""The demo: a migration that the old code cannot live with, under load, and nobody sees an error.

Three real HAProxies before a real application and a real PostgreSQL; `fab suspend`, the migration,
the new code, `fab resume`. Prints the verdict and ends with 1 if it is not clean: a request failed,
or reached the application while held.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo.picture import Point, Scene, svg, terminal  # noqa: E402
from demo.stage import HAPROXIES, RATE, Stage  # noqa: E402

from support.fetch_haproxy import ensure  # noqa: E402
from support.load import Record  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "build" / "demo.svg"
BEFORE = 200  # answered requests at each HAProxy before the hold
AFTER = 450  # and after it: what waited, and enough to see that all is as before
OLD_CODE_FAILS = 500


@dataclass
class Course:
    """Moments on time.monotonic, and what was told."""

    begun: float = 0.0  # the hold, by its own record
    held: float = 0.0  # drained, and fab is back
    migrated: float = 0.0
    switched: float = 0.0
    resume_typed: float = 0.0
    resumed: float = 0.0
    suspend: dict[str, Any] = field(default_factory=dict)
    resume: dict[str, Any] = field(default_factory=dict)


def say(began: float, words: str) -> None:
    print(f"{time.monotonic() - began:6.2f} s  {words}", flush=True)


def age(moment: str) -> float:
    """Seconds since an RFC 3339 time."""
    begun = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    return (datetime.now(timezone.utc) - begun).total_seconds()


def play(stage: Stage) -> Course:
    course = Course()
    began = time.monotonic()
    for load in stage.loads:
        load.wait_for(BEFORE)
    say(began, "$ fab suspend")
    course.suspend = stage.fab("suspend", "--reason", "amounts in cents")
    course.held = time.monotonic()
    course.begun = course.held - age(course.suspend["holds"][0]["started_at"])
    say(began, f"held, drained in {course.suspend['drain_ms']:.0f} ms; $ psql -f migrate.sql")
    stage.psql("migrate.sql")
    course.migrated = time.monotonic()
    say(began, "migrated; the application is restarted with the new code")
    assert stage.application is not None
    stage.application.restart("2")
    course.switched = time.monotonic()
    say(began, "$ fab resume")
    course.resume_typed = time.monotonic()
    course.resume = stage.fab("resume")
    course.resumed = time.monotonic()
    say(began, "resumed")
    already = [len(load.records()) for load in stage.loads]
    for load, count in zip(stage.loads, already):
        load.wait_for(count + AFTER)
    return course


def judge(course: Course, records: list[Record], arrivals: list[tuple[str, float]]) -> bool:
    failed = [record for record in records if not record.ok]
    reached = [at for _, at in arrivals if course.held <= at <= course.resume_typed]
    waited = [one for one in records if course.held <= one.sent_at <= course.resume_typed]
    counted = [one["leaked"] for one in course.resume["switches"]]
    longest = max(record.finished_at - record.sent_at for record in records)
    skew = course.suspend["skew_ms"]
    lines = [
        ("requests sent, each on a new connection", f"{len(records)}"),
        ("  of them while held", f"{len(waited)}"),
        ("failed", f"{len(failed)}"),
        ("reached the application while held", f"{len(reached)}"),
        ("  as the HAProxies counted it", f"{counted}"),
        ("longest wait", f"{longest:.2f} s"),
        ("  the hold itself", f"{course.resumed - course.begun:.2f} s"),
        (
            f"commit window over {HAPROXIES} HAProxies",
            f"{course.suspend['commit_window_ms']:.3f} ms",
        ),
        ("skew, estimated", f"{skew:.3f} ms"),
    ]
    print()
    for name, value in lines:
        print(f"  {name:42} {value}")
    for record in failed[:5]:
        print(f"  failed: {record}")
    # Without requests that waited, the demo would have shown nothing.
    return not failed and not reached and counted == [0] * HAPROXIES and len(waited) > 0


def draw(course: Course, records: list[Record]) -> Scene:
    began = min(record.sent_at for record in records)
    points = [
        Point(one.sent_at - began, one.finished_at - one.sent_at, not one.ok) for one in records
    ]
    marks = [
        (course.held - began, "held: the migration runs"),
        (course.migrated - began, "migrated: the new code starts"),
        (course.resume_typed - began, "fab resume"),
    ]
    return Scene(
        points,
        (course.begun - began, course.resumed - began),
        marks,
        "A migration under load: slow answers, and no errors",
        (
            f"{HAPROXIES} HAProxies, {RATE} requests per second at each, all on new connections",
            f"{len(records)} requests, {sum(not one.ok for one in records)} failed",
        ),
    )


def main() -> int:
    binary = ensure(["3.0"])["3.0"]
    print(f"{HAPROXIES} HAProxies {binary['version']}, {RATE} requests per second at each,")
    print("before an application whose database PostgreSQL keeps")
    with tempfile.TemporaryDirectory(prefix="stillgate-demo-") as folder:
        os.environ["STILLGATE_STATE_DIR"] = f"{folder}/state"
        with Stage(binary["path"], Path(folder)) as stage:
            stage.begin_load()
            course = play(stage)
            records = [record for load in stage.loads for record in load.stop()]
            assert stage.application is not None
            clean = judge(course, records, stage.application.arrivals())
            old_code = stage.application.try_code("1")
    scene = draw(course, records)
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(svg(scene), "utf-8")
    print(f"\ntime until the answer, by when it was asked ({PICTURE.relative_to(ROOT)})\n")
    print(terminal(scene))
    print(f"\nThe old code answers {old_code} to the new schema: it could not have stayed.")
    clean = clean and old_code == OLD_CODE_FAILS
    print(f"{'CLEAN' if clean else 'NOT CLEAN'}")
    print(
        "By maxconn, clients with an open keep-alive connection would have passed the hold; a gate"
    )
    print("inside HAProxy, which holds those too, comes with a later release.")
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
