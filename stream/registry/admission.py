"""Which records may be written: the rules that bind whoever writes the registry (DESIGN section 4).

The filter obeys every record in the topics; so these rules hold at the door, for the importer and for the
API alike. Pure: what is asked is the registry as the writer sees it, and the moment. A refusal is a
sentence for the person who wanted to write.
"""

from typing import Final

from stream.model.registry import FileRecord, Order, Sender
from stream.registry.registry import Registry

SUSPENDED_AT_ONCE: Final = ("prohibited-content", "regulator-order")
"""The bases on which a suspension needs no notice before it."""


def refusal(record: FileRecord, registry: Registry, now: int) -> str | None:
    """Why this record may not be written at `now` (milliseconds since the epoch); None where it may.

    A record that is in the registry as it stands may always be written again. Cost: the orders on the sender.
    """
    match record:
        case Sender():
            return _new_numbers_under_limit(record, registry, now)
        case Order():
            return _suspension_without_notice(record)
        case _:
            return None


def _new_numbers_under_limit(record: Sender, registry: Registry, now: int) -> str | None:
    held_before = registry.senders.get(record.sender)
    held = {(entry.channel, entry.prefix) for entry in held_before.numbers} if held_before else set()
    new = sorted({(entry.channel, entry.prefix) for entry in record.numbers} - held)
    if not new:
        return None
    for order in sorted(registry.orders_on_sender(record.sender), key=lambda order: order.order):
        if order.measure != "limit" or not order.in_force(now):
            continue
        refused = [f"{prefix} ({channel})" for channel, prefix in new if order.channel in (None, channel)]
        if refused:
            return (
                f"sender {record.sender} gets no new numbers while the order {order.order} (limit) is in "
                f"force: leave out {', '.join(refused)}, or end the order first"
            )
    return None


def _suspension_without_notice(record: Order) -> str | None:
    if record.measure != "suspend" or record.notice or record.basis in SUSPENDED_AT_ONCE:
        return None
    return (
        f"the order {record.order} suspends without a `notice`: tell the party first and name the notice; "
        f"only the bases {' and '.join(SUSPENDED_AT_ONCE)} need none"
    )
