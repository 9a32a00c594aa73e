"""Dead letters: whole where they fit, and else what is enough to find the record."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from stream.model.dead_letters import WHOLE_BYTES_MAX, DeadLetter, forms_of
from stream.model.limits import DEAD_LETTER, DEAD_LETTER_KEY, RECORD
from stream.model.topics import TopicPartition

PLACE = TopicPartition("events.sms", 3)


def test_a_record_that_fits_is_kept_whole() -> None:
    form = next(forms_of(DeadLetter(PLACE, 7, b"key", b"v" * RECORD.most, "why")))
    assert (form.key, form.value) == (b"key", b"v" * RECORD.most)
    assert dict(form.headers) == {"error": b"why", "topic": b"events.sms", "partition": b"3", "offset": b"7"}


def test_one_that_does_not_fit_bears_sizes_digests_and_the_first_bytes_of_both() -> None:
    key, value = b"k" * 2_000_000, b"v" * 2_000_000
    form = next(forms_of(DeadLetter(PLACE, 7, key, value, "why")))
    assert (form.key, form.value) == (key[: DEAD_LETTER_KEY.most], value[: DEAD_LETTER.most])
    assert dict(form.headers) == {
        "error": b"why",
        "topic": b"events.sms",
        "partition": b"3",
        "offset": b"7",
        "key-bytes": b"2000000",
        "key-sha256": sha256(key).hexdigest().encode(),
        "value-bytes": b"2000000",
        "value-sha256": sha256(value).hexdigest().encode(),
    }


@given(st.none() | st.integers(0, 1 << 22), st.none() | st.integers(0, 1 << 22))
def test_every_form_fits_and_each_is_no_longer_than_the_one_before(key: int | None, value: int | None) -> None:
    letter = DeadLetter(PLACE, 7, None if key is None else bytes(key), None if value is None else bytes(value), "why")
    forms = list(forms_of(letter))
    sizes = [len(form.key or b"") + len(form.value or b"") for form in forms]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] <= WHOLE_BYTES_MAX
    assert sizes[-1] == 0
    assert all(form.key is not None or form.value is not None for form in forms), "no producer takes neither"
