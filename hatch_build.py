"""Puts the examples into the wheel, for `sunup new`, without what a used tree has too."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from pathspec import GitIgnoreSpec


class ExampleHook(BuildHookInterface[Any]):
    """What an example's own .gitignore names (`.env`, state, databases, packages) stays out."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files and where they go."""
        if version == "editable":
            return  # `sunup new` finds the examples in the checkout
        for example in sorted(Path(self.root, "examples").iterdir()):
            ignored = (example / ".gitignore").read_text().splitlines()
            spec = GitIgnoreSpec.from_lines([*ignored, ".terraform.lock.hcl"])
            for path in sorted(example.rglob("*")):
                name = path.relative_to(example)
                if path.is_file() and not spec.match_file(name):
                    target = f"sunup/local/project_template/{example.name}/{name}"
                    build_data["force_include"][str(path)] = target
