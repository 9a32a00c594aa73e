"""Partitions: the Java client's answers, one by one and in batches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloom.number import Msisdn, to_text
from bloom.partition import partition_of, partitions_of, partitions_of_numbers

# DESIGN section 3; reckoned with the Java client.
VECTORS = [("+8613800138000", 8, 8), ("+8613900139000", 9, 45), ("+8617012345678", 1, 37)]

any_text = st.text(alphabet=st.characters())  # surrogates too: a decoder may let them through


@pytest.mark.parametrize(("text", "of_12", "of_48"), VECTORS)
def test_the_partition_is_that_of_the_java_client(text: str, of_12: int, of_48: int) -> None:
    assert partition_of(text, 12) == of_12
    assert partition_of(text, 48) == of_48


def test_a_batch_gets_the_partitions_of_the_java_client() -> None:
    texts = [text for text, _, _ in VECTORS]
    assert partitions_of(texts, 12).tolist() == [of_12 for _, of_12, _ in VECTORS]
    assert partitions_of(texts, 48).tolist() == [of_48 for _, _, of_48 in VECTORS]


@given(st.lists(any_text), st.integers(1, 2**31))
def test_a_batch_of_any_texts_gets_what_each_gets_alone(texts: list[str], partitions: int) -> None:
    assert partitions_of(texts, partitions).tolist() == [partition_of(text, partitions) for text in texts]


@given(st.integers(0, 17).flatmap(lambda n: st.lists(st.text("+0189", min_size=n, max_size=n), max_size=20)))
def test_a_batch_of_one_length_gets_what_each_gets_alone(texts: list[str]) -> None:
    assert partitions_of(texts, 12).tolist() == [partition_of(text, 12) for text in texts]


@given(st.lists(st.integers(10**6, 10**15 - 1)), st.integers(1, 2**31))
def test_numbers_kept_as_integers_get_the_partitions_of_their_texts(numbers: list[int], partitions: int) -> None:
    values = np.array(numbers, dtype=np.uint64)
    found = partitions_of_numbers(values, partitions)
    assert found.tolist() == [partition_of(to_text(Msisdn(number)), partitions) for number in numbers]
    assert values.tolist() == numbers, "they are not changed"


@given(any_text, st.integers(1, 2**31))
def test_a_partition_is_one_of_those_there_are(text: str, partitions: int) -> None:
    assert 0 <= partition_of(text, partitions) < partitions


def test_a_lone_surrogate_counts_as_a_question_mark_as_in_java() -> None:
    assert partition_of("\ud800", 997) == partition_of("?", 997)


def test_a_topic_without_partitions_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one partition"):
        partition_of("+8613800138000", 0)
    with pytest.raises(ValueError, match="at least one partition"):
        partitions_of(["+8613800138000"], 0)
