"""cloudha's provider for AWS."""
