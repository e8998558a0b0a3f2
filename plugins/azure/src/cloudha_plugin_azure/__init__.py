"""The provider ``azure``: Microsoft Azure, its sovereign clouds and Azure Stack Hub."""
