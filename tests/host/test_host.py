"""The way from an agent to a hook: types, retries, hangs, observers, secrets."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from cloudha import discovery, plugins
from cloudha.deadline import Deadline
from cloudha.errors import NotFound, ProviderBroken, Unavailable, UnsupportedError
from cloudha.host import Host
from cloudha.options import Option, Settings, parse
from cloudha.types import Accepted, Node, PowerState
from fake_providers import GOOD, HEAD, MakeDistribution, with_hook

NODE = Node("i-1", "n1", PowerState.ON)


def make_host(
    name: str, seconds: float = 5.0, settings: Settings | None = None, warnings: list[str] | None = None
) -> Host:
    return Host(
        plugins.load(name),
        settings or Settings({}),
        Deadline(seconds),
        action="off",
        warn=(warnings if warnings is not None else []).append,
    )


def module_of(name: str) -> ModuleType:
    return sys.modules[f"fake_cloudha_plugin_{name}"]


def hook(body: str) -> str:
    return with_hook(f"@hookimpl\ndef power_off(context, node):\n    CALLS.append(1)\n    {body}")


def test_a_hook_nobody_implements_is_an_error_and_not_none(distribution: MakeDistribution) -> None:
    distribution("good", GOOD)
    with pytest.raises(UnsupportedError, match=r"good: off: .*cannot do that: it has no power_off"):
        make_host("good").power_off(NODE)


@pytest.mark.parametrize("answer", ["None", "True", "'accepted'", "[]", "(Accepted(),)"])
def test_an_answer_of_another_type_is_an_error(distribution: MakeDistribution, answer: str) -> None:
    distribution("odd", hook(f"return {answer}"))
    with pytest.raises((ProviderBroken, UnsupportedError)):
        make_host("odd").power_off(NODE)


@pytest.mark.parametrize("raised", ["KeyError('x')", "SystemExit(0)", "GeneratorExit()", "BaseException('x')"])
def test_any_other_exception_is_the_plugins_fault(distribution: MakeDistribution, raised: str) -> None:
    distribution("odd", hook(f"raise {raised}"))
    with pytest.raises(ProviderBroken, match=r"power_off raised .*report this to the author of cloudha-plugin-odd"):
        make_host("odd").power_off(NODE)
    assert len(module_of("odd").CALLS) == 1


def test_only_unavailable_is_tried_again(distribution: MakeDistribution) -> None:
    distribution("busy", hook("if len(CALLS) < 3: raise Unavailable('busy')\n    return Accepted(('r',))"))
    assert make_host("busy").power_off(NODE) == Accepted(("r",))
    assert len(module_of("busy").CALLS) == 3
    distribution("gone", hook("raise NotFound('no such machine')"))
    with pytest.raises(NotFound):
        make_host("gone").power_off(NODE)
    assert len(module_of("gone").CALLS) == 1


def test_a_refusal_after_a_failure_ends_it(distribution: MakeDistribution) -> None:
    distribution("odd", hook("raise Unavailable('away') if len(CALLS) == 1 else NotFound('gone')"))
    with pytest.raises(NotFound):
        make_host("odd").power_off(NODE)
    assert len(module_of("odd").CALLS) == 2


def test_it_gives_up_at_the_deadline_and_says_how_often_it_tried(distribution: MakeDistribution) -> None:
    distribution("busy", hook("raise Unavailable('busy', advice='wait')"))
    deadline = Deadline(60)
    with pytest.raises(Unavailable, match=r"busy: off: n1 \(i-1\): busy \(tried \d+ times in \d+ s\); wait") as caught:
        make_host("busy", 1.5).power_off(NODE)
    assert deadline.elapsed < 5
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_retry_after_beyond_the_deadline_ends_it_at_once(distribution: MakeDistribution) -> None:
    distribution("busy", hook("raise Unavailable('busy', retry_after=30)"))
    deadline = Deadline(60)
    with pytest.raises(Unavailable):
        make_host("busy", 10).power_off(NODE)
    assert deadline.elapsed < 5
    assert len(module_of("busy").CALLS) == 1


def test_a_hook_that_never_returns_does_not_hold_the_action(distribution: MakeDistribution) -> None:
    distribution("hung", hook("import threading; threading.Event().wait(60)\n    return Accepted()"))
    deadline = Deadline(60)
    with pytest.raises(Unavailable, match="did not come back"):
        make_host("hung", 1.0).power_off(NODE)
    assert deadline.elapsed < 10


def test_a_reading_of_another_machine_proves_nothing(distribution: MakeDistribution) -> None:
    distribution(
        "mixed", with_hook("@hookimpl\ndef power_state(context, node):\n    return PowerReading('i-2', PowerState.OFF)")
    )
    with pytest.raises(ProviderBroken, match="i-2"):
        make_host("mixed").power_state(NODE)


def test_no_known_secret_survives_in_an_error(distribution: MakeDistribution) -> None:
    distribution("leaky", hook("raise NotFound('token ' + context.settings.secret('password').reveal() + ' is bad')"))
    settings = parse([Option("password", "", secret=True)], {"password": "hunter2canary"})
    with pytest.raises(NotFound) as caught:
        make_host("leaky", settings=settings).power_off(NODE)
    assert "hunter2canary" not in str(caught.value)
    assert "***" in str(caught.value)
    assert "hunter2canary" not in repr(settings)


OBSERVER = """
@hookimpl(wrapper=True)
def power_off(context, node):
    CALLS.append("before")
    {body}
"""


@pytest.mark.parametrize(
    ("body", "calls", "warned"),
    [
        ("return (yield)", 1, False),
        ("yield\n    return None", 1, True),
        ("yield\n    return Accepted(('forged',))", 1, True),
        ("yield\n    raise RuntimeError('observer broke after')", 1, True),
        ("raise RuntimeError('observer broke before')\n    yield", 1, True),
        ("try:\n        return (yield)\n    except Exception:\n        return Accepted(('swallowed',))", 1, False),
    ],
)
def test_an_observer_can_neither_change_an_answer_nor_stop_a_fence(
    distribution: MakeDistribution, body: str, calls: int, *, warned: bool
) -> None:
    distribution("good", hook("return Accepted(('real',))"))
    distribution("spy", HEAD + OBSERVER.format(body=body), dist="spy", group=discovery.OBSERVERS)
    warnings: list[str] = []
    assert make_host("good", warnings=warnings).power_off(NODE) == Accepted(("real",))
    assert len(module_of("good").CALLS) == calls
    assert sys.modules["fake_spy"].CALLS == ["before"]
    assert bool(warnings) is warned


def test_an_observer_cannot_swallow_an_error(distribution: MakeDistribution) -> None:
    distribution("gone", hook("raise NotFound('no such machine')"))
    body = "try:\n        return (yield)\n    except Exception:\n        return Accepted()"
    distribution("spy", HEAD + OBSERVER.format(body=body), dist="spy", group=discovery.OBSERVERS)
    with pytest.raises(NotFound):
        make_host("gone").power_off(NODE)


def test_a_secret_that_a_long_message_would_cut_in_two_is_taken_out(distribution: MakeDistribution) -> None:
    distribution("leaky", hook("raise NotFound('x' * 590 + context.settings.secret('password').reveal())"))
    settings = parse([Option("password", "", secret=True)], {"password": "first-half second-half"})
    with pytest.raises(NotFound) as caught:
        make_host("leaky", settings=settings).power_off(NODE)
    assert "first" not in str(caught.value)
