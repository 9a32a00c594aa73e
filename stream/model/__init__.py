"""The wire: every record that crosses a topic, as a typed struct, and the one way in and out of bytes.

Promises: what decodes satisfies the contract of `docs/asyncapi.yaml`; what does not raises
`Undecodable` with a reason a sender can act on. Never: I/O, a clock, a default that hides a missing field.
"""
