"""What `wurao doctor` can tell without a broker: the policy, time zones, calendars, this machine. Read only."""

import ctypes
import os
import shutil
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Final
from zoneinfo import TZPATH, ZoneInfo, ZoneInfoNotFoundError

from bloom import signatures, snapshot
from stream.cli.check_results import CheckResult, ok, warn, wrong
from stream.clock import now_ms
from stream.config import Config, ConfigError, keys_of
from stream.deciding.native_selection import native_path
from stream.enforce.procedures import settings as procedures
from stream.feed import snapshots
from stream.kafka.credentials import ssl_context
from stream.kafka.reach import CannotStart
from stream.policy.loading import load as load_policy
from stream.policy.settings import Policy
from stream.policy.toml import PolicyError

TZDATA_YEARS_MAX: Final = 2
"""Zones change a few times a year; a database of the year before last has missed some of it."""

NEXT_CALENDAR_MONTH: Final = 11
"""The State Council's notice of next year's holidays comes in October or November."""

SNAPSHOT_ROOM: Final = 3
"""Times the newest snapshot: the new one beside those kept, and one that is being written."""

_TIME_ERROR: Final = 5
_UNLOOPED: Final = ("127.", "localhost", "[::1]")


def checks(config: Config) -> list[CheckResult]:
    """Everything that needs no broker, in the order of the configuration."""
    found = [*_settings(config)]
    try:
        policy = load_policy(config.policy.file, keys_of(config))
    except PolicyError as error:
        found.append(wrong("policy", str(error), "correct the file; no process that decides starts with it"))
    else:
        found += [
            _policy(config, policy),
            _time_zones(policy),
            _calendar(config, policy),
            _native(config, policy),
        ]
    return [*found, _snapshots(config), _clock()]


def _settings(config: Config) -> list[CheckResult]:
    kafka = config.kafka
    try:
        ssl_context(kafka)
    except ConfigError as error:
        return [wrong("configuration", str(error), "correct it: no client can connect with it")]
    found: list[CheckResult] = []
    far = [one for one in kafka.bootstrap.split(",") if not one.strip().startswith(_UNLOOPED)]
    if kafka.security_protocol in ("PLAINTEXT", "SASL_PLAINTEXT") and far:
        found.append(
            warn(
                "configuration",
                f"kafka.security_protocol is {kafka.security_protocol}, and the brokers are not on this machine: "
                "numbers and texts cross the network in the clear",
                "set kafka.security_protocol to SASL_SSL or SSL",
            )
        )
    if config.topics.replication == 1 and far:
        found.append(
            warn(
                "configuration",
                "topics.replication is 1: the records of a broker are lost with its disk",
                "set topics.replication to 3 before `wurao topics create`",
            )
        )
    return found or [ok("configuration", f"read; brokers {kafka.bootstrap} by {kafka.security_protocol}")]


def _policy(config: Config, policy: Policy) -> CheckResult:
    silence = "silence is refusal" if policy.silence_refuses else "silence allows (a do-not-call regime)"
    return ok("policy", f"{policy.version} of {config.policy.file}, hash {policy.digest[:12]}; {silence}")


def _time_zones(policy: Policy) -> CheckResult:
    try:
        package = metadata("tzdata")
    except PackageNotFoundError:
        return wrong("time zones", "the package tzdata is missing", "install wurao with its dependencies")
    text = f"tzdata {package['Version']} ({package['License']}; its data is in the public domain)"
    zones = sorted({window.zone for window in policy.file.hours})
    for zone in zones:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError):
            return wrong(
                "time zones", f"{zone} of the policy's hours is unknown", "correct `zone` in the policy's [[hours]]"
            )
    if system := [folder for folder in TZPATH if Path(folder, "Asia", "Shanghai").exists()]:
        text += f"; {system[0]} of this machine takes precedence"
    year = int(package["Version"].split(".")[0])
    if datetime.now(UTC).year - year >= TZDATA_YEARS_MAX:
        return warn("time zones", f"{text}: old", "upgrade the package tzdata")
    return ok("time zones", f"{text}; {', '.join(zones) or 'the policy sets no hours'}")


def _calendar(config: Config, policy: Policy) -> CheckResult:
    try:
        calendar = procedures.terms(config, policy).calendar
    except ConfigError as error:
        return wrong("calendar", str(error), "correct the file; `wurao enforce` does not start with it")
    today = datetime.now(UTC)
    mend = "give the year in the file that enforce.calendar names (docs/procedures.md)"
    if not calendar.knows(today.year):
        return wrong("calendar", f"the official calendar of {today.year} is not known: terms end on wrong days", mend)
    if not calendar.knows(today.year + 1) and today.month >= NEXT_CALENDAR_MONTH:
        return warn(
            "calendar",
            f"that of {today.year + 1} is not known: terms that reach into it count Monday to Friday",
            f"when the State Council's notice is out, {mend}",
        )
    last = max(year for year in range(today.year, today.year + 5) if calendar.knows(year))
    return ok("calendar", f"official working days are known to the end of {last}")


def _snapshots(config: Config) -> CheckResult:
    directory = Path(config.registry.snapshots)
    nearest = next(folder for folder in (directory.absolute(), *directory.absolute().parents) if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        return wrong(
            "snapshots",
            f"{directory}: {nearest} cannot be written to by uid {os.getuid()}",
            "give registry.snapshots a folder of the user that runs the filter",
        )
    kept = snapshots.kept(directory)
    if not kept:
        return ok("snapshots", f"none in {directory} yet: the first start reads the topics and makes one")
    newest = kept[-1]
    try:
        meta = snapshot.read_meta(newest)
        with signatures.mapped(newest, keys_of(config)):
            pass
    except (snapshot.SnapshotError, signatures.SignatureError, OSError) as error:
        return warn("snapshots", str(error), "delete it: the next start takes an older one, or reads the topics")
    size = newest.stat().st_size
    if shutil.disk_usage(directory).free < SNAPSHOT_ROOM * size:
        return wrong(
            "snapshots",
            f"{directory} has room for fewer than {SNAPSHOT_ROOM} more of {size / 1e6:.1f} MB",
            "free some space, or lower registry.snapshots_kept",
        )
    age_ms = now_ms() - meta.created_ms
    text = f"{len(kept)} in {directory}, the newest {age_ms / 3_600_000:.1f} h old, {size / 1e6:.1f} MB"
    if age_ms > snapshots.MAX_AGE_MS:
        return warn(
            "snapshots",
            f"{text}: too old to be used, it may have missed a tombstone",
            "the next start reads the topics instead, which takes longer; or run `wurao registry snapshot` now",
        )
    return ok("snapshots", text)


def _native(config: Config, policy: Policy) -> CheckResult:
    try:
        path = native_path(config, policy)
    except CannotStart as error:
        return wrong("native module", str(error), "`wurao filter` does not start: build it, or set filter.native")
    return ok("native module", f"{'native' if path.share else 'Python'} decides: {path.why}")


def _clock() -> CheckResult:
    """Whether the kernel's clock is synchronized (adjtimex(2), which only reads when no mode is given)."""
    text = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    libc = ctypes.CDLL(None, use_errno=True)
    state = libc.adjtimex(ctypes.create_string_buffer(512)) if hasattr(libc, "adjtimex") else -1
    if state == _TIME_ERROR:
        return warn(
            "clock",
            f"{text}; the kernel reports that the clock is not synchronized",
            "run chrony or another NTP client on the host: orders, campaigns and hours are compared with this clock",
        )
    return ok("clock", f"{text}; the kernel reports " + ("that it is synchronized" if state >= 0 else "no state of it"))
