"""The settings of a run, group by group."""
