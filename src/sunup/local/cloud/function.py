"""The function's code, as Lambda has it before a version of it is published."""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import botocore.exceptions

from sunup.local.aws import explained
from sunup.local.errors import CommandError
from sunup.local.packaging.target import Target

# Lambda Developer Guide, "Lambda quotas": what may be sent directly; S3 takes the rest.
LARGEST_UPLOAD = 50 * 1024 * 1024


def digest(package: Path) -> str:
    """SHA-256 in base64, as Lambda's CodeSha256."""
    return base64.b64encode(hashlib.sha256(package.read_bytes()).digest()).decode()


class Function:
    """A function that exists. `client` is botocore's for Lambda. All raise `CommandError`."""

    def __init__(self, client: Any, name: str) -> None:
        self._lambda = client
        self._name = name

    def update(
        self, package: Path, target: Target, handler: str, place: dict[str, str] | None = None
    ) -> bool:
        """Bring package, processor, runtime and handler to Lambda; False: it has them already.

        Not live before a version is published. `place` is the package's bucket and key, where it
        is too large to be sent.
        """
        sha256 = digest(package)
        arch = [target.arch]
        with explained(f"update the code of {self._name}"), self._waited_for():
            now = self._lambda.get_function_configuration(FunctionName=self._name)
            same_code = now["CodeSha256"] == sha256 and now.get("Architectures", arch) == arch
            settings = {"Runtime": target.runtime, "Handler": handler}
            same_settings = all(now.get(name) == value for name, value in settings.items())
            if same_code and same_settings:
                return False
            self._lambda.get_waiter("function_updated_v2").wait(FunctionName=self._name)
            if not same_code:
                code = {"ZipFile": package.read_bytes()} if place is None else place
                self._lambda.update_function_code(
                    FunctionName=self._name, Architectures=arch, **code
                )
                self._lambda.get_waiter("function_updated_v2").wait(FunctionName=self._name)
            if not same_settings:
                self._lambda.update_function_configuration(FunctionName=self._name, **settings)
                self._lambda.get_waiter("function_updated_v2").wait(FunctionName=self._name)
        return True

    @contextmanager
    def _waited_for(self) -> Iterator[None]:
        try:
            yield
        except botocore.exceptions.WaiterError as error:
            raise CommandError(
                f"the new code of {self._name} did not become active: {error}",
                "The old release is still live; run the command again.",
            ) from None
