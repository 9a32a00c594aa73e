"""The seam by which Faust finds our store, and what it is told there."""

import faust
from faust.types import TP

from stream.enforce.cases import faust_store


def test_faust_uses_our_store_and_is_told_that_nothing_is_left_to_be_brought_back() -> None:
    table = faust.App("seam", broker="kafka://127.0.0.1:1", store=faust_store.URL).Table("cases", partitions=3)
    assert isinstance(table.data, faust_store.RecoveredStore)
    assert {table.persisted_offset(TP("changelog", partition)) for partition in range(3)} == {faust_store.ALL}
    table.data[b"C-1"] = b"row"
    table.data.clear()
    assert b"C-1" not in table.data
