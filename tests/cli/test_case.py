"""`wurao case` as a person runs it, against the API over HTTP."""

import argparse
import asyncio
import hashlib
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson
import pytest

from stream.cli import case, case_check
from stream.cli.case import COMPLETED, RESOURCES, asked_of
from stream.cli.main import main
from stream.enforce.api.operations import ERASURE, READINGS, WRITINGS
from stream.enforce.api.permissions import WORK
from stream.enforce.api.search import CaseQuery
from stream.model import topics
from stream.model.codec import encode
from stream.model.control import Listing, Party
from stream.model.fields import TIME_MAX
from stream.testbed.processes import environment_with, wurao_command
from tests.enforce.api.harness import ApiClient, config_for, running_api, token_of
from tests.enforce.procedures.world import DAY, TERMS, at
from tests.filter.harness import Broker, write

LISTINGS = (
    Listing("B-L-1", Party(sender="ORG-9"), from_=1, until=TIME_MAX, punishment="1", document="2026-78"),
    Listing("B-L-2", Party(number="+8613800138000"), from_=1, until=2, punishment="2", document="2020-1"),
)


class Said:
    """What a command printed, and how it ended."""

    def __init__(self, code: int, out: bytes, err: bytes) -> None:
        self.code, self.out, self.err = code, out.decode(), err.decode()


