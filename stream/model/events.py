"""The events that carriers send: an SMS, a call set-up, a reply to a port (DESIGN section 4).

Topics `events.sms`, `events.call`, `events.reply`, and `events.urgent` for any of them that must not wait.
Key and partition are those of the subscriber: the recipient's, and for a reply its author's.
"""

import msgspec

from stream.model.fields import EventId, EventNumber, EventText, MessageText, Network, Purpose, Time


class Sms(msgspec.Struct, frozen=True, gc=False, tag_field="kind", tag="sms"):
    """One SMS (or an internet message that works like one) on its way to a recipient.

    `text` is the whole message after reassembly: a gateway answers all parts alike.
    """

    id: EventId
    time: Time
    to: EventNumber
    sender: EventText | None = None
    from_: EventText | None = msgspec.field(default=None, name="from")
    purpose: Purpose | None = None
    category: EventText | None = None
    text: MessageText | None = None
    campaign: EventText | None = None
    region: EventText | None = None
    network: Network | None = None
    origin: EventText | None = None


class Call(msgspec.Struct, frozen=True, gc=False, tag_field="kind", tag="call"):
    """One call set-up.

    `presented` is the number shown to the called party where it is not the asserted `from`; `verstat` is the
    network's verdict on `from` (3GPP TS 24.229, 7.2A.20).
    """

    id: EventId
    time: Time
    to: EventNumber
    sender: EventText | None = None
    from_: EventText | None = msgspec.field(default=None, name="from")
    purpose: Purpose | None = None
    category: EventText | None = None
    platform: bool | None = None
    presented: EventText | None = None
    verstat: EventText | None = None
    region: EventText | None = None
    network: Network | None = None
    origin: EventText | None = None


class Reply(msgspec.Struct, frozen=True, gc=False, tag_field="kind", tag="reply"):
    """One SMS from a subscriber to a port: how most people say that they have had enough."""

    id: EventId
    time: Time
    from_: EventNumber = msgspec.field(name="from")
    to: EventNumber
    text: MessageText | None = None
    origin: EventText | None = None


Event = Sms | Call | Reply
