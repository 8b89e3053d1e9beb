import pytest

from sunup.local.errors import CommandError
from sunup.local.packaging import conflicts

OWNERS = {"six.py": ("six", "1"), "idna": ("idna", "3"), "google": ("proto", "1")}
INSTALLED = {
    "six.py", "idna/__init__.py", "idna/core.py", "google/proto/__init__.py", "spaces/mod.py",
    "fast.cpython-313-aarch64-linux-gnu.so", "sunup/__init__.py", "idna-3.dist-info/METADATA",
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("six.py", "six.py of the app would replace the same file of six"),
        ("idna/core.py", "would replace the same file of idna"),
        ("idna", "idna of the app would replace the same file of idna"),
        ("six.py/data.txt", "would replace the same file of six"),
        (
            "six/__init__.py",
            "six/__init__.py of the app and six.py of six have the same import name",
        ),
        ("six/more.py", "six/more.py of the app and six.py of six have the same import name"),
        ("idna.py", "idna.py of the app and idna/__init__.py of idna have the same import name"),
        ("idna/core/__init__.py", "and idna/core.py of idna have the same import name"),
        ("spaces.py", "and spaces/mod.py of a dependency have the same import name"),
        ("fast.py", "fast.py of the app and fast.cpython"),
        ("sunup.py", "and sunup/__init__.py of sunup have the same import name"),
    ],
)
def test_the_app_replaces_and_hides_nothing_that_was_installed(path: str, says: str) -> None:
    with pytest.raises(CommandError) as raised:
        conflicts.check({"app.py", path}, INSTALLED, OWNERS)
    assert says in raised.value.what
    assert "exclude" in raised.value.cure


def test_what_python_finds_side_by_side_may_lie_side_by_side() -> None:
    app = {
        "app.py", "google/ours/__init__.py", "spaces/other.py", "six/data.json", "idna.json",
        "idna/extra.py", "lib/six.py", "__init__.py",
    }  # fmt: skip
    conflicts.check(app, INSTALLED, OWNERS)
