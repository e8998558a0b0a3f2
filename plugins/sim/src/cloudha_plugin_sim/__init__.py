"""The simulated cloud: ``provider`` is what the agents load, all else is the cloud itself."""
