"""What a provider's package must be before anybody calls it: findable, light, silent, and well described."""
# ruff: noqa: S101 - asserts are what a test kit is made of

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import NamedTuple
from xml.etree import ElementTree as ET

import pytest

from cloudha import discovery, plugins
from cloudha.agents.fence_options import OWN_NAMES as FENCE_NAMES
from cloudha.agents.floating_ip_options import OWN_NAMES as ADDRESS_NAMES
from cloudha.errors import CloudhaError
from cloudha.installed import PROVIDER_NAME
from cloudha.options import Audience, OptionType
from cloudha.plugins import Provider
from cloudha.testing.conformance.agents import Agents
from cloudha.testing.conformance.checks import Checks
from cloudha.testing.conformance.cloud import Capability, TestCloud
from cloudha.testing.conformance.hooks import ADDRESSES, FENCING, secrets

__all__ = ["PackagingChecks"]

FENCE_HOOKS = frozenset(FENCING)
ADDRESS_HOOKS = frozenset({*ADDRESSES, "local_node", "local_evidence"})
SECRET_WORDS = frozenset({"password", "passwd", "secret", "token", "key", "credential", "credentials"})
# "token_url" is where a token comes from, "key_id" which key it is: neither opens anything.
HARMLESS_ENDS = frozenset({"id", "name", "url", "endpoint", "file", "path", "script", "type"})
# Shorter texts occur by chance, and a leak of one would not be seen.
SHORTEST_CANARY = 8
IMPORT_SECONDS = 30
# Runs in an interpreter of its own: what does importing and describing the provider bring along, and whom does it ask?
PROBE = """
import json, sys
from cloudha import plugins
events = []
WATCHED = ("socket.connect", "socket.getaddrinfo", "socket.sendto", "subprocess.Popen", "os.exec", "os.system")
before = set(sys.modules)
sys.addaudithook(lambda event, _: events.append(event) if event in WATCHED else None)
plugins.load(sys.argv[1])
found = sorted({name.partition(".")[0] for name in set(sys.modules) - before} - {n.partition(".")[0] for n in before})
sys.stdout.flush()
sys.stderr.flush()
with open(sys.argv[2], "w") as file:
    json.dump({"modules": found, "events": events}, file)
"""


class _Import(NamedTuple):
    modules: set[str]
    events: list[str]
    printed: str


