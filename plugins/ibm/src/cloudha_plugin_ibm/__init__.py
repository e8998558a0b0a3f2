"""cloudha on IBM Cloud VPC. The hooks are in :mod:`cloudha_plugin_ibm.provider`."""
