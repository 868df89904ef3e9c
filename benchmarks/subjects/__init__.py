"""Every subject, in the order in which they are shown."""

from benchmarks.subjects import ceiling, clients, dramatiq, mailer, original, pgqueuer, procrastinate
from benchmarks.subjects.base import Place, Subject

SUBJECTS: list[Subject] = [
    *mailer.SUBJECTS,
    *ceiling.SUBJECTS,
    *clients.SUBJECTS,
    *pgqueuer.SUBJECTS,
    *procrastinate.SUBJECTS,
    *dramatiq.SUBJECTS,
    *original.SUBJECTS,
]

__all__ = ["SUBJECTS", "Place", "Subject"]
