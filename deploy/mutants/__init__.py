"""How strong the tests of the rules are: change the rules in one place at a time, and show each change no test notices.

    make mutants SEED=1 COUNT=560            a sample; the same seed draws the same, another seed another
    make mutants FILES='services/*/domain'   of these files and folders only
    make mutants COUNT=0                     every mutant there is
    make mutants ONE=ID                      one again (or several), by the name that the report gives it

Mutated are the pure rules, `TARGETS`; the pure tests, `TESTS`, judge. A mutant is killed by the first test that fails,
or that computes far longer than it did without a mutation. Only those tests are asked that run the changed statement.
A mutant lives in the memory of a process of its own; nothing is written but the report, .data/mutants/report.json.

The exit status is 1 where less than `LEAST` per cent of the sample were killed, or where a dropped refusal survived: a
rule that nothing holds. Every dropped refusal of the files is judged, whatever the seed; the rate is the sample's.
A mutant that changes no behaviour is listed in equivalent.txt with the reason, and is neither judged nor counted. An
entry that no mutant answers to any more is an error.

    places.py                  source -> its mutants, by operator
    sample.py                  which files, and which of their mutants
    equivalent.py              what equivalent.txt lists
    coverage.py                which test runs which statement, measured anew each time
    judge.py                   runs the tests against each mutant
    imports.py, importing.py   who imports whom; modules made of other code than their files hold
    tests.py, pool.py          the tests in this process; other processes to run them in
    report.py                  the table, the survivors, the JSON

The tools there are (mutmut, cosmic-ray, mutatest, irradiate, pytest-gremlins) drop no `raise`, or mutate functions only
and neither tables nor defaults, or write mutated code into the tree, or start pytest anew for each mutant.
"""
