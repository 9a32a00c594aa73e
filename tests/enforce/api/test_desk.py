"""What a desk needs to work with cases, over HTTP: one API for all of it, whose topics take a second to create."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from stream.config import Config
from tests.enforce.api.harness import COMPLAINT, Json, register, running_api

pytestmark = pytest.mark.kafka


async def test_a_case_is_noted_on_handed_over_and_goes_its_way_all_the_same(config: Config) -> None:
    await register(config, ORG_9="1069012345")
    async with running_api(config) as client:
        case = (await client.post("/v1/complaints", COMPLAINT)).case
        await client.show(case, state="received")
        receipt: Json = {"event": "attached", "name": "receipt.pdf", "sha256": "a" * 64, "size_bytes": 17}
        events = f"/v1/cases/{case}/events"

        assert (await client.act(case, "noted", text="rang again")).status == 202
        assert (await client.post(events, receipt)).status == 202, "no act is in its way"
        assert (await client.act(case, "assigned", to="desk:18", reason="on leave", by="other-desk")).status == 202
        assert (await client.act(case, "forwarded", to="ORG-9", by="centre")).status == 202
        shown = await client.show(case, state="forwarded")
        work = shown["body"]["work"]  # type: ignore[index]
        assert [(note["by"], note["office"], note["text"]) for note in work["notes"]] == [
            ("desk:17", "desk", "rang again")
        ]
        assert [one["sha256"] for one in work["attachments"]] == ["a" * 64]
        assert shown["line"]["assigned"] == {"desk": "desk:18"}  # type: ignore[index]
        assert (shown["line"]["step"], shown["possible"]) == (2, ["verified", "served"])  # type: ignore[index]
        assert (await client.show(case, by="agent"))["body"]["work"] is None  # type: ignore[index]
        assert (await client.show(case, by="centre"))["line"]["assigned"] == {}  # type: ignore[index]

        found: tuple[tuple[str, dict[str, str]], ...] = (
            ("other-desk", {"mine": "true"}),
            ("desk", {"assigned": "desk:18"}),
            ("desk", {"subscriber": "138 0013 8000"}),
            ("agent", {"number": "138"}),
            ("centre", {"number": "10690"}),
            ("desk", {"text": "RANG", "received_from": "1795000000000"}),
            ("regulator", {"owner_of": "1069012345"}),
        )
        for by, query in found:
            lines = (await client.get("/v1/cases", by=by, **query)).body["cases"]
            assert [line["case"] for line in lines] == [case], query  # type: ignore[attr-defined]
        for by, query in (("desk", {"mine": "true"}), ("agent", {"text": "rang"}), ("desk", {"owner_of": "95588"})):
            assert (await client.get("/v1/cases", by=by, **query)).body["cases"] == [], query
        assert (await client.get("/v1/cases", by="read-only", number="138")).status == 403

        shown_at = shown["line"]["updated"]  # type: ignore[index]
        month = datetime.fromtimestamp(shown_at / 1000, ZoneInfo("Asia/Shanghai")).strftime("%Y-%m")
        counted = (await client.get("/v1/statistics", by="regulator", month=month)).body
        of_case = {"procedure": "complaint", "channel": "sms", "region": "", "count": 1}
        assert counted["rows"] == [
            {"what": "received", "name": "commercial", **of_case},
            {"what": "clock-kept", "name": "forward", **of_case},
        ]
        assert not counted["whole"]
        assert (await client.get("/v1/statistics", by="sender", month=month)).status == 403
        for wrong in ({}, {"month": "November"}, {"month": "2026-13"}):
            assert (await client.get("/v1/statistics", **wrong)).faults().keys() == {"month"}

        bare = (await client.post("/v1/complaints", {"subscriber": "+8613800138000", "channel": "sms"})).case
        await client.show(bare, state="incomplete")
        letter = (await client.get(f"/v1/cases/{bare}/letter", by="agent")).body
        assert str(letter["text"]).startswith("补正材料告知书")
        assert "对方号码或者发送方" in str(letter["text"])
        assert "+8613800138000" in str(letter["text"])
        assert "13800138000" not in str((await client.get(f"/v1/cases/{bare}/letter", by="read-only")).body)
        for by, about in (("desk", case), ("sender", bare)):
            assert (await client.get(f"/v1/cases/{about}/letter", by=by)).status == 404

        stranger = await client.act(case, "assigned", to="centre:2")
        assert stranger.faults().keys() == {"to"}
        assert "desk:17, desk:18" in str(stranger.body["faults"])
        assert (await client.act(case, "noted", text="x" * 2_001)).faults().keys() == {"text"}
        assert (await client.post(events, {**receipt, "sha256": "a"})).faults().keys() == {"sha256"}
        assert (await client.act(case, "noted", text="mine", office="centre")).status == 400
        for by in ("agent", "read-only"):
            assert (await client.act(case, "noted", text="not mine", by=by)).status == 403
        for by in ("sender", "other-agent"):
            assert (await client.act(case, "noted", text="not mine", by=by)).status == 404, "there is none for it"
