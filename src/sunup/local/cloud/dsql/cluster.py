"""Aurora DSQL clusters, through their control plane.

A cluster has an identifier that AWS chooses, and no name: tags say whose it is (Aurora DSQL User
Guide, "Managing Aurora DSQL clusters").
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from sunup.local.aws import Arn, code_of, explained
from sunup.local.errors import CommandError

# The one user that may create in the schema public, and the one database.
ADMIN = "admin"
DATABASE = "postgres"
PORT = 5432

# Which app's cluster it is; what Terraform makes has the provider's default_tags instead.
_TAG = "sunup:app"
_MAKER = "ManagedBy"

# Made in 32 s, deleted in about 2 minutes, as reported.
_LONGEST_MAKING = 300.0
_LONGEST_DELETING = 600.0

# Idle ones wake when somebody connects (User Guide, "Aurora DSQL cluster lifecycle").
_READY = ("ACTIVE", "IDLE", "INACTIVE", "UPDATING")
_GOING = ("DELETING", "DELETED", "PENDING_DELETE", "FAILED")

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Cluster:
    """A cluster as it is."""

    identifier: str
    status: str
    host: str
    arn: str
    deletion_protection: bool
    witness_region: str | None = None
    peers: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def region(self) -> str:
        """Where it is."""
        return self._arn.region

    @property
    def account(self) -> str:
        """Whose it is: the number of an AWS account."""
        return self._arn.account

    @property
    def partition(self) -> str:
        """Of AWS: aws, aws-cn ..."""
        return self._arn.partition

    @property
    def is_terraform_s(self) -> bool:
        """Whether Terraform made it, as the module of `sunup new` does."""
        return self.tags.get(_MAKER) == "terraform"

    @property
    def _arn(self) -> Arn:
        return Arn.parse(self.arn) or Arn("aws", "dsql", "", "", "")

    @classmethod
    def of(cls, found: dict[str, Any]) -> "Cluster":
        """From GetCluster's answer."""
        arn = Arn.parse(found["arn"])
        region = "" if arn is None else arn.region
        regions = found.get("multiRegionProperties") or {}
        others = tuple(each for each in regions.get("clusters") or () if each != found["arn"])
        return cls(
            identifier=found["identifier"],
            status=found["status"],
            host=found.get("endpoint") or f"{found['identifier']}.dsql.{region}.on.aws",
            arn=found["arn"],
            deletion_protection=bool(found.get("deletionProtectionEnabled")),
            witness_region=regions.get("witnessRegion"),
            peers=others,
            tags=found.get("tags") or {},
        )


class Clusters:
    """The clusters of an account and a region. `client` is botocore's for DSQL."""

    def __init__(self, client: Any, pause: float = 2.0) -> None:
        self._dsql = client
        self._pause = pause

    @property
    def region(self) -> str:
        """The region."""
        return str(self._dsql.meta.region_name)

    def find(self, identifier: str) -> Cluster | None:
        """The cluster of that identifier, or None."""
        with explained(f"look up the Aurora DSQL cluster {identifier}"):
            try:
                return Cluster.of(self._dsql.get_cluster(identifier=identifier))
            except ClientError as error:
                if code_of(error) == "ResourceNotFoundException":
                    return None
                raise

    def get(self, identifier: str) -> Cluster:
        """The same. Raises `CommandError` if it does not exist."""
        found = self.find(identifier)
        if found is None:
            raise CommandError(
                f"there is no Aurora DSQL cluster {identifier} in this account and {self.region}",
                "Pass another with --cluster (or --region), or create one: sunup database create "
                "--engine dsql.",
            )
        return found

    def of_app(self, name: str) -> Cluster | None:
        """The one that was made for the app, by its tag. Raises `CommandError` for several."""
        with explained("list the Aurora DSQL clusters"):
            pages = self._dsql.get_paginator("list_clusters").paginate()
            listed = [each["identifier"] for page in pages for each in page["clusters"]]
        all_ = [found for each in listed if (found := self.find(each)) is not None]
        mine = [c for c in all_ if c.tags.get(_TAG) == name and c.status not in _GOING]
        if len(mine) > 1:
            raise CommandError(
                f"several Aurora DSQL clusters are tagged {_TAG}={name}: "
                f"{', '.join(sorted(each.identifier for each in mine))}",
                "Pass one of them with --cluster.",
            )
        return mine[0] if mine else None

    def create(self, name: str, *, deletion_protection: bool) -> Cluster:
        """Begin to make one for an app. Raises `CommandError`."""
        with explained("create an Aurora DSQL cluster"):
            made = self._dsql.create_cluster(
                deletionProtectionEnabled=deletion_protection,
                tags={"Name": name, _TAG: name, _MAKER: "sunup"},
            )
        return Cluster.of(made)

    def protect(self, found: Cluster, *, on: bool) -> None:
        """Turn the protection against deletion on or off."""
        with explained(f"change the Aurora DSQL cluster {found.identifier}"):
            self._dsql.update_cluster(identifier=found.identifier, deletionProtectionEnabled=on)

    def wait(self, identifier: str, tell: Tell) -> Cluster:
        """Wait until it takes connections. Raises `CommandError`."""
        began = time.monotonic()
        while True:
            found = self.get(identifier)
            tell(f"Cluster {found.status}")
            if found.status in _READY:
                return found
            if found.status == "PENDING_SETUP":
                raise CommandError(
                    f"the cluster {identifier} waits for its peer in another region",
                    "Peer the two (Terraform: dsql_peer), and run the command again.",
                )
            if found.status in _GOING or time.monotonic() - began > _LONGEST_MAKING:
                raise CommandError(
                    f"the cluster {identifier} is {found.status}, not ACTIVE",
                    "Run the command again: it continues where it stopped. See its status: sunup "
                    "database show.",
                )
            time.sleep(self._pause)

    def delete(self, found: Cluster) -> None:
        """Begin to delete it."""
        if found.status not in _GOING:
            with explained(f"delete the Aurora DSQL cluster {found.identifier}"):
                self._dsql.delete_cluster(identifier=found.identifier)

    def wait_until_gone(self, identifier: str, tell: Tell) -> None:
        """Wait for the end of a deletion."""
        began = time.monotonic()
        while (found := self.find(identifier)) is not None:
            tell(f"Cluster {found.status}")
            if time.monotonic() - began > _LONGEST_DELETING:
                raise CommandError(
                    f"the cluster {identifier} is still there after 10 minutes",
                    "See its status: sunup database show.",
                )
            time.sleep(self._pause)
