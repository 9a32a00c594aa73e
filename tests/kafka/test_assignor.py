"""The assignor of partitioned mode: shares that are fair, complete, and as they were wherever they may be."""

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from hypothesis import given
from hypothesis import strategies as st

from stream.kafka.assignor import SamePartitions, share

MEMBERS = st.sampled_from(["a", "b", "c", "d", "e"])
CLAIMS = st.dictionaries(MEMBERS, st.lists(st.integers(-1, 60)), min_size=1)


@given(st.integers(0, 48), CLAIMS)
def test_each_partition_goes_to_one_member_and_shares_differ_by_one_at_most(
    partitions: int, claims: dict[str, list[int]]
) -> None:
    shares = share(partitions, claims)
    assert shares.keys() == claims.keys()
    assert sorted(partition for mine in shares.values() for partition in mine) == list(range(partitions))
    sizes = [len(mine) for mine in shares.values()]
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(1, 48), st.lists(MEMBERS, min_size=1, unique=True))
def test_who_stays_keeps_what_it_has_when_nobody_comes_or_goes(partitions: int, members: list[str]) -> None:
    shares = share(partitions, dict.fromkeys(members, ()))
    assert share(partitions, shares) == shares


@given(st.integers(1, 48), st.lists(MEMBERS, min_size=2, unique=True))
def test_what_a_member_leaves_is_all_that_moves(partitions: int, members: list[str]) -> None:
    shares = share(partitions, dict.fromkeys(members, ()))
    gone = members[0]
    left = {member: mine for member, mine in shares.items() if member != gone}
    after = share(partitions, left)
    assert all(set(mine) <= set(after[member]) for member, mine in left.items())


@given(st.integers(1, 48), st.lists(MEMBERS, min_size=1, max_size=4, unique=True))
def test_a_newcomer_takes_its_share_and_nothing_else_moves(partitions: int, members: list[str]) -> None:
    shares = share(partitions, dict.fromkeys(members, ()))
    after = share(partitions, {**shares, "newcomer": ()})
    assert all(set(after[member]) <= set(mine) for member, mine in shares.items())
    assert len(after["newcomer"]) == partitions // (len(members) + 1)


def test_a_member_gets_the_same_numbers_of_every_topic_and_tells_what_it_was_given() -> None:
    cluster = _Cluster({"events.sms": 6, "events.call": 6})
    first, second = SamePartitions(), SamePartitions()
    topics = ["events.sms", "events.call"]
    given_ = first.assign(cluster, {"1": first.metadata(topics), "2": second.metadata(topics)})
    assert {member: _numbers(assignment) for member, assignment in given_.items()} == {
        "1": {"events.call": [0, 1, 2], "events.sms": [0, 1, 2]},
        "2": {"events.call": [3, 4, 5], "events.sms": [3, 4, 5]},
    }
    second.on_assignment(_over_the_wire(given_["2"]))
    # The names of members are drawn anew at each start: who holds what must not depend on them.
    again = first.assign(cluster, {"0": second.metadata(topics), "1": SamePartitions().metadata(topics)})
    assert _numbers(again["0"])["events.sms"] == [3, 4, 5]


def _numbers(assignment: ConsumerProtocolMemberAssignment) -> dict[str, list[int]]:
    return dict(_over_the_wire(assignment).assignment)


def _over_the_wire(assignment: ConsumerProtocolMemberAssignment) -> ConsumerProtocolMemberAssignment:
    return ConsumerProtocolMemberAssignment.decode(assignment.encode())


class _Cluster(ClusterMetadata):  # type: ignore[misc]  # aiokafka is not typed
    def __init__(self, partitions: dict[str, int]) -> None:
        super().__init__()
        self._counts = partitions

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(self._counts[topic]))


def test_what_a_member_tells_survives_the_wire() -> None:
    told = SamePartitions().metadata(["events.sms"])
    assert ConsumerProtocolMemberMetadata.decode(told.encode()).subscription == ["events.sms"]
