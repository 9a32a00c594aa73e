"""What can go wrong in a deployment that is watched, and which alerts then fire: all of them, and no others."""

from typing import Final

from tests.deploy.promtool import Firing, Scenario, level, line

_JOBS: Final = ("filter", "registrar", "enforce", "api", "watch", "notify", "audit")

F1: Final = 'job="wurao-filter",instance="host-1:9601"'
F2: Final = 'job="wurao-filter",instance="host-1:9602"'
S1: Final = 'job="wurao-filter",instance="host-1:9600"'
R1: Final = 'job="wurao-registrar",instance="host-6:9630"'
E1: Final = 'job="wurao-enforce",instance="host-2:9650"'
P1: Final = 'job="wurao-api",instance="host-2:9660"'
W1: Final = 'job="wurao-watch",instance="host-3:9640"'
N1: Final = 'job="wurao-notify",instance="host-4:9670"'
A1: Final = 'job="wurao-audit",instance="host-5:9690"'

ALLOWED: Final = f'wurao_decisions_total{{{F1},kind="sms",verdict="allow",reason="consented"}}'
BLOCKED: Final = f'wurao_decisions_total{{{F2},kind="sms",verdict="block",reason="refused"}}'
CALLS: Final = f'wurao_decisions_total{{{F1},kind="call",verdict="allow",reason="service"}}'
IN_TIME: Final = f'wurao_decision_latency_seconds_bucket{{{F1},le="0.2"}}'
COUNTED: Final = f"wurao_decision_latency_seconds_count{{{F1}}}"


def _flat(value: float) -> str:
    return f"{value:.10g}+0xMINUTES"


def _count(per_minute: float) -> str:
    return f"0+{per_minute / 2:.10g}xMINUTES"


HEALTHY: Final = {
    **{f'up{{job="wurao-{job}",instance="some:1"}}': _flat(1) for job in _JOBS},
    ALLOWED: _count(6000),
    BLOCKED: _count(2000),
    f"{IN_TIME.removesuffix('}')}}}": _count(8000),
    COUNTED: _count(8000),
    **{f"wurao_ready{{{worker}}}": _flat(1) for worker in (F1, F2)},
    **{f"wurao_registry_staleness_seconds{{{worker}}}": _flat(0.4) for worker in (F1, F2)},
    **{f'wurao_registry_numbers{{{worker},channel="sms"}}': _flat(2_000_000) for worker in (F1, F2)},
    **{
        f'wurao_batches_total{{{worker},lane="{lane}"}}': _count(60)
        for worker in (F1, F2)
        for lane in ("urgent", "bulk")
    },
    **{
        f'wurao_consumer_lag_seconds{{{worker},lane="{lane}"}}': _flat(0.02)
        for worker in (F1, F2)
        for lane in ("urgent", "bulk")
    },
    **{f"wurao_event_loop_lag_seconds{{{worker}}}": _flat(0.003) for worker in (F1, F2)},
    **{f'wurao_policy_info{{{worker},version="cn-2020.2",hash="aa"}}': _flat(1) for worker in (F1, F2)},
    **{f'wurao_native_info{{{worker},path="native"}}': _flat(1) for worker in (F1, F2)},
    **{f"wurao_native_left_total{{{worker}}}": _count(300) for worker in (F1, F2)},
    f"wurao_native_failures_total{{{S1}}}": _flat(0),
    f"wurao_policy_refused{{{S1}}}": _flat(0),
    f"wurao_workers{{{S1}}}": _flat(2),
    f"wurao_worker_restarts_total{{{S1}}}": _flat(0),
    f"wurao_registry_bases_total{{{S1}}}": _count(1 / 360),
    f"wurao_registrar_ready{{{R1}}}": _flat(1),
    f'wurao_registrar_answer_seconds_bucket{{{R1},lane="requests",le="1.0"}}': _count(60),
    f'wurao_registrar_answer_seconds_count{{{R1},lane="requests"}}': _count(60),
    f"wurao_enforce_ready{{{E1}}}": _flat(1),
    f"wurao_enforce_overdue_seconds{{{E1}}}": _flat(0),
    f'wurao_enforce_arrivals_total{{{E1},topic="complaints",outcome="taken"}}': _count(3),
    f"wurao_enforce_step_failures_total{{{E1}}}": _flat(0),
    f"wurao_enforce_unknown_calendar_total{{{E1}}}": _flat(0),
    f'wurao_api_requests_total{{{P1},operation="fileComplaint",status="201"}}': _count(3),
    f"wurao_watch_ready{{{W1}}}": _flat(1),
    f"wurao_watch_records_total{{{W1}}}": _count(600),
    f"wurao_watch_lag_seconds{{{W1}}}": _flat(12),
    f"wurao_notify_pending{{{N1}}}": _flat(0),
    f'wurao_notify_attempts_total{{{N1},via="smtp",outcome="delivered"}}': _count(2),
    f"wurao_notify_given_up_total{{{N1}}}": _flat(0),
    f"wurao_audit_violations_total{{{A1}}}": _flat(0),
    f'wurao_audit_decisions_total{{{A1},outcome="agrees"}}': _count(8000),
    f"wurao_audit_ready{{{A1}}}": _flat(1),
    f"wurao_audit_lag_seconds{{{A1}}}": _flat(0),
}
"""Two workers of one host, one instance of everything else, all well, some eight thousand decisions a minute."""

