"""A root and a server certificate, made for one run; the root may stay."""

import fcntl
import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .wire import ALPN

_LIFETIME = timedelta(days=2)
_KEPT = timedelta(days=365)


@dataclass(frozen=True)
class Certificates:
    """`root` is the PEM file that clients verify against; `server` what Aurora presents."""

    root: Path
    server: ssl.SSLContext


def make(folder: Path, host: str = "localhost", keep: Path | None = None) -> Certificates:
    """Make both in a folder; the root in `keep`, where it stays for the next run.

    Without `keep`, or where that cannot be written, the root's key is thrown away: nobody can sign
    with it later. In `keep` it lies readable for its owner only.
    """
    now = datetime.now(UTC) - timedelta(minutes=5)
    root, root_key = _root(now, _LIFETIME)
    if keep is not None:
        try:
            root, root_key = _shared(keep, now)
        except OSError:
            keep = None
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.DNSName(host), *map(_address, ("127.0.0.1", "::1"))]
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    leaf = (
        _builder(_name(host), root.subject, key, now, _LIFETIME)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(issuer_key, critical=False)
        .sign(root_key, hashes.SHA256())
    )
    root_file = (folder if keep is None else keep) / "root.pem"
    if keep is None:
        _write(root_file, _pem(root), 0o644)
    _write(folder / "server.pem", _private(key) + _pem(leaf), 0o600)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([ALPN])
    return Certificates(root_file, context)


def _shared(folder: Path, now: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """As `_kept`, for one emulator after the other: two that begin at once have one root."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _kept(folder, now)


def _kept(folder: Path, now: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """The root of an earlier run, or a new one where there is none that lasts. Raises `OSError`."""
    certificate_file, key_file = folder / "root.pem", folder / "root.key"
    try:
        root = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    except (OSError, ValueError):
        pass
    else:
        fits = isinstance(key, ec.EllipticCurvePrivateKey) and key.public_key() == root.public_key()
        if fits and root.not_valid_after_utc > now + 2 * _LIFETIME:
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            return root, key
    root, made = _root(now, _KEPT)
    _write(key_file, _private(made), 0o600)
    _write(certificate_file, _pem(root), 0o644)
    return root, made


def _root(
    now: datetime, lifetime: timedelta
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("sunup emulator root")
    subject_key = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    root = (
        _builder(name, name, key, now, lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(subject_key, critical=False)
        .sign(key, hashes.SHA256())
    )
    return root, key


def _write(file: Path, content: bytes, mode: int) -> None:
    """In one step: another emulator may be reading it."""
    new = file.with_name(f"{file.name}.{os.getpid()}")
    new.touch(mode=mode)
    new.write_bytes(content)
    new.replace(file)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _address(text: str) -> x509.IPAddress:
    return x509.IPAddress(ip_address(text))


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    lifetime: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + lifetime)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
