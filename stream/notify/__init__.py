"""The connector: what `notices` says is told to whom it concerns, and every attempt is recorded.

"Was told" must be provable (Article 22: no suspension of a party that was not told first), so the record of an
attempt in `deliveries` is what counts, and the control plane acts on nothing else. Delivery is at least once:
a connector that dies between sending and recording sends again, under the same notice id, by which every
receiver can tell a repeat. docs/notices.md is the description for those who receive.
"""

from stream.notify.loop import NoticeConnector

__all__ = ["NoticeConnector"]
