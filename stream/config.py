"""The configuration: one TOML file, overridden by `WURAO_*` variables, checked before anything starts.

A variable names its setting by path, two underscores between the parts: `WURAO_KAFKA__BOOTSTRAP=broker:9092` is
`bootstrap` in `[kafka]`. Secrets are never in the file: they come from a variable or from a file that a setting
ending in `_file` names. Every limit of the data plane stands here with its reason; nothing else reads the
environment.
"""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from bloom.signatures import Keys
from stream.addresses import fault_of_broker, fault_of_host, fault_of_mailbox, fault_of_url
from stream.model.fields import RECORD_BYTES_MAX
from stream.model.schema_fault import schema_fault

# Every number has a most as well: far beyond what can be of use, and short of what a process dies of later, where
# nobody knows any more which setting it was.
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000)]
"""of processes, batches, attempts"""
Partitions = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
Replicas = Annotated[int, msgspec.Meta(ge=1, le=32)]
Records = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
"""that are held in memory at once: a GiB, at their largest usual size"""
Connections = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
Rate = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
"""requests a second"""
BodyBytes = Annotated[int, msgspec.Meta(ge=1, le=RECORD_BYTES_MAX)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Timeout = Annotated[int, msgspec.Meta(ge=1, le=3_600_000)]
"""milliseconds that something may take, or that pass between two looks at it: an hour at most"""
Retention = Annotated[int, msgspec.Meta(ge=86_400_000, le=400 * 86_400_000)]
Milliseconds = Annotated[int, msgspec.Meta(ge=1, le=7 * 86_400_000)]
"""of longer stretches: a week at most, which is how long events and tombstones are kept"""

ENVIRONMENT_PREFIX = "WURAO_"
NOT_SETTINGS = ("WURAO_CONFIG", "WURAO_JAVA")
"""Variables that are read elsewhere: the path of this file, and the Java of a local broker."""


_AFTER_ACKS = "offsets are committed when their decisions are acknowledged, never before (DESIGN section 6)"
_ALL_ACKS = "a decision counts when all in-sync replicas have it, once (DESIGN section 6)"
FIXED: dict[str, str] = {
    "enable_auto_commit": _AFTER_ACKS,
    "auto_commit": _AFTER_ACKS,
    "auto_commit_interval_ms": _AFTER_ACKS,
    "acks": _ALL_ACKS,
    "enable_idempotence": _ALL_ACKS,
    "retries": "a record is sent until it is acknowledged or its time is over (kafka.request_timeout_ms)",
    "auto_offset_reset": "a new group decides what is there, and a lost offset is an error: neither skips an event",
    "isolation_level": "what a transaction took back must not be read",
}
"""Settings of Kafka's clients on which the guarantees rest, and why nobody can change them."""


class ConfigError(Exception):
    """A configuration that cannot be used: what is wrong, where, and the mend."""


class ConfigSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every table: unknown names are refused, because a misspelt setting is a lost one."""


class KafkaConfig(ConfigSection, frozen=True):
    """How to reach the cluster. TLS and SASL are those of Kafka's own clients."""

    bootstrap: str = "127.0.0.1:9092"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password: str | None = None
    sasl_password_file: str | None = None
    """read again at each login where it has changed, as the files of TLS are at each connection"""
    ssl_cafile: str | None = None
    """the certificates that are trusted, instead of the system's; PEM, like the following"""
    ssl_certfile: str | None = None
    """the client's certificate with its chain, for brokers that require one (`ssl.client.auth`)"""
    ssl_keyfile: str | None = None
    """the certificate's key, where that is not in the same file"""
    ssl_keyfile_password_file: str | None = None
    request_timeout_ms: Timeout = 30_000


class TopicsConfig(ConfigSection, frozen=True):
    """How the topics are created. The partition count is for life: a subscriber's partition must not change."""

    partitions: Partitions = 12
    replication: Replicas = 1
    retention_ms: Retention = 7 * 24 * 3_600_000
    """how long events, decisions and dead letters stay. What the duties need stays in its topics, whatever this says"""


class RegistryConfig(ConfigSection, frozen=True):
    """How much of the registry a worker holds, where snapshots are kept, and how often new ones are made."""

    mode: Literal["replicated", "partitioned"] = "replicated"
    """`replicated`: each host holds all expressions, shared by its workers. `partitioned`: each worker holds those of
    its own partitions, for registers that outgrow one machine (docs/decisions/0011). All workers of a group use the
    same: stop them all to change it"""
    partitions_max: Partitions | None = None
    """in partitioned mode: how many partitions a worker has room for. Beyond what all workers of the group have,
    partitions stay without a worker and their events wait: better than a worker that runs out of memory after taking
    over from others"""
    snapshots: str = "snapshots"
    snapshots_kept: Count = 3
    fold_every_ms: Milliseconds = 6 * 3_600_000
    poll_records_max: Records = 2_000
    """a poll's share of the loop: at some 6 µs a record, 12 ms between two batches of events at most; 5,000 would spare
    a tenth of that, and let an emergency wait for 30 ms"""
    ends_every_ms: Timeout = 500
    """how often the broker is asked for end offsets: the resolution of staleness"""


class FilterConfig(ConfigSection, frozen=True):
    """The data plane."""

    group: str = "wurao-filter"
    delivery: Literal["at-least-once", "exactly-once"] = "at-least-once"
    workers: Count = 1
    batch_records_max: Records = 1_000
    """some 13 ms of work: heartbeats, urgent events and registry updates wait no longer than that. Twice as many spare
    nothing that could be measured, half as many cost a tenth more an event"""
    batches_in_flight_max: Count = 4
    """batches in flight, decided and not yet acknowledged; at this many, fetching waits"""
    fetch_wait_ms: Timeout = 200
    drain_timeout_ms: Timeout = 10_000
    session_timeout_ms: Timeout = 10_000
    hung_after_ms: Timeout = 30_000
    """a worker whose loop has not turned for so long is killed, and another takes its place. Its session in the group
    is over by then"""
    compression: Literal["none", "gzip", "lz4", "zstd"] = "zstd"
    """at the levels that aiokafka uses zstd takes a seventh of lz4's time and half of its bytes"""
    native: Literal["off", "on", "auto"] = "auto"
    """whether whole record batches are decided by the native module: `auto` where it is built and compatible, `on`
    refuses to start without it"""
    shadow_port: Port = 9690
    """where `wurao filter --shadow` serves `/metrics`, `/healthz` and `/readyz`, on `metrics.host`"""
    instance: str | None = None
    """a stable name of this host, and of no other (of two with one name the older ends): workers then are static
    members `<instance>-<worker>` of their group"""


class EnforceConfig(ConfigSection, frozen=True):
    """The control plane: one `wurao enforce`, of as many as share its cases."""

    instance: str | None = None
    """a stable name of this process: it then keeps its partitions over a restart that is quicker than its session"""
    session_timeout_ms: Timeout = 10_000
    calendar: str | None = None
    """a file of official calendars (docs/procedures.md) for years that chinesecalendar does not know yet"""
    terms: str | None = None
    """a TOML file that changes settings of the procedures (`stream.enforce.procedures.terms.Settings`)"""
    clock_offset_file: str | None = None
    """for tests and drills alone: a file with milliseconds that are added to the clock, read again every second"""
    rings_outstanding_max: Records = 64
    """clocks that may have rung and not been processed: at the midnight that ends thousands of terms, an order does
    not wait for all of them"""
    tick_ms: Timeout = 100
    """how often clocks are looked at"""
    drain_timeout_ms: Timeout = 10_000
    port: Port = 9650
    """where `/metrics`, `/healthz` and `/readyz` are served, on `metrics.host`; 0 lets the system choose"""


class WatchConfig(ConfigSection, frozen=True):
    """Early warning: one `wurao watch`, of as many as share the senders."""

    group: str = "wurao-watch"
    batch_records_max: Records = 2_000
    """some 50 ms of work: heartbeats and a rebalance wait no longer than that"""
    readback_ms: Milliseconds = 6 * 3_600_000
    """how much activity a start reads again to know its senders: twelve half-lives of the policy's sums. The topic
    keeps two days"""
    commit_every_ms: Timeout = 1_000
    port: Port = 9640
    """where `/metrics`, `/healthz` and `/readyz` are served, on `metrics.host`; 0 lets the system choose"""


class ApiConfig(ConfigSection, frozen=True):
    """The control plane's API: where it is served, and how commands reach it."""

    host: str = "127.0.0.1"
    """TLS is the business of the proxy before it: tokens must not cross a network without"""
    port: Port = 9660
    tokens_file: str | None = None
    """who may do what: a line per token, `sha256-of-token role actor [scope]` (docs/openapi.yaml). Without it the API
    is not served"""
    body_bytes_max: BodyBytes = 262_144
    """a quarter of what a record may have: forms are small, and a record adds an envelope"""
    requests_per_token: Rate = 50
    """a second, in the mean of ten seconds, of each token: what is written is kept for ever"""
    write_timeout_ms: Timeout = 10_000
    """how long a request may wait for the acknowledgement of its record"""
    url: str = "http://127.0.0.1:9660"
    """where `wurao case` finds it"""
    token: str | None = None
    token_file: str | None = None


class RegistrarConfig(ConfigSection, frozen=True):
    """The one door to the registry: one `wurao registrar`, of as many as share its partitions."""

    group: str = "wurao-registrar"
    directory: str = "registrar"
    """where its stores are, of this process alone: some 30 bytes for each expression that stands in its partitions.
    What is lost is built again from the topics"""
    cache_mib: Annotated[int, msgspec.Meta(ge=1, le=1_048_576)] = 64
    """what all stores of the process keep in memory of their files, beside 32 MiB at most for each partition that is
    written to much; a MiB for each million expressions spares most reads of the disk"""
    port: Port = 9630
    """where `/metrics`, `/healthz` and `/readyz` are served, on `metrics.host`; 0 lets the system choose"""
    answer_timeout_ms: Timeout = 10_000
    """how long whoever asks waits for an answer, files excepted: a registrar that takes over from one that was killed
    needs its session (`filter.session_timeout_ms`)"""


class ConnectorConfig(ConfigSection, frozen=True):
    """The delivery of notices: one `wurao notify`, of as many as share them (docs/notices.md)."""

    group: str = "wurao-notify"
    contacts_file: str | None = None
    """party → address: a TOML table `[contacts]`"""
    smtp_host: str = "127.0.0.1"
    smtp_port: Port = 25
    smtp_security: Literal["none", "starttls", "tls"] = "none"
    """`starttls` on a port such as 587 (RFC 3207), `tls` from the first byte on one such as 465 (RFC 8314)"""
    smtp_cafile: str | None = None
    """the certificates that are trusted, instead of the system's"""
    smtp_username: str | None = None
    smtp_password: str | None = None
    smtp_password_file: str | None = None
    sender: str = "wurao@localhost"
    """the address that notices come from"""
    attempt_timeout_ms: Timeout = 30_000
    attempts_max: Count = 12
    pause_ms: Milliseconds = 60_000
    """after the first failure; it doubles with each further one"""
    pause_ms_max: Milliseconds = 3_600_000
    """with these, twelve attempts span about six hours: more than a party must be unreachable for to be held to have
    been notified (`attempts_span_ms` of the procedures)"""
    attempts_at_once_max: Count = 8
    pending_max: Records = 10_000
    """notices that wait for their next attempt; when so many do, no more are fetched"""
    port: Port = 9670
    """where `/metrics`, `/healthz` and `/readyz` are served, on `metrics.host`; 0 lets the system choose"""


class LettersConfig(ConfigSection, frozen=True):
    """Letters to people, in Chinese: what `wurao notify` mails and `wurao case letter` shows (docs/notices.md)."""

    file: str | None = None
    """templates in the place of ours: a TOML table `[letters]`"""
    issuer: str | None = None
    """who writes: the name that stands at the end of a letter"""


class AuditConfig(ConfigSection, frozen=True):
    """The audit of decisions: one `wurao audit`, of as many as share the partitions."""

    group: str = "wurao-audit"
    batch_records_max: Records = 4_000
    """some 0.3 s of work, done in portions: what a batch waits for at the broker is the same for few as for many, so
    few mean falling behind where the processors are busy"""
    port: Port = 9680
    """where `/metrics`, `/healthz` and `/readyz` are served, on `metrics.host`; 0 lets the system choose"""


class HttpConfig(ConfigSection, frozen=True):
    """What every HTTP server takes at most, the API's and those of `/metrics`, `/healthz` and `/readyz` alike."""

    connections_max: Connections = 512
    """open at once, and never more than a quarter of the files that the process may have open (`ulimit -n`). One too
    many takes the place of the one that has been idle longest"""
    connections_per_address_max: Connections = 256
    """of them; a proxy before the API is one address, and so is an IPv6 network of 64 bits"""
    requests_per_address: Rate = 200
    """a second, in the mean of ten seconds"""
    header_timeout_ms: Timeout = 20_000
    """how long a connection may go without a whole request header: at first, and between two requests"""
    body_timeout_ms: Timeout = 20_000
    """how long a body may take, once its header is there"""
    handler_timeout_ms: Timeout = 60_000
    """how long a request may take altogether: the API may read the registered senders and a subscriber's expressions
    (20 s each), and write (`api.write_timeout_ms`)"""


class MetricsConfig(ConfigSection, frozen=True):
    """Where `/metrics`, `/healthz` and `/readyz` are served; worker N of a host listens at `port` + N.

    Port 0 lets the system choose (the address is logged).
    """

    host: str = "127.0.0.1"
    port: Port = 9600


class TraceConfig(ConfigSection, frozen=True):
    """Traces of batches (the extra `trace`). Without an endpoint there are none."""

    endpoint: str | None = None
    """where a collector takes OTLP over HTTP, whole: `http://127.0.0.1:4318/v1/traces`"""
    share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    """the share of batches that are traced: a worker decides some tens a second, up to some hundred"""
    timeout_ms: Timeout = 5_000


class PolicyConfig(ConfigSection, frozen=True):
    """A policy file, or the name of a shipped policy."""

    file: str = "cn-2020"
    look_every_ms: Annotated[int, msgspec.Meta(ge=0, le=86_400_000)] = 0
    """how often the file is looked at for a change, which is then loaded as on SIGHUP; 0: on SIGHUP only. For
    mounted files that are replaced whole: one that is written in place may be read half-written"""


class IntegrityConfig(ConfigSection, frozen=True):
    """Whether snapshots, bases and policy files must be signed: with a key they must, and what is written is signed.

    Keys are words of at least 32 characters, one a line; the first signs, all are accepted. They are read again
    whenever they are needed (docs/signatures.md).
    """

    key: str | None = None
    key_file: str | None = None


class Config(ConfigSection, frozen=True):
    """Everything that can be configured."""

    kafka: KafkaConfig = KafkaConfig()
    topics: TopicsConfig = TopicsConfig()
    registry: RegistryConfig = RegistryConfig()
    filter: FilterConfig = FilterConfig()
    enforce: EnforceConfig = EnforceConfig()
    watch: WatchConfig = WatchConfig()
    api: ApiConfig = ApiConfig()
    registrar: RegistrarConfig = RegistrarConfig()
    connector: ConnectorConfig = ConnectorConfig()
    letters: LettersConfig = LettersConfig()
    audit: AuditConfig = AuditConfig()
    http: HttpConfig = HttpConfig()
    metrics: MetricsConfig = MetricsConfig()
    policy: PolicyConfig = PolicyConfig()
    integrity: IntegrityConfig = IntegrityConfig()
    trace: TraceConfig = TraceConfig()


def load(path: Path | None, environment: Mapping[str, str]) -> Config:
    """The configuration of a file (none: defaults) with the environment's overrides. Raises `ConfigError`."""
    tables: dict[str, object] = {}
    if path is not None:
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:  # tomllib raises others than its own for long integers
            raise ConfigError(f"{path}: {error}; give a readable TOML file") from error
    _override(tables, environment)
    _refuse_weakening(tables)
    try:
        config = msgspec.convert(tables, Config, strict=False)
    except msgspec.ValidationError as error:
        fault = schema_fault(error, Config)
        raise ConfigError(f"{_origin(fault.path, path, environment)}: {fault}") from error
    for setting, fault_of in _ADDRESSES.items():
        table, _, name = setting.partition(".")
        value = getattr(getattr(config, table), name)
        if value is not None and (why := fault_of(value)) is not None:
            shown = f"…@{value.rpartition('@')[2]}" if "@" in value else value  # a password may stand there
            raise ConfigError(f"{_origin(setting, path, environment)}: {setting}: {shown!r}: {why}")
    _check(config)
    return config


def _origin(setting: str, path: Path | None, environment: Mapping[str, str]) -> str:
    """Where a setting was stated: the variable if there is one, for it goes before the file."""
    table, _, name = setting.partition(".")
    named = variable(f"{table}.{name.partition('.')[0]}")
    stated = [one for one in environment if one.upper() == named or (not name and one.upper().startswith(named))]
    return stated[0] if stated else str(path or named)


def variable(setting: str) -> str:
    """The variable of a setting that is given by path, as `kafka.bootstrap`."""
    return f"{ENVIRONMENT_PREFIX}{setting.replace('.', '__').upper()}"


def _fault_of_brokers(text: str) -> str | None:
    faults = (fault_of_broker(one.strip()) for one in text.split(","))
    return next((fault for fault in faults if fault is not None), None)


_ADDRESSES: dict[str, Callable[[str], str | None]] = {
    "kafka.bootstrap": _fault_of_brokers,
    "metrics.host": fault_of_host,
    "api.host": fault_of_host,
    "api.url": fault_of_url,
    "connector.smtp_host": fault_of_host,
    "connector.sender": fault_of_mailbox,
    "trace.endpoint": fault_of_url,
}
"""Settings that are addresses, and what tells why a text is none."""


def secret(value: str | None, file: str | None) -> str | None:
    """A secret from its variable, or else from its file. Raises `ConfigError` where the file cannot be read."""
    if value or not file:
        return value
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        fault = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"secret file {file}: {fault}; give a file that this user can read") from error


