"""One batch decided, by Python and natively: for the filter, and whoever else decides as it does.

Bytes or records in, outcomes out; no client, no loop, no clock. `native_selection` alone knows that there are
brokers: it tries the module on a record batch before it is believed.
"""
