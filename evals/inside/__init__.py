"""Source that is sent into a sandbox and runs beside a candidate. It trusts nothing there and is trusted by
nobody: what it prints is data that the judge outside parses and compares.
"""
