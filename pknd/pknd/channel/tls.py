"""TLS: a self-signed certificate that carries the device key, and a look at the other's (SPEC, Channel).

Certificates are not checked by chains of authorities but by the key in them: TLS 1.3 proves that the other
end holds it, the handshake inside says whose it is.
"""

from __future__ import annotations

import datetime
import os
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from pkn_protocol.records.signing import Ed25519Key

# Certificates are made anew at each start and looked at only for their key, so dates do not matter.
_FROM = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
_UNTIL = datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC)

_PASSWORD_BYTES = 32


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate in PEM with its key; `digest` is the SHA-256 of its DER form."""

    pem: bytes
    key: Ed25519PrivateKey
    digest: bytes


def make_certificate(device_key: Ed25519Key) -> Certificate:
    """The certificate of a device: nothing in it but the key says anything."""
    key = Ed25519PrivateKey.from_private_bytes(device_key.seed)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pkn")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
        .sign(key, None)
    )
    return Certificate(
        certificate.public_bytes(Encoding.PEM),
        key,
        sha256(certificate.public_bytes(Encoding.DER)).digest(),
    )


def server_context(certificate: Certificate, *, random_bytes: Callable[[int], bytes]) -> ssl.SSLContext:
    """TLS 1.3 with this certificate. OpenSSL reads keys from files alone: one of mode 0600 that is gone at
    once, and holds the key only under a password that was never outside this process."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # Sessions are not resumed: each connection shows its certificate.
    context.num_tickets = 0
    password = random_bytes(_PASSWORD_BYTES).hex().encode("ascii")
    key_pem = certificate.key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password)
    )
    descriptor, name = tempfile.mkstemp(prefix="pkn-", suffix=".pem")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(certificate.pem + key_pem)
        context.load_cert_chain(name, password=password)
    finally:
        Path(name).unlink()
    return context


def client_context() -> ssl.SSLContext:
    """TLS 1.3 with any certificate: its key is compared before anything is sent that matters."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def certificate_key(der: bytes) -> bytes | None:
    """The Ed25519 key in a certificate; None where it has none."""
    try:
        key = x509.load_der_x509_certificate(der).public_key()
    except (ValueError, x509.InvalidVersion, x509.UnsupportedGeneralNameType):
        return None
    if not isinstance(key, Ed25519PublicKey):
        return None
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