class PackagingChecks(Checks):
    """Checks that need no cloud."""

    def test_provider_name_is_one_that_operators_can_type(self) -> None:
        """``provider=`` takes lower case letters, digits and hyphens; another name could never be configured."""
        assert PROVIDER_NAME.match(self.provider), f"{self.provider!r} is no name for a provider"

    def test_distribution_is_found(self) -> None:
        """The agents find a provider by its entry point; one that is not found fences nobody."""
        found = [entry for entry in discovery.entries(discovery.PROVIDERS) if entry.name == self.provider]
        assert len(found) == 1, f"group {discovery.PROVIDERS} has {len(found)} entries named {self.provider!r}, not one"

    def test_distribution_has_the_name_that_messages_tell(self) -> None:
        """On a node without it, the message says ``pip install cloudha-plugin-...``: that must be the right package."""
        entry = self._entry()
        assert entry.distribution == f"cloudha-plugin-{self.provider}"

    def test_provider_loads(self) -> None:
        """Every hook is spelt and has the arguments as specified, and no option is taken: else no action runs."""
        self._entry()
        try:
            plugins.load(self.provider, FENCE_NAMES | ADDRESS_NAMES)
        except CloudhaError as error:
            pytest.fail(str(error), pytrace=False)

    def test_hooks_are_there(self, loaded: Provider) -> None:
        """What a provider says that it can do, it has all hooks for; what it has hooks for is tested here."""
        fencing, addresses = Capability.FENCING not in self.without, bool(self.kinds)
        needed = (FENCE_HOOKS if fencing else frozenset()) | (ADDRESS_HOOKS if addresses else frozenset())
        missing = [hook for hook in sorted(needed) if not loaded.implements(hook)]
        assert not missing, f"hooks are missing: {', '.join(missing)}"
        untested = [hook for hook in ("power_off", "power_on") if not fencing and loaded.implements(hook)]
        assert not untested, f"declared to be without fencing, and implements {', '.join(untested)}"

    def test_kinds_are_the_declared_ones(self, loaded: Provider) -> None:
        """A kind that is offered and not tested would fail in the first failover."""
        untested = set(loaded.info.kinds) - set(self.kinds) - set(self.without)
        assert not untested, f"offered and not tested: {', '.join(sorted(kind.value for kind in untested))}"
        promised = set(self.kinds) - set(loaded.info.kinds)
        assert not promised, f"tested and not offered: {', '.join(sorted(kind.value for kind in promised))}"

    def test_import_brings_no_sdk(self, imported: _Import) -> None:
        """Metadata loads every installed provider, before every start; an SDK takes up to a second and 90 MB."""
        own = {self._entry().value.partition(":")[0].partition(".")[0], *self.own_modules}
        foreign = imported.modules - set(sys.stdlib_module_names) - own - {"cloudha", "pluggy"}
        assert not foreign, f"imported with the provider, not when it is needed: {', '.join(sorted(foreign))}"

    def test_import_asks_nobody(self, imported: _Import) -> None:
        """Pacemaker gives metadata ten seconds, network or not."""
        assert not imported.events

    def test_import_prints_nothing(self, imported: _Import) -> None:
        """What an import prints lands in the middle of the metadata, which pcs then cannot read."""
        assert not imported.printed

    def test_options_have_help_for_an_operator(self, loaded: Provider) -> None:
        """The help is all that pcs and crmsh show; it is one sentence without a full stop, which the agents add."""
        for option in loaded.info.options:
            text = option.help
            assert len(text.split()) > 1, f"option {option.name}: no help"
            assert text == " ".join(text.split()), f"option {option.name}: the help is not one line"
            assert not text.endswith("."), f"option {option.name}: the help ends with a full stop"

    def test_options_that_look_secret_are_secret(self, loaded: Provider) -> None:
        """What is not declared secret is shown in logs and in ``pcs status``."""
        shown = [
            option.name
            for option in loaded.info.options
            if not option.secret
            and option.type is not OptionType.SECRET_FILE
            and SECRET_WORDS & set(option.name.split("_"))
            and option.name.split("_")[-1] not in HARMLESS_ENDS
        ]
        assert not shown, f"declare them with secret=True: {', '.join(shown)}"

    def test_every_secret_is_in_use_here(self, loaded: Provider, fresh: TestCloud) -> None:
        """A leak is seen only of a secret that the test cloud's parameters hold."""
        given = secrets(loaded, fresh)
        declared = {o.name for o in loaded.info.options if o.secret or o.type is OptionType.SECRET_FILE}
        missing = declared - set(given) - set(self.unused_secrets)
        assert not missing, f"no value in the cloud's options(), no reason in unused_secrets: {', '.join(missing)}"
        short = [name for name, value in given.items() if len(value) < SHORTEST_CANARY]
        assert not short, f"values of fewer than {SHORTEST_CANARY} characters: {', '.join(short)}"

    def test_both_metadata_list_every_option(self, loaded: Provider, agents: Agents) -> None:
        """A parameter that the metadata lacks is refused by pcs."""
        for run, other in zip(agents.metadata(), (Audience.ADDRESS, Audience.FENCE), strict=True):
            assert run.code == 0, str(run)
            listed = {element.get("name") for element in ET.fromstring(run.stdout).iter("parameter")}  # noqa: S314 - our own agents' output
            wanted = {option.name for option in loaded.info.options if option.audience is not other}
            assert wanted <= listed, f"{run.what} lacks {', '.join(sorted(wanted - listed))}"

    @pytest.fixture(scope="class")
    @classmethod
    def imported(cls, loaded: Provider, tmp_path_factory: pytest.TempPathFactory) -> _Import:
        """What importing the provider does, in an interpreter of its own."""
        report = tmp_path_factory.mktemp("import") / "report.json"
        done = subprocess.run(
            [sys.executable, "-I", "-c", PROBE, loaded.name, str(report)],
            capture_output=True,
            text=True,
            timeout=IMPORT_SECONDS,
            check=False,
        )
        assert report.is_file(), f"importing the provider failed: {done.stderr}"
        found: Mapping[str, list[str]] = json.loads(report.read_text())
        return _Import(set(found["modules"]), found["events"], done.stdout + done.stderr)

    def _entry(self) -> discovery.Entry:
        found = [entry for entry in discovery.entries(discovery.PROVIDERS) if entry.name == self.provider]
        if not found:
            pytest.skip("there is no entry point, see test_distribution_is_found")
        return found[0]
