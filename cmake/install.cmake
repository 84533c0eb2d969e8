# The install rules.
