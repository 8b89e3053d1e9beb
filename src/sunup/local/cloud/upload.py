"""Packages that are too large to be sent to Lambda directly go through S3."""

import hashlib
import zipfile
from pathlib import Path
from typing import Any

from sunup.local.aws import explained
from sunup.local.errors import CommandError
from sunup.local.project import Project

from .function import LARGEST_UPLOAD

# What a function answers until its code has arrived: Terraform cannot create one without code.
_PLACEHOLDER = """
def handler(event, context):
    return {"statusCode": 503, "headers": {"retry-after": "60"}, "body": "not deployed yet"}
"""


def too_large(package: Path) -> bool:
    """Whether it has to go through S3."""
    return package.stat().st_size > LARGEST_UPLOAD


def bucket_of(project: Project) -> str:
    """The bucket of `[tool.sunup]` or the stage. Raises `CommandError`."""
    bucket = project.text("bucket")
    if bucket is None:
        raise CommandError(
            "a package above 50 MB is uploaded through S3, but no bucket is set",
            'Create one in the function\'s region and set it: [tool.sunup] bucket = "...".',
        )
    return bucket


def send(client: Any, project: Project, package: Path) -> dict[str, str]:
    """Upload it; returns where, as Lambda's UpdateFunctionCode takes it. Raises `CommandError`."""
    bucket, content = bucket_of(project), package.read_bytes()
    key = f"packages/{project.name}/{hashlib.sha256(content).hexdigest()}.zip"
    with explained(f"upload the package to the bucket {bucket}"):
        client.put_object(Bucket=bucket, Key=key, Body=content)
    return {"S3Bucket": bucket, "S3Key": key}


def placeholder(folder: Path, handler: str) -> Path:
    """A small package that says that the code is not there yet."""
    path = folder / "placeholder.zip"
    module, _, name = handler.rpartition(".")
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{module.replace('.', '/')}.py", _PLACEHOLDER.replace("handler", name, 1))
    return path
