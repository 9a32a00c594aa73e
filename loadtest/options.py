"""What a run can be asked for: every option, with its sentence. Each scenario has options of its own (`scenarios`)."""

import msgspec


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure with. Where a scenario has no use for a field it says so by leaving it as it is."""

    repeat: int = 3
    """turns; figures are the median of them"""
    seconds: float = 20.0
    """how long a load lasts"""
    events_count: int = 1_000_000
    """events that wait when a program starts"""
    refusals_count: int = 2_000_000
    """refusals in the sample registry"""
    rates: tuple[int, ...] = ()
    """events a second; 0 stands for half of saturation"""
    workers: tuple[int, ...] = (1,)
    churn_per_s: int = 0
    """registry records a second, written meanwhile"""
    everything_share: float = 1.0
    """of these the part that refuses everything; the rest are consents to one sender and category"""
    backlog: int = 0
    """events that wait before others"""
    numbers: tuple[int, ...] = ()
    """sizes of registries, in numbers that refuse everything"""
    peers: tuple[str, ...] = ()
    """programs beside the filter; empty: all that can run"""
    hostile_count: int = 0
    """hostile events beside good ones, on the native path"""
    alone_count: int = 0
    """hostile events with nothing beside them, on the native path"""
    partitions: int = 12
    pin: bool = False
    """workers and generator on cores of their own"""
    quick: bool = False
    """a look, no figures to quote"""
