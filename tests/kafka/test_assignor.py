"""The assignor of partitioned mode: shares that are fair, complete, and as they were wherever they may be."""

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from hypothesis import given
from hypothesis import strategies as st

from stream.kafka.assignor import Claim, SamePartitions, share

NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
MEMBERS = st.lists(NAMES, min_size=1, max_size=4, unique=True)
ROOM = st.none() | st.integers(1, 20)
CLAIMS = st.dictionaries(NAMES, st.builds(Claim, st.lists(st.integers(-1, 60)), ROOM), min_size=1)


def _fresh(partitions: int, members: list[str]) -> dict[str, Claim]:
    """Claims of members that have just shared all partitions."""
    return {member: Claim(mine) for member, mine in share(partitions, dict.fromkeys(members, Claim())).items()}


@given(st.integers(0, 48), CLAIMS)
def test_each_partition_has_one_member_while_any_has_room_and_shares_are_as_equal_as_room_allows(
    partitions: int, claims: dict[str, Claim]
) -> None:
    shares = share(partitions, claims)
    given_ = [partition for mine in shares.values() for partition in mine]
    rooms = {member: partitions if claim.room is None else claim.room for member, claim in claims.items()}
    assert shares.keys() == claims.keys()
    assert len(set(given_)) == len(given_) == min(partitions, sum(rooms.values()))
    assert set(given_) <= set(range(partitions))
    assert all(len(mine) <= rooms[member] for member, mine in shares.items())
    unfilled = [len(mine) for member, mine in shares.items() if len(mine) < rooms[member]]
    assert all(len(mine) - least <= 1 for least in unfilled for mine in shares.values())


@given(st.integers(1, 48), MEMBERS)
def test_who_stays_keeps_what_it_has_when_nobody_comes_or_goes(partitions: int, members: list[str]) -> None:
    claims = _fresh(partitions, members)
    assert share(partitions, claims) == {member: list(claim.held) for member, claim in claims.items()}


@given(st.integers(1, 48), MEMBERS)
def test_what_a_member_leaves_is_all_that_moves(partitions: int, members: list[str]) -> None:
    claims = _fresh(partitions, [*members, "one that goes"])
    del claims["one that goes"]
    after = share(partitions, claims)
    assert all(set(claim.held) <= set(after[member]) for member, claim in claims.items())


@given(st.integers(1, 48), MEMBERS)
def test_a_newcomer_takes_its_share_and_nothing_else_moves(partitions: int, members: list[str]) -> None:
    claims = _fresh(partitions, members)
    after = share(partitions, {**claims, "newcomer": Claim()})
    assert all(set(after[member]) <= set(claim.held) for member, claim in claims.items())
    assert len(after["newcomer"]) == partitions // (len(members) + 1)


def test_a_survivor_takes_no_more_than_it_has_room_for() -> None:
    assert share(12, {"a": Claim([0, 1, 2], room=4)}) == {"a": [0, 1, 2, 3]}


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


def test_the_room_that_a_member_tells_of_counts_for_whoever_assigns() -> None:
    narrow, wide = SamePartitions(room=1).metadata(["events.sms"]), SamePartitions().metadata(["events.sms"])
    told = {name: ConsumerProtocolMemberMetadata.decode(of.encode()) for name, of in {"1": narrow, "2": wide}.items()}
    given_ = SamePartitions().assign(_Cluster({"events.sms": 6}), told)
    assert {member: len(_numbers(assignment)["events.sms"]) for member, assignment in given_.items()} == {
        "1": 1,
        "2": 5,
    }
