"""The metrics of one trial, one file a kind; `registry` lists them all."""
