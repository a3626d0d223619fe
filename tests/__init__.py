"""A package with a name of its own: a library that the benchmarks compare with ships one called
`tests` too, and a folder without this file would lose against it."""
