"""The work of commands on a Dask cluster, in shards (extra `[distributed]`)."""
