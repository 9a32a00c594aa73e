# The types of `wurao_native`. `bloom.base`, `stream.deciding.native` and `stream.feed.expression_reader` call it.

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Final, Literal, TypeAlias

_NamedScope: TypeAlias = tuple[int, bool, str | None, str | None]
_Purpose: TypeAlias = Literal["personal", "service", "commercial", "public", "emergency"]

PREDICATES: Final[tuple[str, ...]]
CODECS: Final[tuple[str, ...]]
__version__: Final[str]

class Tables:
    def __init__(
        self,
        fold: bytes,
        expansions: Sequence[tuple[str, str, bytes]],
        lower: bytes,
        between: bytes,
        beyond: bytes,
    ) -> None: ...
    def read(self, text: str) -> tuple[str, str] | None: ...
    def hints(self, text: str) -> tuple[bool | None, bool | None]: ...

class Base:
    def __init__(self, scopes: Sequence[_NamedScope], bitmaps: Sequence[bytes], origin: bytes) -> None: ...
    @staticmethod
    def map(path: str | PathLike[str]) -> Base: ...
    def write(self, path: str | PathLike[str]) -> None: ...
    @property
    def scopes(self) -> list[_NamedScope]: ...
    @property
    def origin(self) -> bytes: ...
    @property
    def numbers_count(self) -> int: ...
    @property
    def bytes_count(self) -> int: ...

class FrozenStore:
    def fold(self, scopes: Sequence[_NamedScope]) -> Base: ...

class Store:
    def __init__(self, partitions: int) -> None: ...
    def hold(self, partition: int, base: Base) -> None: ...
    def drop(self, partition: int) -> None: ...
    def freeze(self) -> FrozenStore: ...
    def replace(self, frozen: FrozenStore, base: Base) -> None: ...
    def add_scope(self, channel: int, refusal: bool, sender: int, category: int) -> None: ...
    def add(self, scope: int, numbers: Sequence[int]) -> None: ...
    def remove(self, scope: int, numbers: Sequence[int]) -> None: ...
    def refuse(self, scope: int, numbers: Sequence[int]) -> None: ...
    def remove_within(self, channel: int, sender: int, category: int, numbers: Sequence[int]) -> None: ...
    def stance(self, channel: int, consent: int, refusals: tuple[int, int, int], number: int) -> int: ...
    @property
    def changed_count(self) -> int: ...
    @property
    def numbers_count(self) -> int: ...

class ExpressionReader:
    def __init__(self) -> None: ...
    def read(
        self, raw: bytes | memoryview, *, from_offset: int, partition: int, partitions: int, reject_misplaced: bool
    ) -> tuple[
        bytes,
        bytes,
        list[tuple[int, int, str | None, str | None]],
        list[tuple[int, int, bytes | None, bytes | None]],
        int,
    ]: ...

class Engine:
    def __init__(self, setup: object, tables: Tables) -> None: ...
    def set_world(self, world: object) -> None: ...
    def clear_routes(self) -> None: ...
    @property
    def is_full(self) -> bool: ...
    def set_epoch(self, epoch: bytes) -> None: ...
    def decide(
        self,
        raw: bytes | memoryview,
        *,
        sms: bool,
        call: bool,
        partition: int,
        from_offset: int,
        now: int,
        quiet: Sequence[bool],
        store: Store,
        compile_route: Callable[
            [
                int,
                tuple[str | None, bool, str],
                tuple[str | None, _Purpose | None, str | None, bool],
                tuple[int, int],
                tuple[int | None, bool],
            ],
            object,
        ],
    ) -> tuple[
        list[tuple[bytearray, int]],
        bytes,
        list[tuple[int, int]],
        bytes,
        bytes,
        bytes,
        list[tuple[int, str]],
        list[int],
        list[tuple[int, int, bytes | None, bytes | None]],
        int,
        int,
    ]: ...

def seal(batch: bytearray, producer_id: int, epoch: int, base_sequence: int, transactional: bool) -> None: ...
def crc_holds(raw: bytes) -> bool: ...
