"""Which roots a server's certificate is verified against.

RDS host names against the few roots that come with sunup (a whole trust store costs 9 to 48 ms of
processor time), other hosts against the system's. Of the few, Amazon Trust Services signs for
clusters of Aurora's express configuration, and the region's own Amazon RDS roots
(rds-ca-rsa2048-g1 and such) for all others (Aurora User Guide, "Using SSL/TLS to encrypt a
connection to a DB cluster"). One region's add 0.3 ms, those of all would add 8 (make bench).
"""

import os

from sunup.engines import DSQL, recognised
from sunup.failures import TLSFailed
from sunup.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl

ROOTS = os.path.join(os.path.dirname(__file__), "roots.pem")  # noqa: PTH118, PTH120  # pathlib: 5 ms
# A file for each region, with its own roots and those above: libpq takes only one.
REGIONS = ROOTS.removesuffix(".pem")

# Where systems keep their trust store: Amazon Linux and Fedora, Debian, Alpine and macOS.
_SYSTEM_BUNDLES = (
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/cert.pem",
)


def root_certificates(settings: Settings) -> str:
    """The PEM file to verify against, or `system`."""
    if settings.sslrootcert:
        return settings.sslrootcert
    engine, region = recognised(settings.host) or (None, None)
    if region is None:
        return "system"
    if engine is DSQL:
        return ROOTS  # its certificates are Amazon Trust Services' (DSQL User Guide, "SSL/TLS")
    path = f"{REGIONS}/{region}.pem"
    # A region may be newer than sunup.
    return path if os.path.isfile(path) else ROOTS  # noqa: PTH113


def root_file(settings: Settings) -> str:
    """The PEM file to verify against, for a library that has no system store.

    psycopg's wheels bring an OpenSSL whose default folder is empty, so that libpq's
    `sslrootcert=system` trusts nothing. Raises `TLSFailed` when no file is found.
    """
    roots = root_certificates(settings)
    if roots != "system":
        return roots
    for path in (os.environ.get("SSL_CERT_FILE", ""), *_SYSTEM_BUNDLES):
        if path and os.path.isfile(path):  # noqa: PTH113
            return path
    raise TLSFailed("this system has no root certificates file; set DB_SSLROOTCERT")


def context(
    settings: Settings, kind: "type[ssl.SSLContext] | None" = None
) -> "ssl.SSLContext | None":
    """The TLS client that DB_SSLMODE describes, with libpq's meanings; None for `disable`.

    It is made from `kind`, the caller's own class, if given. `allow` and `prefer` are the
    driver's business: None too. Raises `TLSFailed` when the file of roots cannot be read.
    """
    if settings.sslmode in ("disable", "allow", "prefer"):
        return None
    import ssl

    client = (kind or ssl.SSLContext)(ssl.PROTOCOL_TLS_CLIENT)
    client.minimum_version = ssl.TLSVersion.TLSv1_2
    client.check_hostname = settings.sslmode == "verify-full"
    if settings.sslmode == "require":
        client.verify_mode = ssl.CERT_NONE
        return client
    roots = root_certificates(settings)
    if roots == "system":
        client.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return client
    try:
        client.load_verify_locations(cafile=roots)
    except (OSError, ssl.SSLError) as error:
        raise TLSFailed(f"the root certificates in {roots!r} cannot be read: {error}") from None
    return client
