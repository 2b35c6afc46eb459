"""The board: what is open, by status and light, as it is now and as it changes.

stream.py   the changes as server-sent events
"""
