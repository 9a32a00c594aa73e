"""What the verbs of `wurao case` and `wurao subscriber` share: one conversation with the API, and how its answers are
shown.
"""

import argparse
import re
import sys
from collections.abc import Callable, Coroutine
from typing import Final

import aiohttp
import msgspec

from stream.cli.common import CommandError, config_of, failed, run_guarded
from stream.config import Config, ConfigError, secret
from stream.enforce.api.preconditions import IF_MATCH, tag_of
from stream.enforce.api.responses import Accepted, Fault, Refusal
from stream.model.times import in_shanghai

ANSWER_S_MAX: Final = 30.0
_CASE: Final = re.compile(r"[A-Za-z0-9._~-]{1,128}")


class Client:
    """One conversation with the API."""

    def __init__(self, config: Config) -> None:
        token = secret(config.api.token, config.api.token_file)
        if not token:
            raise ConfigError("api.token: needed; set WURAO_API__TOKEN, or api.token_file")
        self._url = config.api.url.rstrip("/")
        self.body_bytes_max = config.api.body_bytes_max
        self._headers = {"Authorization": f"Bearer {token}"}

    async def ask(
        self,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: object = None,
        key: str | None = None,
        step: int | None = None,
    ) -> bytes:
        """The answer's body. Raises `CommandError` with the API's own refusal, or where it is not reached.

        `step`: of the case as it was shown, which it must still have.
        """
        headers = {**self._headers, **({"Idempotency-Key": key} if key else {})}
        headers |= {IF_MATCH: tag_of(step)} if step is not None else {}
        method = "GET" if body is None else "POST"
        data = None if body is None else msgspec.json.encode(body)
        timeout = aiohttp.ClientTimeout(total=ANSWER_S_MAX)
        try:
            async with (
                aiohttp.ClientSession(headers=headers, timeout=timeout) as session,
                session.request(method, f"{self._url}{path}", params=query, data=data, allow_redirects=False) as answer,
            ):
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise CommandError(
                f"no answer from {self._url}: {str(error) or type(error).__name__}; check that the API runs there, "
                "and api.url (WURAO_API__URL)"
            ) from error
        if not 200 <= answer.status < 300:
            raise CommandError(_refused(answer.status, body))
        return body


Work = Callable[[Client, argparse.Namespace], Coroutine[object, object, int]]


def with_client(work: Work, *, command: str = "case") -> Callable[[argparse.Namespace], int]:
    """A verb's work, with what a person can mend printed in one line."""

    def run(arguments: argparse.Namespace) -> int:
        try:
            client = Client(config_of(arguments))
        except ConfigError as error:
            return failed(command, str(error))
        return run_guarded(command, work(client, arguments))

    return run


def case_id(text: str) -> str:
    """A case id that can stand in a path. Raises `CommandError`."""
    if not _CASE.fullmatch(text):
        raise CommandError(f"{text!r} is no case id; `wurao case list` shows them")
    return text


def print_answer(body: bytes, arguments: argparse.Namespace) -> int:
    """What the API answered to a write; what is still missing or wrong goes to stderr."""
    if arguments.json:
        print(body.decode())
        return 0
    accepted = msgspec.json.decode(body, type=Accepted)
    print(f"written: {accepted.id}" + (f", case {accepted.case}" if accepted.case else ""))
    for fault in (*accepted.missing, *accepted.faults):
        print(_fault(fault), file=sys.stderr)
    if accepted.note:
        print(f"  {accepted.note}", file=sys.stderr)
    return 0


def time_text(moment: int) -> str:
    """A moment (milliseconds) as it is in Shanghai, to the minute."""
    at = in_shanghai(moment)
    return at.strftime("%Y-%m-%d %H:%M") if at is not None else f"{moment} ms"


def _refused(status: int, body: bytes) -> str:
    try:
        refusal = msgspec.json.decode(body, type=Refusal)
    except msgspec.DecodeError:
        return f"HTTP {status}, and no answer of wurao's API: check api.url"
    lines = [f"{refusal.error}: {refusal.reason}", *(_fault(fault) for fault in refusal.faults)]
    if refusal.error == "wrong-state":
        lines.append(f"  you may: {', '.join(refusal.possible) or 'nothing'}")
    return "\n".join(lines)


def _fault(fault: Fault) -> str:
    return f"  {fault.field or 'the whole'}: {fault.reason}; {fault.mend}"
