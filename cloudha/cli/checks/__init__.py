"""What ``cloudha doctor`` looks at: one small module for each subject, in the order of :mod:`.running`.

A check asks and changes nothing. What it finds is a :class:`.finding.Finding`; what it cannot find out is *unknown*,
never *good*.
"""
