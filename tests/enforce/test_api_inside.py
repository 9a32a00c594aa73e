"""The API as it runs with the control plane: inside `wurao enforce`, a real process that is killed in between."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from stream.model import topics
from stream.testbed.processes import free_ports
from tests.enforce.api.harness import COMPLAINT, ApiClient, config_for, token_of
from tests.enforce.harness import EnforceProcess
from tests.filter.harness import Broker
from tests.patience import LONG_S
from tests.registrar.harness import RegistrarProcess

pytestmark = pytest.mark.kafka

WHOLE_DAY_MS = 86_400_000


@pytest.fixture
def registrar(broker: Broker, tmp_path: Path) -> Iterator[None]:
    """A refusal that a complaint brings is asked of it."""
    with RegistrarProcess(broker, tmp_path) as process:
        process.wait_ready()
        yield


@asynccontextmanager
async def enforce(broker: Broker, directory: Path) -> AsyncIterator[tuple[EnforceProcess, ApiClient]]:
    """`wurao enforce` with its API, both ready."""
    port = free_ports(1)
    config = config_for(broker, directory)
    settings = {
        "WURAO_ENFORCE__INSTANCE": "one",  # it rejoins at once, as a pod of a stateful set does
        "WURAO_API__TOKENS_FILE": str(config.api.tokens_file),
        "WURAO_API__PORT": str(port),
    }
    with EnforceProcess(broker, directory, **settings) as process:
        async with aiohttp.ClientSession() as session:
            await asyncio.to_thread(process.wait_ready)
            client = ApiClient(f"http://127.0.0.1:{port}", session, config)
            async with asyncio.timeout(LONG_S):
                while (await client.get("/v1/cases")).status == 503:  # noqa: ASYNC110  # nothing tells when it is read
                    await asyncio.sleep(0.05)
            yield process, client


@pytest.mark.usefixtures("registrar")
async def test_what_was_filed_and_done_over_http_is_there_after_a_crash_and_said_once(
    broker: Broker, tmp_path: Path
) -> None:
    now = time.time_ns() // 1_000_000
    async with enforce(broker, tmp_path) as (process, client):
        filed = await client.post("/v1/complaints", COMPLAINT, by="agent", key="form-17")
        lacking = await client.post("/v1/complaints", {"subscriber": COMPLAINT["subscriber"]}, by="agent")
        assert (filed.status, lacking.status) == (202, 202)
        wrong = await client.post("/v1/complaints", {**COMPLAINT, "subscriber": "10086"}, by="agent")
        assert (wrong.status, list(wrong.faults())) == (400, ["subscriber"])
        await client.show(filed.case, state="received")
        await client.show(lacking.case, state="incomplete")
        assert (await client.act(filed.case, "forwarded", by="centre", to="ORG-9")).status == 202
        await client.show(filed.case, by="agent", state="forwarded")
        last = await client.decide(filed.case, "verified", result="confirmed", detail="it was so")
        assert last.status == 202
        process.kill()  # with the last act acknowledged, and perhaps not yet done

    async with enforce(broker, tmp_path) as (process, client):
        shown = await client.show(filed.case, by="agent", state="confirmed")
        assert shown["body"]["complaint"]["actor"] == "agent:5"  # type: ignore[index]
        (due,) = (one for one in shown["line"]["due"] if one["clock"] == "report")  # type: ignore[index]
        assert due["due"] > now + 15 * WHOLE_DAY_MS, "the clock runs on from when it was forwarded"
        page = (await client.get("/v1/cases", by="agent")).body["cases"]
        assert {line["case"] for line in page} == {filed.case, lacking.case}  # type: ignore[attr-defined]

        # Whoever had no answer asks again: the same case, and nothing said twice.
        again = await client.post("/v1/complaints", COMPLAINT, by="agent", key="form-17")
        assert again.case == filed.case
        assert (await client.act(filed.case, "acted-upon", detail="stopped")).status == 202
        await client.show(filed.case, state="acted")
        (notice,) = [record for record in await client.records(topics.NOTICES) if lacking.case.encode() in record.value]
        assert notice.value
        assert await client.records(topics.DEAD_LETTER) == []
        log = process.log
        assert await asyncio.to_thread(process.terminate) == 0
    assert "13800138000" not in log
    assert token_of("desk") not in log
