"""What a desk needs to work with cases, over HTTP: one API for all of it, whose topics take a second to create."""

import pytest

from stream.config import Config
from tests.enforce.api.harness import COMPLAINT, Json, running_api

pytestmark = pytest.mark.kafka


async def test_a_case_is_noted_on_handed_over_and_goes_its_way_all_the_same(config: Config) -> None:
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
        assert (shown["line"]["step"], shown["possible"]) == (2, ["verified"])  # type: ignore[index]
        assert (await client.show(case, by="agent"))["body"]["work"] is None  # type: ignore[index]
        assert (await client.show(case, by="centre"))["line"]["assigned"] == {}  # type: ignore[index]

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
