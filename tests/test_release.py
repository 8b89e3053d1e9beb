"""The script that prepares a release, as far as it changes texts."""

from datetime import date

import pytest
from scripts import release


def test_the_version_is_set_and_nothing_else() -> None:
    source = '"""Doc."""\n__version__ = "0.1.0"\nother = "0.1.0"\n'
    assert release.with_version(source, "1.2.3") == source.replace('"0.1.0"', '"1.2.3"', 1)
    with pytest.raises(SystemExit, match="no __version__"):
        release.with_version("x = 1", "1.2.3")


def test_what_was_unreleased_gets_the_version_and_the_day() -> None:
    text = release.with_release(
        "# C\n\n## [Unreleased]\n\n### Added\n", "1.2.3", date(2026, 11, 25)
    )
    assert text == "# C\n\n## [Unreleased]\n\n## [1.2.3] - 2026-11-25\n\n### Added\n"
    with pytest.raises(SystemExit, match="Unreleased"):
        release.with_release("# C\n", "1.2.3", date(2026, 11, 25))


@pytest.mark.parametrize("arguments", [[], ["1.2"], ["v1.2.3"], ["1.2.3", "x"]])
def test_a_wrong_version_is_told(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="Name the version"):
        release.main(arguments)
