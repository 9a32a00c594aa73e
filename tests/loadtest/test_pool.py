"""Events made beforehand: each is a whole event of its kind, in its subscriber's partition, under an id of its own."""

import pytest

from bloom.partition import partition_of
from loadtest.pool import KINDS, Mix, pool
from stream.model.codec import event_decoder
from stream.model.events import Reply
from stream.testbed.sample import sample

NOW = 1_795_500_000_000
SAMPLE = sample(now=NOW, refusals_count=10_000)


@pytest.mark.parametrize("mix", ["sms", "mixed", "urgent"])
def test_a_shot_is_an_event_of_its_topic_in_its_subscribers_partition(mix: Mix) -> None:
    events = pool(SAMPLE, mix, prefix="t", partitions=12, size=1_000)
    assert len(events.shots) == 1_000
    for number in range(0, 1_000, 7):
        shot = events.shot(number)
        event = event_decoder(shot.topic)(shot.value(number))
        subscriber = event.from_ if isinstance(event, Reply) else event.to
        assert event.id == f"t-{number:010d}"
        assert shot.key == subscriber.encode()
        assert shot.partition == partition_of(subscriber, 12)


def test_a_mixed_load_has_every_kind_in_its_share() -> None:
    events = pool(SAMPLE, "mixed", prefix="t", partitions=12, size=2_000)
    kinds = [events.kind(number) for number in range(2_000)]
    assert {kind: kinds.count(kind) for kind in KINDS.values()} == {
        "sms": 1_400,
        "call": 500,
        "reply": 80,
        "urgent": 20,
    }


def test_an_event_goes_round_the_pool_and_keeps_an_id_of_its_own() -> None:
    events = pool(SAMPLE, "sms", prefix="t", partitions=12, size=100)
    assert events.shot(3) is events.shot(103)
    assert events.shot(103).value(103) != events.shot(3).value(3)
