"""Working days over New Year's Day 2027, for which the control plane's clock stands at fixed days."""

from stream.enforce.procedures.calendar_cn import WorkingDays
from tests.enforce.api.harness import Json
from tests.enforce.articles.stage import HOUR_MS, USERS, Stage
from tests.enforce.procedures.world import at


async def a_term_over_new_years_day_2027_leaves_it_out_and_is_reckoned_anew_once_the_year_is_announced(
    on: Stage,
) -> None:
    """Articles 29 to 31, working days: 1 January is off by law; what is made up for it, nobody knows yet."""
    await on.clock.set_to(at("2026-12-31 10:00"))
    number = "1069099901"
    said: Json = {"subscriber": USERS[5], "channel": "sms", "from": number, "at": on.now - HOUR_MS, "text": "贷款"}
    filed = await on.client.post("/v1/complaints", said, by="agent")
    await on.case(filed.case, "received")
    if not WorkingDays().knows(2027):
        (forward,) = on.tail.views[filed.case].due
        assert (forward.due, forward.known) == (at("2027-01-07 00:00"), False), "4, 5 and 6 January"

    # It is announced, here as it might be: the Sunday is worked, so the term ends a day earlier.
    year = "year = 2027\nholidays = [2027-01-01]\nworkdays = [2027-01-03]\n"
    (on.directory / "calendar.toml").write_text(f"[[years]]\n{year}", encoding="utf-8")
    announced = at("2027-01-06 00:00")
    await on.tail.seen(lambda: on.due(filed.case, "forward") == announced, what=lambda: f"due {filed.case}")
    assert all(one.known for one in on.tail.views[filed.case].due)
    await on.clock.set_to(announced + 1_000)
    await on.breached(filed.case, "forward")
