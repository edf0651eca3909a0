"""stillgate_traffic by the real chef-client, against real HAProxies under load."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from support.chef.client import Chef
from support.chef.stage import STAGES, ChefStage
from support.haproxy.faulty_peer import FaultyPeer
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Start

HOLD = "hold all requests of balanced at"


@pytest.mark.parametrize("method, label", STAGES)
def test_suspended_unchanged_and_resumed_under_load(
    method: str, label: str, chef_stage: ChefStage, chef: Chef, chef_client: str
) -> None:
    print(f"{chef_client}, {method} on HAProxy {label}")
    chef.fleet = chef_stage.open(method, label)
    chef_stage.start_load()
    done = chef.run("suspend", method=method, max_hold=120)
    assert (done.status, done.updated, done.of) == (0, 1, 1)
    assert f"- {HOLD} {', '.join(chef.fleet)} for at most 120 s (migration 42)" in done.text
    began = time.monotonic()
    done = chef.run("suspend", method=method, max_hold=120)
    assert (done.status, done.updated, done.of) == (0, 0, 1)
    chef_stage.nothing_passed_since(began)
    done = chef.run("resume")
    assert (done.status, done.updated, done.of) == (0, 1, 1)
    chef_stage.flows_again()
    done = chef.run("resume")
    assert (done.status, done.updated, done.of) == (0, 0, 1)
    chef_stage.nobody_failed()


@pytest.mark.parametrize("recipe", ["suspend", "resume", "hold_block", "hold_command", "nothing"])
def test_a_why_run_sends_nothing(recipe: str, chef: Chef, nobody: FaultyPeer) -> None:
    chef.fleet = [nobody.endpoint]
    done = chef.run(recipe, "--why-run", command="touch inside")
    assert done.status == 0
    assert ("Would " in done.text) == (recipe != "nothing")
    assert not chef.inside.exists() and not (chef.folder / "state").exists()
    # And `nobody` sees to it that not even a connection was made.


@pytest.mark.parametrize("method, label", STAGES[1:])
def test_a_why_run_leaves_the_haproxy_as_it_is(
    method: str, label: str, chef_stage: ChefStage, chef: Chef
) -> None:
    chef.fleet = chef_stage.open(method, label)
    done = chef.run("suspend", "--why-run", method=method)
    assert f"Would {HOLD} {chef.fleet[0]}" in done.text
    assert (done.status, chef_stage.held()) == (0, [False] * 2)
    assert [proxy.info().get("Tainted", "0") for proxy in chef_stage.proxies] == ["0"] * 2
    assert chef.run("suspend", method=method, max_hold=120).status == 0
    done = chef.run("resume", "--why-run")
    assert "Would release the requests of balanced" in done.text
    assert (done.status, chef_stage.held()) == (0, [True] * 2)
    assert chef.run("resume").status == 0


def test_the_search_of_nodes_is_the_fleet(chef: Chef, haproxy: Start) -> None:
    proxies = [haproxy("3.0", tcp_socket=True) for _ in range(3)]
    for number, proxy in enumerate(proxies):
        role = "balancer" if number < 2 else "database"
        own = {"role": role, "endpoint": proxy.endpoints[-1]}
        chef.write_node(f"lb{number}", normal={"stillgate": own})
    chef.fleet = ["/nowhere/a.sock"]
    done = chef.run("search", max_hold=120)
    assert (done.status, done.updated) == (0, 1)
    assert [proxy.limit("balanced") for proxy in proxies] == [0, 0, 100]
    chef.fleet = [proxy.endpoints[-1] for proxy in proxies]
    done = chef.run("resume")
    assert (done.status, [proxy.limit("balanced") for proxy in proxies]) == (0, [100] * 3)


def test_a_resume_that_comes_too_late_fails_once(chef: Chef, haproxy: Start) -> None:
    proxy = haproxy("3.0")
    chef.fleet = proxy.endpoints
    assert chef.run("suspend", max_hold=1).status == 0
    wait_until(lambda: proxy.limit("balanced") == 100, "the deadline")
    done = chef.run("resume")
    assert done.status == 1 and "hold_ended" in done.text
    done = chef.run("resume")
    assert (done.status, done.updated) == (0, 0)


def test_a_search_that_finds_nobody_fails(chef: Chef, nobody: FaultyPeer) -> None:
    chef.fleet = [nobody.endpoint]
    done = chef.run("search")
    assert done.status == 1
    assert "fleet: no node found to make endpoints from" in done.text


def test_what_somebody_else_holds_is_left_and_told(chef: Chef, haproxy: Start) -> None:
    proxy = haproxy("3.0")
    chef.fleet = proxy.endpoints
    assert chef.run("suspend", "-N", "elsewhere", max_hold=120).status == 0
    # Another machine has another journal.
    (chef.folder / "state").rename(chef.folder / "state.elsewhere")
    for recipe, code in (("suspend", "already_held"), ("resume", "not_the_holder")):
        done = chef.run(recipe)
        assert (done.status, proxy.limit("balanced")) == (1, 0)
        assert code in done.text and "chef@elsewhere" in done.text and "migration 42" in done.text
    assert chef.run("resume", "-N", "elsewhere").status == 0


def test_a_failure_has_its_code_and_the_words_of_haproxy(chef: Chef, haproxy: Start) -> None:
    proxy = haproxy("3.0", level="operator")
    inventory = chef.folder / "fleets.toml"
    inventory.write_text(f'[fleet.production]\nendpoints = ["{proxy.endpoints[0]}"]\n')
    chef.fleet = "production"
    done = chef.run("suspend", stillgate={"inventory": str(inventory)})
    assert (done.status, proxy.limit("balanced")) == (1, 100)
    assert f"suspend: {proxy.endpoints[0]}, balanced (unchanged): permission_denied: " in done.text
    assert "(HAProxy said: operator)" in done.text


def test_wrong_input_is_named_and_nothing_is_sent(chef: Chef, nobody: FaultyPeer) -> None:
    chef.fleet = [nobody.endpoint]
    done = chef.run("suspend", max_hold=0)
    assert done.status == 1
    assert "Option max_hold's value 0 must be from 0.1 to 3600 seconds" in done.text


def test_no_fleet_and_no_program_are_told(chef: Chef, nobody: FaultyPeer) -> None:
    chef.fleet = None
    assert "fleet: name a fleet of the inventory, or endpoints" in chef.run("suspend").text
    chef.fleet = [nobody.endpoint]
    done = chef.run("suspend", stillgate={"program": "/nowhere/stillgate"})
    assert done.status == 1
    assert "program: No such file or directory - /nowhere/stillgate" in done.text
