"""`If-Match` (RFC 9110, 13.1.1): an act on a case as its caller saw it, and not on what it has become since.

Pure. A case's entity tag is its step: it changes with what the case's procedure takes, and with a proposal, not with
notes. Without the header an act is held to where the case stands now. It is 409, as for every act that comes too late.
"""

import re
from typing import Final

from stream.enforce.api.api_request import ApiRequest
from stream.enforce.api.permissions import possible
from stream.enforce.api.responses import Fault, faulty, wrong_state

IF_MATCH: Final = "If-Match"
ANY: Final = "*"
_TAGS: Final = re.compile(r'\s*"[0-9]{1,18}"\s*(?:,\s*"[0-9]{1,18}"\s*)*')


def tag_of(step: int) -> str:
    """The entity tag of a case at this step."""
    return f'"{step}"'


def check_match(request: ApiRequest, stated: str | None) -> None:
    """Raises `Problem` 409 where the case is at another step than those stated, 404 where there is none to be seen, and
    400 for what is no list of a case's entity tags.
    """
    if stated is None or not request.case:
        return
    if stated.strip() != ANY and not _TAGS.fullmatch(stated):
        mend = f"state the `ETag` of the case as it was shown, such as {tag_of(3)}, or leave it out"
        raise faulty(Fault(IF_MATCH, "no entity tag of a case", mend))
    view = request.view(request.case)
    if stated.strip() != ANY and tag_of(view.step) not in re.findall(r'"[0-9]+"', stated):
        reason = f"{view.case} has changed since it was shown: it is {view.state}, at step {view.step}; read it again"
        raise wrong_state(reason, possible(view, request.caller))
