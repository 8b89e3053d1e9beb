"""An Aurora PostgreSQL cluster with express configuration, through the RDS API.

Terraform and CloudFormation have no argument for it (hashicorp/terraform-provider-aws#47117,
cloudformation-coverage-roadmap#2506). One call makes the cluster, its writer, the internet access
gateway and IAM authentication (Aurora User Guide, "Express configuration").
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from sunup.local.aws import Arn, code_of, explained
from sunup.local.errors import CommandError

ADMIN = "postgres"
ADMIN_DATABASE = "postgres"

# Made in about 32 s, deleted in 5 to 11 minutes, as reported.
_LONGEST_MAKING = 900.0
_LONGEST_DELETING = 1800.0

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """What a cluster should be like; None: as it is, or the default where it is new."""

    min_acu: float | None = None
    max_acu: float | None = None
    pause_after: int | None = None
    deletion_protection: bool | None = None
    backup_days: int | None = None

    def or_defaults(self) -> "Wanted":
        """With our defaults: 4 ACU are the most of AWS's free plan, and 823 connections."""
        return Wanted(
            0.0 if self.min_acu is None else self.min_acu,
            4.0 if self.max_acu is None else self.max_acu,
            self.pause_after or 300,
            True if self.deletion_protection is None else self.deletion_protection,
            self.backup_days or 7,
        )


@dataclass(frozen=True)
class Cluster:
    """A cluster as it is. Times in seconds, capacities in ACU."""

    name: str
    status: str
    host: str
    port: int
    resource_id: str
    arn: str
    engine_version: str
    express: bool
    min_acu: float
    max_acu: float
    pause_after: int | None
    deletion_protection: bool
    backup_days: int
    instances: tuple[str, ...]

    @property
    def region(self) -> str:
        """Where it is."""
        arn = Arn.parse(self.arn)
        return "" if arn is None else arn.region

    @classmethod
    def of(cls, found: dict[str, Any]) -> "Cluster":
        """From RDS's description."""
        scaling = found.get("ServerlessV2ScalingConfiguration", {})
        return cls(
            name=found["DBClusterIdentifier"],
            status=found.get("Status", ""),
            host=found.get("Endpoint", ""),
            port=found.get("Port", 5432),
            resource_id=found.get("DbClusterResourceId", ""),
            arn=found.get("DBClusterArn", ""),
            engine_version=found.get("EngineVersion", ""),
            express=bool(found.get("InternetAccessGatewayEnabled")),
            min_acu=scaling.get("MinCapacity", 0.0),
            max_acu=scaling.get("MaxCapacity", 0.0),
            pause_after=scaling.get("SecondsUntilAutoPause"),
            deletion_protection=found.get("DeletionProtection", False),
            backup_days=found.get("BackupRetentionPeriod", 1),
            instances=tuple(
                member["DBInstanceIdentifier"] for member in found.get("DBClusterMembers", [])
            ),
        )


