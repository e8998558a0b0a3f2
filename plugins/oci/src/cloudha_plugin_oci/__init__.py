"""The provider ``oci``: Oracle Cloud Infrastructure, its government and dedicated realms."""
