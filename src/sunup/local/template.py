"""A new project, made from one of the users examples."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from pathspec import GitIgnoreSpec

import sunup

from . import installation
from .errors import CommandError

# Where the examples are in an installed sunup, and in a checkout of its repository.
_PLACES = ("local/project_template", "../../examples")

# What the templates are called, the default first, and the example of each.
TEMPLATES = {
    "starlette": "users",
    "fastapi": "users_fastapi",
    "flask": "users_flask",
    "django": "users_django",
    "asgi": "users_asgi",
}

# What all have from the first example: it knows nothing of frameworks.
_SHARED = ("terraform", ".env.example")

# For `uv sync` and `uv add`; `sunup pin` and `sunup package` need no index for sunup.
_SOURCE = """
# sunup is on no index yet. When it is, delete these two lines.
[tool.uv.sources]
sunup = {}
"""

# Where the example's own name stands: for AWS resources, and as a PostgreSQL name.
_NAMES = {
    "pyproject.toml": [
        (r'^name = "users[a-z-]*"', 'name = "{name}"'),
        ("A users API", "An API"),
    ],
    "README.md": [(r"^# users[^\n]*", "# {name}")],
    ".env.example": [("users_app", "{sql}_app"), ("DB_NAME=users", "DB_NAME={sql}")],
    "terraform/main.tf": [(r"^# The users API on AWS", "# {name} on AWS")],
    "terraform/terraform.tfvars.example": [
        (r'^(name +)= "users"', r'\1= "{name}"'),
        (r'^(db_name +)= "users"', r'\1= "{sql}"'),
        ("users_app", "{sql}_app"),
        (r"users\.cluster", "{name}.cluster"),
        (r'(db_cluster_identifier +)= "users"', r'\1= "{name}"'),
        (r'audience = \["users"\]', 'audience = ["{name}"]'),
        ("/users/stripe-key", "/{name}/stripe-key"),
    ],
    "terraform/variables.tf": [
        (r'(variable "name" {{.*?default     = )"users"', r'\1"{name}"'),
        (r'(variable "db_name" {{.*?default     = )"users"', r'\1"{sql}"'),
        ("users_app", "{sql}_app"),
    ],
}


# The same where the file has them: of some examples only.
_PERHAPS = {
    "pyproject.toml": [(r"^# The same as the other example[^\n]*\nterraform = [^\n]*\n", "")],
    "README.md": [(r"/users/secret-key", "/{name}/secret-key")],
}


def make(folder: Path, template: str = "starlette") -> str:
    """Make the project; returns its name. Raises `CommandError`; then nothing was made."""
    if template not in TEMPLATES:
        raise CommandError(f"there is no template {template!r}", f"One of {', '.join(TEMPLATES)}.")
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", name):
        raise CommandError(
            f"{folder.resolve().name!r} is not a valid name",
            "Use letters, digits and hyphens, at most 40 characters, starting with a letter.",
        )
    if folder.exists() and not (
        folder.is_dir() and all(each.name == ".git" for each in folder.iterdir())
    ):
        raise CommandError(f"{folder} exists and is not empty", "Choose a new folder.")
    try:
        source, first = _source() / TEMPLATES[template], _source() / "users"
        shutil.copytree(source, folder, ignore=_ignoring(source), dirs_exist_ok=True)
        if source != first:
            _copy_shared(first, folder)
    except OSError as error:
        raise CommandError(f"{folder} cannot be created: {error.strerror or error}") from None
    for file in _NAMES:
        path = folder / file
        path.write_text(_named(file, path.read_text(encoding="utf-8"), name), encoding="utf-8")
    source_of_sunup = installation.uv_source(folder)
    if source_of_sunup:
        with (folder / "pyproject.toml").open("a", encoding="utf-8") as opened:
            opened.write(_SOURCE.format(source_of_sunup))
    return name


def terraform(name: str) -> dict[str, str]:
    """The Terraform of a project called so: texts by their names in its folder."""
    folder = _source() / "users" / "terraform"
    return {
        path.name: _named(f"terraform/{path.name}", path.read_text(encoding="utf-8"), name)
        for path in sorted(folder.iterdir())
        if path.suffix == ".tf" or path.name.endswith(".tfvars.example")
    }


def _named(file: str, text: str, name: str) -> str:
    sql = name.replace("-", "_")
    must = _NAMES.get(file, [])
    for pattern, replacement in [*must, *_PERHAPS.get(file, [])]:
        new = replacement.replace("{name}", name).replace("{sql}", sql)
        text, count = re.subn(pattern.replace("{{", "{"), new, text, flags=re.MULTILINE | re.DOTALL)
        assert count or (pattern, replacement) not in must, (file, pattern)
    return text


def _copy_shared(first: Path, folder: Path) -> None:
    ignored = _ignoring(first)
    for name in _SHARED:
        if (first / name).is_dir():
            shutil.copytree(first / name, folder / name, ignore=ignored, dirs_exist_ok=True)
        else:
            shutil.copy2(first / name, folder / name)


def _ignoring(source: Path) -> Callable[[str, list[str]], set[str]]:
    """What a used example has beside its files: what its .gitignore names."""
    lines = (source / ".gitignore").read_text(encoding="utf-8").splitlines()
    spec = GitIgnoreSpec.from_lines([*lines, ".terraform.lock.hcl"])

    def ignored(folder: str, names: list[str]) -> set[str]:
        here = Path(folder).relative_to(source)
        return {
            name
            for name in names
            if spec.match_file(here / name) or spec.match_file(f"{here / name}/")
        }

    return ignored


def _source() -> Path:
    """The folder of the examples."""
    here = Path(sunup.__file__).parent
    for place in _PLACES:
        if (here / place / "users" / "pyproject.toml").is_file():
            return here / place
    raise CommandError("this sunup was installed without its templates", "Reinstall sunup.")
