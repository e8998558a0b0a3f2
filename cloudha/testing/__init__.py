"""What tests a provider: the conformance kit (:mod:`cloudha.testing.conformance`) and emulated clouds for it.

The kit needs pytest (``pip install cloudha[testing]``), the emulator (:mod:`cloudha.testing.emulator`) does not: this
package imports neither.
"""
