import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sunup
from sunup import failures


def test_the_public_names_are_these() -> None:
    assert dir(sunup) == [
        "AccessRefused",
        "Caller",
        "ConnectionLost",
        "ConnectionsBusy",
        "ConnectionsThrottled",
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
        "TransactionConflict",
        "__version__",
        "after_commit",
        "auth_token",
        "caller",
        "deadline",
        "exactly_once",
    ]


@pytest.mark.parametrize("name", dir(sunup))
def test_each_public_name_can_be_imported_by_itself(name: str) -> None:
    code = f"from sunup import {name} as it; assert it is not None"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(sunup.__file__).read_text())
    names = {
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
        if alias.asname
    }
    assert names | {*failures.__all__, "__version__"} == set(dir(sunup))


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Lambda'"):
        _ = sunup.Lambda
