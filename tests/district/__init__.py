"""The reference district: its models, clocks, authored files and generator."""
