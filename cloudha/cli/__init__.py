"""The ``cloudha`` command, for people. The agents never import it."""
