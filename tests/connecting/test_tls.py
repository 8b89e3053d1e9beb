import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import certifi
import psycopg
import pytest
from cryptography import x509

from sunup.connecting import tls
from sunup.connecting.credentials import CredentialSource
from sunup.failures import TLSFailed
from sunup.local.emulator import certificates as emulated
from sunup.psycopg import attempt as psycopg_attempt
from sunup.settings import Settings

RDS = "app.cluster-abc.eu-central-1.rds.amazonaws.com"
ELSEWHERE = "app.cluster-abc.eu-west-1.rds.amazonaws.com"
NEW_REGION = "app.cluster-abc.xx-new-9.rds.amazonaws.com"
REGIONS = sorted(Path(tls.REGIONS).glob("*.pem"))


def certificates(path: str) -> set[bytes]:
    blocks = re.findall(r"-----BEGIN.*?END CERTIFICATE-----", Path(path).read_text(), re.DOTALL)
    return {ssl.PEM_cert_to_DER_cert(block) for block in blocks}


def test_the_roots_are_amazon_s_and_are_those_that_everyone_trusts() -> None:
    ours = certificates(tls.ROOTS)
    assert len(ours) == 5
    assert ours <= certificates(certifi.where())
    context = ssl.create_default_context(cafile=tls.ROOTS)
    names = {
        dict(pair[0] for pair in each["subject"])["commonName"]  # type: ignore[misc]
        for each in context.get_ca_certs()
    }
    assert names == {
        *(f"Amazon Root CA {number}" for number in range(1, 5)),
        "Starfield Services Root Certificate Authority - G2",
    }


def test_there_is_a_file_for_each_region_of_the_aws_partition_when_it_was_made() -> None:
    assert len(REGIONS) >= 27
    assert {"eu-central-1", "us-east-1", "ap-northeast-1"} <= {path.stem for path in REGIONS}


@pytest.mark.parametrize("path", REGIONS, ids=lambda path: path.stem)
def test_a_region_s_file_has_its_own_roots_and_amazon_trust_services(path: Path) -> None:
    trust_services, found = Path(tls.ROOTS).read_bytes(), path.read_bytes()
    assert found.endswith(trust_services)
    in_a_year = datetime.now(UTC) + timedelta(days=365)
    names = set()
    for each in x509.load_pem_x509_certificates(found.removesuffix(trust_services)):
        each.verify_directly_issued_by(each)
        assert each.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert each.not_valid_before_utc < datetime.now(UTC)
        assert each.not_valid_after_utc > in_a_year
        [organization] = each.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)
        assert organization.value == "Amazon Web Services, Inc."
        [name] = each.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        names.add(name.value)
    assert names >= {
        f"Amazon RDS {path.stem} Root CA {key} G1" for key in ("RSA2048", "RSA4096", "ECC384")
    }
    assert all(f" {path.stem} Root CA " in str(name) for name in names)


def test_rds_hosts_are_verified_against_amazon_s_and_their_region_s_roots_only() -> None:
    context = tls.context(Settings(host=RDS.upper()))
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    trusted = set(context.get_ca_certs(binary_form=True))
    assert trusted > certificates(tls.ROOTS)
    assert len(trusted) == 8
    assert certificates(tls.root_file(Settings(host=RDS))) == trusted


def test_in_a_region_that_is_not_known_it_is_amazon_trust_services_alone() -> None:
    assert tls.root_file(Settings(host=NEW_REGION)) == tls.ROOTS
    context = tls.context(Settings(host=NEW_REGION))
    assert context is not None
    assert len(context.get_ca_certs()) == 5
    assert "DB_SSLROOTCERT to AWS's bundle" in TLSFailed.cure


@contextmanager
def postgres_with(server: ssl.SSLContext, accepted: list[bool]) -> Iterator[int]:
    """The port of a server that agrees to TLS, notes whether its client accepts it, and hangs up."""

    def serve() -> None:
        client, _ = listener.accept()
        with client:
            client.settimeout(5)
            length, code = struct.unpack("!ii", client.recv(8))
            assert (length, code) == (8, 80877103)  # SSLRequest
            client.sendall(b"S")
            try:
                with server.wrap_socket(client, server_side=True) as secure:
                    accepted.append(secure.recv(1) != b"")
            except OSError:  # TLS 1.3: the client's alert comes after the server's part
                accepted.append(False)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join()


def with_the_context(settings: Settings, port: int) -> None:
    context = tls.context(settings)
    assert context is not None
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.sendall(struct.pack("!ii", 8, 80877103))
        assert plain.recv(1) == b"S"
        with context.wrap_socket(plain, server_hostname=settings.host) as secure:
            secure.sendall(b"x")


def with_libpq(settings: Settings, port: int) -> None:
    parameters = psycopg_attempt.connect_parameters(settings, CredentialSource({}))
    try:
        psycopg.connect(**{**parameters, "port": port, "hostaddr": "127.0.0.1"})
    except psycopg.OperationalError as error:
        if "certificate verify failed" in str(error):
            raise


@pytest.mark.parametrize("connect", [with_the_context, with_libpq])
def test_a_certificate_of_the_region_s_own_root_is_accepted_and_another_region_s_is_not(
    connect: Callable[[Settings, int], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    servers = {}
    for host, folder in ((RDS, here), (ELSEWHERE, there)):
        folder.mkdir()
        servers[host] = emulated.make(folder, RDS)
    trust_services = Path(tls.ROOTS).read_bytes()
    for region, host in (("eu-central-1", RDS), ("eu-west-1", ELSEWHERE)):
        own = servers[host].root.read_bytes()
        (tmp_path / f"{region}.pem").write_bytes(own + trust_services)
    monkeypatch.setattr(tls, "REGIONS", str(tmp_path))
    settings = Settings(host=RDS, password="x", connect_timeout=5)
    accepted: list[bool] = []
    with postgres_with(servers[RDS].server, accepted) as port:
        connect(settings, port)
    with (
        postgres_with(servers[ELSEWHERE].server, accepted) as port,
        pytest.raises((ssl.SSLCertVerificationError, psycopg.OperationalError), match="verify"),
    ):
        connect(settings, port)
    assert accepted == [True, False]


def test_other_hosts_are_verified_against_the_system_s_roots() -> None:
    settings = Settings(host="db.example.com")
    assert tls.root_certificates(settings) == "system"
    assert len(certificates(tls.root_file(settings))) > 50


def test_a_file_of_one_s_own_wins() -> None:
    context = tls.context(Settings(host=RDS, sslrootcert=certifi.where()))
    assert context is not None
    assert len(context.get_ca_certs()) > 50


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_a_file_that_cannot_be_read_is_a_clear_error(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "roots.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(TLSFailed, match=r"roots\.pem.* cannot be read"):
        tls.context(Settings(host=RDS, sslrootcert=str(path)))


def test_the_modes_have_libpq_s_meanings() -> None:
    require = tls.context(Settings(host="localhost", sslmode="require"))
    assert require is not None
    assert require.verify_mode is ssl.CERT_NONE
    verify_ca = tls.context(Settings(host=RDS, sslmode="verify-ca"))
    assert verify_ca is not None
    assert verify_ca.verify_mode is ssl.CERT_REQUIRED
    assert not verify_ca.check_hostname
    assert tls.context(Settings(host="localhost", sslmode="disable")) is None
