"""How wurao is run: images, manifests, rules, dashboards; and the little code that makes what would drift by hand.

`python -m deploy` writes every generated file below this folder; a test compares them. Nothing here is part of the
installed package, and nothing of `bloom` or `stream` may import it.
"""
