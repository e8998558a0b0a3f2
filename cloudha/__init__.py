"""One STONITH agent and one floating IP agent for Pacemaker, on any cloud.

Import what a provider plugin needs from :mod:`cloudha.provider`. This module stays empty on purpose: the agents run
every few seconds on production machines and import it first.
"""

__version__ = "0.1.0"
