"""What is wrong, and how to mend it: checks that change nothing and send nothing."""

from mailer_cli.doctor.examination import examine
from mailer_cli.doctor.findings import Finding, Patient, Verdict

__all__ = ["Finding", "Patient", "Verdict", "examine"]
