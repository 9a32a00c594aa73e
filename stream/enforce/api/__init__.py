"""The control plane's API for people and their programs: JSON over HTTP, every write a Kafka record first.

House rules
-----------
* Nothing is changed here. A request is read, checked against who asks and where the case stands, and written
  to an intake topic (or, for an expression or the end of a direct order, to its registry topic); `202` says that
  all replicas have it. What then happens is the procedures' business.
* What can be known beforehand is answered beforehand: the case's view from `cases` is stepped as the
  control plane would step it, and what no row would take is refused with what would be possible. The view
  may be a moment old, so a `202` is a promise that the record is safe and not that a row takes it.
* Every record carries the `actor` of the token behind it (Article 41 asks who did what). No request can
  state another.
* Logs name the operation, the actor and the case; never a path, a query or a body, which may hold numbers.

`operations` is the table from which routes, rights and `docs/openapi.yaml` are made.
"""

from stream.enforce.api.server import ApiServer, serve

__all__ = ["ApiServer", "serve"]
