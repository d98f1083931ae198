"""Tests published claims about the systems, claim by claim.

`published_claims` lists them, each a `claim`; `experiments` holds the trials that each needs,
`checks` the rules that read a result from the ledger, `evaluate` applies them, `result` turns them
into verdicts, and `render` prints the table.
"""
