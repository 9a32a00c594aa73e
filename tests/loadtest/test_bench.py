"""What the bench prints follows from what it measured: medians, spread, ratios against the goals."""

import asyncio

import pytest
from aiokafka.structs import RecordMetadata

from loadtest.bench import Results, told
from loadtest.machine import describe
from loadtest.propagation import Applied, Propagation, Sent, State, delay_ms
from loadtest.throughput import FILTER, PASSTHROUGH, PLAIN, Measured, Turn


def results() -> Results:
    return Results(
        time="2026-01-01T00:00:00Z",
        machine=describe(kafka="4.4.0"),
        events_count=1_000,
        event_bytes=300.0,
        refusals_count=5,
        throughput=(
            Measured(FILTER, (Turn(100, 1.0, 1.0), Turn(300, 1.0, 1.0), Turn(120, 1.0, 1.0))),
            Measured(PASSTHROUGH, (Turn(200, 1.0, 1.0),)),
            Measured(PLAIN, (Turn(50, 1.0, 1.0),)),
        ),
        propagation=(Propagation(400, 40.0, 90.0, 120.0, 0, 50_000.0, 0.0, 4.0),),
        applied=Applied(1_000, 100_000.0, 200_000.0),
        parts={"loadtest.decide": "line one\nline two"},
        took_s=60.0,
    )


def test_a_programs_rate_is_the_median_of_its_turns_and_its_spread_is_shown_beside() -> None:
    measured = results().throughput[0]
    assert measured.per_cpu_s == 120
    assert measured.spread == pytest.approx(200 / 120)


def test_ratios_are_printed_with_their_goals_met_or_not() -> None:
    text = "\n".join(told(results()))
    assert "0.60 × of aiokafka pass-through per CPU-second (goal: ≥ 0.5: met)" in text
    assert "2.40 × of aiokafka plain loop per CPU-second (goal: ≥ 3: NOT MET)" in text
    assert "line two" in text


def test_the_machine_is_described_without_its_name() -> None:
    import platform  # noqa: PLC0415

    described = str(describe(kafka="4.4.0"))
    assert "cores" in described
    assert "Kafka 4.4.0" in described
    assert platform.node() not in described


async def test_a_word_is_in_force_with_the_first_batch_whose_state_holds_it() -> None:
    ack: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
    ack.set_result(RecordMetadata("t", 1, None, 7, 0, 0, 0))
    word = Sent(at_ms=1_000.0, partition=1, ack=ack)
    states = [State(1_010, (9, 5)), State(1_020, (9, 7)), State(1_030, (9, 8)), State(1_040, (9, 9))]
    assert await delay_ms(word, states) == 30.0
    assert await delay_ms(word, states[:2]) is None
