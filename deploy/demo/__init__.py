"""The reference scenario: a metro site breaks a water main on Shuangqiao Road; two days in a minute.

clock.py      the stack's accelerated clock
trace.py      the five topics, read live and printed a line an event
scenario.py   who does what, through public APIs and topics only
sample.py     invented reports in the format of a city's open data, for the replay at the end
verdict.py    what audit says of it in the end
"""
