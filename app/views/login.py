"""Who may see the pages: on a shared dashboard only those whom the guard before it has let in."""

from __future__ import annotations

from oga_app import state
from oga_app.elements import messages
from oga_app.server.accounts import Accounts
from oga_app.server.settings import Settings
from oga_app.server.uploads import ROOM


def passed(settings: Settings) -> bool:
    """Whether this session may see the pages, and from then on upload; says what is wrong where it may not.

    The guard looks at an account when a tab connects, this at every draw.
    """
    account = state.account()
    if settings.accounts is not None and not account:
        messages.problem("This dashboard has accounts and was started without its guard. Start it with: oga app")
        return False
    if settings.accounts is not None and Accounts(settings.accounts).key(account) is None:
        messages.problem(f"The account {account!r} is no longer there. Whoever started the dashboard can make it anew.")
        return False
    ROOM.welcome(state.id_of_tab(), account)
    return True
