"""`docs/asyncapi.yaml`: the wire contract as AsyncAPI 3, its schemas taken from the structs that decode it."""

from importlib.metadata import version
from typing import Final

import msgspec
import yaml

from stream.model.accesses import Access
from stream.model.cases import CaseEvent, CaseView, Hold
from stream.model.control import Activity, Appeal, Complaint, Delivery, Filing, Listing, Notice, Report
from stream.model.decision import Decision, Difference, Epoch
from stream.model.events import Call, Reply, Sms
from stream.model.held import Held
from stream.model.registry import Campaign, Expression, Order, Sender, Wordlist
from stream.model.requests import RegistryAnswer, RegistryRequest
from stream.model.topics import (
    ACCESSES,
    ACTIVITY,
    ANSWERS,
    APPEALS,
    BULK,
    CASE_EVENTS,
    CASES,
    COMPLAINTS,
    DEAD_LETTER,
    DECISIONS,
    DELIVERIES,
    EPOCHS,
    EVENT_KINDS,
    FILINGS,
    HELD,
    HOLDS,
    LISTINGS,
    NOTICES,
    RECORD_KIND,
    REPORTS,
    REQUESTS,
    SHADOW_DIFFERENCES,
)

TARGET: Final = "docs/asyncapi.yaml"

_CONTROL: Final[dict[str, tuple[type[msgspec.Struct], str, str]]] = {
    ACTIVITY: (Activity, "the sender or number", "What each sender did in ten seconds, for early warning."),
    COMPLAINTS: (Complaint, "the case", "Complaints as they are filed, complete or not."),
    APPEALS: (Appeal, "the case", "Appeals against measures and listings."),
    FILINGS: (Filing, "the case", "Applications for public-interest campaigns."),
    CASE_EVENTS: (
        CaseEvent,
        "the case, or the party of the escalation record",
        "Whatever else happens to a case.",
    ),
    DELIVERIES: (Delivery, "the case", "Attempts to deliver notices: that somebody was notified must be provable."),
    CASES: (CaseView, "the case", "Where each case stands. Compacted."),
    NOTICES: (Notice, "the notice", "Notices to parties, applicants and users."),
    REPORTS: (Report, "the report", "Reports to authorities and companies."),
    LISTINGS: (Listing, "the listing", "The bad-actor list (Article 36). Compacted."),
    REQUESTS: (
        RegistryRequest,
        "the request, in the partition of its subscriber; about senders and word lists in partition 0",
        "What is asked of the registrar, each answered within 50 ms.",
    ),
    BULK: (RegistryRequest, "as in `registry.requests`", "The same, by files: it waits for those."),
    ANSWERS: (RegistryAnswer, "the request", "What came of each request."),
    HOLDS: (Hold, "the hold", "Evidence that must outlive its ordinary retention."),
    HELD: (Held, "the case", "What holds name by place, copied before its topic forgets it, or why it is not."),
    ACCESSES: (Access, "the access", "Who was shown what of people, and why; written before it is shown."),
}
"""The control plane's topics: what stands in each, its key, and what it is for."""

_KEYS: Final = {
    "events": "the subscriber's number: the recipient's, and for a reply its author's",
    "decisions": "that of the event",
    "epochs": "the epoch's name",
    SHADOW_DIFFERENCES: "that of the decision",
    "registry.expressions": "<subscriber>|<channel>|<sender or *>|<category or *>, in the subscriber's partition",
    "registry.senders": "the sender",
    "registry.orders": "the order",
    "registry.campaigns": "the campaign",
    "registry.wordlists": "the list",
}
_SUMMARIES: Final = {
    **dict.fromkeys(EVENT_KINDS, "Events to be decided. Written by carriers, read by wurao."),
    "events.urgent": "Events of any kind that must not wait behind bulk: emergency SMS above all.",
    DECISIONS: "One answer per event; after a crash perhaps two, of which the first counts.",
    EPOCHS: "The registry state behind each `epoch` of the decisions.",
    SHADOW_DIFFERENCES: "Where a policy on trial would have decided otherwise.",
    "registry.expressions": "What subscribers said, one by one. Compacted. A null value is refused: write a `lift`.",
    "registry.senders": "Who sends, from which numbers. Compacted; a null value removes.",
    "registry.orders": "Measures in force. Compacted; a null value removes.",
    "registry.campaigns": "Public-interest campaigns. Compacted; a null value removes.",
    "registry.wordlists": "Terms that the law prohibits. Compacted; a null value removes.",
}
_READ: Final = {
    *EVENT_KINDS,
    *RECORD_KIND,
    ACTIVITY,
    COMPLAINTS,
    APPEALS,
    FILINGS,
    CASE_EVENTS,
    DELIVERIES,
    REQUESTS,
    BULK,
}


