"""Packages that are too large to be sent to Lambda directly."""

import zipfile
from pathlib import Path

import botocore.session
import pytest

from sunup.local import project
from sunup.local.cloud import upload
from sunup.local.cloud.function import Function, digest
from sunup.local.errors import CommandError
from sunup.local.packaging.target import Target
from tests.local.cli.cloud import like_lambda, moto_server


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "lambda.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("lambda_function.py", "handler = print")
    monkeypatch.setattr(upload, "LARGEST_UPLOAD", 10)
    return path


def test_a_large_package_reaches_lambda_through_the_bucket(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.sunup]\nname = "shop"\nbucket = "packages"\n')
    app = project.find(tmp_path)
    like_lambda(monkeypatch)
    with moto_server(monkeypatch):
        session = botocore.session.Session()
        s3, client = session.create_client("s3"), session.create_client("lambda")
        s3.create_bucket(
            Bucket="packages", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        policy = '{"Version": "2012-10-17", "Statement": []}'
        role = session.create_client("iam").create_role(
            RoleName="x", AssumeRolePolicyDocument=policy
        )
        small = upload.placeholder(tmp_path, "lambda_function.handler")
        client.create_function(
            FunctionName="shop",
            Runtime="python3.13",
            Role=role["Role"]["Arn"],
            Handler="lambda_function.handler",
            Code={"ZipFile": small.read_bytes()},
        )
        assert upload.too_large(package)
        for _ in range(2):
            place = upload.send(s3, app, package)
            function = Function(client, "shop")
            function.update(package, Target("3.13", "arm64"), "lambda_function.handler", place)
            live = client.get_function_configuration(FunctionName="shop")
            assert live["CodeSha256"] == digest(package)
        keys = [each["Key"] for each in s3.list_objects_v2(Bucket="packages")["Contents"]]
        assert len(keys) == 1
        assert keys[0].startswith("packages/shop/")


def test_without_a_bucket_it_is_told_what_to_do(package: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no bucket is set") as raised:
        upload.bucket_of(project.find(tmp_path))
    assert "[tool.sunup] bucket" in raised.value.cure


def test_until_its_code_is_there_the_function_says_so(tmp_path: Path) -> None:
    with zipfile.ZipFile(upload.placeholder(tmp_path, "shop.entry.main")) as file:
        names: dict[str, object] = {}
        exec(file.read("shop/entry.py"), names)
    main = names["main"]
    assert callable(main)
    assert main({}, None)["statusCode"] == 503
