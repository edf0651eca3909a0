"""A release with a migration that no client notices, in six steps: `fab release`.

The old code does not work with the new schema, and the new code not with the old one, so both must
change at one moment. HAProxy's backend `balanced_servers` has two servers: s1 has the traffic, s2
is in `maint`. `./deploy SERVER` puts the new code on a machine and starts it. `./migrate` changes
the schema, and `./undo` restores it after any part of that. What serves when is in stillgate.toml.
The same by hand, one step at a time:

    ./deploy s2 && fab cutover staged        # 1. the new code, where HAProxy only checks it
    fab suspend                              # 2. every request waits, on every HAProxy
    ./migrate                                # 3. the schema
    fab resume --cutover green --wait-up     # 4, 5. traffic to the new code, and to nothing else
    ./deploy s1 && fab cutover whole         # 6. the new code on s1 too, and its traffic again
"""

from fabric import task
from invoke import Collection

from stillgate.fabric import check, cutover, extend, hold, resume, status, suspend


def deploy(c, server):
    """With this machine's environment, which Fabric 2.6 would leave out."""
    c.run(f"./deploy {server}", replace_env=False)


@task
def release(c):
    """All six steps. If the migration fails or takes too long, the old code stays in use."""
    deploy(c, "s2")
    hold(
        c,
        run="./migrate",
        postgres=True,  # its statements end in the server, too, before the hold does
        on_failure="./undo",
        cutover="green",  # by ready_first s2 is up before anything is held
        wait_up=True,
        reason="release",
    )
    deploy(c, "s1")
    cutover(c, "whole")


ns = Collection(release, check, suspend, resume, status, extend, cutover, hold)
ns.configure({"stillgate": {"fleet": "production", "ready_first": 30.0}})
