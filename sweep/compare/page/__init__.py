"""The page of a comparison: one HTML file that shows what a sweep did, without a network or a server.

Python prepares the data and decides nothing that `compare` does not say; the browser draws it.
"""
