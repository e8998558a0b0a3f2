"""The two protocols: ClusterLabs' fence agent API and OCF 1.1. An agent translates; it decides nothing about safety."""
