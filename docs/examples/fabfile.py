"""A release with a migration that no client notices, in six steps: `fab release`.

The old code does not work with the new schema, and the new code not with the old one, so both must
change at one moment. HAProxy's backend `balanced_servers` has two servers: s1 has the traffic, s2
is ready and has none. `./deploy SERVER` puts the new code on a machine and starts it. `./migrate`
changes the schema, or fails and leaves it unchanged. The same by hand, one step at a time:

    ./deploy s2             # 1. the new code, on the server without traffic
    fab suspend             # 2. every request waits, on every HAProxy
    ./migrate               # 3. the schema
    fab switch              # 4. move the traffic from s1 to s2
    fab resume --wait-up    # 5. the new code serves the waiting requests
    fab rest                # 6. the new code on s1 too, and its traffic again
"""

import shlex

from fabric import task
from invoke import Collection

from stillgate.fabric import check, extend, hold, resume, status, suspend


def at_every_haproxy(*commands):
    """A shell line that sends each of these runtime commands to the whole fleet."""
    return " && ".join(
        f"stillgate exec --fleet production {shlex.quote(command)}" for command in commands
    )


SWITCH = at_every_haproxy(
    "set server balanced_servers/s2 state ready", "set server balanced_servers/s1 state maint"
)
GIVE_BACK = at_every_haproxy("set server balanced_servers/s1 state ready")


def here(c, line):
    """On this machine, with its environment, which Fabric 2.6 would leave out."""
    c.run(line, replace_env=False)


@task
def switch(c):
    """Step 4: move the traffic to the new code."""
    here(c, SWITCH)


@task
def rest(c):
    """Step 6: deploy to s1, and give it traffic again."""
    here(c, f"./deploy s1 && {GIVE_BACK}")


@task
def release(c):
    """All six steps. If the migration fails or takes too long, the old code stays in use."""
    here(c, "./deploy s2")
    # Steps 2 to 5: suspend, and resume in every case. A migration that would outlast the hold is
    # ended before it.
    hold(c, run=f"./migrate && {SWITCH}", reason="release")
    rest(c)


ns = Collection(release, switch, rest, check, suspend, resume, status, extend, hold)
ns.configure({"stillgate": {"fleet": "production"}})
