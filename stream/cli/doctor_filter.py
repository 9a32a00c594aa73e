"""What `wurao doctor` says of the filter on this machine: whether it runs, answers, is ready and fresh. Read only.

Nobody may listen because none runs here, or because its address is another; the members of its groups tell. Who does
listen must answer: a process that is stopped or hung still has its socket, and no probe that is not read finds it.
"""

import re
import socket
from collections.abc import Sequence
from typing import Final

import aiohttp
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, GroupIdNotFound, NoError

from stream.cli.check_results import CheckResult, ok, warn, wrong
from stream.config import Config
from stream.kafka.clients import KafkaError

ANSWER_S_MAX: Final = 2.0

_STALENESS: Final = re.compile(r"^wurao_registry_staleness_seconds ([0-9.e+-]+)$", re.MULTILINE)


def groups(config: Config) -> tuple[str, str]:
    """The filter's consumer groups."""
    return f"{config.filter.group}.urgent", f"{config.filter.group}.bulk"


async def check(config: Config, admin: AIOKafkaAdminClient) -> CheckResult:
    """How the filter of this machine is, if one runs."""
    base = f"http://{config.metrics.host}:{config.metrics.port}"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S_MAX)) as session:
        try:
            ready, answer = await _get(session, f"{base}/readyz")
        except aiohttp.ClientConnectorError:
            return _nobody(base, await members_of(groups(config), admin))
        except (aiohttp.ClientError, OSError) as error:
            return _mute(base, error)
        if not ready:
            return warn("filter", f"not ready: {answer}", "see its log; `curl` the /readyz of its workers (port + N)")
        staleness: list[float] = []
        for worker in range(1, config.filter.workers + 1):
            place = f"http://{config.metrics.host}:{config.metrics.port + worker}"
            try:
                _, shown = await _get(session, f"{place}/metrics")
            except (aiohttp.ClientError, OSError) as error:
                return _mute(f"{place} (worker {worker} of filter.workers = {config.filter.workers})", error)
            staleness += [float(value) for value in _STALENESS.findall(shown)]
    fresh = f", registry {max(staleness):.1f} s old at most" if staleness else ""
    return ok("filter", f"ready at {base}{fresh}")


async def _get(session: aiohttp.ClientSession, url: str) -> tuple[bool, str]:
    async with session.get(url) as answer:
        return answer.status == 200, (await answer.text()).strip()


def _mute(place: str, error: Exception) -> CheckResult:
    why = f"not within {ANSWER_S_MAX:.0f} s" if isinstance(error, TimeoutError) else repr(error)
    return wrong(
        "filter",
        f"{place} does not answer: {why}",
        "see its log and whether its processes are alive and not stopped (`ps`), then restart it; if it is another "
        "program's, set metrics.port, and filter.workers, as the filter has them",
    )


def _nobody(base: str, members: Sequence[str] | None) -> CheckResult:
    """Nobody listens there. `members` are the hosts of the groups' members; None where nobody may ask."""
    if members is None:
        return warn(
            "filter",
            f"none answers at {base}, and its groups may not be looked at",
            "start it, or set metrics.host and metrics.port as it has them; let this user describe groups",
        )
    if not members:
        return warn(
            "filter",
            f"none answers at {base}, and its groups have no member: nothing is decided",
            "start it: `wurao filter`",
        )
    if here := sum(map(_is_ours, members)):
        return warn(
            "filter",
            f"none answers at {base}, though its groups have members on this machine: {here}",
            "set metrics.host and metrics.port as it has them, or see its log and restart it",
        )
    return ok("filter", f"none runs on this machine; members of its groups on others: {len(members)}")


async def members_of(names: Sequence[str], admin: AIOKafkaAdminClient) -> Sequence[str] | None:
    """The hosts of the members of these groups; None where nobody may ask."""
    try:
        # One at a time: aiokafka 0.14 reads the second group of an answer from the wrong byte.
        answers = [await admin.describe_consumer_groups([name]) for name in names]
    except GroupCoordinatorNotAvailableError:  # of a new cluster, in which there has never been a group
        return ()
    except KafkaError:
        return None
    hosts: list[str] = []
    for error_code, _, _, _, _, members, *_ in (group for (answer,) in answers for group in answer.groups):
        if error_code not in (NoError.errno, GroupIdNotFound.errno):
            return None
        hosts += [str(member[2]).lstrip("/") for member in members]
    return hosts


def _is_ours(host: str) -> bool:
    """Whether an address is one of this machine's: only to those can a socket be bound."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.bind((host, 0))
    except OSError:
        return False
    return True
