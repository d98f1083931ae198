"""Tests published claims about the systems, claim by claim.

`published_claims` lists them, with the `promises` about delivery and the claims of the
`first_pages` of further systems, each a `claim`. `statements` says what must be true for each.
`criteria` has the trials that this needs, `checks` and `delivery` read a result from the ledger,
`evaluate` applies them, `result` derives verdicts, and `render` prints the table.
"""