_PAGE: Final = {"severity": "page"}
_TICKET: Final = {"severity": "ticket"}


def _gone(prefix: str) -> dict[str, str | None]:
    return {name: None for name in HEALTHY if name.startswith(prefix)}


def _burns(alert: str, *rates: str) -> tuple[Firing, ...]:
    severity = {"14.4": "page", "6": "page", "1": "ticket"}
    return tuple(Firing(alert, {"severity": severity[rate], "burn": rate}) for rate in rates)


def _late(share: float, *, minutes: float, before: float, after: float = 0) -> dict[str, str | None]:
    """Some share of decisions comes late for a while."""
    return {
        IN_TIME: line((8000, before), (8000 * (1 - share), minutes), *([(8000, after)] if after else [])),
        COUNTED: line((8000, before + minutes + after)),
    }


SCENARIOS: Final = (
    Scenario("on a healthy day nothing fires", {}),
    # ---- compliance
    Scenario(
        "one delivery against a refusal is a page, though the counter never moved before",
        {f"wurao_audit_violations_total{{{A1}}}": level((0, 75), (1, 5))},
        (Firing("WuraoDeliveredAgainstRefusal", _PAGE),),
    ),
    Scenario(
        "one delivery against a refusal is a page, even when the counter is new with it",
        {f"wurao_audit_violations_total{{{A1}}}": level((None, 75), (1, 5))},
        (Firing("WuraoDeliveredAgainstRefusal", _PAGE),),
    ),
    Scenario(
        "a delivery against a refusal that was paged an hour ago is paged no more",
        {f"wurao_audit_violations_total{{{A1}}}": level((0, 50), (1, 30))},
    ),
    Scenario(
        "one decision that does not follow from the registry is a ticket",
        {f'wurao_audit_decisions_total{{{A1},outcome="differs"}}': level((None, 75), (1, 5))},
        (Firing("WuraoAuditDiffers", _TICKET),),
    ),
    Scenario(
        "an audit that cannot judge one decision in fifty is blind",
        {f'wurao_audit_decisions_total{{{A1},outcome="unknown"}}': line((160, 80))},
        (Firing("WuraoAuditBlind", _TICKET),),
    ),
    Scenario(
        "an audit that cannot judge one decision in two hundred sees well enough",
        {f'wurao_audit_decisions_total{{{A1},outcome="unknown"}}': line((40, 80))},
    ),
    Scenario(
        "an audit that does not run is blind",
        _gone("wurao_audit_ready"),
        (Firing("WuraoAuditBlind", _TICKET),),
    ),
    Scenario(
        "an audit that is twenty minutes behind is blind",
        {f"wurao_audit_lag_seconds{{{A1}}}": level((0, 30), (1200, 50))},
        (Firing("WuraoAuditBlind", _TICKET),),
    ),
    Scenario(
        "an audit that was behind for a quarter of an hour has caught up",
        {f"wurao_audit_lag_seconds{{{A1}}}": level((0, 50), (1200, 15), (0, 15))},
    ),
    # ---- filter
    Scenario(
        "no worker seen for a quarter of an hour",
        {**_gone("wurao_ready"), f"wurao_ready{{{F1}}}": level((1, 65), (None, 15))},
        (Firing("WuraoFilterDown", _PAGE), *_burns("WuraoAvailabilityBudgetBurns", "14.4", "6", "1")),
    ),
    Scenario(
        "no worker ready for six minutes",
        {f"wurao_ready{{{worker}}}": level((1, 74), (0, 6)) for worker in (F1, F2)},
        (Firing("WuraoFilterDown", _PAGE), *_burns("WuraoAvailabilityBudgetBurns", "14.4", "6", "1")),
    ),
    Scenario(
        "one worker of two that is not ready fires nothing: the other decides",
        {f"wurao_ready{{{F1}}}": level((1, 20), (0, 60))},
    ),
    Scenario(
        "half an hour after an outage only the slow burn is left",
        {f"wurao_ready{{{worker}}}": level((1, 280), (0, 2), (1, 78)) for worker in (F1, F2)},
        _burns("WuraoAvailabilityBudgetBurns", "1"),
        minutes=360,
    ),
    Scenario(
        "decisions stop though every process reports itself ready",
        {
            ALLOWED: line((6000, 70), (0, 10)),
            BLOCKED: line((2000, 70), (0, 10)),
            IN_TIME: line((8000, 70), (0, 10)),
            COUNTED: line((8000, 70), (0, 10)),
        },
        (Firing("WuraoDecisionsStopped", _PAGE | {"kind": "sms"}),),
    ),
    Scenario(
        "calls that flow do not hide SMS that stopped",
        {ALLOWED: line((6000, 70), (0, 10)), BLOCKED: line((2000, 70), (0, 10)), CALLS: line((8000, 80))},
        (Firing("WuraoDecisionsStopped", _PAGE | {"kind": "sms"}),),
    ),
    Scenario(
        "nor do workers that were restarted and have decided none since",
        {ALLOWED: line((6000, 70)), BLOCKED: line((2000, 70)), CALLS: line((8000, 80))},
        (Firing("WuraoDecisionsStopped", _PAGE | {"kind": "sms"}),),
    ),
    Scenario(
        "a deployment with an event now and then may have none for ten minutes",
        {ALLOWED: line((10, 70), (0, 10)), BLOCKED: line((0, 80))},
    ),
    Scenario(
        "events that were removed before they were read are a page, the first ones too",
        {f'wurao_events_lost_total{{{F1},topic="events.reply"}}': level((None, 70), (3, 10))},
        (Firing("WuraoEventsLost", _PAGE | {"topic": "events.reply"}),),
    ),
    Scenario(
        "urgent events that wait two seconds are a page",
        {f'wurao_consumer_lag_seconds{{{F1},lane="urgent"}}': level((0, 70), (2, 10))},
        (Firing("WuraoUrgentLag", _PAGE),),
    ),
    Scenario(
        "urgent events that waited once, before the lane fell silent, fire nothing",
        {
            f'wurao_consumer_lag_seconds{{{F1},lane="urgent"}}': level((0, 20), (2, 60)),
            f'wurao_batches_total{{{F1},lane="urgent"}}': line((60, 21), (0, 59)),
        },
    ),
    Scenario(
        "bulk that waits eight seconds is a ticket",
        {f'wurao_consumer_lag_seconds{{{F1},lane="bulk"}}': level((0, 60), (8, 20))},
        (Firing("WuraoConsumerLag", _TICKET),),
    ),
    Scenario(
        "bulk that waits three seconds, or eight for a moment, fires nothing",
        {f'wurao_consumer_lag_seconds{{{F1},lane="bulk"}}': level((3, 72), (8, 8))},
    ),
    Scenario(
        "two decisions in a hundred come late, for an hour: all speeds",
        _late(0.02, minutes=60, before=20),
        _burns("WuraoLatencyBudgetBurns", "14.4", "6", "1"),
    ),
    Scenario(
        "eight in a thousand for six hours: not the fastest",
        _late(0.008, minutes=360, before=60),
        _burns("WuraoLatencyBudgetBurns", "6", "1"),
        minutes=420,
    ),
    Scenario(
        "two in a thousand for days: the slowest alone",
        _late(0.002, minutes=420, before=60),
        _burns("WuraoLatencyBudgetBurns", "1"),
        minutes=480,
    ),
    Scenario("one in two thousand is what the budget is for", _late(0.0005, minutes=420, before=60), minutes=480),
    Scenario(
        "bad latency that has been over for ten minutes pages nobody by the hour's window",
        _late(0.05, minutes=20, before=330, after=10),
        _burns("WuraoLatencyBudgetBurns", "1"),
        minutes=360,
    ),
    Scenario(
        "a hundred dead letters of one topic are a ticket that names it",
        {f'wurao_dead_letters_total{{{F1},topic="events.sms"}}': level((None, 70), (100, 10))},
        (Firing("WuraoDeadLetters", {**_TICKET, "topic": "events.sms"}),),
    ),
    Scenario(
        "five dead letters are nobody's trouble",
        {f'wurao_dead_letters_total{{{F1},topic="events.sms"}}': level((None, 70), (5, 10))},
    ),
    Scenario(
        "one event in forty that cannot be read is a page",
        {f'wurao_dead_letters_total{{{F1},topic="events.sms"}}': line((0, 60), (200, 20))},
        (
            Firing("WuraoDeadLetterFlood", _PAGE),
            Firing("WuraoDeadLetters", {**_TICKET, "topic": "events.sms"}),
        ),
    ),
    Scenario(
        "one record in the wrong partition is a ticket",
        {f'wurao_misplaced_records_total{{{F1},topic="registry.expressions"}}': level((None, 70), (1, 10))},
        (Firing("WuraoMisplacedRecords", {**_TICKET, "topic": "registry.expressions"}),),
    ),
    Scenario(
        "a record that was misplaced an hour ago fires no more",
        {f'wurao_misplaced_records_total{{{F1},topic="registry.expressions"}}': level((None, 30), (1, 50))},
    ),
    Scenario(
        "five deaths of workers within an hour are a ticket",
        {f"wurao_worker_restarts_total{{{S1}}}": line((0, 20), (0.1, 60))},
        (Firing("WuraoWorkerRestarts", {**_TICKET, "job": "wurao-filter", "instance": "host-1:9600"}),),
    ),
    Scenario(
        "one death of a worker is what supervisors are for",
        {f"wurao_worker_restarts_total{{{S1}}}": level((0, 50), (1, 30))},
    ),
    Scenario(
        "a loop that wakes two seconds late is a ticket",
        {f"wurao_event_loop_lag_seconds{{{F1}}}": level((0, 60), (2, 20))},
        (Firing("WuraoEventLoopLag", {**_TICKET, "job": "wurao-filter", "instance": "host-1:9601"}),),
    ),
    Scenario(
        "a loop that woke late once fires nothing",
        {f"wurao_event_loop_lag_seconds{{{F1}}}": level((0, 78), (2, 0.5), (0, 1.5))},
    ),
    Scenario(
        "two thirds of all events blocked, where it was a quarter, are a ticket",
        {ALLOWED: line((6000, 240), (2000, 60)), BLOCKED: line((2000, 240), (4000, 60))},
        (Firing("WuraoBlockShareJumped", _TICKET),),
        minutes=300,
    ),
    Scenario(
        "two fifths of all events blocked, where it was a quarter, are an ordinary campaign",
        {ALLOWED: line((6000, 240), (6000, 60)), BLOCKED: line((2000, 240), (4000, 60))},
        minutes=300,
    ),
    Scenario(
        "a policy file that was refused is a ticket that names the host, for as long as it is",
        {f"wurao_policy_refused{{{S1}}}": level((0, 20), (1, 60))},
        (Firing("WuraoPolicyRefused", {**_TICKET, "job": "wurao-filter", "instance": "host-1:9600"}),),
    ),
    Scenario(
        "a policy file that was refused and is mended fires no more",
        {f"wurao_policy_refused{{{S1}}}": level((0, 20), (1, 50), (0, 10))},
    ),
    Scenario(
        "two policies at once for half an hour are a ticket",
        {
            f'wurao_policy_info{{{F2},version="cn-2020.2",hash="aa"}}': level((1, 50), (None, 30)),
            f'wurao_policy_info{{{F2},version="cn-2020.3",hash="bb"}}': level((None, 50), (1, 30)),
        },
        (Firing("WuraoPoliciesDiffer", _TICKET),),
    ),
    Scenario(
        "two policies under one version are told apart by their hashes",
        {
            f'wurao_policy_info{{{F2},version="cn-2020.2",hash="aa"}}': None,
            f'wurao_policy_info{{{F2},version="cn-2020.2",hash="bb"}}': level((1, 80)),
        },
        (Firing("WuraoPoliciesDiffer", _TICKET),),
    ),
    Scenario(
        "a policy that rolls over the hosts within ten minutes fires nothing",
        {
            f'wurao_policy_info{{{F1},version="cn-2020.2",hash="aa"}}': level((1, 70), (None, 10)),
            f'wurao_policy_info{{{F1},version="cn-2020.3",hash="bb"}}': level((None, 70), (1, 10)),
            f'wurao_policy_info{{{F2},version="cn-2020.2",hash="aa"}}': level((1, 60), (None, 20)),
            f'wurao_policy_info{{{F2},version="cn-2020.3",hash="bb"}}': level((None, 60), (1, 20)),
        },
    ),
    Scenario(
        "a worker that the native module brought down is a ticket until its host is restarted",
        {
            f'wurao_native_info{{{F2},path="native"}}': level((1, 20), (None, 60)),
            f'wurao_native_info{{{F2},path="python"}}': level((None, 20), (1, 60)),
            f"wurao_native_failures_total{{{S1}}}": level((0, 20), (1, 60)),
        },
        (Firing("WuraoNativePathLost", _TICKET),),
    ),
    Scenario(
        "a host on the Python path beside one on the native path is a ticket, though nothing failed",
        {
            f'wurao_native_info{{{F2},path="native"}}': None,
            f'wurao_native_info{{{F2},path="python"}}': level((1, 80)),
        },
        (Firing("WuraoNativePathLost", _TICKET),),
    ),
    Scenario(
        "a deployment that is on the Python path as a whole chose it",
        {
            **{f'wurao_native_info{{{worker},path="native"}}': None for worker in (F1, F2)},
            **{f'wurao_native_info{{{worker},path="python"}}': level((1, 80)) for worker in (F1, F2)},
            **{f"wurao_native_left_total{{{worker}}}": level((0, 80)) for worker in (F1, F2)},
        },
    ),
    Scenario(
        "a native path that leaves one event in four to Python is a ticket",
        {f"wurao_native_left_total{{{worker}}}": line((1000, 80)) for worker in (F1, F2)},
        (Firing("WuraoNativeShareLeft", _TICKET),),
    ),
    Scenario(
        "a native path that left everything for ten minutes, while people replied, fires nothing",
        {f"wurao_native_left_total{{{worker}}}": line((300, 50), (4000, 10), (300, 20)) for worker in (F1, F2)},
    ),
    # ---- registry
    Scenario(
        "a registry half a minute old is a page, and eats the budget of refusals in force",
        {f"wurao_registry_staleness_seconds{{{F1}}}": level((0.4, 70), (30, 10))},
        (
            Firing("WuraoRegistryStale", _PAGE),
            *_burns("WuraoRefusalInForceBudgetBurns", "14.4", "6", "1"),
        ),
    ),
    Scenario(
        "a registry three seconds old for six minutes pages by its budget only",
        {f"wurao_registry_staleness_seconds{{{F1}}}": level((0.4, 74), (3, 6))},
        _burns("WuraoRefusalInForceBudgetBurns", "14.4", "6", "1"),
    ),
    Scenario(
        "expressions half a minute late once in four hours: the slowest burn alone",
        {f"wurao_registry_staleness_seconds{{{F1}}}": level((0.4, 180), (3, 0.75), (0.4, 179.25))},
        _burns("WuraoRefusalInForceBudgetBurns", "1"),
        minutes=360,
    ),
    Scenario(
        "a registry nine tenths of a second old is fresh",
        {f"wurao_registry_staleness_seconds{{{F1}}}": level((0.9, 80))},
    ),
    Scenario(
        "a worker that holds ten thousand refusals fewer than the other is a ticket",
        {f'wurao_registry_numbers{{{F2},channel="sms"}}': level((2_000_000, 20), (1_990_000, 60))},
        (Firing("WuraoRegistriesDiffer", {**_TICKET, "channel": "sms"}),),
    ),
    Scenario(
        "a worker that is some hundred refusals behind for a while fires nothing",
        {f'wurao_registry_numbers{{{F2},channel="sms"}}': level((1_999_500, 80))},
    ),
    Scenario(
        "no new base for fourteen hours is a ticket",
        {f"wurao_registry_bases_total{{{S1}}}": level((1, 14 * 60))},
        (Firing("WuraoBaseNotRenewed", {**_TICKET, "job": "wurao-filter", "instance": "host-1:9600"}),),
        minutes=14 * 60,
    ),
    Scenario(
        "a filter that started ten hours ago may be on its first base",
        {f"wurao_registry_bases_total{{{S1}}}": level((None, 4 * 60), (1, 10 * 60))},
        minutes=14 * 60,
    ),
    # ---- control plane
    Scenario(
        "no control plane seen for twenty minutes: it is down, and clocks are late",
        {
            name: level((value, 55), (None, 25))
            for name, value in ((f"wurao_enforce_ready{{{E1}}}", 1), (f"wurao_enforce_overdue_seconds{{{E1}}}", 0))
        },
        (Firing("WuraoEnforceDown", _PAGE), *_burns("WuraoViolatorStopBudgetBurns", "14.4", "6", "1")),
    ),
    Scenario(
        "a control plane that restarts within two minutes wakes nobody",
        {f"wurao_enforce_ready{{{E1}}}": level((1, 50), (0, 2), (1, 28))},
    ),
    Scenario(
        "a clock two minutes overdue is a page",
        {f"wurao_enforce_overdue_seconds{{{E1}}}": level((0, 76), (120, 4))},
        (Firing("WuraoClocksOverdue", _PAGE), *_burns("WuraoViolatorStopBudgetBurns", "1")),
    ),
    Scenario(
        "a clock half a minute overdue, at the midnight that ends thousands, is no trouble",
        {f"wurao_enforce_overdue_seconds{{{E1}}}": level((0, 50), (30, 30))},
    ),
    Scenario(
        "a quarter of an hour of clocks overdue eats the budget at the fastest speed",
        {f"wurao_enforce_overdue_seconds{{{E1}}}": level((0, 60), (120, 20))},
        (Firing("WuraoClocksOverdue", _PAGE), *_burns("WuraoViolatorStopBudgetBurns", "14.4", "6", "1")),
    ),
    Scenario(
        "the first term that ends soon is a ticket that names it",
        {f'wurao_enforce_alerts_total{{{E1},level="warning",about="forward"}}': level((None, 70), (1, 10))},
        (Firing("WuraoTermEndsSoon", {**_TICKET, "about": "forward"}),),
    ),
    Scenario(
        "the first term that is missed is a ticket that names it",
        {f'wurao_enforce_alerts_total{{{E1},level="breach",about="answer"}}': level((None, 70), (1, 10))},
        (Firing("WuraoTermMissed", {**_TICKET, "about": "answer"}),),
    ),
    Scenario(
        "terms missed last week, and decisions that are people's, fire nothing",
        {
            f'wurao_enforce_alerts_total{{{E1},level="breach",about="answer"}}': level((4, 80)),
            f'wurao_enforce_alerts_total{{{E1},level="warning",about="answer"}}': level((9, 80)),
            f'wurao_enforce_alerts_total{{{E1},level="decision",about="serve-notice"}}': level((None, 70), (1, 10)),
            f'wurao_enforce_alerts_total{{{E1},level="decision",about="emergency"}}': level((3, 80)),
        },
    ),
    Scenario(
        "the first emergency that one officer sent pages another",
        {f'wurao_enforce_alerts_total{{{E1},level="decision",about="emergency"}}': level((None, 70), (1, 10))},
        (Firing("WuraoSecondPersonAwaited", {**_PAGE, "about": "emergency"}),),
    ),
    Scenario(
        "a complaint that cannot be read is a ticket",
        {f'wurao_enforce_arrivals_total{{{E1},topic="complaints",outcome="undecodable"}}': level((None, 70), (1, 10))},
        (Firing("WuraoEnforceRefusesRecords", {**_TICKET, "topic": "complaints"}),),
    ),
    Scenario(
        "a step that failed is a ticket",
        {f"wurao_enforce_step_failures_total{{{E1}}}": level((0, 70), (1, 10))},
        (Firing("WuraoEnforceRefusesRecords", _TICKET),),
    ),
    Scenario(
        "records that come again fire nothing",
        {f'wurao_enforce_arrivals_total{{{E1},topic="complaints",outcome="repeated"}}': level((None, 70), (50, 10))},
    ),
    Scenario(
        "a clock over a year without a calendar is a ticket",
        {f"wurao_enforce_unknown_calendar_total{{{E1}}}": level((0, 60), (3, 20))},
        (Firing("WuraoCalendarUnknown", _TICKET),),
    ),
    Scenario(
        "an API that answers 503 is a page",
        {
            f'wurao_api_requests_total{{{P1},operation="fileComplaint",status="201"}}': line((3, 60), (0, 20)),
            f'wurao_api_requests_total{{{P1},operation="fileComplaint",status="503"}}': line((0, 60), (3, 20)),
        },
        (Firing("WuraoApiUnavailable", _PAGE),),
    ),
    Scenario(
        "an API that refuses tokens does its work",
        {f'wurao_api_requests_total{{{P1},operation="fileComplaint",status="401"}}': line((9, 80))},
    ),
    Scenario(
        "notices whose attempts mostly fail are a ticket",
        {f'wurao_notify_attempts_total{{{N1},via="smtp",outcome="failed"}}': line((0, 20), (6, 60))},
        (Firing("WuraoNoticesFail", _TICKET),),
    ),
    Scenario(
        "one failing attempt in five is another mail server's bad day",
        {f'wurao_notify_attempts_total{{{N1},via="smtp",outcome="failed"}}': line((0.5, 80))},
    ),
    Scenario(
        "a notice that was given up is a ticket",
        {f"wurao_notify_given_up_total{{{N1}}}": level((0, 60), (1, 20))},
        (Firing("WuraoNoticesFail", _TICKET),),
    ),
    Scenario(
        "no connector at all is a ticket",
        {f"wurao_notify_pending{{{N1}}}": level((0, 50), (None, 30))},
        (Firing("WuraoNoticesFail", _TICKET),),
    ),
    Scenario(
        "no registrar, or one that cannot serve all its partitions, is a page",
        {f"wurao_registrar_ready{{{R1}}}": level((1, 40), (0, 40))},
        (Firing("WuraoRegistrarDown", _PAGE),),
    ),
    Scenario(
        "a registrar that takes over, or builds a store, for some minutes is no trouble",
        {f"wurao_registrar_ready{{{R1}}}": level((1, 60), (None, 4), (1, 16))},
    ),
    Scenario(
        "single requests that take longer than a second are a ticket",
        {f'wurao_registrar_answer_seconds_bucket{{{R1},lane="requests",le="1.0"}}': line((60, 40), (50, 40))},
        (Firing("WuraoRegistrarSlow", _TICKET),),
    ),
    Scenario(
        "early warning that is not there for half an hour is a ticket",
        {f"wurao_watch_ready{{{W1}}}": level((1, 40), (None, 40))},
        (Firing("WuraoWatchDown", _TICKET),),
    ),
    Scenario(
        "early warning that reads back its past for ten minutes is no trouble",
        {f"wurao_watch_ready{{{W1}}}": level((1, 60), (0, 10), (1, 10))},
    ),
    Scenario(
        "early warning ten minutes behind is a ticket",
        {f"wurao_watch_lag_seconds{{{W1}}}": level((12, 50), (600, 30))},
        (Firing("WuraoWatchLag", _TICKET),),
    ),
    Scenario(
        "early warning that was behind when traffic ended fires nothing",
        {
            f"wurao_watch_lag_seconds{{{W1}}}": level((12, 45), (600, 35)),
            f"wurao_watch_records_total{{{W1}}}": line((600, 46), (0, 34)),
        },
    ),
    # ---- seeing
    Scenario(
        "a process that does not answer is a ticket that names it",
        {'up{job="wurao-watch",instance="some:1"}': level((1, 70), (0, 10))},
        (Firing("WuraoTargetDown", {**_TICKET, "job": "wurao-watch", "instance": "some:1"}),),
    ),
    Scenario(
        "another's process, or ours for a moment, is no trouble of ours",
        {
            'up{job="wurao-watch",instance="some:1"}': level((1, 78), (0, 2)),
            'up{job="node",instance="some:1"}': level((0, 80)),
        },
    ),
    Scenario(
        "a metric that nobody shows, though alerts read it, is a ticket that names it",
        _gone("wurao_workers"),
        (Firing("WuraoMetricsAbsent", {**_TICKET, "metric": "wurao_workers"}),),
    ),
    Scenario(
        "a metric that was away for the length of a restart is none",
        {f"wurao_workers{{{S1}}}": level((2, 60), (None, 18), (2, 2))},
    ),
)