def keys_of(config: Config) -> Keys | None:
    """The keys by which files are signed; None where none are configured. Raises `ConfigError`."""
    integrity = config.integrity
    if integrity.key is None and integrity.key_file is None:
        return None
    try:
        return Keys.of_text(secret(integrity.key, integrity.key_file) or "")
    except ValueError as error:
        raise ConfigError(f"integrity.{'key' if integrity.key else 'key_file'}: {error}") from error


def _override(tables: dict[str, object], environment: Mapping[str, str]) -> None:
    for variable, value in sorted(environment.items()):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in NOT_SETTINGS:
            continue
        section, _, name = variable.removeprefix(ENVIRONMENT_PREFIX).lower().partition("__")
        if not name:
            raise ConfigError(f"{variable}: no such setting; write WURAO_<TABLE>__<NAME>, e.g. WURAO_KAFKA__BOOTSTRAP")
        table = tables.setdefault(section, {})
        if not isinstance(table, dict):
            raise ConfigError(f"{section}: must be a table")
        table[name] = value


def _refuse_weakening(tables: Mapping[str, object]) -> None:
    """Tell whoever looks for a client's usual setting why it is not there, rather than that it is unknown."""
    for section, table in tables.items():
        for name in table if isinstance(table, dict) else ():
            if (why := FIXED.get(name.replace(".", "_"))) is not None:
                raise ConfigError(f"{section}.{name}: cannot be set: {why}; take it out")


def _check(config: Config) -> None:
    kafka = config.kafka
    if kafka.security_protocol.startswith("SASL") and not kafka.sasl_username:
        raise ConfigError(f"kafka.sasl_username: needed for security_protocol {kafka.security_protocol}")
    if kafka.security_protocol.startswith("SASL") and not secret(kafka.sasl_password, kafka.sasl_password_file):
        raise ConfigError("kafka.sasl_password: set WURAO_KAFKA__SASL_PASSWORD or kafka.sasl_password_file")
    if kafka.ssl_keyfile and not kafka.ssl_certfile:
        raise ConfigError(
            "kafka.ssl_certfile: the certificate that kafka.ssl_keyfile is the key of; without it none is shown"
        )
    keys_of(config)
