"""TLS: an authority of one's own is trusted by ``ca_file`` alone, and a certificate that is not is said once."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloudha.provider import Context, LocalConfigurationError, NodeQuery, Unavailable
from cloudha.testing.emulator import FaultServer
from cloudha_plugin_ibm import machines
from cloudha_plugin_ibm.emulator import IbmEmulator

Contexts = Callable[..., Context]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 with its key, signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    path, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=emulated -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*command.split(), "-out", path, "-keyout", key], check=True, capture_output=True, timeout=60)
    path.write_bytes(path.read_bytes() + key.read_bytes())
    return path


@pytest.fixture
def secure(ibm: IbmEmulator, certificate: Path) -> Iterator[str]:
    """The address of the same cloud behind TLS."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with FaultServer(ibm.service, "127.0.0.1", 0, tls=tls) as server:
        yield server.url


def test_an_authority_of_ones_own(ibm: IbmEmulator, context: Contexts, secure: str, certificate: Path) -> None:
    key = ibm.service.identities.api_key
    one = context(endpoint=secure, identity_endpoint=secure, ca_file=str(certificate), api_key=key)
    assert len(machines.list_nodes(one, NodeQuery()).nodes) == 2


def test_a_certificate_that_is_not_trusted(context: Contexts, secure: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Unavailable, match="certificate") as caught:
        machines.list_nodes(context(endpoint=secure), NodeQuery())
    assert "ca_file" in caught.value.advice
    printed = capfd.readouterr()
    assert printed.out + printed.err == "", "the SDK logs an error and advises to switch verification off"


def test_an_authority_that_is_not_there(context: Contexts) -> None:
    with pytest.raises(LocalConfigurationError, match="ca_file"):
        machines.list_nodes(context(ca_file="/not/there.pem"), NodeQuery())
