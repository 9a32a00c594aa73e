"""Where things stand in the head of a Kafka record batch, message format 2 (KIP-98; `RecordBatch` of the protocol)."""

from typing import Final

BASE_OFFSET_AT: Final = 0
LENGTH_AT: Final = 8
"""int32: the bytes that follow it"""
LOG_OVERHEAD: Final = 12
"""base offset and length: what the length does not count"""
CRC_AT: Final = 17
"""uint32, CRC-32C over everything after it"""
ATTRIBUTES_AT: Final = 21
MAX_TIMESTAMP_AT: Final = 35
"""int64, milliseconds"""
PRODUCER_AT: Final = 43
"""int64 producer id, int16 epoch, int32 base sequence"""
COUNT_AT: Final = 57
"""int32: records in the batch; compaction may have left fewer than the offsets it spans"""
HEADER_BYTES: Final = 61

TRANSACTIONAL: Final = 0x10
"""the bit of the attributes that makes a batch part of a transaction"""
