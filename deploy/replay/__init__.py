"""Real reports of other cities through the whole system; then what audit says must be what was seen.

encoding.py     in which encoding a file is written
lines.py        its physical lines, each once
table.py        CSV: a bad row costs itself alone
rows.py         a row of a file -> a report, or a reject that names the field and the rule
reading.py      a file from its first line to its last, and what became of each
nyc311.py       the format of New York's 311 service requests
complaints.py   its complaint types as categories of the catalogue
messages.py     citizens' messages to a Chinese city, with the official replies
district.py     the reference district as the replay needs it: where foreign places go, who checks what
words.py        which group of the catalogue a text belongs to, where triage could not say
times.py        when each step happened, as far as the row tells
people.py       the simulated people, and their credentials
client.py       their HTTP: thousands of small requests
feed.py         what the topics say from now on
case.py         a case as the replay sees it
play.py         files the reports and answers what comes: rulings, work, checks
summary.py      counts by what was seen, and how they differ from audit's
report.py       the end for people and programs: tables, JSON, the progress bar
"""
