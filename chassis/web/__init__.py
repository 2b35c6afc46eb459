"""HTTP of every service.

application.py  the FastAPI application
server.py       the server beneath it
protocol.py     one connection of it: an end to whatever is only half there
connections.py  how many connections there may be, and what was refused
arriving.py     how much memory bodies take that are still coming in
gate.py         what every request passes first: trace, body limit, caller, rate
concurrency.py  how many requests are worked on at once, and when the others ask again
headers.py      the headers of every answer
identity.py     bearer tokens and client keys -> callers
claims.py       the rules that a token must keep
keys.py         what verifies tokens: the key set of a file or a server
roles.py        route -> roles, and how it is bound
parameters.py   which parameters a route takes, and how they are written
reading.py      the rule of reading, as routes apply it
access.py       exceptional access to one case
requests.py     what routes ask of a request and of the process
dependencies.py asks for all of that at once
bodies.py       what the bodies of all requests and answers have in common
paging.py       pages and cursors
filters.py      filters that lists have in common
actions.py      which actions a caller may take on a case
openapi.py      the OpenAPI document and its page
streams.py      endless answers, all of them, and how many there may be
feeds.py        what live views share: one question, one rendering
errors.py       problem+json
reads.py        who reads raw bytes: recorded first, and listed
operations.py   health, readiness, parked records
"""
