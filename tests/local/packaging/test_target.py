import pytest

from sunup.local.errors import CommandError
from sunup.local.packaging.target import choose


def test_amazon_linux_2_takes_older_wheels_only() -> None:
    assert choose("3.11", None).platforms[0] == "manylinux_2_26_aarch64"
    assert "manylinux_2_28_aarch64" in choose("python3.13", "arm64").platforms
    assert "manylinux2014_x86_64" in choose("3.14", "x86_64").platforms


@pytest.mark.parametrize(
    ("python", "arch", "says"),
    [("3.10", None, "no Lambda runtime python3.10"), (None, "riscv", "no architecture 'riscv'")],
)
def test_what_lambda_does_not_have_is_refused(
    python: str | None, arch: str | None, says: str
) -> None:
    with pytest.raises(CommandError, match=says):
        choose(python, arch)
