"""`mailer mailing test`: a mailing's text to a phone of one's own, before everybody gets it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from mailer_cli.cli import dispatch, output
from mailer_cli.cli.mailing_options import MailingArgument
from mailer_cli.errors import TOKEN_ADVICE, MailerError, TokenRejectedError, UnavailableError

if TYPE_CHECKING:
    from mailer_cli.trials import Trial


def test(
    mailing: MailingArgument,
    to: Annotated[list[str], typer.Option("--to", metavar="PHONE", help="Whose phone; repeatable.")],
) -> None:
    """Send a mailing's text to a phone now, whatever its state, windows and audience.

    It is an ordinary message to the service, with an id that no client's message has: no report counts it,
    and who gets it may still get the mailing. `mailer log --mailing` tells of it.
    """
    from mailer_cli import mailings, phones, settings, trials
    from mailer_cli.cli import wiring

    numbers = list(dict.fromkeys(map(phones.normalise, to)))
    configured = settings.load()
    options = dispatch.engine_options(configured, concurrency=1)
    with wiring.working(configured) as (session, _):
        text = mailings.find(session, mailing, lock=False).text
    with wiring.connected(configured) as connection:
        for number in numbers:
            service = partial(dispatch.message_service, configured, options)
            _tell(trials.send(connection, service, wiring.actor(), mailing, text, number))


def _tell(trial: Trial) -> None:
    """Say that the service took it; raise what keeps it from doing so."""
    from mailer_cli.service import Accepted, InDoubt, Later, TokenRejected

    message = f"message {trial.message_id} to {trial.phone}"
    match trial.outcome:
        case Accepted():
            output.say(f"the service accepted {message}: a test, counted nowhere")
        case TokenRejected(error=error):
            raise TokenRejectedError(f"the message service rejected the token: {error}; {TOKEN_ADVICE}")
        case Later(error=error):
            raise UnavailableError(f"{message} was not taken: {error}; try again later")
        case InDoubt(error=error):
            raise MailerError(f"{message} may have been taken, or not: {error}; ask who should have got it")
        case _:
            reason = getattr(trial.outcome, "error", "its time was over")
            raise MailerError(f"the service refused {message}: {reason}")
