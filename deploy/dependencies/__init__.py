"""What Casegrid depends on: which packages, under which licences, with which known vulnerabilities.

installed   the packages of this environment, and which of them a service needs to run
licences    which licences are allowed, and what a package declares
osv         known vulnerabilities, from a file of the OSV database
sbom        the software bill of materials, as CycloneDX
"""
