"""Throughput of mailer and of its peers, side by side on one machine: `python -m benchmarks`."""
