"""AWS's errors in words: each with the cure that helps."""

import pytest
from botocore import exceptions

from sunup.local.aws import explained
from sunup.local.errors import CommandError


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        (exceptions.NoCredentialsError(), "AWS_PROFILE"),
        (exceptions.PartialCredentialsError(provider="env", cred_var="x"), "AWS_PROFILE"),
        (exceptions.UnauthorizedSSOTokenError(), "AWS_PROFILE"),
        (exceptions.ProfileNotFound(profile="x"), "AWS_PROFILE"),
        (exceptions.NoRegionError(), "AWS_REGION"),
        (exceptions.SSLError(endpoint_url="https://x", error="certificate"), "AWS_CA_BUNDLE"),
        (exceptions.EndpointConnectionError(endpoint_url="https://x"), "HTTPS_PROXY"),
        (exceptions.ReadTimeoutError(endpoint_url="https://x"), "again"),
        (exceptions.ParamValidationError(report="x"), ""),
    ],
)
def test_each_error_is_told_with_its_cure(error: Exception, cure: str) -> None:
    with (
        pytest.raises(CommandError, match=r"^cannot list functions: ") as raised,
        explained("list functions"),
    ):
        raise error
    assert cure in raised.value.cure
    assert bool(raised.value.cure) == bool(cure)
    with explained("list functions"):
        pass
