"""What every other room stands on: errors, files, locks, schemas, the machine, threads."""
