"""One attempt of a job: its processes, signals, phases, and the watchdog that ends an attempt which hangs."""
