import subprocess
import sys

import pytest

import sunup


def test_the_public_names_are_these() -> None:
    assert sunup.__all__ == [
        "AccessRefused",
        "ConnectionLost",
        "ConnectionsBusy",
        "Credentials",
        "CredentialsMissing",
        "DatabaseFull",
        "DatabaseMissing",
        "DatabaseReadOnly",
        "DatabaseResuming",
        "DatabaseUnavailable",
        "DatabaseUnreachable",
        "Handler",
        "PasswordRefused",
        "RequestMiddleware",
        "Settings",
        "SettingsError",
        "TLSFailed",
        "TokenRefused",
        "__version__",
        "auth_token",
        "deadline",
    ]


@pytest.mark.parametrize("name", sunup.__all__)
def test_each_public_name_can_be_imported_by_itself(name: str) -> None:
    code = f"from sunup import {name} as it; assert it is not None"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Lambda'"):
        _ = sunup.Lambda
