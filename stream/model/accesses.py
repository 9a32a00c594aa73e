"""Who was shown what of people: the record of `accesses`.

Written and acknowledged before it is shown, so that nobody looks unseen. It names cases, never a number whole.
"""

import msgspec

from stream.model.control import CaseId, Count
from stream.model.fields import Name, Time


class Access(msgspec.Struct, frozen=True, tag_field="kind", tag="access"):
    """A list, a case or a subscriber's record that somebody was shown, or what was done with that record.

    `actor` and `role` are the token's, `operation` is the API's name for it, `asked` what the request stated, with
    stars for numbers. `subscriber`: whom it was about, masked; absent where it was about cases, and for an erasure,
    which leaves a record that it happened and none of whom. `reason`: why, where the operation asks for it.
    """

    access: Name
    time: Time
    actor: Name
    role: Name
    operation: Name
    asked: dict[str, str] = {}
    cases: tuple[CaseId, ...] = ()
    cases_count: Count = 0
    subscriber: Name | None = None
    reason: Name | None = None
