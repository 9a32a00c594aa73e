"""Every reason for which the door refuses, with what it means and the mend: a row a code. `docs/admission.md` is made
from this table; the sentence of a refusal itself, which names the case, is made where it is refused. Pure.
"""

from typing import Final, Literal, NamedTuple

from stream.model.requests import RefusalCode


class RefusalReason(NamedTuple):
    """One reason."""

    of: Literal["request", "record"]
    """what is refused by it: the whole request, or one of its records"""
    meaning: str
    mend: str


REASONS: Final[dict[RefusalCode, RefusalReason]] = {
    "unreadable": RefusalReason(
        "request",
        "it is no request: half of one, without `actor`, or with a record that keeps not the contract",
        "write it as the contract has it; the same id may be used again",
    ),
    "request-time": RefusalReason(
        "request",
        "its `time` is more than seven days ago, as long as its topic keeps it, or more than a day ahead",
        "ask again under a new id; look at the clock of whoever asks",
    ),
    "id-taken": RefusalReason(
        "request", "another request was answered under its `id`", "give every request an id of its own"
    ),
    "wrong-partition": RefusalReason(
        "request",
        "it stands in another partition than what it is about, or is about several",
        "place requests about expressions by murmur2 of the subscriber's number, all others in partition 0",
    ),
    "subject": RefusalReason(
        "request",
        "it states `if_version`, and is about more than one subscriber, sender or word list",
        "ask for each by itself",
    ),
    "version": RefusalReason(
        "request",
        "what it is about has another version than `if_version`: somebody else was first",
        "read it again, and decide anew; the answer bears the version that there is",
    ),
    "topic": RefusalReason(
        "record",
        "it is of a topic that is not written here (orders, campaigns), or would withdraw an expression",
        "orders and campaigns go through the control plane's API; instead of a withdrawal write a `lift`",
    ),
    "limit": RefusalReason("record", "something in it is longer than [limits.md](limits.md) allows", "shorten it"),
    "key": RefusalReason(
        "record", "a name in it holds a vertical bar, which stands between the parts of a key", "use a name without"
    ),
    "number": RefusalReason(
        "record",
        "its subscriber is no person's number, or is not written as it is registered",
        "a mobile or fixed number, with + and the country's code; of another country one that its plan has",
    ),
    "time": RefusalReason(
        "record",
        "a time lies before 2000 or more than a day ahead (`from`, `until`: ten years)",
        "milliseconds since the epoch; look at unit and clock",
    ),
    "expires": RefusalReason(
        "record",
        "`expires` on a refusal or lift, or on a consent that has expired, or more than ten years ahead",
        "only a consent that is still to come to its end bears one",
    ),
    "late": RefusalReason(
        "record",
        "the subscriber said something later about an overlapping scope, and it stands; each counts with the earlier "
        "of its `time` and the moment at which it was written. A refusal that is given now (at most a minute ago, and "
        "not in a file) is never too late",
        "nothing is to be done, unless the `time` is wrong; if it is what the subscriber wants now, ask with that time",
    ),
    "changed": RefusalReason(
        "record",
        "another expression about its very scope came after what whoever asks has read (`read_to`)",
        "read again, and decide anew",
    ),
    "scopes": RefusalReason(
        "record",
        "the subscriber has said something about as many scopes on the channel as are kept",
        "write about all senders and categories, which is always taken",
    ),
    "unknown-name": RefusalReason(
        "record",
        "a consent to a sender that is not registered, or of a category that the policy does not have",
        "correct it; or state that it is meant (`unregistered`, `--unregistered`)",
    ),
    "prefix": RefusalReason(
        "record", "no number as read begins with a prefix of the sender or campaign", "write it as numbers are read"
    ),
    "claim": RefusalReason(
        "record",
        "a prefix of the sender is, lies inside or lies around one of another sender",
        "leave it out; or state from whom it is taken over (`take_over`, `--take-over`), or of whose range it is a "
        "part (`sub_port_of`, `--sub-port-of`)",
    ),
    "under-limit": RefusalReason(
        "record",
        "a `limit` order is in force on the sender, or on a number of a new prefix, and the record has something new",
        "leave out what is new, or end the order first",
    ),
    "emergency": RefusalReason(
        "record",
        "an emergency campaign of a sender that is commercial, revoked, or by nothing shown to be a public body's; or "
        "one that ends more than 72 hours ahead",
        "the public body's own sender, and an end within three days; it is renewed as long as it lasts",
    ),
    "order-number": RefusalReason(
        "record", "an order's number is neither a person's nor 3 to 20 digits", "write it as numbers are read"
    ),
    "notice": RefusalReason(
        "record",
        "an order suspends without a notice, on another basis than prohibited content or the regulator's order",
        "tell the party first, and name the notice",
    ),
    "not-yours": RefusalReason(
        "record",
        "an order or campaign of that id is somebody else's, or an order is of a measure's case",
        "an id of your own; lift a measure through its case",
    ),
}
"""Reasons by code, first those of whole requests."""
