import re
import ssl
from pathlib import Path

import certifi
import pytest

from sunup import tls
from sunup.failures import TLSFailed
from sunup.settings import Settings

RDS = "app.cluster-abc.eu-central-1.rds.amazonaws.com"


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


def test_rds_hosts_are_verified_against_amazon_s_roots_only() -> None:
    context = tls.context(Settings(host=RDS))
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 5
    assert tls.root_file(Settings(host=RDS)) == tls.ROOTS


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
