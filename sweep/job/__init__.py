"""Run one attempt of a job: its processes, its signals, its phases, and the watchdog that ends it if it hangs."""
