"""Django projects as startproject and cookiecutter make them, and as people change them."""

from pathlib import Path

import pytest

from sunup.local import django_settings
from tests.local.test_apps import write

APP = "config.wsgi:application"
SUNUP = 'DATABASES = {"default": {"ENGINE": "sunup.integrations.django"}}\n'
OTHER = 'DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql"}}\n'


def sets(name: str) -> str:
    return f"import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', {name})\n"


LAYERED = {
    "manage.py": sets("'config.settings.local'"),
    "config/wsgi.py": sets("'config.settings.production'"),
    "config/settings/__init__.py": "",
    "config/settings/base.py": OTHER,
    "config/settings/local.py": "from .base import *\n",
    "config/settings/production.py": "from .base import *\nDATABASES['default']['X'] = 1\n",
}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (LAYERED, "config.settings.production"),
        ({"config/wsgi.py": "", "manage.py": sets("'config.local'")}, "config.local"),
        ({"config/wsgi.py": "os.environ['DJANGO_SETTINGS_MODULE'] = 'config.x'"}, "config.x"),
        ({"src/config/wsgi.py": sets("'config.y'")}, "config.y"),
        ({"config/wsgi.py": sets("found()"), "manage.py": sets("'config.local'")}, None),
        ({"config/wsgi.py": "", "manage.py": "import django"}, "config.settings"),
        ({"config/wsgi.py": "if"}, "config.settings"),
    ],
)
def test_the_settings_are_those_that_the_app_names(
    tmp_path: Path, files: dict[str, str], expected: str | None
) -> None:
    assert django_settings.module(write(tmp_path, files), APP) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"config/settings.py": OTHER}, ["config/settings.py"]),
        ({"config/settings.py": f"# sunup.integrations.django\n{OTHER}"}, ["config/settings.py"]),
        ({"config/settings.py": ""}, ["config/settings.py"]),
        ({"config/settings.py": SUNUP}, []),
        ({"src/config/settings.py": OTHER}, ["src/config/settings.py"]),
        ({}, []),
        (LAYERED, ["config/settings/base.py"]),
        ({**LAYERED, "config/settings/base.py": SUNUP}, []),
        ({**LAYERED, "config/settings/production.py": SUNUP}, ["config/settings/base.py"]),
        (
            {
                **LAYERED,
                "config/settings/local.py": "from config.settings import base\nfrom .base import *\n",
                "config/settings/production.py": "from .. import databases",
                "config/databases.py": SUNUP,
            },
            ["config/settings/base.py"],
        ),
    ],
)
def test_the_file_whose_databases_are_not_sunup_s_is_found(
    tmp_path: Path, files: dict[str, str], expected: list[str]
) -> None:
    folder = write(tmp_path, files)
    assert django_settings.on_other_databases(folder, APP) == expected


def test_the_project_is_where_manage_py_is(tmp_path: Path) -> None:
    app = "backend.config.wsgi:application"
    write(tmp_path, {"backend/config/wsgi.py": ""})
    assert django_settings.home(tmp_path, app) == tmp_path
    write(tmp_path, {"backend/manage.py": ""})
    assert django_settings.home(tmp_path, app) == tmp_path / "backend"
    assert django_settings.home(tmp_path, "nowhere:app") == tmp_path
