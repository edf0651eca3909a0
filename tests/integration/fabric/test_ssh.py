"""Fabric's tasks on hosts behind real SSH servers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from support.fabric.fab import F, Fab, limits
from support.ssh.home import ME, SshHome
from support.ssh.server import SshServer

if TYPE_CHECKING:
    from conftest import Start

Sshd = Callable[..., SshServer]


def test_all_hosts_are_held_by_one_call(
    fab: Fab, haproxy: Start, sshd: Sshd, ssh_home: SshHome
) -> None:
    proxies = [haproxy("3.0", maxconn=77), haproxy("3.0", maxconn=88)]
    servers = [sshd(), sshd()]
    for name, server in zip(("lb1", "lb2"), servers):
        ssh_home.host(name, server)
    sockets = {f"lb{number}": one.sockets[0] for number, one in enumerate(proxies, 1)}
    fab.write_all(
        {
            "ssh_config_path": str(ssh_home.config_file),
            "stillgate": {"socket": {k: str(v) for k, v in sockets.items()}, "frontends": F},
        }
    )
    assert fab.run("--dry", "-H", "lb1,lb2", "suspend").returncode == 0
    assert ([one.connections() for one in servers], limits(*proxies)) == ([0, 0], [77, 88])
    status, document = fab.run_json("-H", "lb1,lb2", "suspend", "--reason", "by ssh")
    assert (status, limits(*proxies)) == (0, [0, 0])
    (hold,) = document["holds"]
    assert [one["verdict"] for one in document["switches"]] == ["held", "held"]
    assert {one["hold_id"] for one in document["switches"]} == {hold["id"]}
    assert document["switches"][0]["endpoint"].startswith(f"ssh://{ME}@lb1:")
    done = fab.run("-H", "lb1,lb2", "status")
    assert (done.returncode, done.stdout.count("by ssh") >= 1) == (0, True)
    done = fab.run("-H", "lb1,lb2", "resume")
    assert (done.returncode, limits(*proxies)) == (0, [77, 88]), done.stderr
    assert done.stdout.count("resume: done") == 1
    # The command runs once, on this machine.
    done = fab.run("-H", "lb1,lb2", "hold", "--run", "echo once")
    assert (done.returncode, done.stdout, limits(*proxies)) == (0, "once\n", [77, 88]), done.stderr


BEHIND = """
from fabric import Config, Connection, task
from stillgate import fabric as gate

bastion = Connection("bastion", config=Config(runtime_ssh_path="{config}"))

@task(hosts=[{{"host": "lb1", "gateway": bastion}}])
def migrate(c):
    print([one.verdict for one in gate.suspend(c).switches])
    print([one.verdict for one in gate.resume(c).switches])
"""


def test_a_jump_host_and_a_task_of_ones_own_on_its_host(
    fab: Fab, haproxy: Start, sshd: Sshd, ssh_home: SshHome
) -> None:
    proxy, bastion = haproxy("3.0"), sshd()
    ssh_home.host("bastion", bastion)
    ssh_home.host("lb1", sshd())
    fab.write_fabfile(BEHIND.format(config=ssh_home.config_file))
    fab.write_all(
        {
            "ssh_config_path": str(ssh_home.config_file),
            "stillgate": {"socket": str(proxy.sockets[0]), "frontends": F},
        }
    )
    done = fab.run("migrate")
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line[:1] == "["] == [
        "['held']",
        "['resumed']",
    ]
    assert (limits(proxy), bastion.logins() >= 1) == ([100], True)


CHAIN = """
from fabric import Connection
from stillgate.fabric import check, resume, suspend

def there(port, key, gateway=None):
    kwargs = {{"key_filename": [key]}}
    return dict(host="{me}@127.0.0.1", port=port, connect_kwargs=kwargs, gateway=gateway)

outer = Connection(**there({outer}, "{key}"))
inner = Connection(**there({inner}, "{other}", outer))
for task in (check, suspend, resume):
    task.hosts = [there({last}, "{key}", inner)]
"""


def test_ports_keys_and_a_chain_of_gateways_of_the_fabfile(
    fab: Fab, haproxy: Start, sshd: Sshd, ssh_home: SshHome
) -> None:
    proxy, other = haproxy("3.0"), ssh_home.key(name="other")
    last = sshd()
    # Each leads to the next one and nowhere else.
    inner = sshd(authorized=[other], PermitOpen=f"127.0.0.1:{last.port}")
    outer = sshd(PermitOpen=f"127.0.0.1:{inner.port}")
    for server in (outer, inner, last):
        ssh_home.know(server)
    ssh_home.add(f"UserKnownHostsFile {ssh_home.known_hosts}", "IdentityAgent none")
    places = {"outer": outer.port, "inner": inner.port, "last": last.port}
    fab.write_fabfile(CHAIN.format(me=ME, key=ssh_home.key(), other=other, **places))
    fab.write_all(
        {
            "ssh_config_path": str(ssh_home.config_file),
            "stillgate": {"socket": str(proxy.sockets[0]), "frontends": F},
        }
    )
    done = fab.run("check", "suspend", "resume")
    assert (done.returncode, limits(proxy)) == (0, [100]), done.stdout + done.stderr
    assert "suspend: done" in done.stdout and "resume: done" in done.stdout
    assert min(server.logins() for server in (outer, inner, last)) >= 1


def test_a_host_that_is_not_there_keeps_all_from_being_held(
    fab: Fab, haproxy: Start, sshd: Sshd, ssh_home: SshHome
) -> None:
    proxy, gone = haproxy("3.0"), sshd()
    ssh_home.host("lb1", sshd())
    ssh_home.host("lb2", gone)
    gone.stop()
    fab.write_all(
        {
            "ssh_config_path": str(ssh_home.config_file),
            "stillgate": {"socket": str(proxy.sockets[0]), "frontends": F},
        }
    )
    done = fab.run("-H", "lb1,lb2", "suspend", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode in (1, 3), limits(proxy)) == (True, [100])
    errors = [one["error"] and one["error"]["code"] for one in document["switches"]]
    assert "unreachable" in errors, errors


def test_a_passphrase_is_asked_for_once_and_told_to_nobody(
    fab: Fab, haproxy: Start, sshd: Sshd, ssh_home: SshHome
) -> None:
    proxy, passphrase = haproxy("3.0"), "an open secret"
    key = ssh_home.key(name="locked", passphrase=passphrase)
    ssh_home.host("lb1", sshd(authorized=[key]), key=key)
    fab.write_all(
        {
            "ssh_config_path": str(ssh_home.config_file),
            "stillgate": {"socket": str(proxy.sockets[0]), "frontends": F},
        }
    )
    done = fab.run("-H", "lb1", "suspend")
    assert (done.returncode, limits(proxy)) == (3, [100])
    assert "ssh_key_unusable" in done.stderr and "run ssh-add" in done.stderr
    # Fabric has two calls to make, and one answer.
    with fab.at_terminal("-H", "lb1", "suspend", "resume") as (process, answer):
        answer(f"Passphrase of {key}: ", passphrase)
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, limits(proxy)) == (0, [100]), out
    assert "suspend: done" in out and "resume: done" in out
    assert "Passphrase" not in out and passphrase not in out
