"""The reference district: its catalogue, policy and calendar, and a seeded generator of everything else.

__main__.py        python -m deploy.district --scale full --seed 510108 --out .data/district/full
                   python -m deploy.district check DIR
catalogue.json  policy.json  calendar.json    copied as they are
territory.json     outline, streets, communities, and the size of each scale
organisation.json  departments, partner organisations
tiling.py          cuts a polygon into areas that share every vertex
areas.py           the area tree
people.py          units, members, places
build.py           all files of a district as bytes, and its manifest
check/             finds what is wrong with a district's files, whoever wrote them
"""
