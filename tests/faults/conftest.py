"""Private places with emulated clouds in them, one for each provider, made when a test first asks for it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Otherwise hypothesis keeps its own files in the checkout.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(Path(tempfile.gettempdir()) / "cloudha-hypothesis"))

from campaign.clouds import names, stages
from campaign.player import Player
from campaign.run import METADATA_ADDRESS_ON_LOOPBACK, installed
from cloudha.testing.conformance.agents import Executables
from private_node import PrivateNode, private_node

# A healthy agent needs a second or two; on a machine under load it must not fail for that.
PATIENT_SECONDS = 20.0


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for every provider whose emulator is installed."""
    if "provider" in metafunc.fixturenames:
        metafunc.parametrize("provider", names())


@pytest.fixture(scope="session")
def number() -> Callable[[str, int], int]:
    """Read how many, from an environment variable, so that a target can ask for more than CI does."""
    return lambda name, default: int(os.environ.get(f"CLOUDHA_FAULTS_{name}", str(default)))


@pytest.fixture(scope="session")
def executables(tmp_path_factory: pytest.TempPathFactory) -> Executables:
    """Both agents, installed once."""
    return installed(tmp_path_factory.mktemp("agents"))


@pytest.fixture(scope="session")
def players(executables: Executables) -> Iterator[Callable[[str], Player]]:
    """Return a provider's player, with time enough for a healthy action."""
    made: dict[str, Player] = {}
    with contextlib.ExitStack() as stack:

        def player(provider: str) -> Player:
            if provider not in made:
                stage = next((stage for stage in stages() if stage.provider == provider), None)
                if stage is None:
                    pytest.skip(f"no conformance test brings a cloud for {provider}")
                place: PrivateNode = stack.enter_context(private_node(METADATA_ADDRESS_ON_LOOPBACK))
                made[provider] = Player(stage, place, executables)
                stack.callback(made[provider].close)
            found = made[provider]
            found.cloud.reset()
            found.power_seconds = found.operation_seconds = PATIENT_SECONDS
            return found

        yield player


@pytest.fixture
def player(players: Callable[[str], Player], provider: str) -> Player:
    """The player of the test's provider."""
    return players(provider)


@pytest.fixture
def sim_player(players: Callable[[str], Player]) -> Player:
    """The player of the simulated cloud, the quickest of all."""
    return players("sim")