async def run(client: ApiClient, *words: str, by: str = "desk", stdin: bytes = b"") -> Said:
    variables = environment_with({"WURAO_API__URL": client.address, "WURAO_API__TOKEN": token_of(by)})
    process = await asyncio.create_subprocess_exec(
        *wurao_command("case", *words),
        env=variables,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(stdin)
    assert process.returncode is not None
    return Said(process.returncode, out, err)


@pytest.mark.kafka
async def test_a_complaint_is_filed_listed_shown_and_decided(broker: Broker, tmp_path: Path) -> None:
    async with running_api(config_for(broker, tmp_path), registrar=True) as client:
        body = tmp_path / "complaint.json"
        body.write_text('{"channel": "sms", "from": "1069012345", "sender": "ORG-9"}', encoding="utf-8")
        stated = ("--set", "subscriber=+8613800138000", "--set", "text=1069", "--set", "at:=1795400000000")
        filed = await run(client, "file", "complaint", str(body), *stated, "--key", "form-1", "--json")
        assert (filed.code, filed.err) == (0, "")
        case = orjson.loads(filed.out)["case"]
        await client.show(case, state="received")

        await write(client.config, [(topics.LISTINGS, 0, one.listing.encode(), encode(one)) for one in LISTINGS])
        listed, searched, of_party, shown, refused, register, of_one = await asyncio.gather(
            run(client, "list", "--procedure", "complaint"),
            run(client, "list", "--subscriber", "-", "--since", "2026-01-01", stdin=b"138 0013 8000\n"),
            run(client, "list", "--party", "-", stdin=b"sender|ORG-9\n"),
            run(client, "show", case),
            run(client, "decide", case, "verified", "--set", "result=confirmed", "--set", "detail=done"),
            run(client, "listings"),
            run(client, "listings", "--ended", "--party", "-", "--json", stdin=b"number|138 0013 8000\n"),
        )
        masked = await client.get("/v1/listings", by="read-only", ended="true")
        assert [line.split()[-2:] for line in register.out.splitlines()[1:]] == [["2026-78", "ORG-9"]]
        assert [one["listing"] for one in orjson.loads(of_one.out)["listings"]] == ["B-L-2"]
        assert "+8613800138000" not in orjson.dumps(masked.body).decode()
        assert len(masked.body["listings"]) == 2  # type: ignore[arg-type]
        (_, line) = listed.out.splitlines()
        month = datetime.now(ZoneInfo("Asia/Shanghai")).strftime("%Y-%m")
        assert case in line
        assert of_party.out == searched.out == listed.out
        assert "received" in line
        assert "forward" in line
        assert "you may: forwarded\n" in shown.out
        assert '"text": "1069"' in shown.out, "what is set as text stays text"
        assert refused.code == 1
        assert "wrong-state" in refused.err
        assert "you may: forwarded\n" in refused.err

        note = "the user rang\nagain: 138 0013 8000"
        for done in await asyncio.gather(
            run(client, "note", case, "-", stdin=note.encode()),
            run(client, "attach", case, str(body), "--reference", "shelf 12"),
            run(client, "assign", case, "desk:18", "--reason", "on leave"),
        ):
            assert (done.code, done.err) == (0, "")
        decided, nobody, incomplete, counted, untold = await asyncio.gather(
            run(client, "decide", case, "forwarded", "--set", "to=ORG-9", "--set", "document=12321/9"),
            run(client, "list", by="nobody"),
            run(client, "file", "complaint", "-", stdin=b'{"colour": "red", "at": "today"}'),
            run(client, "statistics", month, "--csv"),
            run(client, "letter", case),
        )
        assert decided.code == 0
        assert "not-found: this case has told nobody" in untold.err
        assert f"{month},received,complaint,commercial,sms,,1\n" in counted.out
        assert f"{month} is not whole" in counted.err
        await client.show(case, state="forwarded")
        assert nobody.err.startswith("wurao case: unauthorised: ")
        assert "colour: there is no such field" in incomplete.err
        assert "at: Expected `int`, got `str`; state milliseconds since the epoch, UTC" in incomplete.err

        verified = ("--set", "result=confirmed", "--set", "detail=so")
        proposed = await run(client, "decide", case, "verified", *verified)
        assert "it is done once another person sends the same act" in proposed.err
        await client.show(case, step=3)
        told = (await run(client, "show", case)).out
        assert "desk:17 proposed `verified`" in told
        assert "desk:18 of desk has it" in told
        assert f"desk:17 noted: {note}" in told
        digest = hashlib.sha256(body.read_bytes()).hexdigest()
        assert f"attached complaint.json: {body.stat().st_size} bytes, sha256 {digest}, shelf 12" in told
        late = await run(client, "decide", case, "verified", *verified, "--step", "2", by="other-desk")
        assert (late.code, "it is forwarded, at step 3; read it again" in late.err) == (1, True)
        assert (await run(client, "decide", case, "verified", *verified, "--step", "3", by="other-desk")).code == 0
        await client.show(case, state="confirmed")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("show", "../healthz"), "is no case id"),
        (("file", "order", "--set", "measure"), "NAME=TEXT"),
        (("file", "order", "--set", "until:=soon"), "after := comes JSON"),
        (("file", "order", "missing.json"), "missing.json"),
        (("file", "order", "--case", "M-1"), "--case completes"),
        (("list", "--due-before", "soon"), "--due-before: "),
        (("list", "--since", "soon"), "write a date"),
        (("attach", "C-1", "missing.pdf"), "missing.pdf: No such file"),
        (("list", "--due-before", "1795500000"), "looks like seconds: write milliseconds since the epoch"),
        (("list", "--due-before", "9" * 5_000), "is no milliseconds since the epoch"),
        (("list",), "no answer from http://127.0.0.1:1"),
    ],
)
def test_what_a_person_can_mend_is_told_in_a_line(
    words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WURAO_API__URL", "http://127.0.0.1:1")
    monkeypatch.setenv("WURAO_API__TOKEN", "token")
    assert main(["case", *words]) == 1
    said = capsys.readouterr().err
    assert said.startswith("wurao case: ")
    assert says in said
    assert len(said.splitlines()) == 1


def test_without_a_token_the_setting_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WURAO_API__TOKEN", raising=False)
    assert main(["case", "list"]) == 1
    assert "WURAO_API__TOKEN" in capsys.readouterr().err


COMMANDS = {
    "list-cases": "case list",
    "show-case": "case show",
    "show-letter": "case letter",
    "list-listings": "case listings",
    "count-month": "case statistics",
    "show-subscriber": "will show",
    "show-owner": "registry owner",
    "show-sender": "registry sender",
    "export-subscriber": "subscriber export",
    "erase-subscriber": "subscriber erase",
    "noted": "case note",
    "attached": "case attach",
    "assigned": "case assign",
    "decide": "case decide",
}
"""Operations of the API and acts that have verbs of their own; the rest is filed (`RESOURCES`)."""


def test_every_read_and_act_of_the_api_has_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    filed = {writing.path.split("/")[2] for writing in WRITINGS if writing.body is not None}
    assert filed == set(RESOURCES.values())
    completed = {writing.path.split("/")[2] for writing in WRITINGS if writing.body and "{case}" in writing.path}
    assert completed == {RESOURCES[what] for what in COMPLETED}
    others = {writing.name for writing in WRITINGS if writing.body is None}
    names = {*(reading.name for reading in READINGS), ERASURE.name, *(act.name for act in WORK), *others}
    assert names == COMMANDS.keys()
    for words in COMMANDS.values():
        assert main([*words.split(), "--help"]) == 0
        assert capsys.readouterr().out.startswith(f"usage: wurao {words} ")


def test_a_list_is_asked_by_every_parameter_of_the_api() -> None:
    parser = argparse.ArgumentParser()
    case.add(parser.add_subparsers())
    assert asked_of(parser.parse_args(["case", "list"])).keys() == set(CaseQuery.__struct_fields__)
    asked = asked_of(parser.parse_args(["case", "list", "--no-breached", "--mine", "--since", "2026-10-01"]))
    assert (asked["breached"], asked["mine"], asked["received_from"]) == ("false", "true", "1790784000000")


FILING: dict[str, object] = {
    "sender": "GOV-110000-HEALTH",
    "body": "北京市卫生健康委",
    "body_region": "110000",
    "level": "province",
    "subject": "public-good",
    "reason": "the season's influenza",
    "text": "【北京市卫生健康委】请接种流感疫苗,咨询12320",
    "contact": "12320",
    "from": 1797000000000,
    "until": 1797080000000,
    "volume": 1_000_000,
}


@pytest.mark.parametrize(
    ("form", "code", "lines"),
    [
        (FILING, 0, ["nothing is missing or wrong"]),
        (
            {
                **FILING,
                "kind": "filing",
                "text": f"{FILING['text']}" + "登录abc.cn查询" + "字" * 40,
                "volume": "x",
                "colour": 1,
            },
            1,
            [
                "colour: there is no such field; ",
                "volume: Expected `int`",
                "text: 75 characters of 70",
                "text: link abc.cn",
            ],
        ),
        (
            {**FILING, "text": f"{FILING['text']}" + " abc.cn", "exempt": "a notice"},
            0,
            [
                "text: link abc.cn (waived, where the exemption that it claims is granted)",
                "nothing is missing or wrong",
            ],
        ),
        (
            {
                **{name: value for name, value in FILING.items() if name != "reason"},
                "emergency": True,
                "from": 1794000000000,
                "until": 1794000000000 + 73 * 3_600_000,
                "text": f"{FILING['text']} abc.cn",
            },
            1,
            [
                "incident: missing: the case waits for it; state `incident`: one of accident-disaster, ",
                "until: 2026-11-09T22:20:00Z is more than 72 hours ahead: ",
                "text: link abc.cn",
                "reason: missing: the case waits for it; state `reason`: a text (owed once the emergency was sent)",
            ],
        ),
        (
            {"channel": "sms", "subscriber": "010-87654326-12", "from": "1069012345", "at": 1793500000000},
            1,
            ["subscriber: not a person's number", "text or evidence: missing"],
        ),
        ({"kind": "complaint", **{f"f{count}": 1 for count in range(50)}}, 1, ["f0: there is no such field"]),
        ({**FILING, "regions": ["x", 1]}, 1, ["regions[1]: Expected `str`"]),
        (
            {**FILING, "contact": "1" * 5_000, "regions": [{}]},
            1,
            ["contact: 5,000 characters", "regions[0]: Expected `str`"],
        ),
        ({"channel": "sms"}, 1, ["subscriber: missing"]),
        ({"reason": "x"}, 1, ["sender: missing"]),
        ({name: value for name, value in FILING.items() if name != "contact"}, 1, ["contact: missing"]),
        ({"kind": "filing", "text": "x" * 262_144}, 1, []),
        ({"kind": "dispute"}, 1, []),
        ([], 1, []),
    ],
)
def test_check_says_offline_what_a_form_lacks_a_line_for_each(
    form: object, code: int, lines: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "form.json"
    file.write_bytes(orjson.dumps(form))
    assert main(["case", "check", str(file), "--now", "1794000000000"]) == code
    out, err = capsys.readouterr()
    printed = out.splitlines()
    assert bool(err) == (not lines)
    assert all(line.startswith(wanted) for line, wanted in zip(printed, lines, strict=False)), printed
    assert len(printed) >= len(lines)


def test_check_says_of_a_filing_that_its_days_ahead_reach_into_a_year_that_nobody_announced() -> None:
    december = at("2026-12-21 10:00")
    filing = {**FILING, "from": december + 60 * DAY, "until": december + 61 * DAY}
    checked = case_check.check(filing, TERMS, december)
    assert checked.faults == ()
    assert "make-up days are not announced" in (checked.note or "")
    assert case_check.check(FILING, TERMS, 1794000000000).note is None
