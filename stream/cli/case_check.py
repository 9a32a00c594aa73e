"""`wurao case check FILE`: what a filing or complaint lacks and what is wrong with it, before anybody files it.

Offline: the checks are the control plane's own, with the configured policy, terms and calendar.
"""

import argparse
import re
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from stream.cli.common import CommandError, config_of, failed, read_object
from stream.clock import now_ms
from stream.config import ConfigError, keys_of
from stream.enforce.api import request_parsing
from stream.enforce.api.request_parsing import Fields
from stream.enforce.api.responses import Fault, Problem
from stream.enforce.procedures import complaint, fitness, settings
from stream.enforce.procedures.forms import FormContext
from stream.enforce.procedures.terms import Terms
from stream.model.control import Complaint, Filing
from stream.policy.loading import load
from stream.policy.toml import PolicyError

KINDS: dict[str, type[Filing | Complaint]] = {"filing": Filing, "campaign": Filing, "complaint": Complaint}
"""What `kind` may say, where the file has it; without it, the fields say it."""


class Checked(NamedTuple):
    """What is wrong with a form: faults, and those that an exemption waives which the form claims.

    `owed`: what an emergency must state once it was sent. `note`: what nobody can know yet.
    """

    faults: tuple[Fault, ...]
    waivable: tuple[Fault, ...] = ()
    owed: tuple[Fault, ...] = ()
    note: str | None = None


def check(stated: Fields, terms: Terms, now: int) -> Checked:
    """Everything that the control plane would ask for, if this were filed at `now` (milliseconds).

    Raises `CommandError` where it is neither a filing nor a complaint.
    """
    kind = _kind(stated)
    stated = {name: value for name, value in stated.items() if name != "kind"}
    found_by_the_api = {"owner": None, "sender_problem": None}
    made: dict[str, object] = {kind.__struct_fields__[0]: "check", "time": now, "actor": None, **found_by_the_api}
    reading = FormContext(terms.numbering, now)
    stated = {name: value for name, value in stated.items() if name not in made}
    record, wrong = _read(stated, kind, made, reading)
    asked = _fields(wrong)
    lacking = fitness.missing(record) if isinstance(record, Filing) else complaint.missing(record)
    missing = request_parsing.missing(tuple(name for name in lacking if asked.isdisjoint(name.split(" or "))), kind)
    if isinstance(record, Complaint):
        return Checked((*wrong, *missing))
    found = fitness.faults(record, now, terms)
    if record.emergency:
        first = fitness.missing_in_emergency(record)
        holds = tuple(one for one in missing if one.field in first)
        owed = tuple(one for one in missing if one.field not in first)
        return Checked((*wrong, *holds, *(Fault(one.field, one.what, "") for one in found)), owed=owed)
    kept = fitness.waived(record, found)
    waivable = tuple(Fault(one.field, one.what, "") for one in found if one not in kept)
    faults = (*wrong, *missing, *(Fault(one.field, one.what, "") for one in kept))
    return Checked(faults, waivable, note=fitness.uncertain_lead(record, now, terms))


def _read(
    stated: Fields, kind: type[Filing | Complaint], made: dict[str, object], reading: FormContext
) -> tuple[Filing | Complaint, tuple[Fault, ...]]:
    """The form as far as it can be read, and what is wrong with the rest."""
    wrong: tuple[Fault, ...] = ()
    while True:
        try:
            return request_parsing.record(stated, kind, made=made, reading=reading), wrong
        except Problem as problem:  # its faults are so many at most
            wrong += problem.refusal.faults
        known = set(request_parsing.names(kind)) - _fields(wrong)
        usable = {name: value for name, value in stated.items() if name in known}
        # Where no field is at fault the whole is: nothing of it can be read.
        stated = usable if len(usable) < len(stated) else {}


def _fields(wrong: Sequence[Fault]) -> set[str]:
    """The fields that faults are in: `regions` for `regions[0]`."""
    return {re.split(r"[.\[]", fault.field, maxsplit=1)[0] for fault in wrong}


def _kind(stated: Fields) -> type[Filing | Complaint]:
    if "kind" in stated:
        kind = KINDS.get(str(stated["kind"]))
        if kind is None:
            raise CommandError(f"kind: {stated['kind']!r} is not checked here; there are: filing, complaint")
        return kind
    fitting = {kind: len(stated.keys() & set(request_parsing.names(kind))) for kind in (Filing, Complaint)}
    if fitting[Filing] == fitting[Complaint]:
        raise CommandError('neither a filing nor a complaint by its fields; say which: "kind": "filing" or "complaint"')
    return max(fitting, key=fitting.__getitem__)


def run(arguments: argparse.Namespace) -> int:
    """The command. 1 where anything is wrong or missing."""
    try:
        config = config_of(arguments)
        terms = settings.terms(config, load(config.policy.file, keys_of(config)))
        given = read_object(arguments.body, config.api.body_bytes_max)
        stated = {name: value for name, value in given.items() if value not in (None, "")}
        checked = check(stated, terms, arguments.now or now_ms())
    except (CommandError, ConfigError, PolicyError) as error:
        return failed("case check", str(error))
    if arguments.json:
        print(msgspec.json.encode(checked._asdict()).decode())
    else:
        _print(checked)
    return 1 if checked.faults else 0


def _print(checked: Checked) -> None:
    _print_all(checked.faults, "")
    _print_all(checked.waivable, " (waived, where the exemption that it claims is granted)")
    _print_all(checked.owed, " (owed once the emergency was sent)")
    if checked.note:
        print(checked.note)
    if not checked.faults:
        print("nothing is missing or wrong")


def _print_all(faults: Sequence[Fault], note: str) -> None:
    for fault in faults:
        print(f"{fault.field or 'the whole'}: {fault.reason}{'; ' if fault.mend else ''}{fault.mend}{note}")
