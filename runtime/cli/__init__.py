"""The console commands of the runtime, thin over the library."""
