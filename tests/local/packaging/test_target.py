import pytest

from sunup.local.errors import CommandError
from sunup.local.packaging.target import choose


def test_amazon_linux_2_takes_older_wheels_only() -> None:
    assert choose("3.11", None).uv_platform == "aarch64-manylinux_2_17"
    assert choose("python3.13", "arm64").uv_platform == "aarch64-manylinux_2_34"
    assert choose("3.14", "x86_64").uv_platform == "x86_64-manylinux_2_34"


@pytest.mark.parametrize(
    ("python", "arch", "says"),
    [("3.10", None, "the Lambda runtime python3.10"), (None, "riscv", "no architecture 'riscv'")],
)
def test_what_lambda_does_not_have_is_refused(
    python: str | None, arch: str | None, says: str
) -> None:
    with pytest.raises(CommandError, match=says):
        choose(python, arch)
