"""Settings, name, port and certificate: what comes before anybody logs in."""

import difflib
import socket
import ssl
import struct

from sunup.connecting import tls
from sunup.failures import DatabaseUnreachable, TLSFailed
from sunup.local.project import MIGRATION_PASSWORD, MIGRATION_USER
from sunup.settings import VARIABLES, Settings, SettingsError

from .finding import Examination, Finding, Findings

_SSL_REQUEST = struct.pack("!ii", 8, 80877103)  # PostgreSQL manual, "Message Formats"
_TCP_TIMEOUT = 10.0
# Aurora may hang here while it resumes.
_TLS_TIMEOUT = 60.0


def settings(examination: Examination) -> Findings:
    """The environment, as the app would read it."""
    project = examination.project
    try:
        found = project.settings
    except SettingsError as error:
        where = "in .env" if error.name in project.dotenv else "in the environment or in .env"
        yield Finding("settings", "failure", str(error), f"Set {error.name} {where}.")
        return
    examination.settings = found
    where = f"{found.user} on {found.database} at {found.host}:{found.port}"
    yield Finding("settings", "ok", f"{where}, {found.sslmode}")
    known = {*(each.name for each in VARIABLES), MIGRATION_USER, MIGRATION_PASSWORD}
    for name in project.dotenv:
        if name.startswith("DB_") and name not in known:
            near = difflib.get_close_matches(name, known, 1, 0.5)
            meant = f"Did you mean {near[0]}?" if near else "docs/settings.md lists the settings."
            yield Finding("settings", "warning", f"{name} in .env is not a setting of sunup", meant)


def name(examination: Examination) -> Findings:
    """DNS."""
    found = examination.settings
    if found is None or found.host.startswith("/"):
        yield Finding("dns", "skipped", "no host name to look up")
        return
    try:
        entries = socket.getaddrinfo(found.host, found.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        cure = (
            "Check DB_HOST: sunup database show prints the endpoint. A new one takes minutes to "
            "appear in DNS."
        )
        yield Finding("dns", "failure", f"{found.host} cannot be resolved: {error}", cure)
        return
    addresses = sorted({str(entry[4][0]) for entry in entries})
    examination.reachable = True
    yield Finding("dns", "ok", f"{found.host} is {', '.join(addresses[:3])}")


def certificate(examination: Examination) -> Findings:
    """TCP, then TLS with the roots and the name check that the app uses."""
    found = examination.settings
    if found is None or not examination.reachable:
        if found is not None and found.host.startswith("/"):
            examination.reachable = True
            yield Finding("tls", "skipped", "not used on a Unix socket")
        else:
            yield Finding("tls", "skipped", "the host name was not resolved")
        return
    examination.reachable = False
    try:
        yield _handshake(found)
        examination.reachable = True
    except TLSFailed as error:
        yield Finding("tls", "failure", error.detail, error.cure)
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or str(error)
        yield Finding(
            "tls", "failure", f"the certificate was not accepted: {reason}", TLSFailed.cure
        )
    except ConnectionRefusedError:
        detail = f"nothing listens on {found.host}:{found.port}"
        yield Finding("tls", "failure", detail, DatabaseUnreachable.cure)
    except TimeoutError:
        detail = f"no answer from {found.host}:{found.port}"
        cure = (
            "Check for a firewall or proxy on the way, and that the cluster exists: sunup "
            "database show."
        )
        yield Finding("tls", "failure", detail, cure)
    except OSError as error:
        yield Finding("tls", "failure", f"the connection broke: {error}", DatabaseUnreachable.cure)


def _handshake(found: Settings) -> Finding:
    with socket.create_connection((found.host, found.port), timeout=_TCP_TIMEOUT) as plain:
        client = tls.context(found)
        if client is None:
            status = "ok" if found.is_local else "failure"
            return Finding("tls", status, f"not encrypted (DB_SSLMODE={found.sslmode})")  # type: ignore[arg-type]
        plain.settimeout(_TLS_TIMEOUT)
        plain.sendall(_SSL_REQUEST)
        if plain.recv(1) != b"S":
            raise TLSFailed("the server does not support TLS")
        with client.wrap_socket(plain, server_hostname=found.host) as secure:
            peer = secure.getpeercert() or {}
            issuer = dict(pair[0] for pair in peer.get("issuer", ()))  # type: ignore[misc]
            by = issuer.get("organizationName") or issuer.get("commonName") or "not verified"
            return Finding(
                "tls", "ok", f"{secure.version()}, by {by}, until {peer.get('notAfter', '?')}"
            )
