"""The last words of the demonstration: what was decided, one subscriber's opt-out, three decisions, where to
look next.
"""

from functools import partial
from typing import Final

from rich.console import Console
from rich.text import Text

from stream.demo import view
from stream.demo.stage import LATENCY, Stage
from stream.model.registry import Expression
from stream.policy.facts import World
from stream.policy.loading import load as load_policy
from stream.registry.registry import registry_of
from stream.testbed.decision_line import decision_line
from stream.testbed.sample import WATCHED_SENDER, Sample

SHOWN_REASONS: Final = ("prohibited_content", "suspended")
"""Two decisions on the opening that are explained; the third is the subscriber's."""

NEXT: Final = (
    ("the rules", "stream/policy/rules.py", "the table that decides, row by row"),
    ("no broker", "wurao decide EVENTS --registry FILE", "the same decisions on files"),
    ("stay", "wurao demo --keep", "broker and filter stay, to be tried by hand"),
    ("your cluster", "wurao filter --help", "with WURAO_KAFKA__BOOTSTRAP or a configuration file"),
    ("speed", "python -m loadtest bench", "measured beside other programs on the same broker"),
)


def show(console: Console, stage: Stage, sample: Sample) -> bool:
    """Print it. Returns whether everything went as it must."""
    say = partial(view.say, console)

    def prose(text: str) -> None:
        console.print(text, highlight=False, markup=False)

    frame, tally = stage.frame(), stage.tally
    say("")
    console.print(view.summary(frame))
    say("")
    prose(
        f"{tally.decided:,} events decided of {stage.feed.sent:,} sent: allow {frame.share('allow'):.1%}, "
        f"block {frame.share('block'):.1%}, suspend {frame.share('suspend'):.1%}."
    )
    prose(
        f"From an event's record to its decision's, the first ones included, while the broker's Java still compiles: "
        f"p50 {tally.whole_ms(0.5)} ms, p99 {tally.whole_ms(0.99)} ms, p99.9 {tally.whole_ms(0.999)} ms{_cost(stage)}."
    )
    if stage.feed.let_go:
        prose(f"This machine was away for a while: {stage.feed.let_go:,} events that were due then were not sent.")
    problems = _problems(stage)
    say("")
    prose(_story(stage))
    say("")
    for text in _describe(stage, sample):
        say(text, hanging=4)
        say("")
    width = max(len(command) for _, command, _ in NEXT)
    for what, command, why in NEXT:
        say(f"{what:<13} {command:<{width}}  {why}", hanging=14)
    for problem in problems:
        say("")
        say(f"NOT AS IT MUST BE: {problem}")
    return not problems


def _cost(stage: Stage) -> str:
    """What a decision cost the workers: the batch function alone, as they measure it."""
    spent = sum(scrape.total("wurao_batch_decide_seconds_total") for scrape in stage.scrapes.values())
    decided = sum(scrape.total(f"{LATENCY}_count") for scrape in stage.scrapes.values())
    return f"; decode, decide and encode took {1e6 * spent / decided:.1f} µs of processor time each" if decided else ""


def _problems(stage: Stage) -> list[str]:
    story, tally = stage.story, stage.tally
    found: list[str] = []
    if tally.decided < stage.feed.sent:
        found.append(f"{stage.feed.sent - tally.decided:,} events had no decision in time")
    if story.welcome is None or story.welcome.verdict != "allow":
        found.append("the message that the subscriber had consented to was not allowed")
    if story.in_force_ms is None:
        found.append("no message was blocked after the subscriber's reply")
    if story.allowed_afterwards_count:
        found.append(f"{story.allowed_afterwards_count} messages got through after one had been blocked")
    return found


def _story(stage: Stage) -> str:
    story = stage.story
    if story.in_force_ms is None:
        return ""
    return (
        "One subscriber's opt-out: consented to a bank's offers, got one, replied TD. The first message to be blocked "
        f"was sent {story.in_force_ms:.0f} ms after the reply (both on this machine's clock; what was sent before it "
        f"went {story.coarse_ms:.0f} ms earlier, and the figure is as coarse as that). Of those sent after the reply "
        f"{story.allowed_count} got through before it, "
        f"{story.blocked_count} were blocked, and {story.allowed_afterwards_count} got through after it."
    )


def _describe(stage: Stage, sample: Sample) -> list[Text]:
    """Three decisions in words, each explained from the registry as it stood for that event's recipient."""
    chosen = [
        (stage.opening[answer.event], answer)
        for reason in SHOWN_REASONS
        for answer in stage.answers.values()
        if answer.reason == reason
    ][: len(SHOWN_REASONS)]
    policy = load_policy(stage.config.policy.file)
    everybody = World(policy, registry_of(sample.records()))
    shown = [view.decision_text(decision_line(event, decision, everybody)) for event, decision in chosen]
    blocked, reply = stage.story.first_blocked, stage.reply
    if blocked is not None and blocked.decision is not None and reply is not None:
        left = Expression(
            subscriber=reply.from_,
            channel="sms",
            will="refuse",
            time=reply.time,
            source="reply",
            sender=WATCHED_SENDER,
        )
        one = World(policy, registry_of([*sample.records(), *sample.expressions_of(sample.watched), left]))
        shown.insert(0, view.decision_text(decision_line(stage.watched[blocked.decision.event], blocked.decision, one)))
    return shown
