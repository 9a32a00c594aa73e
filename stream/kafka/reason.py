"""Why no broker lets us in: aiokafka tells its callers only that none does.

One more connection is tried to each address of `kafka.bootstrap`, with the options of all clients, and what it fails of
is named with its mend. Asked after a failure only.
"""

import ssl
from typing import Final, NamedTuple

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from stream.config import Config, KafkaConfig
from stream.kafka import clients

PROBE_MS_MAX: Final = 5_000
"""How long an address may take to answer: whoever asks has waited for it before."""

_NOT_YET_VALID: Final = 9
_HAS_EXPIRED: Final = 10
_HOSTNAME_MISMATCH: Final = 62
_IP_MISMATCH: Final = 64


class Reason(NamedTuple):
    """What keeps us out, and where."""

    what: str
    mend: str
    lasts: bool
    """whether only an operator mends it, and waiting does not"""

    def __str__(self) -> str:
        return f"{self.what}; {self.mend}"


async def reason(config: Config) -> Reason | None:
    """Why no address of `kafka.bootstrap` lets a client in; None where one does by now.

    Of several the one that lasts. Raises `ConfigError` for files of TLS or SASL that cannot be used.
    """
    security = clients.security(config.kafka)
    found: list[Reason] = []
    for host, port, _ in collect_hosts(config.kafka.bootstrap, randomize=False):
        try:
            made = await create_conn(host, port, client_id="wurao-probe", request_timeout_ms=PROBE_MS_MAX, **security)
        except (OSError, KafkaError) as error:
            found.append(_of(f"{host}:{port}", error, config.kafka))
        else:
            await made.close()
            return None
    return max(found, key=lambda one: one.lasts, default=None)


def _of(where: str, error: Exception, kafka: KafkaConfig) -> Reason:
    cause = error.__cause__ if isinstance(error, KafkaConnectionError) and error.__cause__ else error
    match cause:
        case ssl.SSLCertVerificationError():
            return Reason(
                f"{where} shows a certificate that is not believed: {cause.verify_message}",
                _mend(cause.verify_code, kafka),
                lasts=True,
            )
        case ssl.SSLError(reason=str(why)) if "ALERT" in why:
            return Reason(
                f"{where} ends TLS: {why}",
                f"let kafka.ssl_certfile (now {kafka.ssl_certfile or 'none'}) be a certificate that it believes; its "
                "log says more",
                lasts=True,
            )
        case SaslAuthenticationFailed() | UnsupportedSaslMechanismError() | IllegalSaslStateError():
            return Reason(
                f"{where} refuses the login of {kafka.sasl_username} by {kafka.sasl_mechanism}: {cause}",
                "see kafka.sasl_username, its password and kafka.sasl_mechanism",
                lasts=False,
            )
        case _:
            return Reason(
                f"{where} does not answer by {kafka.security_protocol}: {cause!r}",
                "see that it runs, and kafka.bootstrap (WURAO_KAFKA__BOOTSTRAP) and kafka.security_protocol",
                lasts=False,
            )


def _mend(verify_code: int, kafka: KafkaConfig) -> str:
    """What to do about a certificate of which OpenSSL says this (`X509_V_ERR_*`)."""
    if verify_code in (_NOT_YET_VALID, _HAS_EXPIRED):
        return "renew it, or correct this machine's clock"
    if verify_code in (_HOSTNAME_MISMATCH, _IP_MISMATCH):
        return "let kafka.bootstrap be a name or an address that stands in it, or have one made for this"
    return f"let kafka.ssl_cafile (now {kafka.ssl_cafile or 'not set: what the system believes'}) hold who signed it"
