"""One name of a parameter, several providers: their metadata is one, and must be right for each of them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping

import pytest

from agent_process import Agents, run
from cloudha.agents import provider_options
from cloudha.agents.provider_options import installed_options
from cloudha.declaration import ProviderInfo
from cloudha.installed import declared, installed_names
from cloudha.options import COMMON_OPTIONS, Audience, Option, OptionType

COMMON = {option.name for option in COMMON_OPTIONS}


def shared() -> Mapping[str, Mapping[str, Option]]:
    """Return the options that several installed providers declare: name -> provider -> option."""
    found: dict[str, dict[str, Option]] = {}
    for provider in installed_names():
        for option in declared(provider).options:
            found.setdefault(option.name, {})[provider] = option
    return {name: options for name, options in found.items() if len(options) > 1}


def merged(monkeypatch: pytest.MonkeyPatch, **providers: Option) -> Option:
    infos = {name: ProviderInfo(name, options=(option,)) for name, option in providers.items()}
    monkeypatch.setattr(provider_options, "installed_names", lambda: tuple(infos))
    monkeypatch.setattr(provider_options, "declared", lambda name, _: infos[name])
    options, warnings = installed_options(())
    assert warnings == ()
    (found,) = (option for option in options if option.name not in COMMON)
    return found


def test_a_name_means_the_same_everywhere() -> None:
    assert {"interface_id", "private_ip", "route_tables"} <= set(shared())
    for name, options in shared().items():
        kinds = {(o.type, o.choices, o.default, o.secret, o.audience) for o in options.values()}
        assert len(kinds) == 1, f"{name} differs among {', '.join(options)}"


def test_the_metadata_says_what_each_provider_says(installed: Agents) -> None:
    done = run([*installed.prefix, installed.fence_path, "-o", "metadata"], "", {})
    fence = texts(done.out)
    done = run([*installed.prefix, installed.address_path, "meta-data"], "", {})
    address = texts(done.out)
    for name, options in shared().items():
        said = [found[name] for found in (fence, address) if name in found]
        assert said
        for option in options.values():
            assert all(option.help in text for text in said)
        assert all(provider in text for text in said for provider in options)


def texts(document: str) -> dict[str, str]:
    parameters = ET.fromstring(document).iter("parameter")  # noqa: S314 - our own agents' output
    return {item.attrib["name"]: " ".join("".join(item.itertext()).split()) for item in parameters}


def test_equal_words_are_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Option("zone", "Zone of the machines", required=True)
    found = merged(monkeypatch, a=one, b=one)
    assert (found.help, found.required) == ("Zone of the machines (a, b)", False)
    assert merged(monkeypatch, a=one).help == "Zone of the machines (a)"


def test_different_words_are_each_providers_own(monkeypatch: pytest.MonkeyPatch) -> None:
    found = merged(monkeypatch, a=Option("nic_id", "By id"), b=Option("nic_id", "By name"), c=Option("nic_id", "By id"))
    assert found.help == "a, c: By id. b: By name (a, b, c)"


def test_what_differs_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing refuses two strangers' options of one name: then the metadata must not be wrong for either."""
    size = Option("size", "", OptionType.INTEGER, "3", audience=Audience.FENCE)
    found = merged(monkeypatch, a=size, b=Option("size", "", OptionType.CHOICE, "big", choices=("big", "small")))
    assert (found.type, found.choices, found.default, found.audience) == (OptionType.STRING, (), None, Audience.BOTH)
    assert merged(monkeypatch, a=Option("pin", "", default="1"), b=Option("pin", "", secret=True)).secret
    assert not merged(monkeypatch, a=size, b=size).secret
