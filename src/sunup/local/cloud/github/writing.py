"""Writes several files, or none."""

from collections.abc import Mapping
from pathlib import Path

from sunup.local.errors import CommandError


def write(texts: Mapping[Path, str]) -> None:
    """Write each text to its path. Raises `CommandError`; then what was there is as it was."""
    drafts: dict[Path, Path] = {}
    try:
        for path, text in texts.items():
            if path.is_dir():
                raise CommandError(
                    f"{path} is a folder", "Rename it: sunup writes a file of that name."
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            drafts[path] = path.with_name(f".{path.name}.new")
            drafts[path].write_text(text, encoding="utf-8")
        for path, draft in drafts.items():
            draft.replace(path)
    except OSError as error:
        raise CommandError(
            f"{error.filename} cannot be written: {error.strerror}", "Nothing was written."
        ) from None
    finally:
        for draft in drafts.values():
            _forget(draft)


def _forget(draft: Path) -> None:
    try:
        draft.unlink(missing_ok=True)
    except OSError:  # its folder could not be used
        return
