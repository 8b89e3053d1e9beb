"""Where the app's Terraform keeps its state, if its files say so already."""

import re
from dataclasses import dataclass
from pathlib import Path

from sunup.local.errors import CommandError

_BLOCK = re.compile(r'^\s*(?:backend\s+"(?P<kind>[\w-]+)"|(?P<cloud>cloud))\s*\{', re.MULTILINE)


@dataclass(frozen=True)
class State:
    """An object in a bucket; those of the stages, which are workspaces, are below `prefix`."""

    bucket: str
    key: str
    prefix: str = "env:"

    def objects(self, stage: str | None) -> list[str]:
        """What the jobs of a stage use: its own, and that of `terraform init` without one."""
        return [self.key] if stage is None else [self.key, f"{self.prefix}/{stage}/{self.key}"]


def find(terraform: Path, but: Path | None = None) -> State | None:
    """As the `.tf` files say, `but` one of them. Raises `CommandError` where it is not in S3."""
    for path in sorted(terraform.glob("*.tf")):
        if path == but or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        text = re.sub(r"^\s*(?:#|//).*$", "", text, flags=re.MULTILINE)
        block = _BLOCK.search(text)
        if block is not None:
            return _read(path, block["kind"] or "cloud", _body(text[block.end() :]))
    return None


def _read(path: Path, kind: str, body: str) -> State:
    texts = {name: value for name, value in re.findall(r'\b(\w+)\s*=\s*"([^"]*)"', body) if value}
    cure = "Remove the block to let sunup write backend.tf."
    if kind != "s3":
        raise CommandError(
            f"{path} keeps the state in {kind}, but the jobs' roles are made for S3", cure
        )
    if "bucket" not in texts or "key" not in texts:
        raise CommandError(
            f'{path} has a backend "s3" without bucket and key',
            "Add both, or remove the block to let sunup write backend.tf.",
        )
    return State(texts["bucket"], texts["key"], texts.get("workspace_key_prefix", "env:"))


def _body(text: str) -> str:
    depth = 1
    for brace in re.finditer(r"[{}]", text):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return text[: brace.start()]
    return text
