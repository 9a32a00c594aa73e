"""A notice or report as a mail: in Chinese, the same in English for who reads that, and the record itself attached.

Pure. A notice is the letter that `stream.letters` makes of it, and states all that Article 22 requires: which measure,
for what reason, on what evidence, from when, and where to appeal. The same record and templates always make the same
mail under the same Message-ID (RFC 5322), by which a repeat is recognised.
"""

import hashlib
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from typing import Final
from urllib.parse import quote

from stream.letters import Templates, written
from stream.letters.wording import one_line
from stream.model.codec import encode
from stream.model.control import Figure, Letter, Notice, NoticeSubject, Report, letter_id
from stream.model.fields import Measure
from stream.model.times import HOUR_MS

_SUBJECTS: Final[dict[NoticeSubject, str]] = {
    "measure": "处置措施告知 / Notice of a measure",
    "measure-ended": "处置措施终止 / A measure has ended",
    "missing": "请补充材料 / Please supply what is missing",
    "answer": "投诉答复 / Answer to your complaint",
    "decision": "决定告知 / Notice of a decision",
    "listing": "不良名单告知 / Notice of a listing",
}
_REPORT: Final = "报告 / Report"
_MEASURES: Final[dict[Measure, str]] = {
    "suspend": "suspension of all traffic",
    "stop": "stop of commercial traffic",
    "limit": "no new communication resources",
}


def mail_of(letter: Letter, templates: Templates, *, to: str, sender: str) -> bytes:
    """The mail of a notice or report, from `sender` to the mailbox `to`, in seven bits for any server."""
    message = EmailMessage()
    name = letter_id(letter)
    subject = _SUBJECTS[letter.subject] if isinstance(letter, Notice) else _REPORT
    message["Message-ID"] = message_id(name, sender)
    message["Date"] = formatdate(letter.time / 1000)  # when it was made: attempts have records of their own
    message["From"] = sender
    message["To"] = to
    message["Subject"] = f"{subject} [{one_line(letter.case)}]"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers to these
    if isinstance(letter, Notice):
        text = f"{written(letter, templates)}\n----\n{_lines(_of_notice(letter))}"
    else:
        text = f"{subject}\n\n{_lines(_of_report(letter))}"
    message.set_content(text, cte="base64")
    kind = str(letter.__struct_config__.tag)
    message.add_attachment(
        encode(letter), maintype="application", subtype="json", filename=f"{kind}.json", disposition="attachment"
    )
    message.set_boundary(f"{kind}-{hashlib.sha256(name.encode()).hexdigest()[:32]}")  # else a random one
    return message.as_bytes(policy=SMTP)


def message_id(name: str, sender: str) -> str:
    """The Message-ID: the letter's id, escaped where a mail could not carry it, at the sender's domain."""
    return f"<{quote(name, safe='')}@{sender.rpartition('@')[2]}>"


_Stated = list[tuple[str, str | None]]


def _lines(stated: _Stated) -> str:
    return "".join(f"{label}: {one_line(value)}\n" for label, value in stated if value)


def _of_report(report: Report) -> _Stated:
    return [
        ("报告编号 / report", report.report),
        ("案件编号 / case", report.case),
        ("事项 / about", report.about),
        ("依据 / basis", report.basis),
        ("证据 / evidence", ", ".join(report.evidence) or None),
    ]


def _of_notice(notice: Notice) -> _Stated:
    return [
        ("notice", notice.notice),
        ("case", notice.case),
        ("outcome", notice.outcome),
        ("reason", notice.reason),
        ("basis", notice.basis),
        ("measure", _MEASURES[notice.measure] if notice.measure else None),
        ("in force", _in_force(notice)),
        ("missing", ", ".join(notice.missing) or None),
        ("figures", "; ".join(_figure(figure) for figure in notice.figures) or None),
        ("evidence", ", ".join(notice.evidence) or None),
        ("appeals to", notice.appeal),
    ]


def _in_force(notice: Notice) -> str | None:
    if notice.subject != "measure":
        return None
    return f"{notice.grace_ms / HOUR_MS:g} hours after this notice" if notice.grace_ms else "at once"


def _figure(figure: Figure) -> str:
    limit = "" if figure.limit is None else f" (limit {figure.limit:g})"
    return f"{figure.name} {figure.value:g}{limit}"
