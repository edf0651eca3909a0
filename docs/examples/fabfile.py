"""A release with a migration that no customer sees, in six steps: `fab release`.

Neither does the old code know the new schema, nor the new code the old one, so one moment has to
change both. Of the servers of HAProxy's backend `balanced_servers`, s1 has the traffic; s2 stands
ready and has none. `./deploy SERVER` puts the new code on a machine and starts it, `./migrate`
changes the schema, or fails and leaves it as it was. The same by hand, one step at a time:

    ./deploy s2             # 1. the new code, where no traffic comes yet
    fab suspend             # 2. every request waits, on every HAProxy
    ./migrate               # 3. the schema
    fab switch              # 4. s2 shall have the traffic, and s1 none
    fab resume --wait-up    # 5. whoever waited is served, by the new code
    fab rest                # 6. the new code on s1 too, and its traffic back
"""

import shlex

from fabric import task
from invoke import Collection

from stillgate.fabric import check, extend, hold, resume, status, suspend


def at_every_haproxy(*commands):
    """A line for the shell that has each of these runtime commands done by the whole fleet."""
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
    """Step 4: let the new code have the traffic."""
    here(c, SWITCH)


@task
def rest(c):
    """Step 6: deploy the rest, and give it its traffic back."""
    here(c, f"./deploy s1 && {GIVE_BACK}")


@task
def release(c):
    """All six steps. If the migration fails or takes too long, the old code goes on."""
    here(c, "./deploy s2")
    # Steps 2 to 5: suspends, and resumes on every way out. A migration that would outlast the hold
    # is ended before it.
    hold(c, run=f"./migrate && {SWITCH}", reason="release")
    rest(c)


ns = Collection(release, switch, rest, check, suspend, resume, status, extend, hold)
ns.configure({"stillgate": {"fleet": "production"}})
