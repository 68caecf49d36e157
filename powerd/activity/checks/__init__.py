"""The activity checks, one module each: the module name is the name of its table in ``[activity]``."""
