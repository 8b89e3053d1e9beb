"""Going back to an earlier release: the alias is moved, nothing is built."""

from dataclasses import dataclass

from sunup.local.errors import CommandError
from sunup.local.migrations import compatibility, running
from sunup.local.migrations.folder import has_migrations, open_folder
from sunup.local.opening import waking
from sunup.local.progress import Progress
from sunup.local.project import Project

from .releases import Live, Release, Releases


@dataclass(frozen=True)
class Rollback:
    """`force`: also where the database may be too new for the release's code."""

    project: Project
    releases: Releases
    progress: Progress
    force: bool = False
    ask: bool = True

    def run(self, number: int | None = None) -> int:
        """Go back to release `number`, else to the one that was live before; returns it.

        Where a gradual shift is under way it is ended, and the release that it began with is live.
        Raises `CommandError` and the database's errors.
        """
        live = self.releases.live()
        target = self._target(live, number)
        # Where a shift is ended, its release has most of the requests already.
        if not self.force and target.number != live.number:
            self._check_migrations(target)
        if self.ask:
            was = live.version if live.number else "$LATEST"
            self.progress.confirm(f"Go back from release {was} to release {target.number}?")
        self.releases.point(live, target.number)
        self.releases.verify(target.number, target.sha256)
        return target.number

    def _target(self, live: Live, number: int | None) -> Release:
        kept = {each.number: each for each in self.releases.listed()}
        names = ", ".join(map(str, sorted(kept))) or "none"
        if number is None:
            if live.weights and live.number in kept:
                return kept[live.number]
            older = [each for each in live.before if each in kept and each != live.number]
            if not older and live.number is not None:
                ours = (each.number for each in kept.values() if each.origin.ours)
                older = [max((each for each in ours if each < live.number), default=0)]
            if not older or not older[-1]:
                raise CommandError(
                    f"there is no release before {live.version}",
                    f"The releases that are kept: {names}.",
                )
            return kept[older[-1]]
        if number not in kept:
            raise CommandError(
                f"there is no release {number}",
                f"The releases that are kept: {names}. See sunup releases.",
            )
        if number == live.number and not live.weights:
            raise CommandError(
                f"release {number} is already live", "See sunup releases for others."
            )
        return kept[number]

    def _check_migrations(self, target: Release) -> None:
        project = self.project
        if not has_migrations(project.migrations):
            return
        settings = project.migration_settings
        with self.progress.waiting(waking(settings.user)):
            found = running.status(settings, project.migrations, credentials=project.credentials)
        applied = [each.revision for each in found if each.state not in ("pending", "begun")]
        if not target.origin.ours:
            raise CommandError(
                f"release {target.number} does not say which migrations its code knows",
                "Pass --force to go back anyway.",
            )
        _, script = open_folder(project.migrations)
        needed = compatibility.unapplied(script, applied, target.origin.heads)
        if needed:
            raise CommandError(
                f"release {target.number} needs {', '.join(needed)}, which the database does not "
                "have",
                "Run sunup migrate up to apply it, or pass --force to go there anyway.",
            )
        blocked = compatibility.blocking(script, applied, target.origin.heads)
        if blocked:
            reasons = "; ".join(f"{each.file} {each.reason}" for each in blocked)
            raise CommandError(
                f"the code of release {target.number} does not work with the database: {reasons}",
                "Deploy a fix, or pass --force to go back anyway. A harmless migration can say "
                f'so: {compatibility.MARK} = "...".',
            )
