"""Both agents against every emulated cloud that is installed, while everything goes wrong: ``python -m campaign``."""
