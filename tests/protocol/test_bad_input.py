"""Bad input for both agents: the right exit code, one clear line, no traceback, no secret."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest

from agent_process import Agents, Ran

FENCE_ACTIONS = ("off", "on", "reboot", "status", "monitor", "list", "validate-all")


@pytest.mark.parametrize("action", FENCE_ACTIONS)
def test_fence_with_an_unknown_provider(installed: Agents, action: str) -> None:
    line = installed.fence(action, provider="nimbus", plug="n2").one_line()
    assert "'nimbus' is not installed" in line
    assert "sim" in line
    assert f"{sys.prefix}/bin/pip install cloudha-plugin-nimbus" in line
    assert installed.fence(action, provider="nimbus", plug="n2").code == 1


@pytest.mark.parametrize("provider", ["", "SIM", "../sim", "sim\x1b[31m", "a" * 5000, "sím", "sim sim"])
def test_fence_with_an_impossible_provider(installed: Agents, provider: str) -> None:
    done = installed.fence("off", provider=provider, plug="n2")
    assert done.code == 1
    assert "parameter provider" in done.one_line()


def test_a_long_value_does_not_crowd_out_the_advice(installed: Agents) -> None:
    assert "installed here" in installed.fence("off", provider="a" * 5000, plug="n2").one_line()


def test_fence_without_what_the_provider_needs(installed: Agents) -> None:
    done = installed.fence("monitor", provider="sim")
    assert done.code == 1
    assert "parameter endpoint is missing" in done.one_line()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("power_timeout", "soon"),
        ("power_timeout", "-1"),
        ("power_timeout", "1e9"),
        ("power_timeout", "nan"),
        ("power_timeout", "99999999999999999999"),
        ("delay", "0x10"),
        ("retry_on", "1.5"),
        ("retry_on", "many"),
        ("disable_timeout", "maybe"),
        ("quiet", "2"),
        ("verbose_level", "much"),
        ("method", "cycle"),
        ("endpoint", "10.0.0.1:80"),
        ("endpoint", "ftp://127.0.0.1"),
        ("endpoint", "http://"),
        ("endpoint", "http://127.0.0.1:99999"),
        ("region", "a\x07b"),
    ],
)
def test_fence_with_a_wrong_value(agents: Agents, name: str, value: str) -> None:
    wrong: dict[str, Any] = {name: value}
    done = agents.fence("off", plug="n2", **wrong)
    assert (done.code, done.out) == (1, "")
    assert f"parameter {name}" in done.one_line()


@pytest.mark.parametrize("action", ["explode", "OFFF", "off;on", "", "\x00", "off\x00", "a" * 100_000])
def test_fence_with_an_unknown_action(installed: Agents, action: str) -> None:
    done = installed.fence_raw(f"action={action}\nprovider=sim\n")
    assert (done.code, done.out) == (1, "")
    done.one_line()


@pytest.mark.parametrize(
    "words", [["--bogus"], ["-Z"], ["--plug"], ["-n"], ["stray"], ["-o", "status", "stray"], ["--"]]
)
def test_fence_with_bad_options(installed: Agents, words: list[str]) -> None:
    done = installed.fence_raw("", *words)
    assert (done.code, done.out) == (1, "")
    done.one_line()


# -- floating-ip -----------------------------------------------------------------------------------------------------


@pytest.fixture
def agent(installed: Agents) -> Agents:
    """floating-ip with good parameters, and nobody listening at the endpoint: it must not get that far."""
    return replace(installed, common={"provider": "sim", "endpoint": "http://127.0.0.1:1", "ip": "10.9.9.100"})


def refused(done: Ran, code: int, *words: str) -> None:
    assert done.code == code, done
    assert done.out == ""
    line = done.one_line()
    assert line.startswith("ocf-exit-reason:")
    for word in words:
        assert word in line


@pytest.mark.parametrize("action", ["start", "monitor", "validate-all", "reload-agent"])
def test_address_with_an_unknown_provider(agent: Agents, action: str) -> None:
    done = agent.address(action, provider="nimbus")
    refused(done, 5, "nimbus", "sim", f"{sys.prefix}/bin/pip install cloudha-plugin-nimbus")


@pytest.mark.parametrize("action", ["start", "monitor", "stop", "validate-all", "reload-agent"])
@pytest.mark.parametrize("name", ["provider", "ip"])
@pytest.mark.parametrize("value", [None, "", " "])
def test_address_without_a_required_parameter(agent: Agents, action: str, name: str, value: str | None) -> None:
    wrong: dict[str, Any] = {name: value}
    refused(agent.address(action, **wrong), 6, f"parameter {name} is missing")


@pytest.mark.parametrize(
    "ip",
    [
        "10.0.0",
        "10.0.0.256",
        "10.0.0.1/24",
        "010.0.0.1",
        "0x0a.0.0.1",
        "10.0.0.1,10.0.0.2",
        "ten",
        "1",
        "fd00::1::2",
        "fd00::1/64",
        "fe80::1%eth0",
        "::",
        "0.0.0.0",
        "127.0.0.1",
        "127.8.8.8",
        "::1",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "::ffff:127.0.0.1",
        "169.254.169.254",
        "$(reboot)",
        "x" * 100_000,
    ],
)
def test_address_with_an_ip_that_cannot_float(agent: Agents, ip: str) -> None:
    for action in ("validate-all", "start"):
        refused(agent.address(action, ip=ip), 6, "parameter ip")


@pytest.mark.parametrize("ip", ["fd00:9::64", "2001:DB8::1", "10.0.0.10"])
def test_address_with_a_good_ip(agent: Agents, ip: str) -> None:
    done = agent.address("validate-all", ip=ip)
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize(
    ("ip", "mask"),
    [
        ("10.9.9.100", "33"),
        ("10.9.9.100", "64"),
        ("10.9.9.100", "0"),
        ("10.9.9.100", "255.0.255.0"),
        ("10.9.9.100", "ffff::"),
        ("10.9.9.100", "-1"),
        ("10.9.9.100", "/24"),
        ("fd00:9::64", "255.255.255.0"),
        ("fd00:9::64", "129"),
        ("fd00:9::64", "ffff:ffff::"),
    ],
)
def test_address_with_a_netmask_that_does_not_fit(agent: Agents, ip: str, mask: str) -> None:
    refused(agent.address("validate-all", ip=ip, cidr_netmask=mask, nic="lo"), 6, "cidr_netmask")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "elastic"),
        ("takeover", "maybe"),
        ("nic", "eth0:1"),
        ("nic", "a" * 16),
        ("nic", "../lo"),
        ("nic", "e th0"),
        ("region", "a\x07b"),
        ("node", "n\x1b1"),
        ("provider", "SIM"),
        ("ca_file", "x\ny"),
    ],
)
def test_address_with_a_wrong_value(agent: Agents, name: str, value: str) -> None:
    wrong: dict[str, Any] = {name: value}
    refused(agent.address("validate-all", **wrong), 6, f"parameter {name}")


def test_address_with_a_public_ip_on_an_interface(agent: Agents) -> None:
    refused(agent.address("validate-all", kind="public", nic="lo"), 6, "nic", "public")


def test_address_with_an_interface_that_is_not_here(agent: Agents) -> None:
    assert agent.address("validate-all", nic="nosuch0").code == 0
    refused(agent.address("validate-all", nic="nosuch0", env={"OCF_CHECK_LEVEL": "10"}), 2, "nosuch0", "lo")
    refused(agent.address("start", nic="nosuch0"), 2, "nosuch0")


@pytest.mark.parametrize("action", ["validate-all", "start", "monitor"])
@pytest.mark.parametrize("value", ["10.0.0.1:80", "http://user:hunter2-3b1f@10.0.0.1"])
def test_address_with_a_bad_endpoint(agent: Agents, action: str, value: str) -> None:
    done = agent.address(action, endpoint=value, node="n1", timeout=4)
    refused(done, 6, "endpoint")
    assert "hunter2" not in done.err


@pytest.mark.parametrize("words", [["explode"], [], [""], ["start", "stop"], ["START"], ["promote"], ["a" * 100_000]])
def test_address_with_an_unknown_action(agent: Agents, words: list[str]) -> None:
    done = agent.address_raw(words, agent.variables())
    assert (done.code, done.out) == (3, "")
    done.one_line()


@pytest.mark.parametrize("action", ["usage", "help", "--help", "-h"])
def test_address_usage(agent: Agents, action: str) -> None:
    done = agent.address_raw([action], {})
    assert (done.code, done.err) == (0, "")
    assert "reload-agent" in done.out


@pytest.mark.parametrize("timeout", ["", "0", "-5", "x", "9" * 40, "²"])
@pytest.mark.parametrize("name", ["OCF_RESKEY_CRM_meta_timeout", "OCF_CHECK_LEVEL", "OCF_RESKEY_CRM_meta_interval"])
def test_address_with_odd_meta_parameters(agent: Agents, name: str, timeout: str) -> None:
    done = agent.address("validate-all", env={name: timeout})
    assert done.code == 0
    # The highest level of all looks for permissions, too, and there is no cloud here.
    deep = name == "OCF_CHECK_LEVEL" and timeout == "9" * 40
    assert ("could not be asked" in done.err) if deep else done.err == ""


def test_address_with_an_empty_prefix_of_reasons(agent: Agents) -> None:
    done = agent.address("validate-all", ip="ten", env={"OCF_EXIT_REASON_PREFIX": "because: "})
    assert done.code == 6
    assert done.one_line().startswith("because: parameter ip")


def test_address_with_a_misspelt_secret(agent: Agents) -> None:
    done = agent.address("validate-all", passwrod="hunter2-3b1f", ip="ten")
    assert "hunter2" not in done.one_line()


def test_address_with_an_environment_that_is_not_text(agent: Agents) -> None:
    done = agent.address("validate-all", node="\udcff\udcfe")
    refused(done, 6, "node")
