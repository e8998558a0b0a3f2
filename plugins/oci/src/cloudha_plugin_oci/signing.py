"""The signature of a request (version 1 of OCI's "Request Signatures"), as the SDK's signer makes it.

``oci.signer`` cannot be imported without the whole of ``oci``, which takes 0.22 s of CPU; what it does for one request
is a text of a few lines and one call to the same library, ``cryptography``. A test holds each header to the SDK's own.
"""

from __future__ import annotations

import base64
import email.utils
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

__all__ = ["headers", "numbers_of", "private_key"]

JSON = "application/json"
PRIMES = (("p", "dp"), ("q", "dq"))


def headers(key_id: str, key: RSAPrivateKey, method: str, url: str, body: bytes | None = None) -> dict[str, str]:
    """Return the headers that a request to that address must have; with a body, those about the body, too."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    parts = urlsplit(url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    given = {"date": email.utils.formatdate(usegmt=True), "host": parts.netloc}
    names = ["date", "(request-target)", "host"]
    if body is not None:
        import hashlib  # only for the few reads that are a POST

        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        more = {"content-length": str(len(body)), "content-type": JSON, "x-content-sha256": digest}
        given |= more
        names += more
    said = {**given, "(request-target)": f"{method.lower()} {path}"}
    text = "\n".join(f"{name}: {said[name]}" for name in names)
    signature = base64.b64encode(key.sign(text.encode("ascii"), padding.PKCS1v15(), hashes.SHA256())).decode()
    fields = {"algorithm": "rsa-sha256", "headers": " ".join(names), "keyId": key_id, "signature": signature}
    shown = ",".join(f'{name}="{value}"' for name, value in {**fields, "version": "1"}.items())
    return {**given, "authorization": f"Signature {shown}"}


def numbers_of(key: RSAPrivateKey) -> Mapping[str, int]:
    """Return a private key as its numbers, by their names in RFC 7518."""
    known = key.private_numbers()
    public = known.public_numbers
    values = (public.n, public.e, known.d, known.p, known.q, known.dmp1, known.dmq1, known.iqmp)
    return dict(zip(("n", "e", "d", "p", "q", "dp", "dq", "qi"), values, strict=True))


def private_key(numbers: Mapping[str, int]) -> RSAPrivateKey:
    """Return the private key of these numbers, which must be those of a key of our own.

    That they fit together is looked at; whether they are primes is not, since that takes 30 ms, and what others could
    have written is not read. From numbers, since reading PEM would import all formats of keys.

    :raises ValueError: they are no key.
    """
    from cryptography.hazmat.primitives.asymmetric import rsa

    n = numbers
    fit = n["p"] * n["q"] == n["n"] and min(n.values()) > 1
    fit = fit and all(n["d"] % (n[p] - 1) == n[dp] and n["e"] * n[dp] % (n[p] - 1) == 1 for p, dp in PRIMES)
    if not fit or n["qi"] * n["q"] % n["p"] != 1:
        raise ValueError("the parts of the key do not fit together")
    public = rsa.RSAPublicNumbers(n["e"], n["n"])
    made = rsa.RSAPrivateNumbers(n["p"], n["q"], n["d"], n["dp"], n["dq"], n["qi"], public)
    return made.private_key(unsafe_skip_rsa_key_validation=True)
