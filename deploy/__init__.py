"""Everything that puts the five services on a machine: the embedded stack, the container files, the reference district, the demo and the benchmark."""
