"""Old and new versions read each other's records: docs/upgrades.md, *Records*.

`tests/golden/<version>` keeps records as that version wrote them: of each kind one with every field and one with the
required ones alone. They are never edited: a new version adds a folder of its own.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, get_args

import msgspec
import pytest

from bloom.snapshot import FORMAT_VERSION
from stream.model import control, fields
from stream.model.cases import CaseEvent, CaseView, Hold
from stream.model.codec import decode_as, decode_decision, encode, event_decoder
from stream.model.control import Activity, Appeal, Complaint, Delivery, Dispute, Filing, Listing, Notice, Report
from stream.model.decision import Epoch
from stream.model.registry import Record
from stream.model.topics import EVENT_KINDS, RECORD_KIND

GOLDEN: Final = Path(__file__).parents[1] / "golden"
VERSIONS: Final = sorted(path.name for path in GOLDEN.iterdir())

_CONTROL: Final[Mapping[str, type[msgspec.Struct]]] = {
    "activity": Activity,
    "appeals": Appeal,
    "filings": Filing,
    "case-events": CaseEvent,
    "deliveries": Delivery,
    "cases": CaseView,
    "notices": Notice,
    "reports": Report,
    "listings": Listing,
    "holds": Hold,
    "epochs": Epoch,
}

CLOSED_SETS: Final = {
    "events": {"sms", "call", "reply"},
    "networks": {"telecom", "internet"},
    "purposes": {"personal", "service", "commercial", "public", "emergency"},
    "entry purposes": {"personal", "service", "commercial", "public", "emergency", "number-protection"},
    "verdicts": {"allow", "block", "suspend"},
    "measures": {"suspend", "limit", "stop"},
    "sender states": {"active", "revoked"},
    "campaign states": {"filed", "approved", "refused", "withdrawn"},
    "channels": {"sms", "call"},
    "wills": {"refuse", "consent", "lift"},
    "notices": {"measure", "measure-ended", "missing", "answer", "decision", "listing"},
    "addressees": {"regulator", "state-organs", "complaint-centre", "appeals-body", "company"},
}
"""What version 0.1 takes in each field that admits no other value."""


def _decoder(topic: str) -> Callable[[bytes], msgspec.Struct]:
    if topic in EVENT_KINDS:
        return event_decoder(topic)
    if topic == "decisions":
        return decode_decision
    if topic in RECORD_KIND:
        return lambda data: decode_as(msgspec.json.Decoder(Record), data)
    if topic == "complaints":
        return lambda data: decode_as(msgspec.json.Decoder(Complaint | Dispute), data)
    return lambda data: decode_as(_CONTROL[topic], data)


def _golden() -> list[tuple[str, bytes]]:
    return [
        (path.stem, line)
        for version in VERSIONS
        for path in sorted((GOLDEN / version).glob("*.ndjson"))
        for line in path.read_bytes().splitlines()
    ]


def test_every_topic_whose_records_outlive_an_upgrade_is_kept() -> None:
    kept = {path.stem for path in (GOLDEN / "0.1").iterdir()}
    assert kept == {"decisions", "complaints", *_CONTROL, *RECORD_KIND, *(EVENT_KINDS.keys() - {"events.urgent"})}


@pytest.mark.parametrize(("topic", "line"), _golden())
def test_this_version_reads_what_an_earlier_one_wrote(topic: str, line: bytes) -> None:
    _decoder(topic)(line)


@pytest.mark.parametrize(("topic", "line"), _golden())
def test_an_earlier_version_reads_what_this_one_writes(topic: str, line: bytes) -> None:
    """Whatever it knows is still there, under the same name and with the same value; the rest it passes over."""
    written = msgspec.json.decode(encode(_decoder(topic)(line)))
    _holds_all_of(msgspec.json.decode(line), written)


@pytest.mark.parametrize(("topic", "line"), _golden())
def test_a_field_of_a_later_version_is_passed_over(topic: str, line: bytes) -> None:
    decode = _decoder(topic)
    later = msgspec.json.decode(line) | {"later": {"than": ["this"]}}
    assert decode(msgspec.json.encode(later)) == decode(line)


def test_a_closed_set_that_grows_is_read_everywhere_before_anybody_writes_it() -> None:
    """A reader of 0.1 puts a record with an unknown value to dead-letter: first read docs/upgrades.md."""
    today = {
        "events": fields.EventKind,
        "networks": fields.Network,
        "purposes": fields.Purpose,
        "entry purposes": fields.EntryPurpose,
        "verdicts": fields.Verdict,
        "measures": fields.Measure,
        "sender states": fields.SenderStatus,
        "campaign states": fields.CampaignStatus,
        "channels": fields.Channel,
        "wills": fields.Verb,
        "notices": control.NoticeSubject,
        "addressees": control.Addressee,
    }
    assert {name: set(get_args(values)) for name, values in today.items()} == CLOSED_SETS


def test_the_snapshot_format_changes_by_its_version_only() -> None:
    """Another version is refused by name and the topics are read instead (tests/bloom/test_snapshot.py)."""
    assert FORMAT_VERSION == 1


def _holds_all_of(old: object, new: object) -> None:
    if isinstance(old, dict):
        assert isinstance(new, dict)
        for name, value in old.items():
            assert name in new, f"{name} is gone"
            _holds_all_of(value, new[name])
    elif isinstance(old, list):
        assert isinstance(new, list)
        assert len(new) == len(old)
        for before, after in zip(old, new, strict=True):
            _holds_all_of(before, after)
    else:
        assert new == old
