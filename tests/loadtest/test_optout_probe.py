"""A word is in force when the slowest worker decides with it."""

import asyncio

from aiokafka.structs import RecordMetadata

from loadtest.optout_probe import Sent, State, delay_ms


async def test_a_word_is_in_force_with_the_first_batch_of_the_slowest_worker_that_holds_it() -> None:
    ack: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
    ack.set_result(RecordMetadata("t", 1, None, 7, 0, 0, 0))
    word = Sent(at_ms=1_000.0, partition=1, ack=ack)
    quick = [State(1_010, (9, 5)), State(1_020, (9, 7)), State(1_030, (9, 8)), State(1_040, (9, 9))]
    slow = [State(1_015, (9, 7)), State(1_055, (9, 9))]
    assert await delay_ms(word, {"a": quick}) == 30.0
    assert await delay_ms(word, {"a": quick, "b": slow}) == 55.0
    assert await delay_ms(word, {"a": quick[:2], "b": slow}) is None
    assert await delay_ms(word, {}) is None
