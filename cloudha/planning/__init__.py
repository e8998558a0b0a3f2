"""What ``cloudha plan`` thinks: from a description, or from a cluster with older agents, to ``pcs`` commands.

Nothing here talks to a cloud. What is printed is what was tried: every command ran on a copy of a CIB first.
"""
