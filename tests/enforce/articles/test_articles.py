"""Each article's whole way, as a compliance officer would try it: real processes on a genuine broker, and a clock that
is moved. All stories are told at once, on one set of processes; what each shows stands in its own function.
"""

from collections.abc import Callable, Coroutine, Mapping
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Final

import pytest

from tests.enforce.articles import campaigns, complaints, measures, new_year
from tests.enforce.articles.stage import SENDERS, USERS, Stage, stage
from tests.filter.harness import Broker

pytestmark = pytest.mark.kafka

STORIES: Final[list[Callable[[Stage], Coroutine[None, None, None]]]] = [
    story
    for module in (campaigns, complaints, measures)
    for name, story in vars(module).items()
    if iscoroutinefunction(story) and story.__module__ == module.__name__ and not name.startswith("_")
]
"""All that these modules tell."""


def _contacts(web: str) -> Mapping[str, str]:
    """Senders and offices by webhook, bodies and users by mail; one user and the appeals body have no address."""
    offices = {f"office|{office}": web for office in ("regulator", "state-organs", "complaint-centre", "company")}
    senders = {f"sender|{sender}": web for sender in SENDERS}
    users = {f"subscriber|{user}": f"mailto:user{place}@mail.example" for place, user in enumerate(USERS)}
    del users[f"subscriber|{USERS[3]}"]
    return {**senders, **users, **offices, "campaign|*": "mailto:bodies@mail.example"}


async def test_every_article_goes_its_way_on_a_genuine_broker(broker: Broker, tmp_path: Path) -> None:
    async with stage(broker, tmp_path, _contacts) as on:
        await on.clock.run(*(story(on) for story in STORIES))
        await new_year.a_term_over_new_years_day_2027_leaves_it_out_and_is_reckoned_anew_once_the_year_is_announced(on)
