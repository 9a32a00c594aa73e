"""One reader of decisions after another: each for the topics as they are, until one of them is another topic.

What a reader holds means nothing where a topic was deleted and recreated, or where records that it had not read yet
were deleted. So it ends, and when all topics are as they must be the next one begins, as at a start. Decisions of
before are then *unknown*: their epochs name topics that are gone.
"""

from collections.abc import Callable, Coroutine
from dataclasses import replace

from aiokafka.errors import OffsetOutOfRangeError

from stream import logs
from stream.audit.decision_reader import READ, DecisionReader
from stream.config import Config
from stream.kafka.describe import ClusterDescription
from stream.kafka.identity import TopicsChanged, right_topics

log = logs.get(__name__)

Work = Callable[[DecisionReader], Coroutine[object, object, None]]


class SuccessiveReaders:
    """The readers of one process. Create it on its loop."""

    def __init__(self, config: Config, cluster: ClusterDescription, *, client: str, group: str | None) -> None:
        """As `DecisionReader`. Without a group there is one reader only, since what is counted is of one past."""
        self._config = config
        self._client = client
        self._group = group
        self._cluster = replace(cluster, topics={name: cluster.topics[name] for name in READ})
        self._problem: str | None = None
        self._reader: DecisionReader | None = None

    def not_ready(self) -> str | None:
        """Why no decisions are read now, or None."""
        if self._problem is not None:
            return self._problem
        return self._reader.not_ready() if self._reader else "starting"

    async def each(self, work: Work) -> None:
        """Do this work with a reader, and again with another where the topics are others; until it ends by itself.

        Raises what the work raises; without a group also `TopicsChanged`.
        """
        while True:
            reader = DecisionReader(self._config, self._cluster, client=self._client, group=self._group)
            self._reader = reader
            try:
                await reader.guard(work(reader))
            except (TopicsChanged, OffsetOutOfRangeError) as gone:
                if self._group is None:
                    raise
                self._problem = f"starting again: {gone}"
                if isinstance(gone, OffsetOutOfRangeError):  # of another topic the next step logs
                    log.warning("registry records were deleted before they were consumed: reading all of it again")
            else:
                return
            finally:
                await reader.stop()
            self._cluster = await right_topics(self._config, self._cluster, lasting=READ, note=self._note)

    def _note(self, problem: str | None) -> None:
        self._problem = problem
