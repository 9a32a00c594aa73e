"""The control plane's procedures: what follows from a finding, a complaint, a filing or an order.

House rules
-----------
* Everything here is pure: no client, no loop, no clock, no randomness. Time comes in as `now`; what is to be
  done goes out as data.
* A procedure is a table of transitions, and `engine.advance` is the only thing that runs one.
  `docs/procedures.md` is drawn from the same tables.
* A case never changes but by a row of its table. An event that no row takes is answered with `WrongState`,
  which says what would have been possible. It raises nothing: one bad event must not stop a stream.
* The same case and event give the same state and effects, under the same keys. The runtime may therefore repeat
  a step after a crash, and whoever carries out effects does each key once.

Theory. A *case* is a frozen struct: where it stands, its clocks, and what the rows need to know. An *event*
is what happened: a delivery, a decision, a clock that fired. A *row* says in which states it takes which
event, under which condition, where the case then stands, and which function makes the effects. Cases send
each other messages only by the effects `NotifyCase`, `OpenCase` and `RaiseFinding`. Articles are those of
REGULATION.md; a term that no article sets is a setting of `terms`, and says so.
"""
