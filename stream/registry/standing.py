"""Which of a subscriber's expressions hold, and what is written again when a broader scope is taken back. Pure."""

from collections.abc import Sequence

from bloom.bitmaps import Wills
from bloom.wills import Scope
from stream.model.registry import Expression, key_of
from stream.registry.order_rule import scope_of
from stream.registry.registry import expression_row_of


def holding(expressions: Sequence[Expression]) -> tuple[Expression, ...]:
    """Of all expressions of one subscriber and channel, in order of receipt, those whose refusal or consent holds."""
    if not expressions:
        return ()
    wills = Wills()
    wills.apply([expression_row_of(expression) for expression in expressions])
    last = {key_of(expression): expression for expression in expressions}
    row = expression_row_of(expressions[-1])
    refusals, consents = wills.expressions_of(row.channel, row.number)
    held = {("refuse", scope) for scope in refusals} | {("consent", scope) for scope in consents}
    return tuple(
        expression
        for expression in expressions
        if expression is last[key_of(expression)] and (expression.will, scope_of(expression)) in held
    )


def narrower(expressions: Sequence[Expression], scope: Scope) -> tuple[Expression, ...]:
    """Of those that hold, the ones narrower than `scope`.

    Written again in this order after a lift of that scope, they give the state without what was said of the scope
    itself (DESIGN section 3: taking one scope back).
    """
    return tuple(one for one in holding(expressions) if scope_of(one) != scope and scope.covers(scope_of(one)))


__all__ = ["holding", "narrower"]
