"""The provider ``lb-probe``: an address that an internal load balancer sends to whoever answers its health probe."""
