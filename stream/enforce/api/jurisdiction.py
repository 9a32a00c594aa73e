"""Whose order, penalty or filing it is: what the regulator alone may do, and of administrations which.

Pure. There are telecom administrations for the country and for provinces (Article 27); what one ordered no other takes
back but the national one, and the desk nothing of any.
"""

import msgspec

from stream.enforce.api.api_request import ApiRequest
from stream.enforce.api.auth import Caller
from stream.enforce.api.case_facts import case_of
from stream.enforce.api.responses import forbidden
from stream.enforce.procedures import appeal, campaign, messages, regulator
from stream.enforce.procedures.listing import ListingCase
from stream.enforce.procedures.measure import MeasureCase, Reviewed
from stream.enforce.procedures.regions import COUNTRY, administration
from stream.model.cases import CaseView
from stream.model.control import Filing


def check_jurisdiction(caller: Caller, filing: Filing, before: Filing | None = None) -> None:
    """A body files as what its token states, its level and region, and a token that states none is no body's (Article
    27); no administration of a province states of a filing that was there `before` where its body is, which says whose
    business it is. Raises `Problem` 403.
    """
    own = caller.jurisdiction
    of_a_province = caller.role == "regulator" and _region(caller) != COUNTRY
    if before is not None and of_a_province and filing.body_region != before.body_region:
        raise forbidden("where a filing's body is, its body, the desk or the national administration states")
    if caller.role != "sender":
        return
    if own is None:
        raise forbidden(
            "this token states no level and region, and public bodies alone file: if it is one's, have its line in the "
            "tokens file end with them, such as `province:110000`"
        )
    if (filing.level, filing.body_region) != own:
        raise forbidden(
            f"this token's body is {own}: its filing has that `level` and `body_region`, or leaves them out"
        )


def check_authority(request: ApiRequest, view: CaseView, event: msgspec.Struct) -> None:
    """What the regulator ordered or published, the regulator alone takes back, also on review and appeal; a filing is
    for the administration of its level.
    """
    if request.caller.role == "regulator":
        case = case_of(view)
        if isinstance(case, campaign.CampaignCase) and case.filing is not None:
            _competent(request.caller, case.filing)
        region, own = _ordered_in(request, view), _region(request.caller)
        if region is not None and own not in (region, COUNTRY):
            raise forbidden(f"this is the order of the administration of {region}: it, or the national one, acts on it")
        return
    if isinstance(event, appeal.Decided):
        appealed = case_of(view)
        assert isinstance(appealed, appeal.AppealCase), "its procedure says so"
        assert appealed.appeal is not None, "a case that has a view has taken its first step"
        against = request.index.view(appealed.appeal.against, request.caller)
        if against is not None and _of_the_regulator(against):
            raise forbidden(
                "the appeal is against what the regulator ordered: the regulator decides it, or revokes the order"
            )
    elif isinstance(event, messages.Lift | Reviewed) and _of_the_regulator(view):
        raise forbidden("the regulator ordered this measure: the regulator reviews and lifts it, or revokes the order")


def _of_the_regulator(view: CaseView) -> bool:
    """Whether a case is a measure that the regulator ordered, or a listing, which is always the regulator's."""
    case = case_of(view)
    if isinstance(case, MeasureCase):
        return case.finding is not None and case.finding.basis == regulator.BASIS
    return view.procedure == "listing"


def _ordered_in(request: ApiRequest, view: CaseView) -> str | None:
    """The region of the administration whose order or penalty a case is about, as far as that is known."""
    behind: str | None = None
    match case_of(view):
        case regulator.RegulatorCase(direction=ordered) if ordered is not None:
            return ordered.region
        case ListingCase(punishment=punished) if punished is not None:
            return punished.region
        case MeasureCase(origin=origin):
            behind = origin
        case appeal.AppealCase(appeal=appealed) if appealed is not None:
            behind = appealed.against
        case _:
            return None
    found = request.index.view(behind, request.caller) if behind is not None else None
    return _ordered_in(request, found) if found is not None else None


def _region(caller: Caller) -> str | None:
    return caller.jurisdiction.region if caller.jurisdiction else None


def by_administration(request: ApiRequest) -> dict[str, object]:
    """What the API alone sets in an order or penalty of a telecom administration."""
    return {**request.made, "region": _region(request.caller)}


def _competent(caller: Caller, filing: Filing) -> None:
    """Raises `Problem` 403 where another telecom administration decides on this filing (Article 27).

    Of a body of which nobody has said where it is, the national one decides: an emergency is sent without.
    """
    known = filing.body_region
    competent, own = administration(known) if known else COUNTRY, _region(caller)
    if competent != own:
        whose = f"a filing of {known}" if known else "a filing that states no `body_region`"
        raise forbidden(f"{whose} is for the administration of {competent}; this token's: {own}")
