"""The registry: what subscribers want, and how soon the filter knows it."""

from typing import Final

from deploy.dashboards.panel import RATE, Board, Panel, Query

IN_FORCE: Final = "sum by (le) (rate(wurao_refusal_in_force_seconds_bucket[" + RATE + "]))"

BOARD: Final = Board(
    name="registry",
    title="registry",
    says="Refusals and consents, and how soon the filter applies them.",
    rows=(
        (
            "Propagation",
            (
                Panel(
                    "Staleness",
                    "Time since a worker had last applied the registry topics up to their end offsets. An "
                    "expression is applied at the latest when this falls below its age; the objective is a second.",
                    (Query("max by (instance) (wurao_registry_staleness_seconds)", "{{instance}}"),),
                    unit="s",
                    limit=1,
                    width=12,
                ),
                Panel(
                    "From a refusal's record to its application (propagation)",
                    "As the audit sees it: from the refusal's record to the first registry state that includes it, in "
                    "each worker. A worker names a state when it decides from it, so without traffic this grows.",
                    tuple(
                        Query(f"histogram_quantile({quantile}, {IN_FORCE})", f"p{100 * quantile:g}")
                        for quantile in (0.5, 0.99)
                    ),
                    unit="s",
                    limit=1,
                    width=12,
                ),
            ),
        ),
        (
            "Contents",
            (
                Panel(
                    "Numbers that refuse everything",
                    "By channel. All workers should hold the same: WuraoRegistriesDiffer.",
                    (
                        Query("max by (channel) (wurao_registry_numbers)", "{{channel}}"),
                        Query("min by (channel) (wurao_registry_numbers)", "{{channel}}, least of all workers"),
                    ),
                ),
                Panel(
                    "Senders",
                    "Registered senders, and prefixes that more than one claims.",
                    (
                        Query("max(wurao_registry_senders)", "senders"),
                        Query("max(wurao_registry_prefix_clashes)", "claimed twice"),
                    ),
                ),
                Panel(
                    "Changed since the shared base",
                    "Numbers in each worker's overlay: memory that it does not share. A new base is folded every six "
                    "hours.",
                    (Query("max by (instance) (wurao_registry_overlay_numbers)", "{{instance}}"),),
                ),
            ),
        ),
        (
            "Registrar",
            (
                Panel(
                    "Requests answered each second",
                    "By lane: single ones, and those of files, of up to a thousand records each.",
                    (Query(f"sum by (lane) (rate(wurao_registrar_requests_total[{RATE}]))", "{{lane}}"),),
                    unit="ops",
                ),
                Panel(
                    "Until the answer",
                    "From a request's record to its answer. Single ones should be within 50 ms, also while files come.",
                    tuple(
                        Query(
                            f"histogram_quantile({quantile}, sum by (le, lane) "
                            f"(rate(wurao_registrar_answer_seconds_bucket[{RATE}])))",
                            f"{{{{lane}}}}, p{100 * quantile:g}",
                        )
                        for quantile in (0.5, 0.99)
                    ),
                    unit="s",
                    limit=1,
                ),
                Panel(
                    "Refused, each second",
                    "By reason (docs/admission.md). Whoever asked has it in the answer.",
                    (Query(f"sum by (code) (rate(wurao_registrar_refusals_total[{RATE}]))", "{{code}}"),),
                    unit="ops",
                ),
                Panel(
                    "Stores",
                    "Partitions assigned, registrars that serve all of theirs, and offsets that a store has to read.",
                    (
                        Query("sum(wurao_registrar_partitions)", "partitions"),
                        Query("sum(wurao_registrar_ready)", "ready"),
                        Query("sum(wurao_registrar_left_records)", "left to read"),
                    ),
                    width=12,
                ),
                Panel(
                    "Written beside the registrar, each second",
                    "Expressions that others wrote: replies. A store that is built reads them all.",
                    (Query(f"sum(rate(wurao_registrar_beside_total[{RATE}]))", "beside it"),),
                    unit="ops",
                    width=12,
                ),
            ),
        ),
        (
            "Changes",
            (
                Panel(
                    "Records applied each second",
                    "By topic, in the busiest worker: each applies all of them.",
                    (Query(f"max by (topic) (rate(wurao_registry_records_total[{RATE}]))", "{{topic}}"),),
                    unit="ops",
                ),
                Panel(
                    "Expressions from replies, each second",
                    "Expressions written because a subscriber replied.",
                    (Query(f"sum(rate(wurao_reply_wills_total[{RATE}]))", "replies"),),
                    unit="ops",
                ),
                Panel(
                    "Epochs each second",
                    "How often a worker begins a new epoch, the state that it decides from.",
                    (Query(f"max by (instance) (deriv(wurao_registry_epoch[{RATE}]))", "{{instance}}"),),
                    unit="ops",
                ),
                Panel(
                    "Bases",
                    "Made since the supervisor's start, and the numbers in the one in use.",
                    (
                        Query("max by (instance) (wurao_registry_bases_total)", "bases of {{instance}}"),
                        Query("max by (channel) (wurao_registry_base_numbers)", "numbers, {{channel}}"),
                    ),
                    width=12,
                ),
                Panel(
                    "Records in the wrong partition",
                    "A producer uses another partitioner. One is too many: the order of a subscriber's expressions "
                    "is not certain.",
                    (Query("sum by (topic) (increase(wurao_misplaced_records_total[1h]))", "{{topic}}"),),
                    limit=1,
                    width=12,
                ),
            ),
        ),
    ),
)
