"""Tests published claims about the backends: one table and its sentences, claim by claim.

`seed` lists the claims, `questions` the trials that test them, `judges` the checks over the records
of these trials, `verdicts` the rules from check results to a verdict, and `wording` the printing.
"""
