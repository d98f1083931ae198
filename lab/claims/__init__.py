"""Measures what people say of the systems: the seed's table and its sentences, claim by claim.

`seed` holds what is said, as a `claim` each, `questions` what is asked of a system and by which
trials, `judges` how an answer is read from the ledger, `verdicts` what it means for a claim, and
`wording` how all of it is printed.
"""
