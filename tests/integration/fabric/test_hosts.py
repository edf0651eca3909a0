"""Fabric's own hosts as endpoints: its users, ports, keys, gateways and ssh_config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.fabric.fab import FABFILE, Fab

SOCKET = "/run/haproxy/admin.sock"


def endpoints(fab: Fab, *arguments: str, **settings: Any) -> list[str]:
    """What `fab --dry` would ask; nothing listens anywhere."""
    stillgate = {"frontends": "a", "socket": SOCKET, **settings.pop("stillgate", {})}
    fab.write_all({"stillgate": stillgate, **settings})
    done = fab.run("--dry", *arguments, "status")
    assert done.returncode == 0, done.stderr
    *lines, last = done.stdout.splitlines()
    assert last == "dry run: nothing was sent"
    return [line.removesuffix(": status a (reads only)") for line in lines]


def refusal(fab: Fab, *arguments: str, **settings: Any) -> str:
    fab.write_all({"stillgate": {"frontends": "a", "socket": SOCKET}, **settings})
    done = fab.run("--dry", *arguments, "status")
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


# --- user, port, keys -----------------------------------------------------------------


def test_user_and_port_are_those_that_fabric_would_take(fab: Fab) -> None:
    assert endpoints(
        fab, "-H", "lb1,deploy@lb2,root@lb3:2222", user="ops", port=23, load_ssh_configs=True
    ) == [
        f"ssh://ops@lb1:23{SOCKET}",
        f"ssh://deploy@lb2:23{SOCKET}",
        f"ssh://root@lb3:2222{SOCKET}",
    ]


def test_keys_of_the_command_line_come_before_those_of_the_settings(fab: Fab) -> None:
    keys = {"connect_kwargs": {"key_filename": [str(fab.folder / "a key")]}}
    place = f"{fab.folder}/a%20key"
    assert endpoints(fab, "-H", "lb1", user="ops", **keys) == [
        f"ssh://ops@lb1:22{SOCKET}?identity={place}"
    ]
    # Fabric's own rule: what was typed stands in place of the settings.
    assert endpoints(fab, "-H", "lb1", "-i", "k1", "-i", "~/k2", user="ops", **keys) == [
        f"ssh://ops@lb1:22{SOCKET}?identity={fab.folder}/k1&identity={fab.folder}/k2"
    ]


def test_hosts_of_the_settings_and_of_a_task(fab: Fab) -> None:
    six = {"host": "fe80::1", "user": "ops", "port": 2222}
    assert endpoints(fab, user="u", stillgate={"hosts": ["lb1:24", six]}) == [
        f"ssh://u@lb1:24{SOCKET}",
        f"ssh://ops@[fe80::1]:2222{SOCKET}",
    ]
    # What was typed comes before both, and the task's own before the settings.
    assert endpoints(fab, "-H", "x@lb9", stillgate={"hosts": ["lb1"]}) == [
        f"ssh://x@lb9:22{SOCKET}"
    ]
    fab.write_fabfile(FABFILE + "status.hosts = ['x@lb3', {'host': 'lb4', 'user': 'y'}]\n")
    assert endpoints(fab, stillgate={"hosts": ["lb1"]}) == [
        f"ssh://x@lb3:22{SOCKET}",
        f"ssh://y@lb4:22{SOCKET}",
    ]


def test_a_tcp_socket_a_socket_for_each_host_and_a_password_asked_for(fab: Fab) -> None:
    stillgate: dict[str, Any] = {"socket": "tcp://127.0.0.1:9999", "auth": "password"}
    assert endpoints(fab, "-H", "u@lb1", stillgate=stillgate) == [
        "ssh://u@lb1:22?tcp=127.0.0.1:9999&auth=password"
    ]
    own = {"socket": {"lb1": "/a.sock", "lb2": "tcp://127.0.0.1:1"}}
    assert endpoints(fab, "-H", "u@lb1,u@lb2:23", stillgate=own) == [
        "ssh://u@lb1:22/a.sock",
        "ssh://u@lb2:23?tcp=127.0.0.1:1",
    ]
    fab.write(frontends="a", **own)
    done = fab.run("-H", "lb1,lb3", "suspend")
    assert done.returncode == 2
    assert "host lb3: setting stillgate.socket names no socket for this host" in done.stderr


# --- ssh_config -----------------------------------------------------------------------

CONFIG = """
Host lb1
  HostName 10.0.0.1
  User deploy
  Port 2222
  IdentityFile ~/.ssh/one
Host lb2
  HostName 10.0.0.2
  IdentityFile ~/.ssh/two
Host inner
  ProxyJump first,second
