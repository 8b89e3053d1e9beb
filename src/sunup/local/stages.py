"""Stages: several deployments of one app, such as `prod` beside `dev`, each on its own."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from .errors import CommandError

# Set by `--stage`, or in the environment.
VARIABLE = "SUNUP_STAGE"

# Terraform's workspace without a stage, terraform.tfvars, .env.example and its like.
_RESERVED = {"default", "terraform", "example", "sample", "template"}

_TEXTS = ("name", "cluster", "database", "app_user", "migration_user", "check", "bucket")
_TABLES = ("environment", "terraform")
_EXPECTED = (
    f"It can have the strings {', '.join(_TEXTS)} and the tables environment (settings, as in "
    ".env) and terraform (variables)."
)

# Where two places say different things, somebody would be wrong about which database it is.
_PLACE = ("DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_MIGRATION_USER")

# The same for the account and the region that all is made in.
_ACCOUNT = ("AWS_PROFILE", "AWS_REGION")


@dataclass(frozen=True)
class Stage:
    """`[tool.sunup.stages.<name>]`; all of it is optional."""

    name: str
    texts: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    terraform: Mapping[str, object] = field(default_factory=dict)

    @property
    def env_file(self) -> str:
        """Its settings on this machine."""
        return f".env.{self.name}"

    @property
    def tfvars(self) -> str:
        """Its Terraform variables; they win over terraform.tfvars."""
        return f"{self.name}.tfvars"


def chosen(table: Mapping[str, object], place: str) -> Stage | None:
    """The stage that `--stage` or SUNUP_STAGE names, of `[tool.sunup.stages]`.

    `place` is the file, for messages. Raises `CommandError`.
    """
    name = os.environ.get(VARIABLE)
    if name is not None and not name.strip():
        raise CommandError(
            "the name of the stage is empty",
            f"Pass a name, such as --stage prod. To work without a stage: unset {VARIABLE}",
        )
    stages = table.get("stages", {})
    known = stages if isinstance(stages, dict) else {}
    for each, content in known.items():
        _check(each, content, place)
    if not name:
        return None
    if name not in known:
        raise CommandError(
            f"{place} has no stage {name!r}",
            f"Its stages: {', '.join(known)}."
            if known
            else f"Add [tool.sunup.stages.{name}]; it may be empty.",
        )
    content = known[name]
    return Stage(
        name,
        {key: content[key] for key in _TEXTS if key in content},
        {key: str(value) for key, value in content.get("environment", {}).items()},
        content.get("terraform", {}),
    )


def joined(stage: Stage, file: Mapping[str, str]) -> dict[str, str]:
    """What its table and its file say. Raises `CommandError` where they mean two databases."""
    for name in _PLACE:
        if (
            name in stage.environment
            and file.get(name, stage.environment[name]) != (stage.environment[name])
        ):
            raise CommandError(
                f"{name} is {file[name]} in {stage.env_file}, but {stage.environment[name]} in "
                f"[tool.sunup.stages.{stage.name}.environment]",
                "Set it in only one of them.",
            )
    return {**stage.environment, **file}


def without_conflicts(
    stage: Stage,
    given: Mapping[str, str],
    shell: Mapping[str, str],
    other: Mapping[str, str | None],
) -> dict[str, str]:
    """The stage's settings with the shell's over them. Raises `CommandError`.

    Of the variables that say which database it is, the shell may say all (as in CI) or nothing new:
    a DB_NAME that was exported for something else would lead a deployment there. `other` is what
    `.env` says, for work without a stage.
    """
    said = [name for name in _PLACE if name in given]
    exported = [name for name in _PLACE if name in shell]
    if exported and not said and all(shell.get(n) == other.get(n) for n in ("DB_HOST", "DB_NAME")):
        raise CommandError(
            f"the environment has {', '.join(exported)} as in .env, not as in the stage "
            f"{stage.name}",
            f"unset {' '.join(exported)}",
        )
    for name in exported:
        if said and name not in given:
            raise CommandError(
                f"{name} is {shell[name]} in the environment, but the stage {stage.name} sets "
                f"{', '.join(said)} without it",
                f"unset {name}, or set it where the others are set.",
            )
    if given.get("AWS_PROFILE") and "AWS_ACCESS_KEY_ID" in shell:
        raise CommandError(
            f"AWS_ACCESS_KEY_ID is in the environment, but the stage {stage.name} sets AWS_PROFILE",
            "unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN",
        )
    for name in (*_PLACE, *_ACCOUNT):
        if name in given and name in shell and given[name] != shell[name]:
            raise CommandError(
                f"{name} is {shell[name]} in the environment, but {given[name]} for the stage "
                f"{stage.name}",
                f"unset {name}, or run without --stage.",
            )
    return {**given, **shell}


def _check(name: str, content: object, place: str) -> None:
    if name in _RESERVED:
        raise CommandError(
            f"[tool.sunup.stages] in {place}: {name!r} is reserved",
            "Choose another name: sunup and Terraform use this one for something else.",
        )
    if not re.fullmatch(r"[a-z](?:[a-z0-9]|-(?=[a-z0-9])){0,19}", name):
        raise CommandError(
            f"[tool.sunup.stages] in {place}: {name!r} is not a valid name for a stage",
            "Use lower-case letters, digits and single hyphens, at most 20 characters, starting "
            "with a letter.",
        )
    if not isinstance(content, dict):
        raise CommandError(f"[tool.sunup.stages.{name}] in {place} is not a table", _EXPECTED)
    for key, value in content.items():
        scalar = str | int | float | bool
        fits = (key in _TEXTS and isinstance(value, str) and value) or (
            key in _TABLES
            and isinstance(value, dict)
            and (key == "terraform" or all(isinstance(each, scalar) for each in value.values()))
        )
        if not fits:
            raise CommandError(
                f"[tool.sunup.stages.{name}] in {place} is not as expected: {key}", _EXPECTED
            )