def render() -> str:
    """The document."""
    kinds: dict[str, tuple[type[msgspec.Struct], ...]] = {
        **EVENT_KINDS,
        DECISIONS: (Decision,),
        EPOCHS: (Epoch,),
        SHADOW_DIFFERENCES: (Difference,),
        **{topic: (kind,) for topic, kind in RECORD_KIND.items()},
        **{topic: (kind,) for topic, (kind, _, _) in _CONTROL.items()},
    }
    structs: tuple[type[msgspec.Struct], ...] = (
        Sms,
        Call,
        Reply,
        Decision,
        Epoch,
        Difference,
        Expression,
        Sender,
        Order,
        Campaign,
        Wordlist,
    )
    structs += tuple(dict.fromkeys(kind for kind, _, _ in _CONTROL.values()))
    _, schemas = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
    document = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "wurao",
            "version": version("wurao"),
            "description": "JSON in UTF-8, at most 1 MiB a record. Times are integer milliseconds since the epoch, "
            "UTC. Unknown fields are ignored; null and the empty string are the same as absent. Everything about a "
            "subscriber stands in partition (murmur2(utf-8 of the number) & 0x7fffffff) % partitions; producers "
            "set it themselves. A record that does not keep this contract goes to `dead-letter`.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            **{topic: _channel(topic, of_topic) for topic, of_topic in kinds.items()},
            DEAD_LETTER: {
                "address": DEAD_LETTER,
                "summary": "Records that could not be decoded: the original bytes, with headers that say why.",
                "messages": {"deadLetter": {"$ref": "#/components/messages/deadLetter"}},
            },
        },
        "operations": {
            f"{'receive' if topic in _READ else 'send'}-{topic}": {
                "action": "receive" if topic in _READ else "send",
                "channel": {"$ref": f"#/channels/{topic}"},
            }
            for topic in (*kinds, DEAD_LETTER)
        },
        "components": {
            "messages": {
                **{_name(kind): _message(kind) for kind in structs},
                "deadLetter": {
                    "contentType": "application/octet-stream",
                    "headers": {
                        "type": "object",
                        "required": ["error", "topic", "partition", "offset"],
                        "properties": {
                            "error": {"type": "string", "description": "what is wrong, without the content"},
                            "topic": {"type": "string"},
                            "partition": {"type": "string", "description": "decimal"},
                            "offset": {"type": "string", "description": "decimal"},
                        },
                    },
                },
            },
            "schemas": schemas,
        },
    }
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
    return "# Made by docs/generate from the structs of stream/model: change those.\n" + text


def _channel(topic: str, kinds: tuple[type[msgspec.Struct], ...]) -> dict[str, object]:
    if topic in _CONTROL:
        _, key, summary = _CONTROL[topic]
    else:
        key, summary = _KEYS.get(topic) or _KEYS[topic.split(".", maxsplit=1)[0]], _SUMMARIES[topic]
    return {
        "address": topic,
        "summary": summary,
        "description": f"Key: {key}.",
        "messages": {_name(kind): {"$ref": f"#/components/messages/{_name(kind)}"} for kind in kinds},
    }


def _message(kind: type[msgspec.Struct]) -> dict[str, object]:
    return {
        "summary": (kind.__doc__ or "").strip().splitlines()[0],
        "payload": {"$ref": f"#/components/schemas/{kind.__name__}"},
    }


def _name(kind: type[msgspec.Struct]) -> str:
    return str(kind.__struct_config__.tag)
