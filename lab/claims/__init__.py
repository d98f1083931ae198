"""Tests published claims about the systems, claim by claim.

`published_claims` lists them, with the `promises` about delivery, each a `claim`; `experiments`
holds the trials that each needs, `checks` and `delivery` the rules that read a result from the
ledger, `evaluate` applies them, `result` turns them into verdicts, and `render` prints the table.
"""
