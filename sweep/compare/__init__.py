"""Compare the results of a sweep's runs: rows, contrasts, tests, tables, exports. Imports no trainer."""
