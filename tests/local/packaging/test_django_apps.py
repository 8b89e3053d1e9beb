"""What settings name and the package lacks is told, though no import statement shows it."""

from pathlib import Path

import pytest

from sunup.local.packaging.django_apps import missing
from sunup.local.packaging.modules import Modules


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


LISTS = """
INSTALLED_APPS = ["django.contrib.admin", "shop"]
MIDDLEWARE = ["whitenoise.middleware.WhiteNoiseMiddleware"]
DEBUG = False
if DEBUG:
    INSTALLED_APPS += ["debug_toolbar"]
"""


@pytest.mark.parametrize(
    "file", ["mysite/settings.py", "config/settings/base.py", "config/settings/production.py"]
)
def test_an_app_or_middleware_that_is_not_there_is_told(tmp_path: Path, file: str) -> None:
    write(tmp_path, {file: LISTS, "django/__init__.py": "", "shop/__init__.py": ""})
    modules = Modules(tmp_path, "3.13")
    [note] = missing(modules, tmp_path, [file, "shop/__init__.py"])
    assert note.startswith(f"{file} names whitenoise, which the package does not have")
    write(tmp_path, {"whitenoise/__init__.py": ""})
    assert missing(modules, tmp_path, [file]) == []


@pytest.mark.parametrize("file", ["config/settings/local.py", "notes/settings_of_other.py"])
def test_settings_that_lambda_does_not_read_are_passed_over(tmp_path: Path, file: str) -> None:
    write(tmp_path, {file: LISTS})
    assert missing(Modules(tmp_path, "3.13"), tmp_path, [file]) == []


@pytest.mark.parametrize(
    "line",
    ["MIDDLEWARE.insert(1, 'whitenoise.middleware.X')", "INSTALLED_APPS += ('whitenoise',)"],
)
def test_what_is_added_to_a_list_counts(tmp_path: Path, line: str) -> None:
    write(tmp_path, {"mysite/settings.py": line})
    [note] = missing(Modules(tmp_path, "3.13"), tmp_path, ["mysite/settings.py"])
    assert "names whitenoise" in note


def test_a_template_of_settings_is_no_python_and_no_error(tmp_path: Path) -> None:
    write(tmp_path, {"template/settings.py": "INSTALLED_APPS = [{{ apps }}"})
    assert missing(Modules(tmp_path, "3.11"), tmp_path, ["template/settings.py"]) == []
