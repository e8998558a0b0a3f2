"""Loading: exactly the named provider, and every hazard of pluggy closed."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import pluggy
import pytest

from cloudha import discovery, installed, plugins
from cloudha.declaration import MARK, hookimpl
from cloudha.errors import ConfigurationError, ProviderBroken, ProviderNotInstalled
from cloudha.hookspecs import ProviderHooks
from fake_providers import GOOD, HEAD, INFO, MakeDistribution, with_hook


def test_loads_the_named_provider_and_imports_no_other(distribution: MakeDistribution) -> None:
    distribution("good", GOOD)
    distribution("other", "raise RuntimeError('imported')")
    provider = plugins.load("good")
    assert provider.info.title == "Fake"
    assert provider.implements("provider_info")
    assert not provider.implements("power_off")
    assert "fake_cloudha_plugin_other" not in sys.modules


def test_unknown_provider_says_what_is_installed_and_the_pip_command(distribution: MakeDistribution) -> None:
    distribution("good", GOOD)
    with pytest.raises(ProviderNotInstalled, match=r"installed: .*good.*/bin/pip install cloudha-plugin-nimbus"):
        plugins.load("nimbus")


@pytest.mark.parametrize("name", ["", "../x", "a b", "A", "x" * 41, "1", "a;b", "a\nb"])
def test_a_name_that_cannot_be_one_is_a_configuration_error(name: str) -> None:
    with pytest.raises(ConfigurationError):
        plugins.load(name)


def test_two_distributions_of_one_provider_are_both_named(distribution: MakeDistribution) -> None:
    distribution("twin", GOOD, dist="cloudha-plugin-twin")
    distribution("twin", GOOD, dist="acme-twin")
    with pytest.raises(ProviderBroken, match=r"acme-twin 1\.0 .*cloudha-plugin-twin 1\.0|cloudha-plugin-twin.*acme"):
        plugins.load("twin")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import not_there_at_all", "ModuleNotFoundError"),
        ("raise SystemExit(0)", "SystemExit"),
        ("def broken(:", "SyntaxError"),
        (HEAD, "no provider_info"),
        (HEAD + "@hookimpl\ndef provider_info():\n    return None", "answered NoneType"),
        (HEAD + "@hookimpl\ndef provider_info():\n    return {'title': 'x'}", "answered dict"),
        (HEAD + "@hookimpl\ndef provider_info():\n    1/0", "ZeroDivisionError"),
        (with_hook("@hookimpl\ndef power_of(context, node):\n    return Accepted()"), "power_of"),
        (with_hook("@hookimpl\ndef power_off(context, machine):\n    return Accepted()"), "machine"),
        (with_hook("@hookimpl(wrapper=True)\ndef power_off(context, node):\n    return (yield)"), "wrapper"),
        (
            HEAD + "@hookimpl\ndef provider_info():\n"
            "    return ProviderInfo(title='x', options=(Option('endpoint', 'mine'),))",
            "endpoint",
        ),
    ],
)
def test_a_broken_provider_is_told_apart_and_named(distribution: MakeDistribution, source: str, words: str) -> None:
    distribution("bad", source)
    with pytest.raises(ProviderBroken, match=words) as caught:
        plugins.load("bad")
    assert "cloudha-plugin-bad" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_broken_neighbour_does_not_stop_the_good_one(distribution: MakeDistribution, site: Path) -> None:
    distribution("good", GOOD)
    (site / "unreadable-1.0.dist-info").mkdir()
    (site / "unreadable-1.0.dist-info" / "entry_points.txt").write_bytes(b"[cloudha.providers]\n\xff\xfe = x\n")
    (site / "loop-1.0.dist-info").symlink_to(site / "loop-1.0.dist-info")
    distribution("bad", "raise RuntimeError")
    assert plugins.load("good").name == "good"
    assert {"bad", "good"} <= set(installed.installed_names())


def test_discovery_agrees_with_importlib_metadata(distribution: MakeDistribution) -> None:
    distribution("good", GOOD)
    distribution("other", GOOD)
    theirs = {(e.name, e.value) for e in importlib.metadata.entry_points(group=discovery.PROVIDERS)}
    assert {(e.name, e.value) for e in discovery.entries(discovery.PROVIDERS)} == theirs


def test_the_first_of_two_folders_of_one_distribution_counts(tmp_path: Path) -> None:
    for place, value in (("a", "first"), ("b", "second")):
        info = tmp_path / place / "cloudha_plugin_x-1.dist-info"
        info.mkdir(parents=True)
        (info / "entry_points.txt").write_text(f"[cloudha.providers]\nx = {value}\n")
    found = discovery.entries(discovery.PROVIDERS, [str(tmp_path / "a"), str(tmp_path / "b")])
    assert [entry.value for entry in found] == ["first"]


def test_an_observer_that_implements_a_hook_is_left_out(distribution: MakeDistribution) -> None:
    distribution("good", GOOD)
    distribution(
        "spy",
        HEAD + "@hookimpl\ndef power_off(context, node):\n    return Accepted()",
        dist="spy",
        group=discovery.OBSERVERS,
    )
    provider = plugins.load("good")
    warnings = plugins.load_observers(provider.manager)
    assert len(warnings) == 1
    assert "spy" in warnings[0]
    assert not provider.manager.hook.power_off.get_hookimpls()


def test_every_hook_has_an_example_that_runs_and_loads(distribution: MakeDistribution) -> None:
    for hook in plugins.HOOKS:
        doc = getattr(ProviderHooks, hook).__doc__ or ""
        assert "::" in doc, f"{hook} has no example"
        lines = doc.split("::\n", 1)[1].splitlines()
        example = "\n".join(line[12:] for line in lines)
        source = example if hook == "provider_info" else f"{HEAD}{INFO}\n{example}"
        name = "doc" + hook.replace("_", "")
        distribution(name, source)
        assert plugins.load(name).implements(hook)


def test_our_mark_is_pluggys(distribution: MakeDistribution) -> None:
    def power_off() -> None: ...
    def theirs() -> None: ...

    for wrapper in (False, True):
        hookimpl(wrapper=wrapper)(power_off)
        pluggy.HookimplMarker("cloudha")(theirs, wrapper=wrapper)
        assert getattr(power_off, MARK) == getattr(theirs, MARK)
    distribution("marked", GOOD.replace("@hookimpl", '@__import__("pluggy").HookimplMarker("cloudha")'))
    assert plugins.load("marked").info == installed.declared("marked")


def test_a_declaration_is_checked_as_a_provider_is(distribution: MakeDistribution) -> None:
    distribution("unmarked", HEAD + "def provider_info():\n    return ProviderInfo(title='x')")
    distribution("exits", "raise SystemExit(0)")
    for name in ("unmarked", "exits"):
        with pytest.raises(ProviderBroken, match=f"cloudha-plugin-{name}"):
            installed.declared(name)
        with pytest.raises(ProviderBroken, match=f"cloudha-plugin-{name}"):
            plugins.load(name)
    distribution(
        "declares",
        HEAD + "@hookimpl\ndef provider_info():\n    return ProviderInfo(title='x', options=(Option('mine', 'x'),))",
    )
    assert installed.declared("declares").options[0].name == "mine"
    with pytest.raises(ProviderBroken, match="taken"):
        installed.declared("declares", {"mine"})
