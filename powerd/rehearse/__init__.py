"""The whole daemon without the machine: a loop whose time jumps, and households that play a script."""
