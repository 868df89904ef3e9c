"""A local message service over real HTTP that can be told to misbehave: to practise on, and to test against.

It reads the wire contract by itself and knows nothing of the code that sends.
"""

from mailer_cli.sandbox.faults import Faults
from mailer_cli.sandbox.ledger import read_ledger
from mailer_cli.sandbox.requests import Received
from mailer_cli.sandbox.server import Sandbox
from mailer_cli.sandbox.thread import SandboxThread

__all__ = ["Faults", "Received", "Sandbox", "SandboxThread", "read_ledger"]
