"""The decision: predicates and one table of rules, from which everything else is made.

Theory. A *predicate* is a named question about an event, the registry, the settings and the moment. A *rule*
is a row: the predicates it needs, and the verdict, reason and basis it gives. The first row whose needs hold
decides. `rules.TABLE` is that table; `decide` runs it, `explain` explains it, `docs/policy.md` shows it and
`prove` proves it.

The quick way is not a second table: most of what a rule asks is settled by where an event comes from and by
whom, so `decide` evaluates those questions once per such *route*, drops the rows that can no longer hold, and
keeps the few that ask about this recipient, this text, this moment.

Never here: a client, a loop, a clock, a log.
"""
