"""Events a second of one filter worker beside all peers: same broker, same events, same run, by turns.

Every program reads all waiting events in a new group and puts its answers into a topic of its own. Within a turn they
follow each other, so that a slow moment of a shared machine does not hit one alone. The filter is the first of each
turn: the snapshot that it makes is the registry that the peers decide from.
"""

from collections.abc import AsyncIterator
from typing import Final

from loadtest import programs
from loadtest.cluster import LoadtestError
from loadtest.environment import Rig, note
from loadtest.figures import Row, Taken, ratio
from loadtest.options import RunOptions
from loadtest.peers import PEERS
from loadtest.programs import FILTER, CannotRun, PeerProgram
from loadtest.stage import set_stage
from loadtest.watching import follow, watch
from stream.model.topics import DECISIONS, EVENTS_SMS

_STORED: Final = {EVENTS_SMS: "stored_event_bytes", DECISIONS: "stored_decision_bytes"}


async def run(rig: Rig, options: RunOptions) -> AsyncIterator[Taken]:
    """A turn of all programs at a time."""
    names = programs.chosen(options.peers)
    targets = [programs.topic_of(name) for name in names if name in PEERS]
    stage = await set_stage(rig, options, extra=targets)
    event_bytes = await rig.write_events(stage.registry, count=options.events_count)
    notes = {name: f"{name}: {PEERS[name].what} ({PEERS[name].tuning})." for name in names if name in PEERS}
    out: dict[str, str] = {}
    for turn in range(1, options.repeat + 1):
        rows: dict[str, Row] = {}
        for name in names:
            if name in out:
                continue
            before = rig.ground.stored_bytes(DECISIONS)
            try:
                rows[name] = await _measure(rig, name, events_count=options.events_count)
            except CannotRun as problem:
                if name in options.peers or name == FILTER:
                    raise LoadtestError(str(problem)) from problem
                out[name] = f"left out: {problem}"
                note(out[name])
                continue
            if name not in PEERS:  # those have topics of their own
                rows[name] |= _stored(rig, DECISIONS, since=before, count=options.events_count)
            note(
                f"turn {turn}: {name:<16}{rows[name]['events_per_cpu_s']:12,.0f} per CPU-second"
                f"{rows[name]['events_per_s']:12,.0f} per second"
            )
        for name, row in rows.items():
            found = ratio(rows, FILTER, name, "events_per_cpu_s")
            if found is not None and name != FILTER:
                row["filter_ratio"] = found
            row["event_bytes"] = event_bytes
        rows[FILTER]["decision_bytes"] = await rig.mean_bytes(DECISIONS)
        rows[FILTER] |= _stored(rig, EVENTS_SMS, since=0, count=options.events_count)
        general = [text for name, text in notes.items() if name not in out]
        yield Taken(rows=rows, notes=(*general, *out.values()))


async def _measure(rig: Rig, name: str, *, events_count: int) -> Row:
    if name in PEERS:
        return await follow(rig, PeerProgram(PEERS[name], rig, stop_at=events_count), events_count=events_count)
    return await watch(rig, programs.filter_program(name, rig), events_count=events_count)


def _stored(rig: Rig, topic: str, *, since: int | None, count: int) -> Row:
    """What each of `count` records, written since a topic took so many bytes, takes on the broker's disk.

    Nothing where that cannot be seen.
    """
    now = rig.ground.stored_bytes(topic)
    if now is None or since is None:
        return {}
    return {_STORED[topic]: (now - since) / count}
