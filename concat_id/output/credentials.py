"""What videos are signed with: a private key and the certificates that vouch for it.

A hosted service names its own by $CONCAT_ID_SIGNING: a PEM file, or its text, with a P-256 private key, its
certificate, then those above it. Otherwise a chain is made at first use and kept in the cache folder: it
proves that a file is unchanged, but vouches for nobody, as its root is on no list of trust.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from concat_id.errors import InvalidCredentials
from concat_id.files.text import read_text
from concat_id.loading.weights import cache_folder

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

VALID_DAYS = 3650
_COORDINATE_BYTES = 32  # of P-256
_CERTIFICATE = "-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True)
class Credentials:
    """A P-256 key and its chain of certificates as PEM text, the signer's first, the root last."""

    key: EllipticCurvePrivateKey
    chain: str

    def sign(self, data: bytes) -> bytes:
        """An ECDSA signature with SHA-256, as the two numbers that COSE wants it to be."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

        numbers = decode_dss_signature(self.key.sign(data, ec.ECDSA(hashes.SHA256())))
        return b"".join(number.to_bytes(_COORDINATE_BYTES, "big") for number in numbers)


def load_credentials() -> Credentials:
    """Those that the environment names, else this machine's own, made if there are none yet."""
    given = os.environ.get("CONCAT_ID_SIGNING")
    if not given and not _own_path().exists():
        _make(_own_path())
    return _read(given or str(_own_path()))


def read_root() -> str | None:
    """The root of those that there are, as PEM text. Makes none."""
    given = os.environ.get("CONCAT_ID_SIGNING")
    if not given and not _own_path().exists():
        return None
    chain = _read(given or str(_own_path())).chain
    return chain[chain.rindex(_CERTIFICATE) :]


def _own_path() -> Path:
    """Where this machine's own are kept."""
    return cache_folder() / "signing" / "credentials.pem"


def _read(given: str) -> Credentials:
    """Credentials from PEM text, or from the file of that name."""
    if "-----BEGIN" in given:
        return _parse(given, "$CONCAT_ID_SIGNING")
    try:
        return _parse(read_text(Path(given)), f"'{given}'")
    except (OSError, ValueError) as error:
        raise InvalidCredentials(f"'{given}' cannot be read; put the key and certificates there.") from error


def _parse(pem: str, source: str) -> Credentials:
    """Check and take apart a key and its certificates."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    chain = pem[max(pem.find(_CERTIFICATE), 0) :]
    try:
        key = load_pem_private_key(pem.encode(), None)
        signer = x509.load_pem_x509_certificates(chain.encode())[0]
    except (ValueError, TypeError) as error:
        raise InvalidCredentials(
            f"{source} holds no private key without a password, followed by certificates; give both as PEM."
        ) from error
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise InvalidCredentials(f"the key in {source} is not on the curve P-256; give one that is.")
    if signer.public_key() != key.public_key():
        raise InvalidCredentials(
            f"the first certificate in {source} is not the key's; put the key's before those above it."
        )
    if not signer.not_valid_before_utc <= datetime.now(UTC) <= signer.not_valid_after_utc:
        raise InvalidCredentials(f"the first certificate in {source} has expired; renew or remove the file.")
    return Credentials(key, chain)


def _make(path: Path) -> None:
    """Write a new key with its chain in one step, for its owner's eyes only."""
    text = _make_chain()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Temporary files are readable by their owner alone from the start.
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:
            file.write(text)
            file.flush()
            # Of several processes that make one at the same time, the first's stays.
            with suppress(FileExistsError):
                os.link(file.name, path)
    except OSError as error:
        raise InvalidCredentials(
            f"no signing key can be kept at '{path}'; make the folder writable, or set CONCAT_ID_SIGNING."
        ) from error


def _make_chain() -> str:
    """PEM text: a key, its certificate, and that of a root whose own key is forgotten at once."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _certify(root_key, root_key, "Concat-ID Studio, private root", is_authority=True)
    leaf = _certify(key, root_key, "Concat-ID Studio, this machine", is_authority=False)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return b"".join((private, *(item.public_bytes(Encoding.PEM) for item in (leaf, root)))).decode()


def _certify(
    key: EllipticCurvePrivateKey, issuer_key: EllipticCurvePrivateKey, name: str, *, is_authority: bool
) -> x509.Certificate:
    """A certificate by the rules of the C2PA specification, 14.5.1: what a key is for is said in it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def call(common_name: str) -> x509.Name:
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Concat-ID Studio"),
                x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            ]
        )

    now = datetime.now(UTC)
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    usage |= {
        "digital_signature": not is_authority,
        "key_cert_sign": is_authority,
        "crl_sign": is_authority,
    }
    builder = (
        x509.CertificateBuilder()
        .subject_name(call(name))
        .issuer_name(call("Concat-ID Studio, private root"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Clocks of machines differ a little.
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    if not is_authority:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purpose, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())
