"""A real Pacemaker cluster on one machine: nodes in namespaces, a routed network, an emulated cloud."""
