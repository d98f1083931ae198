"""Results over commits, as asv shows them: what is exported, how, and pages that need no network.

CSV is the source of truth. `export` writes asv's files anew from all runs, so nothing in them can
be lost or edited by hand.
"""