class Clusters:
    """The clusters of an account and a region. `client` is botocore's for RDS."""

    def __init__(self, client: Any, pause: float = 3.0) -> None:
        self._rds = client
        self._pause = pause

    @property
    def region(self) -> str:
        """The region."""
        return str(self._rds.meta.region_name)

    def find(self, name: str) -> Cluster | None:
        """The cluster of that name, or None."""
        with explained(f"look up the cluster {name}"):
            try:
                answer = self._rds.describe_db_clusters(DBClusterIdentifier=name)
            except ClientError as error:
                if code_of(error) in ("DBClusterNotFoundFault", "DBClusterNotFound"):
                    return None
                raise
        return Cluster.of(answer["DBClusters"][0])

    def get(self, name: str) -> Cluster:
        """The cluster of that name. Raises `CommandError` if it does not exist."""
        found = self.find(name)
        if found is None:
            raise CommandError(
                f"there is no cluster {name} in this account and region",
                "Pass another name with --cluster, or create the cluster: sunup database create.",
            )
        return found

    def create(self, name: str, wanted: Wanted) -> None:
        """Begin to make it. Raises `CommandError`."""
        wanted = wanted.or_defaults()
        cure = "An AWS account on the free plan allows at most 4 ACUs. Pass --max-acu 4."
        try:
            with explained(f"create the cluster {name}"):
                # An initial database, a version, passwords, subnets: refused with express.
                self._rds.create_db_cluster(
                    DBClusterIdentifier=name,
                    Engine="aurora-postgresql",
                    WithExpressConfiguration=True,
                    ServerlessV2ScalingConfiguration=_scaling(wanted),
                    DeletionProtection=wanted.deletion_protection,
                    BackupRetentionPeriod=wanted.backup_days,
                    Tags=[{"Key": "ManagedBy", "Value": "sunup"}],
                )
        except CommandError as error:
            if "FreeTier" in error.what:
                raise CommandError(error.what, cure) from error
            raise

    def change(self, found: Cluster, wanted: Wanted) -> list[str]:
        """Make an existing cluster as wanted; returns what is changed, in words."""
        target = Wanted(
            found.min_acu if wanted.min_acu is None else wanted.min_acu,
            found.max_acu if wanted.max_acu is None else wanted.max_acu,
            wanted.pause_after or found.pause_after,
            found.deletion_protection
            if wanted.deletion_protection is None
            else wanted.deletion_protection,
            wanted.backup_days or found.backup_days,
        )
        changes: dict[str, Any] = {}
        words = []
        if (target.min_acu, target.max_acu, target.pause_after) != (
            found.min_acu,
            found.max_acu,
            found.pause_after,
        ):
            changes["ServerlessV2ScalingConfiguration"] = _scaling(target)
            words.append(f"{target.min_acu:g} to {target.max_acu:g} ACU")
            if target.min_acu == 0 and target.pause_after:
                words[-1] += f", pause after {target.pause_after} s"
        if target.deletion_protection != found.deletion_protection:
            changes["DeletionProtection"] = target.deletion_protection
            words.append(f"deletion protection {'on' if target.deletion_protection else 'off'}")
        if target.backup_days != found.backup_days:
            changes["BackupRetentionPeriod"] = target.backup_days
            words.append(f"backups kept {target.backup_days} days")
        if changes:
            with explained(f"change the cluster {found.name}"):
                self._rds.modify_db_cluster(
                    DBClusterIdentifier=found.name, ApplyImmediately=True, **changes
                )
        return words

    def wait(self, name: str, tell: Tell, wanted: Wanted | None = None) -> Cluster:
        """Wait until the cluster and its writer are available, with the capacity wanted.

        RDS may still say `available` before a change begins, so the values are checked as well.
        """
        began = time.monotonic()
        while True:
            found = self.get(name)
            as_wanted = wanted is None or wanted.max_acu in (None, found.max_acu)
            states = [self._instance_status(each) for each in found.instances]
            tell(f"Cluster {found.status}, writer {', '.join(states) or 'not there yet'}")
            ready = states and set(states) == {"available"} and found.host
            if found.status == "available" and ready and as_wanted:
                return found
            if time.monotonic() - began > _LONGEST_MAKING:
                raise CommandError(
                    f"the cluster {name} is still {found.status} after 15 minutes",
                    "Run the command again: it continues where it stopped.",
                )
            time.sleep(self._pause)

    def delete(self, found: Cluster, snapshot: str | None) -> None:
        """Begin to delete: the instances first, then the cluster, with a last snapshot."""
        with explained(f"delete the cluster {found.name}"):
            for instance in found.instances:
                if self._instance_status(instance) not in ("deleting", "gone"):
                    self._rds.delete_db_instance(DBInstanceIdentifier=instance)
            last: dict[str, Any] = {"SkipFinalSnapshot": True}
            if snapshot:
                last = {"SkipFinalSnapshot": False, "FinalDBSnapshotIdentifier": snapshot}
            if found.status != "deleting":
                self._rds.delete_db_cluster(DBClusterIdentifier=found.name, **last)

    def wait_until_gone(self, name: str, tell: Tell) -> None:
        """Wait for the end of a deletion."""
        began = time.monotonic()
        while (found := self.find(name)) is not None:
            tell(f"Cluster {found.status}, {len(found.instances)} instances left")
            if time.monotonic() - began > _LONGEST_DELETING:
                raise CommandError(
                    f"the cluster {name} is still there after 30 minutes",
                    "See its status: sunup database show.",
                )
            time.sleep(self._pause)

    def _instance_status(self, name: str) -> str:
        try:
            answer = self._rds.describe_db_instances(DBInstanceIdentifier=name)
        except ClientError as error:
            if code_of(error) in ("DBInstanceNotFound", "DBInstanceNotFoundFault"):
                return "gone"
            raise
        return str(answer["DBInstances"][0]["DBInstanceStatus"])


def _scaling(wanted: Wanted) -> dict[str, Any]:
    scaling: dict[str, Any] = {"MinCapacity": wanted.min_acu, "MaxCapacity": wanted.max_acu}
    # Refused unless the minimum is 0.
    if wanted.min_acu == 0 and wanted.pause_after:
        scaling["SecondsUntilAutoPause"] = wanted.pause_after
    return scaling