"""


@pytest.fixture
def config(fab: Fab) -> Path:
    path = fab.folder / "ssh config"
    path.write_text(CONFIG)
    return path


def test_the_ssh_config_that_fabric_reads_is_the_engines_to_read(fab: Fab, config: Path) -> None:
    place = f"config={fab.folder}/ssh%20config"
    # No IdentityFile of lb1 is offered at lb2: the engine reads each host's own.
    wanted = [f"ssh://deploy@lb1:2222{SOCKET}?{place}", f"ssh://u@lb2:22{SOCKET}?{place}"]
    assert endpoints(fab, "-H", "lb1,lb2", user="u", ssh_config_path=str(config)) == wanted
    assert endpoints(fab, "-S", str(config), "-H", "lb1,lb2", user="u") == wanted
    # What was typed stays, also where ssh_config has it for another host.
    key = f"{fab.folder}/.ssh/one"
    assert endpoints(fab, "-S", str(config), "-i", key, "-H", "lb2", user="u") == [
        f"ssh://u@lb2:22{SOCKET}?identity={key}&{place}"
    ]
    (fab.folder / ".ssh").mkdir()
    (fab.folder / ".ssh" / "config").write_text(CONFIG)
    assert endpoints(fab, "-H", "lb1") == [f"ssh://deploy@lb1:2222{SOCKET}"]
    assert endpoints(fab, "-H", "lb1", user="u", load_ssh_configs=False) == [
        f"ssh://u@lb1:22{SOCKET}?config=none"
    ]


GATEWAYS = """
from fabric import Connection
from stillgate.fabric import status
bastion = Connection("ops@bastion:2200", connect_kwargs={"key_filename": ["/keys/bastion"]})
inner = Connection("inner2", user="ops", port=22, gateway=bastion)
status.hosts = [
    {"host": "lb1", "user": "u", "gateway": bastion},
    {"host": "lb2", "user": "u", "gateway": inner},
    {"host": "lb3", "user": "u", "gateway": False},
]
"""


def test_a_connection_as_gateway_is_a_jump_host(fab: Fab) -> None:
    fab.write_fabfile(GATEWAYS)
    key = "identity=/keys/bastion"
    assert endpoints(fab) == [
        f"ssh://u@lb1:22{SOCKET}?{key}&jump=ops@bastion:2200",
        f"ssh://u@lb2:22{SOCKET}?{key}&jump=ops@bastion:2200,ops@inner2:22",
        f"ssh://u@lb3:22{SOCKET}",
    ]


def test_a_proxy_jump_is_the_engines_to_read_unless_fabric_was_told_otherwise(
    fab: Fab, config: Path
) -> None:
    place = f"config={fab.folder}/ssh%20config"
    arguments = ("-S", str(config), "-H", "u@inner")
    assert endpoints(fab, *arguments) == [f"ssh://u@inner:22{SOCKET}?{place}"]
    fab.write_fabfile(
        "from fabric import Connection\nfrom stillgate.fabric import status\n"
        "status.hosts = [{'host': 'u@inner', 'gateway': Connection('o@other')},\n"
        "                {'host': 'u@inner', 'gateway': False}]\n"
    )
    assert endpoints(fab, *arguments[:2]) == [
        f"ssh://u@inner:22{SOCKET}?jump=o@other:22&{place}",
        f"ssh://u@inner:22{SOCKET}?config=none",
    ]


def test_what_no_endpoint_can_say_is_refused(fab: Fab, config: Path) -> None:
    said = refusal(fab, "-H", "lb1", gateway="nc %h %p")
    assert "host lb1: a command cannot be used as gateway; write it as ProxyCommand" in said
    config.write_text("Host lb1\n  ProxyCommand nc %h %p\n")
    place = f"config={fab.folder}/ssh%20config"
    assert endpoints(fab, "-S", str(config), "-H", "u@lb1") == [f"ssh://u@lb1:22{SOCKET}?{place}"]
    fab.write_fabfile(
        "from stillgate.fabric import status\n"
        "status.hosts = [{'host': 'lb1', 'connect_kwargs': {'pkey': object()}}]\n"
    )
    assert "host lb1: connect_kwargs.pkey cannot be used" in refusal(fab)


def test_the_longest_of_fabrics_connect_timeouts_holds() -> None:
    fabric = pytest.importorskip("fabric")
    from stillgate.fabric.hosts import patience_of

    assert patience_of([fabric.Connection("lb1")]) is None
    told = fabric.Connection("lb2", connect_timeout=3)
    assert patience_of([fabric.Connection("lb1"), told]) == 3.0
    typed = fabric.Connection("lb3", connect_kwargs={"timeout": 5})
    assert patience_of([told, typed]) == 5.0
