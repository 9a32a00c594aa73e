"""`wurao notify`: delivers the notices of `notices` to their addressees, and records every attempt.

That a party was notified must be provable (Article 22: no suspension of a party that was not notified first), so the
record of an attempt in `deliveries` is what counts, and the control plane acts on nothing else. Delivery is at least
once: a process that dies between sending and recording sends again, under the same notice id, by which every receiver
can recognise a repeat. docs/notices.md is the description for those who receive.
"""

from stream.notify.loop import NoticeConnector

__all__ = ["NoticeConnector"]
