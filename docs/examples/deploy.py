#!/usr/bin/env python3
"""Deploys a migration: holds all traffic, runs the steps one by one, releases all traffic.

    deploy.py balanced --fleet production --step './migrate users' --step './switch-to new'
    deploy.py balanced -e unix:///run/haproxy/admin.sock --step ./migrate --step-time 5

If the time left is too short for a step, the hold is extended first. Exit status: 0 done, 1 a step
or an HAProxy failed, 2 wrong usage, 3 refused by the check, 4 held by somebody else, 5 out of time.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import Any, Dict

import stillgate

MARGIN = 0.5  # seconds of the hold that no step may use: the resume needs them
OUT_OF_TIME = 5


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Deploy a migration while all traffic is held.")
    parser.add_argument("frontends", nargs="+", metavar="FRONTEND")
    parser.add_argument("--fleet", metavar="NAME", help="a fleet of stillgate.toml")
    parser.add_argument("-e", "--endpoint", action="append", metavar="URL", default=[])
    parser.add_argument("--step", action="append", metavar="COMMAND", required=True)
    parser.add_argument("--step-time", type=float, metavar="SECONDS", default=10.0)
    given = parser.parse_args()
    if bool(given.fleet) == bool(given.endpoint):
        parser.error("name a --fleet, or endpoints by -e")
    return given


def tell(event: Dict[str, Any]) -> None:
    """Prints each event of the hold as it happens. It could as well go to a chat."""
    print(f"{event['at']} {event['event']}: {event['message']}", file=sys.stderr)


def open_fleet(given: argparse.Namespace) -> stillgate.Fleet:
    if given.fleet:
        return stillgate.Fleet.load(given.fleet, on_event=tell)
    return stillgate.Fleet(given.endpoint, on_event=tell)


def run_step(step: str, seconds: float, hold: stillgate.Suspension) -> None:
    """Errors: CalledProcessError, if it fails; TimeoutExpired, if it takes too long."""
    if hold.remaining < seconds + MARGIN:
        hold.extend(seconds)
    print(f"{step}: {hold.remaining:.1f} s are left", file=sys.stderr)
    subprocess.run(step, shell=True, check=True, timeout=hold.remaining - MARGIN)


def deploy(given: argparse.Namespace) -> None:
    fleet = open_fleet(given)
    checked = fleet.check(*given.frontends, max_hold=given.step_time)
    # Everything that endangers the hold, before anything is held.
    print(checked)
    reason = f"deploy: {', '.join(given.step)}"
    with fleet.suspended(*given.frontends, max_hold=given.step_time, reason=reason) as hold:
        for step in given.step:
            run_step(step, given.step_time, hold)
    print(hold.resumed)


def main() -> int:
    given = arguments()
    try:
        deploy(given)
    except subprocess.CalledProcessError as error:
        print(f"traffic flows again; a step failed: {error}", file=sys.stderr)
        return 1
    except subprocess.TimeoutExpired as error:
        print(f"traffic flows again; a step took too long: {error}", file=sys.stderr)
        return OUT_OF_TIME
    except stillgate.HoldExpired as error:
        # From the deadline on the step ran against live requests.
        print(f"look at your data: {error}", file=sys.stderr)
        return OUT_OF_TIME
    except stillgate.HeldByOther as error:
        for hold in error.report.holds:
            print(f"{hold.owner} holds it: {hold.reason or 'no reason given'}", file=sys.stderr)
        return error.exit_status
    except stillgate.ReportError as error:
        # Refused by the check, or an endpoint failed: the table shows the state of each.
        print(error.report, file=sys.stderr)
        return error.exit_status
    except stillgate.StillgateError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
