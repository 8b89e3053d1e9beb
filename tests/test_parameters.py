"""Parameters from moto's Systems Manager; the signature against botocore's."""

import json
import socket
from collections.abc import Iterator

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.session
import pytest

from sunup import parameters
from sunup.connecting.credentials import Credentials
from sunup.parameters import ParametersUnavailable
from sunup.settings import SettingsError
from tests.local.cli.cloud import moto_server

KEYS = {
    "AWS_ACCESS_KEY_ID": "AKID",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "eu-central-1",
}


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    with moto_server(monkeypatch) as url:
        client = botocore.session.Session().create_client("ssm")
        for number in range(12):
            client.put_parameter(
                Name=f"/shop/{number}", Value=f"value {number} ł", Type="SecureString"
            )
        client.put_parameter(Name="plain", Value="p", Type="String")
        yield {**KEYS, "AWS_ENDPOINT_URL_SSM": url}


def test_variables_get_the_values_of_their_parameters(environ: dict[str, str]) -> None:
    names = {f"VALUE_{number}": f"/shop/{number}" for number in range(12)}
    environ["SUNUP_PARAMETERS"] = json.dumps({**names, "PLAIN": "plain", "SET": "/nothing"})
    environ["SET"] = "by hand"
    parameters.load(environ)
    assert environ["VALUE_11"] == "value 11 ł"
    assert (environ["PLAIN"], environ["SET"]) == ("p", "by hand")
    parameters.load(environ)


def test_a_missing_one_is_named(environ: dict[str, str]) -> None:
    environ["SUNUP_PARAMETERS"] = '{"A": "/shop/0", "B": "/shop/none"}'
    with pytest.raises(ParametersUnavailable, match="there is no parameter /shop/none in eu-"):
        parameters.load(environ)
    assert "A" not in environ
    environ["SUNUP_PARAMETERS"] = '{"A": "/shop/0"}'
    parameters.load(environ)
    assert environ["A"] == "value 0 ł"


def test_without_the_variable_nothing_is_asked() -> None:
    environ: dict[str, str] = {}
    parameters.load(environ)
    assert environ == {}


@pytest.mark.parametrize("text", ["{", "[]", '{"A": 1}', "null"])
def test_a_wrong_variable_is_told(text: str) -> None:
    with pytest.raises(SettingsError, match="SUNUP_PARAMETERS"):
        parameters.load({**KEYS, "SUNUP_PARAMETERS": text})


def test_no_answer_is_told_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    environ = {**KEYS, "SUNUP_PARAMETERS": '{"A": "/shop/0"}', "AWS_ENDPOINT_URL_SSM": url}
    monkeypatch.setattr(parameters, "_PAUSE", 0.0)
    with pytest.raises(
        ParametersUnavailable, match="did not return /shop/0: ConnectionRefusedError"
    ):
        parameters.load(environ)
    with pytest.raises(SettingsError, match="AWS_REGION"):
        parameters.load({**environ, "AWS_REGION": ""})


@pytest.mark.parametrize("token", [None, "session/token+=="])
def test_the_signature_is_botocore_s(token: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"Names": ["/a"], "WithDecryption": true}'
    ours = parameters._signed(
        "ssm.eu-central-1.amazonaws.com",
        body,
        "eu-central-1",
        Credentials("AKID", "s/+", token),
        1.7e9,
    )
    request = botocore.awsrequest.AWSRequest(
        "POST", "https://ssm.eu-central-1.amazonaws.com/", data=body,
        headers={name: ours[name] for name in ("content-type", "x-amz-target")},
    )  # fmt: skip
    import datetime as dt

    moment = dt.datetime.fromtimestamp(1.7e9, dt.UTC)
    monkeypatch.setattr(
        "botocore.auth.get_current_datetime", lambda **_: moment.replace(tzinfo=None)
    )
    signer = botocore.auth.SigV4Auth(
        botocore.credentials.Credentials("AKID", "s/+", token), "ssm", "eu-central-1"
    )
    signer.add_auth(request)
    assert request.headers["Authorization"] == ours["authorization"]
