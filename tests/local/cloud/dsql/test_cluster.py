from typing import Any

import pytest

from sunup.local.cloud.dsql.cluster import Cluster, Clusters
from sunup.local.errors import CommandError

GONE = "0" * 26


def quiet(_: str) -> None: ...


def test_a_new_cluster_is_protected_tagged_and_waited_for(control: Any) -> None:
    clusters = Clusters(control, 0.01)
    told: list[str] = []
    begun = clusters.create("shop", deletion_protection=True)
    made = clusters.wait(begun.identifier, told.append)
    assert (told[0], told[-1]) == ("Cluster CREATING", "Cluster ACTIVE")
    assert made.host == f"{made.identifier}.dsql.us-east-1.on.aws"
    assert (made.region, made.account, made.partition) == ("us-east-1", "123456789012", "aws")
    assert made.deletion_protection
    assert made.tags == {"Name": "shop", "sunup:app": "shop", "ManagedBy": "sunup"}
    assert not made.is_terraform_s


def test_the_app_s_cluster_is_found_by_its_tag_among_many(control: Any) -> None:
    clusters = Clusters(control, 0.01)
    for name in ("other", "shop-prod", "shop"):
        clusters.create(name, deletion_protection=False)
    found = clusters.of_app("shop")
    assert found is not None
    assert found.tags["Name"] == "shop"
    assert clusters.of_app("nobody") is None
    # One that is being deleted is none any more.
    clusters.delete(found)
    assert clusters.of_app("shop") is None


def test_of_several_of_one_app_one_has_to_be_named(control: Any) -> None:
    clusters = Clusters(control, 0.01)
    made = [clusters.create("shop", deletion_protection=True) for _ in range(2)]
    with pytest.raises(CommandError) as caught:
        clusters.of_app("shop")
    assert all(each.identifier in caught.value.what for each in made)
    assert "--cluster" in caught.value.cure


def test_a_cluster_is_deleted_once_its_protection_is_off(control: Any) -> None:
    clusters = Clusters(control, 0.01)
    made = clusters.create("shop", deletion_protection=True)
    with pytest.raises(CommandError, match="ConflictException"):
        clusters.delete(clusters.get(made.identifier))
    clusters.protect(made, on=False)
    clusters.delete(clusters.get(made.identifier))
    clusters.wait_until_gone(made.identifier, quiet)
    assert clusters.find(made.identifier) is None
    with pytest.raises(CommandError, match="there is no Aurora DSQL cluster"):
        clusters.get(made.identifier)


class Describes:
    """A control plane with one cluster, whose states are what a test says; moto has two of them."""

    def __init__(self, *states: str) -> None:
        self._states = list(states)

    def get_cluster(self, identifier: str) -> dict[str, Any]:
        status = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        arn = f"arn:aws:dsql:eu-central-1:123456789012:cluster/{identifier}"
        peers = {"witnessRegion": "eu-west-3", "clusters": [arn, arn.replace("central", "west")]}
        return {
            "identifier": identifier, "arn": arn, "status": status, "multiRegionProperties": peers,
        }  # fmt: skip


@pytest.mark.parametrize("status", ["ACTIVE", "IDLE", "INACTIVE", "UPDATING"])
def test_one_that_wakes_when_somebody_connects_is_ready(status: str) -> None:
    found = Clusters(Describes("CREATING", status), 0.01).wait(GONE, quiet)
    assert found.status == status
    # An older answer has no endpoint.
    assert found.host == f"{GONE}.dsql.eu-central-1.on.aws"
    assert found.peers == (f"arn:aws:dsql:eu-west-1:123456789012:cluster/{GONE}",)


@pytest.mark.parametrize(
    ("status", "says", "cure"),
    [
        ("PENDING_SETUP", "waits for its peer", "dsql_peer"),
        ("FAILED", "is FAILED, not ACTIVE", "sunup database show"),
        ("DELETING", "is DELETING, not ACTIVE", "sunup database show"),
    ],
)
def test_one_that_will_not_be_ready_is_not_waited_for(status: str, says: str, cure: str) -> None:
    with pytest.raises(CommandError) as caught:
        Clusters(Describes("CREATING", status), 0.01).wait(GONE, quiet)
    assert says in caught.value.what
    assert cure in caught.value.cure


def test_what_terraform_made_is_known_by_its_tag() -> None:
    arn = f"arn:aws:dsql:eu-central-1:123456789012:cluster/{GONE}"
    answer = {
        "identifier": GONE,
        "arn": arn,
        "status": "ACTIVE",
        "tags": {"ManagedBy": "terraform"},
    }
    assert Cluster.of(answer).is_terraform_s
